"""Each record of an incident as a table for paper: short words, a sign for every verdict.

A record that is not there yet, None, is said to be missing: a report of half an incident is a report.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence
from typing import TypeVar

from shadowlab.records import (
    Diagnosis,
    Effect,
    GateReport,
    Intervention,
    Location,
    Outline,
    Plan,
    Proposal,
    Replay,
    Slice,
    Statistic,
    Triage,
)
from shadowlab.views.shown import Page
from shadowlab.views.sidebyside import in_full, side_by_side
from shadowlab.views.style import FAINT, INK, MONO, VERMILLION, WASH, badge
from shadowlab.views.tables import Markup, cell, code, grid, name

R = TypeVar("R")
_LONG = 40
"""Lines of a function that is shown whole."""


def missing(verb: str) -> Page:
    """What stands where a record should: nobody ran the verb yet."""
    return Page(f"<p><i>Not done yet: <code>shadowlab {html.escape(verb)} CASE</code></i></p>", f"{verb} was not run")


def _of(verb: str) -> Callable[[Callable[[R], Page]], Callable[[R | None], Page]]:
    """A view of what `verb` makes."""

    def decorate(view: Callable[[R], Page]) -> Callable[[R | None], Page]:
        @functools.wraps(view)
        def shown(record: R | None) -> Page:
            return missing(verb) if record is None else view(record)

        return shown

    return decorate


@_of("triage")
def objectives(triage: Triage) -> Page:
    """Each objective with its burn rate in every window."""
    rows: list[Sequence[object]] = []
    for o in triage.objectives:
        for span, window in o.windows.items():
            rate = "no requests" if window.burn_rate is None else f"{window.burn_rate:.1f}×"
            bad = f"{window.bad:,} of {window.total:,}"
            spent = f"{window.budget_spent:.2%}"
            rows.append((o.name, f"{o.target:.4g} {o.indicator}", span, rate, bad, spent, _alert(window.alert)))
    columns = ("objective", "target", "window", "burn rate", "bad requests", "of the budget", "alert")
    return grid(columns, rows, alt="objectives")


def _alert(word: str | None) -> Markup:
    return Markup(f"<b>{html.escape(word)}</b>" if word else "")


@_of("triage")
def suspects(triage: Triage) -> Page:
    """The error groups, ranked, with where they happen and which traces show them."""
    rows: list[Sequence[object]] = []
    for n, s in enumerate(triage.suspects, 1):
        where = next((f"{f.file}:{f.line} {f.function}" for f in reversed(s.frames) if f.in_app), "")
        what = Markup(f"<b>{html.escape(s.title)}</b><br>{html.escape(s.service)}: {html.escape(s.operation)}")
        seen = Markup(f"{s.events:,} in {s.traces:,} traces<br>{cell(s.first_seen)}<br>{cell(s.last_seen)}")
        exemplars = tuple(name(trace[:16]) for trace in s.exemplars[:3])
        rows.append((n, what, code(where), seen, exemplars, len(s.recordings)))
    columns = ("", "error", "deepest frame of ours", "events, first, last", "exemplars", "recordings")
    return grid(columns, rows, alt="suspects")


@_of("triage")
def contrast(triage: Triage) -> Page:
    """What sets the top suspect's failing requests apart."""
    found = triage.suspects[0].contrast if triage.suspects else ()
    rows = [
        (code(f"{c.attribute} = {c.value}"), f"{c.selection:.1%}", f"{c.baseline:.1%}", f"{c.effect:+.1%}", c.q,
         ", ".join(c.same_as))
        for c in found
    ]  # fmt: skip
    return grid(("attribute", "of failing", "of passing", "difference", "q", "same as"), rows, alt="contrast")


@_of("replay")
def attempts(replay: Replay) -> Page:
    """Each recording that was run again, and how it came out; without one, what telemetry says and what is missing."""
    if replay.outline is not None:
        return outlined(replay.outline)
    rows: list[Sequence[object]] = []
    for run in replay.runs:
        error = code(f"{run.error.type}: {run.error.message}") if run.error else ""
        seen = (name(run.recording[:16]), Markup(badge(run.outcome.value)), run.repeats, run.status, error)
        rows.append((*seen, run.divergence or "as recorded", name(run.outcome_digest[:12])))
    columns = ("recording", "outcome", "repeats", "status", "error", "against the recording", "outcome digest")
    return grid(columns, rows, alt="replayed recordings")


