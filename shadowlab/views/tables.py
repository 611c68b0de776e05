"""Records as tables for paper: short words, a sign for every verdict, nothing that needs a script."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shadowlab.records import Diagnosis, Effect, GateReport, Location, Plan, Replay, Statistic, Triage
from shadowlab.views.picture import Page
from shadowlab.views.style import LINE, QUIET, badge

_CELL = "text-align:left;vertical-align:top;padding:.25em .9em .25em 0;overflow-wrap:anywhere"


_LONGEST = 2000


class Markup(str):
    """Text that is HTML already."""


def grid(columns: Sequence[str], rows: Sequence[Sequence[object]], *, alt: str) -> Page:
    """A table of `rows` under `columns`; every cell that is no `Markup` is escaped."""
    if not rows:
        return Page(f"<p>{html.escape(alt)}: none.</p>", f"{alt}: none")
    head = "".join(f"<th style='{_CELL};border-bottom:2px solid {LINE}'>{html.escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>" + "".join(f"<td style='{_CELL};border-bottom:1px solid {LINE}'>{cell(v)}</td>" for v in row) + "</tr>"
        for row in rows
    )
    table = f"<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return Page(table, f"{alt}, {len(rows)} rows")


def cell(value: object) -> str:
    """One value as HTML."""
    match value:
        case None:
            return ""
        case Markup():
            return value
        case datetime():
            return html.escape(value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z"))
        case timedelta():
            return html.escape(str(value))
        case float():
            return f"{value:,.4g}"
        case int():
            return f"{value:,}"
        case tuple() | list():
            return "<br>".join(cell(v) for v in value)
        case _:
            told = str(value)
            return html.escape(told if len(told) <= _LONGEST else told[:_LONGEST] + " …")


def code(text: str) -> Markup:
    """`text` in type-writer letters."""
    return Markup(f"<code>{html.escape(text)}</code>")


def objectives(triage: Triage) -> Page:
    """Each objective with its burn rate in every window."""
    rows: list[Sequence[object]] = []
    for o in triage.objectives:
        for name, window in o.windows.items():
            rate = "no requests" if window.burn_rate is None else f"{window.burn_rate:.1f}×"
            bad = f"{window.bad:,} of {window.total:,}"
            spent = f"{window.budget_spent:.2%}"
            rows.append((o.name, f"{o.target:.4g} {o.indicator}", name, rate, bad, spent, _alert(window.alert)))
    columns = ("objective", "target", "window", "burn rate", "bad requests", "of the budget", "alert")
    return grid(columns, rows, alt="objectives")


def _alert(word: str | None) -> Markup:
    return Markup(f"<b>{html.escape(word)}</b>" if word else "")


def suspects(triage: Triage) -> Page:
    """The error groups, ranked, with where they happen and which traces show them."""
    rows: list[Sequence[object]] = []
    for n, s in enumerate(triage.suspects, 1):
        where = next((f"{f.file}:{f.line} {f.function}" for f in reversed(s.frames) if f.in_app), "")
        what = Markup(f"<b>{html.escape(s.title)}</b><br>{html.escape(s.service)}: {html.escape(s.operation)}")
        first = tuple(code(trace[:16]) for trace in s.exemplars[:3])
        rows.append((n, what, code(where), s.events, s.traces, s.first_seen, s.last_seen, first, len(s.recordings)))
    columns = ("", "error", "deepest frame of ours", "events", "traces", "first", "last", "exemplars", "recordings")
    return grid(columns, rows, alt="suspects")


def contrast(triage: Triage) -> Page:
    """What sets the top suspect's failing requests apart."""
    found = triage.suspects[0].contrast if triage.suspects else ()
    rows = [
        (code(f"{c.attribute} = {c.value}"), f"{c.selection:.1%}", f"{c.baseline:.1%}", f"{c.effect:+.1%}", c.q,
         ", ".join(c.same_as))
        for c in found
    ]  # fmt: skip
    return grid(("attribute", "of failing", "of passing", "difference", "q", "same as"), rows, alt="contrast")


def attempts(replay: Replay) -> Page:
    """Each recording that was run again, and how it came out."""
    rows: list[Sequence[object]] = []
    for run in replay.runs:
        error = code(f"{run.error.type}: {run.error.message}") if run.error else ""
        seen = (code(run.recording[:16]), Markup(badge(run.outcome.value)), run.repeats, run.status, error)
        rows.append((*seen, run.divergence or "as recorded", code(run.outcome_digest[:12])))
    columns = ("recording", "outcome", "repeats", "status", "error", "against the recording", "outcome digest")
    return grid(columns, rows, alt="replayed recordings")


