"""Results as text that a person reads in a terminal: one layout for each record."""

from __future__ import annotations

from datetime import datetime
from functools import singledispatch
from typing import Any

from shadowlab.inspection import Shown
from shadowlab.records import Diagnosis, GateReport, Ingest, Outline, Proposal, Record, Replay, Suspect, Triage
from shadowlab.records.base import counted, percent

_REJECTED = 10
"""Rejected records that the terminal names."""
_FILES = 20
"""Files that it names: a recorder's folder holds one for each request."""


@singledispatch
def text(result: Any) -> str:
    """What a person reads of a result in the terminal."""
    return str(result)


@text.register
def _(result: Record) -> str:
    return f"{result!r}\n{grid(list(result.rows()))}"


@text.register
def _(result: Shown) -> str:
    if result.kind == "trace":
        return waterfall(result.document)
    return "\n".join(_line(key, value) for key, value in result.document.items())


def _line(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join([f"{key:>20}", *(f"{name:>20}  {_short(part)}" for name, part in value.items())])
    return f"{key:>20}  {_short(value)}"


@text.register
def _(result: Ingest) -> str:
    lines = []
    if result.recordings:
        lines.append(f"{counted(result.recordings, 'recording')}, {result.linked:,} linked to traces of this case")
    lines += [f"cannot be replayed: {counted(u.recordings, 'recording')}: {u.reason}" for u in result.unreplayable]
    lines += [f"note: {note}" for note in result.notes]
    lines += [f"rejected: {r.file}, {r.position}: {r.reason}" for r in result.rejected[:_REJECTED]]
    if len(result.rejected) > _REJECTED:
        lines.append(f"{len(result.rejected) - _REJECTED:,} more were rejected; `--json` lists them")
    rows = list(result.rows())
    return "\n".join([repr(result), *([grid(rows, limit=_FILES)] if rows else ()), *lines])


@text.register
def _(result: Triage) -> str:
    burns = [
        {"objective": o.name, "target": percent(o.target), **{w: _rate(b.burn_rate) for w, b in o.windows.items()},
         "budget spent": f"{o.budget_spent:.2%}", "alert": o.alert or ""}
        for o in result.objectives
    ]  # fmt: skip
    blamed = [
        {"service": b.service, "score": f"{b.score:.2f}", "evidence": b.evidence[:1]}
        for b in result.services
        if b.score
    ]
    starts = f"\n\nwhere it starts\n{grid(blamed[:5])}" if blamed else ""
    first = f"\n\nthe first suspect\n{_foremost(result.suspects[0])}" if result.suspects else ""
    notes = "".join(f"\nnote: {note}" for note in result.notes)
    late = "".join(
        "\n  ".join((f"\n\ntoo slow for {o.name}, {counted(len(o.recordings), 'recording')}", *o.exemplars))
        for o in result.objectives
        if o.exemplars
    )
    return (
        f"{result!r}\n\nburn rates\n{grid(burns)}{late}\n\nsuspects\n{grid(list(result.rows()))}{first}{starts}{notes}"
    )


def _foremost(suspect: Suspect) -> str:
    """What somebody who was paged asks next of a suspect: since which change, of which requests, what to do."""
    own = next((f"{f.file}:{f.line} {f.function}" for f in reversed(suspect.frames) if f.in_app), "no frame of ours")
    follows, apart = "no change that explains it", "no attribute"
    if (change := suspect.change) is not None:
        versions = f"{change.before or '?'} -> {change.after}"
        follows = f"{change.kind} of {change.service} {versions} at {_short(change.at)}"
    if suspect.contrast:
        best = suspect.contrast[0]
        shares = f"{best.selection:.0%} of the failing requests have it, {best.baseline:.0%} of the passing ones"
        apart = f"{_short(best.said)}: {shares}"
    recorded = f"{counted(len(suspect.recordings), 'recording')} of it: shadowlab replay CASE"
    replay = recorded if suspect.recordings else "not recorded; what is missing says shadowlab replay CASE"
    lines = (("raised in", own), ("follows", follows), ("set apart by", apart), ("replay", replay))
    return "\n".join(f"  {key:<12}  {_short(value, 200)}" for key, value in lines)


def _rate(rate: float | None) -> str:
    return "no requests" if rate is None else f"{rate:.1f}x"


@text.register
def _(result: Suspect) -> str:
    change = result.change
    since = f"\nsince    {change.kind} {change.before} -> {change.after} at {_short(change.at)}" if change else ""
    frames = "".join(f"\n  {f.file}:{f.line} {f.function}" for f in result.frames if f.in_app)
    apart = [
        {"attribute": c.attribute, "value": c.value, "failing": f"{c.selection:.0%}", "passing": f"{c.baseline:.0%}",
         "q": f"{c.q:.2g}"}
        for c in result.contrast
    ]  # fmt: skip
    return (
        f"{result!r}\nin       {result.service} {result.operation}, {result.traces} traces,"
        f" {_short(result.first_seen)} to {_short(result.last_seen)}{since}\nframes{frames}\n"
        f"\nwhat sets the failing requests apart\n{grid(apart)}\n"
        f"\nexemplars   {', '.join(result.exemplars)}\nrecordings  {len(result.recordings)}\n{result.why}"
    )


def _outline(result: Replay, outline: Outline) -> str:
    known = {"request": f"{outline.method} {outline.path or outline.route}", "service": outline.service,
             "trace": outline.trace_id, "at": outline.at,
             "headers": ", ".join(name for name, _ in outline.headers)}  # fmt: skip
    lines = [f"{key:>10}  {_short(value)}" for key, value in known.items() if value]
    lines += [f"{'call':>10}  {_short(call)}" for call in outline.calls]
    lines += [f"{'statement':>10}  {_short(statement)}" for statement in outline.statements]
    missing = [f"  {need.what}\n      {need.line}" for need in outline.needs]
    return "\n".join([repr(result), *lines, "", "missing, each with the line that records it next time", *missing])


@text.register
def _(result: Replay) -> str:
    if result.outline is not None:
        return _outline(result, result.outline)
    error = f"\n{result.error.type}: {result.error.message}" if result.error else ""
    frames = "".join(f"\n  {f.file}:{f.line} {f.function}" for f in result.error.frames) if result.error else ""
    notes = "".join(f"\nfinding: {finding.what}" for finding in result.findings)
    notes += "".join(f"\nnote: {note}" for note in (*result.missing, *result.notes))
    held = "".join(f"\n  {line}" for line in result.enforced)
    return f"{result!r}{error}{frames}\n\nseams\n{grid(list(result.rows()))}\n\nsandbox {result.sandbox}{held}{notes}"


@text.register
def _(result: GateReport) -> str:
    ran_on = f"\n\nran on {result.ran_on}" if result.ran_on else ""
    return f"{result!r}\n{grid(list(result.rows()))}{ran_on}"


@text.register
def _(result: Diagnosis) -> str:
    return f"{result!r}\n" + "\n".join(
        f"\n{h.status:>10}  {h.cause}" + "".join(f"\n{'':>12}{line}" for line in h.evidence) for h in result.hypotheses
    )


@text.register
def _(result: Proposal) -> str:
    notes = "".join(f"\nnote: {note}" for note in result.notes)
    return f"{result!r}{notes}" + "".join(
        f"\n\n{c.proposer}: {c.rationale}\nrisk: {c.risk.surface}\n\n{c.diff}" for c in result.candidates
    )


def grid(rows: list[Any], *, limit: int = 200) -> str:
    """Rows of equal keys as an aligned table; long cells are cut, and rows beyond `limit` are counted."""
    if not rows:
        return "(none)"
    cells = [[str(key) for key in rows[0]], *([_short(v) for v in row.values()] for row in rows[:limit])]
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    more = [f"({len(rows) - limit} more rows)"] if len(rows) > limit else []
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:], *more])


def _short(value: object, limit: int = 90) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(str(v) for v in value)
    if isinstance(value, datetime):
        value = value.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    text = "" if value is None else str(value)
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"


def waterfall(trace: dict[str, Any], *, width: int = 48) -> str:
    """A trace (as a mapping) as indented bars over time, with its logs below."""
    timed = [span for span in trace["spans"] if span["start_ns"] is not None]
    start = min((span["start_ns"] for span in timed), default=0)
    length = max((span["start_ns"] + (span["duration_ns"] or 0) - start for span in timed), default=0)
    lines = [f"trace {trace['trace_id']}: {len(trace['spans'])} spans, {length / 1e6:.1f} ms"]
    for span in trace["spans"]:
        took = span["duration_ns"] or 0
        left = int(((span["start_ns"] or start) - start) / max(length, 1) * width)
        bar = ("x" if span["status"] == "error" else "=") * max(1, round(took / max(length, 1) * width))
        name = _short("  " * span["depth"] + span["name"], 40)
        lines.append(f"{name:<40} {took / 1e6:>9.1f} ms |{' ' * left + bar:<{width}.{width}}|")
    lines += [f"{_short(log['severity']):>8}  {_short(log['body'])}" for log in trace["logs"]]
    return "\n".join(lines)
