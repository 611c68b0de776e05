"""What is found out about an incident as tables for paper: short words, a sign for every verdict.

A record that is not there yet, None, is said to be missing.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from shadowlab.records import Contrast, Diagnosis, Effect, Intervention, Location, Outline, Replay, Slice, Triage
from shadowlab.records.base import counted, percent
from shadowlab.views.missing import made_by
from shadowlab.views.shown import Page
from shadowlab.views.style import INK, MONO, VERMILLION, WASH, badge
from shadowlab.views.tables import Markup, cell, code, grid, name, wide

_LONG = 40
"""Lines of a function that is shown whole."""


@made_by("triage")
def objectives(triage: Triage) -> Page:
    """Each objective with its burn rate in every window."""
    rows: list[Sequence[object]] = []
    for o in triage.objectives:
        for span, window in o.windows.items():
            rate = "no requests" if window.burn_rate is None else f"{window.burn_rate:.1f}×"
            bad = f"{window.bad:,} of {window.total:,}"
            spent = f"{window.budget_spent:.2%}"
            rows.append((o.name, f"{percent(o.target)} {o.indicator}", span, rate, bad, spent, _alert(window.alert)))
    columns = ("objective", "target", "window", "burn rate", "bad", "of the budget", "alert")
    rates = grid(columns, rows, alt="objectives")
    slow = _slow(triage)
    return Page(f"{rates.html}{slow.html}", rates.alt) if slow else rates


def _slow(triage: Triage) -> Page | None:
    """Traces of the objectives that burn for their latency."""
    rows: list[Sequence[object]] = [
        (
            o.name,
            *(tuple(name(trace[:16]) for trace in traces) for traces in (o.exemplars, o.controls)),
            len(o.recordings),
        )
        for o in triage.objectives
        if o.exemplars
    ]
    columns = ("too slow", "slow traces", "quick ones beside them", "recordings")
    return grid(columns, rows, alt="slow traces") if rows else None


def _alert(word: str | None) -> Markup:
    return Markup(f"<b>{html.escape(word)}</b>" if word else "")


@made_by("triage")
def suspects(triage: Triage) -> Page:
    """The error groups, ranked, with where they happen and which traces show them."""
    rows: list[Sequence[object]] = []
    for n, s in enumerate(triage.suspects, 1):
        where = next((f"{f.file}:{f.line} {f.function}" for f in reversed(s.frames) if f.in_app), "")
        what = Markup(f"<b>{html.escape(s.title)}</b><br>{html.escape(s.service)}: {html.escape(s.operation)}")
        seen = Markup(f"{s.events:,} in {counted(s.traces, 'trace')}<br>{cell(s.first_seen)}<br>{cell(s.last_seen)}")
        exemplars = tuple(name(trace[:16]) for trace in s.exemplars[:3])
        rows.append((n, what, code(where), seen, exemplars, len(s.recordings)))
    columns = ("", "error", "deepest frame of ours", "events, first, last", "exemplars", "recordings")
    return grid(columns, rows, alt="suspects")


@made_by("triage")
def contrast(triage: Triage) -> Page:
    """What sets the top suspect's failing requests apart."""
    found = triage.suspects[0].contrast if triage.suspects else ()
    rows = [
        (code(c.said), f"{c.selection:.1%}", f"{c.baseline:.1%}", _difference(c), f"{c.q:.2g}",
         ", ".join(c.same_as))
        for c in found
    ]  # fmt: skip
    columns = ("attribute", "of failing", "of passing", "difference (95 %)", "q", "same as")
    shown = len(columns) if any(c.same_as for c in found) else len(columns) - 1
    return grid(columns[:shown], [row[:shown] for row in rows], alt="contrast")


def _difference(contrast: Contrast) -> str:
    low, high = contrast.interval or (None, None)
    return f"{contrast.effect:+.1%}" + (f" ({low:+.1%} to {high:+.1%})" if low is not None and high is not None else "")


@made_by("replay")
def attempts(replay: Replay) -> Page:
    """Each recording that was run again, and how it came out; without one, what telemetry says and what is missing."""
    if replay.outline is not None:
        return outlined(replay.outline)
    rows: list[Sequence[object]] = []
    for run in replay.runs:
        error = wide(code(f"{run.error.type}: {run.error.message}")) if run.error else ""
        seen = (name(run.recording[:16]), Markup(badge(run.outcome.value)), run.repeats, run.status, error)
        rows.append((*seen, run.divergence or "as recorded", name(run.outcome_digest[:12])))
    columns = ("recording", "outcome", "repeats", "status", "error", "against the recording", "outcome digest")
    return grid(columns, rows, alt="replayed recordings")