def outlined(told: Outline) -> Page:
    """A request that nothing recorded: what its spans say, and each missing input with the line that records it."""
    known: list[Sequence[object]] = [
        ("request", code(f"{told.method} {told.path or told.route}")), ("service", told.service), ("at", told.at),
        ("trace", name(told.trace_id)), ("captured headers", tuple(code(f"{k}: {v}") for k, v in told.headers)),
        ("calls", tuple(code(call) for call in told.calls)),
        ("statements", tuple(code(statement) for statement in told.statements)),
    ]  # fmt: skip
    needs: list[Sequence[object]] = [(need.what, code(need.line)) for need in told.needs]
    says = grid(("", "what telemetry says"), known, alt="outline of the request")
    lacks = grid(("missing", "recorded next time by"), needs, alt="missing inputs")
    return Page(f"{says.html}{lacks.html}", f"{told.method} {told.route}: {len(needs)} inputs are missing")


@_of("replay")
def effects(replay: Replay) -> Page:
    """The nondeterminism ledger: every seam, and what the replay knows of it."""
    rows = [_effect(e) for e in replay.effects]
    return grid(("seam", "control", "how", "events"), rows, alt="nondeterminism ledger")


def _effect(effect: Effect) -> Sequence[object]:
    return effect.seam, Markup(badge(effect.control.value)), effect.how, effect.events


@_of("diagnose")
def hypotheses(diagnosis: Diagnosis) -> Page:
    """What might be the cause, and how far each got."""
    rows = [
        (Markup(badge(h.status.value)), Markup(f"<b>{html.escape(h.cause)}</b>"), code(_spot(h.location)), h.evidence)
        for h in diagnosis.hypotheses
    ]
    return grid(("status", "cause", "where", "evidence"), rows, alt="hypotheses")


def _spot(location: Location | None) -> str:
    return f"{location.file}:{location.line} {location.function}" if location else ""


@_of("diagnose")
def interventions(diagnosis: Diagnosis) -> Page:
    """What was changed in the replay, one thing at a time, and whether the failure went away."""
    tried: dict[Intervention, list[str]] = {}
    for h in diagnosis.hypotheses:
        for i in h.interventions:
            tried.setdefault(i, []).append(h.cause)
    rows: list[Sequence[object]] = []
    for i, causes in tried.items():
        keys = (name(i.before_key[:12]), name(i.after_key[:12]))
        rows.append((Markup(f"<b>{cell(i.changed)}</b>"), _became(i), i.runs, *keys, tuple(causes)))
    columns = ("changed in the replay", "what became of it", "runs", "outcome before", "after", "speaks to")
    return grid(columns, rows, alt="interventions")


def _became(i: Intervention) -> str:
    if i.flipped:
        return "the failure went away"
    if not i.runs:
        return "it did not run"
    return "the failure stayed" if i.after_key == i.before_key else "it came out otherwise, and did not pass"


@_of("diagnose")
def commits(diagnosis: Diagnosis) -> Page:
    """The changes between the last good and the first bad deploy; the suspect one is marked."""
    suspect = diagnosis.suspect_change
    rows: list[Sequence[object]] = []
    for c in diagnosis.candidates:
        mark = (
            Markup("<b style='white-space:nowrap'>◀ suspect</b>") if suspect and suspect.revision == c.revision else ""
        )
        rows.append((name(c.revision[:9]), c.at, c.subject, ", ".join(c.files[:6]), mark))
    return grid(("commit", "at (UTC)", "subject", "files", ""), rows, alt="changes in the deploy")


@_of("replay")
def held(replay: Replay) -> Page:
    """What the sandbox really held, as it was probed."""
    rows = [(replay.sandbox, what) for what in replay.enforced] + [("note", note) for note in replay.notes]
    return grid(("sandbox", "held"), rows, alt="sandbox")


@_of("diagnose")
def slices(diagnosis: Diagnosis) -> Page:
    """The functions on the way to the failure, with the failing line marked."""
    told = "".join(_slice(part) for part in diagnosis.slice)
    return Page(told or "<p>No source was sliced.</p>", f"{len(diagnosis.slice)} functions")


def _near(number: int, part: Slice) -> bool:
    """Whether a line is shown: a short function's all, a long one's head and what is around the failing line."""
    if part.end_line - part.start_line < _LONG or number < part.start_line + 10:
        return True
    return part.failing_line is not None and abs(number - part.failing_line) <= 10