def effects(replay: Replay) -> Page:
    """The nondeterminism ledger: every seam, and what the replay knows of it."""
    rows = [_effect(e) for e in replay.effects]
    return grid(("seam", "control", "how", "events"), rows, alt="nondeterminism ledger")


def _effect(effect: Effect) -> Sequence[object]:
    return effect.seam, Markup(badge(effect.control.value)), effect.how, effect.events


def hypotheses(diagnosis: Diagnosis) -> Page:
    """What might be the cause, and how far each got."""
    rows = [
        (Markup(badge(h.status.value)), Markup(f"<b>{html.escape(h.cause)}</b>"), code(_spot(h.location)), h.evidence)
        for h in diagnosis.hypotheses
    ]
    return grid(("status", "cause", "where", "evidence"), rows, alt="hypotheses")


def _spot(location: Location | None) -> str:
    return f"{location.file}:{location.line} {location.function}" if location else ""


def interventions(diagnosis: Diagnosis) -> Page:
    """What was changed in the replay, one thing at a time, and whether the failure went away."""
    rows: list[Sequence[object]] = []
    for h in diagnosis.hypotheses:
        for i in h.interventions:
            flipped = Markup(badge("confirmed" if i.flipped else "refuted"))
            went = "the failure went away" if i.flipped else "the failure stayed"
            rows.append((i.changed, went, flipped, i.runs, code(i.before_key[:12]), code(i.after_key[:12])))
    columns = ("changed in the replay", "what became of it", "so the cause is", "runs", "outcome before", "after")
    return grid(columns, rows, alt="interventions")


def commits(diagnosis: Diagnosis) -> Page:
    """The changes between the last good and the first bad deploy; the suspect one is marked."""
    suspect = diagnosis.suspect_change
    rows: list[Sequence[object]] = []
    for c in diagnosis.candidates:
        mark = Markup("<b>◀ suspect</b>") if suspect and suspect.revision == c.revision else ""
        rows.append((code(c.revision[:9]), c.at, c.subject, ", ".join(c.files[:6]), mark))
    return grid(("commit", "at", "subject", "files", ""), rows, alt="changes in the deploy")


def gates(report: GateReport) -> Page:
    """Each gate with what was seen and what was allowed."""
    rows = [(g.name, Markup(badge(g.verdict.value)), g.observed, g.limit, g.detail) for g in report.gates]
    return grid(("gate", "verdict", "observed", "limit", "detail"), rows, alt="gates")


def statistics(report: GateReport) -> Page:
    """The numbers behind the statistical gates."""
    rows = [(g.name, Markup(badge(g.verdict.value)), *_statistic(g.statistic)) for g in report.gates if g.statistic]
    columns = ("gate", "verdict", "observed", "interval", "limit", "n control", "n candidate", "p", "e-value", "method")
    return grid(columns, rows, alt="gate statistics")


def _statistic(s: Statistic) -> Sequence[object]:
    low, high = (_number(v, s.unit) for v in s.interval)
    interval = Markup(f"[{low}, {high}] <span style='color:{QUIET}'>at {s.level:.0%}</span>")
    seen = (_number(s.estimate, s.unit), interval, _number(s.limit, s.unit), s.n_control, s.n_candidate)
    return *seen, _number(s.p), _number(s.e_value), s.method


def _number(value: float | None, unit: str = "") -> Markup:
    if value is None:
        return Markup("–")
    told = f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"
    return Markup(html.escape(f"{told} {unit}".strip()))


def steps(plan: Plan) -> Page:
    """The rollout's steps in order."""
    rows = [(n, step) for n, step in enumerate(plan.steps, 1)]
    return grid(("step", "what"), rows, alt="rollout steps")


def ledger(entries: Sequence[Mapping[str, Any]]) -> Page:
    """The audit ledger: who did what when, each entry chained to the one before."""
    rows: list[Sequence[object]] = []
    for e in entries:
        record = e.get("record") or {}
        words = " ".join(f"{k}={v}" for k, v in (e.get("arguments") or {}).items() if v not in (None, "", [], {}))
        made = f"{record.get('type', '')} {str(record.get('digest', ''))[:12]}".strip()
        chain = (code(str(e.get("previous", ""))[:12]), code(str(e.get("digest", ""))[:12]))
        rows.append((e.get("seq"), str(e.get("at", ""))[:19], e.get("verb"), words[:160], code(made), *chain))
    return grid(("", "at (UTC)", "verb", "with", "made", "previous", "entry"), rows, alt="audit ledger")