def outlined(outline: Outline) -> Page:
    """A request that nothing recorded: what its spans say, and each missing input with the line that records it."""
    known: list[Sequence[object]] = [
        ("request", code(f"{outline.method} {outline.path or outline.route}")),
        ("service", outline.service), ("at", outline.at),
        ("trace", name(outline.trace_id)), ("captured headers", tuple(code(f"{k}: {v}") for k, v in outline.headers)),
        ("calls", tuple(code(call) for call in outline.calls)),
        ("statements", tuple(code(statement) for statement in outline.statements)),
    ]  # fmt: skip
    needs: list[Sequence[object]] = [(need.what, code(need.line)) for need in outline.needs]
    says = grid(("", "what telemetry says"), known, alt="outline of the request")
    lacks = grid(("missing", "recorded next time by"), needs, alt="missing inputs")
    return Page(f"{says.html}{lacks.html}", f"{outline.method} {outline.route}: {len(needs)} inputs are missing")


@made_by("replay")
def effects(replay: Replay) -> Page:
    """The nondeterminism ledger: every seam, and what the replay knows of it."""
    rows = [_effect(e) for e in replay.effects]
    return grid(("seam", "control", "how", "events"), rows, alt="nondeterminism ledger")


def _effect(effect: Effect) -> Sequence[object]:
    return effect.seam, Markup(badge(effect.control.value)), effect.how, effect.events


@made_by("diagnose")
def hypotheses(diagnosis: Diagnosis) -> Page:
    """What might be the cause, and how far each got."""
    rows = [
        (Markup(badge(h.status.value)), Markup(f"<b>{html.escape(h.cause)}</b>"), code(_spot(h.location)), h.evidence)
        for h in diagnosis.hypotheses
    ]
    return grid(("status", "cause", "where", "evidence"), rows, alt="hypotheses")


def _spot(location: Location | None) -> str:
    return f"{location.file}:{location.line} {location.function}" if location else ""


@made_by("diagnose")
def interventions(diagnosis: Diagnosis) -> Page:
    """What was changed in the replay, one thing at a time, and whether the failure went away."""
    tried: dict[Intervention, list[str]] = {}
    for h in diagnosis.hypotheses:
        for i in h.interventions:
            tried.setdefault(i, []).append(h.cause)
    rows: list[Sequence[object]] = []
    for i, causes in tried.items():
        keys = (name(i.before_key[:12]), name(f"→ {i.after_key[:12]}"))
        rows.append((Markup(f"<b>{cell(i.changed)}</b>"), _became(i), i.runs, keys, tuple(wide(c) for c in causes)))
    columns = ("changed in the replay", "what became of it", "runs", "outcome", "speaks to")
    return grid(columns, rows, alt="interventions")


def _became(i: Intervention) -> str:
    if i.flipped:
        return "the failure went away"
    if not i.runs:
        return "it did not run"
    return "the failure stayed" if i.after_key == i.before_key else "it came out otherwise, and did not pass"


@made_by("diagnose")
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


@made_by("replay")
def held(replay: Replay) -> Page:
    """What the sandbox really held, as it was probed."""
    walls = [what.partition(": ") for what in replay.enforced]
    rows = [(wall if how else "", how or wall) for wall, _, how in walls] + [("note", note) for note in replay.notes]
    return grid((f"sandbox {replay.sandbox}", "what it held"), rows, alt="sandbox")


@made_by("diagnose")
def slices(diagnosis: Diagnosis) -> Page:
    """The functions on the way to the failure with the failing line marked; folded, what else is in the slice."""
    raised = [part for part in diagnosis.slice if part.failing_line is not None] or diagnosis.slice[:1]
    beside = [part for part in diagnosis.slice if part not in raised]
    parts = "".join(map(_slice, raised))
    if beside:
        names = ", ".join(f"{part.file}: {part.function}" for part in beside)
        more = f"{counted(len(beside), 'more function')} that they ran or used"
        parts += f"<details><summary>{more}: {html.escape(names)}</summary>{''.join(map(_slice, beside))}</details>"
    return Page(parts or "<p>No source was sliced.</p>", counted(len(diagnosis.slice), "function"))


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