def _slice(part: Slice) -> str:
    lines, last = [], part.start_line - 1
    for number, line in enumerate(part.source.splitlines(), part.start_line):
        if not _near(number, part):
            continue
        if number > last + 1:
            lines.append(f"       … {number - last - 1} lines\n")
        mark = f"color:{VERMILLION};font-weight:600" if number == part.failing_line else ""
        sign, last = "▶" if number == part.failing_line else " ", number
        lines.append(f"<span style='{mark}'>{sign}{number:5} {html.escape(line)}\n</span>")
    if last < part.end_line:
        lines.append(f"       … {part.end_line - last} lines\n")
    look = f"white-space:pre-wrap;font:12px/1.5 {MONO};background:{WASH};color:{INK}"
    place = "padding:.8em;margin:.2em 0 1em;text-align:left"
    title = html.escape(f"{part.file}: {part.function}")
    return f'<div><code>{title}</code><pre style="{look};{place}">{"".join(lines)}</pre></div>'


@_of("propose")
def patch(proposal: Proposal) -> Page:
    """The best candidate's diff, before beside after."""
    return side_by_side(proposal.candidates[0].diff) if proposal.candidates else _none(proposal)


@_of("propose")
def patch_in_full(proposal: Proposal) -> Page:
    """The best candidate's diff as it would be applied."""
    return in_full(proposal.candidates[0].diff) if proposal.candidates else _none(proposal)


@_of("propose")
def rationale(proposal: Proposal) -> Page:
    """Why the best candidate, what it may touch, which tests it brings."""
    if not proposal.candidates:
        return _none(proposal)
    best = proposal.candidates[0]
    rows = [
        ("rationale", best.rationale),
        ("risk", f"{best.risk.surface}; expected cost {best.risk.expected_perf_ms:g} ms"),
        ("tests", tuple(code(test) for test in best.tests)),
        ("proposed by", best.proposer),
        ("other candidates", len(proposal.candidates) - 1),
        ("SHA-256 of the diff", code(best.digest)),
    ]
    return grid(("", "candidate"), rows, alt="candidate")


def _none(proposal: Proposal) -> Page:
    return Page(f"<p>No candidate was proposed. {html.escape(' '.join(proposal.notes))}</p>", "no candidate")


@_of("gate")
def gates(report: GateReport) -> Page:
    """Each gate with what was seen and what was allowed."""
    rows = [(g.name, Markup(badge(g.verdict.value)), g.observed, _wide(g.limit), g.detail) for g in report.gates]
    page = grid(("gate", "verdict", "observed", "limit", "detail"), rows, alt="gates")
    if not report.ran_on:
        return page
    told = f"{html.escape(report.ran_on)} · environment {code(report.environment[:12] or 'not to be had')}"
    return Page(f"{page.html}<p style='{FAINT}'>The service ran on {told}</p>", page.alt)


def _wide(text: str) -> Markup:
    """A cell that longer ones beside it do not squeeze to a column of single words."""
    return Markup(f"<div style='min-width:13em'>{cell(text)}</div>")


@_of("gate")
def statistics(report: GateReport) -> Page:
    """The numbers behind the statistical gates."""
    rows = [_statistic(g.name, g.verdict.value, g.statistic) for g in report.gates if g.statistic]
    columns = ("gate", "verdict", "observed", "interval", "limit", "n", "p", "e-value", "method")
    return grid(columns, rows, alt="gate statistics")


def _statistic(gate: str, verdict: str, s: Statistic) -> Sequence[object]:
    unit = f"<br><span style='{FAINT}'>{html.escape(s.unit)}</span>" if s.unit else ""
    low, high = (_number(v) for v in s.interval)
    interval = Markup(f"<span style='white-space:nowrap'>{low} to {high}</span><br>"
                      f"<span style='{FAINT}'>at {s.level:.0%}</span>")  # fmt: skip
    seen = (
        Markup(f"<span style='white-space:nowrap'>{html.escape(gate)}</span>{unit}"),
        Markup(badge(verdict)),
        _number(s.estimate),
        interval,
    )
    n = Markup(f"<span style='white-space:nowrap'>{s.n_control:,} control<br>{s.n_candidate:,} candidate</span>")
    return *seen, _number(s.limit), n, s.chance or "–", _number(s.e_value), s.method


def _number(value: float | None) -> Markup:
    if value is None:
        return Markup("–")
    told = f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"
    return Markup(f"<span style='white-space:nowrap'>{told}</span>")


@_of("rollout")
def steps(plan: Plan) -> Page:
    """The rollout's steps in order, who must approve, and the way back."""
    rows: list[Sequence[object]] = [(n, step) for n, step in enumerate(plan.steps, 1)]
    rows += [("approvals", ", ".join(plan.approvals)), ("labels", ", ".join(plan.labels))]
    rows += [("rollback", plan.rollback), ("files", tuple(code(file) for file in plan.files))]
    return grid(("step", "what"), rows, alt="rollout plan")
