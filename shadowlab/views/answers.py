"""The questions of somebody who was just paged, each answered in a line or two."""

from __future__ import annotations

import html
from collections.abc import Sequence

from shadowlab.records import Suspect, Triage
from shadowlab.records.base import counted
from shadowlab.views.missing import made_by
from shadowlab.views.shown import Page
from shadowlab.views.summary import burning, since
from shadowlab.views.tables import Markup, code, grid

_SHOWN = 3


@made_by("triage")
def answers(triage: Triage) -> Page:
    """What burns, which errors, since when, what sets them apart, whom they strike, where it starts, what to replay."""
    rows: list[Sequence[object]] = [("what burns", burning(triage)), ("which errors", _errors(triage.suspects))]
    if triage.suspects:
        top = triage.suspects[0]
        rows += [("since", since(triage)), ("set apart by", _apart(top)), ("whom", _struck(top))]
    rows.append(("starts in", _starts(triage)))
    if triage.suspects:
        rows.append(("replay", _replayed(triage.suspects[0])))
    cells = [(Markup(str(question).replace(" ", "&nbsp;")), answer) for question, answer in rows]
    return grid(("", ""), cells, alt="the first answers")


def _errors(found: Sequence[Suspect]) -> Markup:
    if not found:
        return Markup("none was found")
    lines = [f"<b>{html.escape(s.title)}</b><br>{html.escape(f'{s.service}: {s.operation}')}; "
            f"{counted(s.events, 'event')} in {counted(s.traces, 'trace')}" for s in found[:_SHOWN]]  # fmt: skip
    more = len(found) - _SHOWN
    return Markup("<br>".join([*lines, *([f"{more} more below"] if more > 0 else [])]))


def _apart(top: Suspect) -> Markup:
    if not top.contrast:
        return Markup("no attribute: nothing separates its requests from passing ones")
    best = top.contrast[0]
    shares = f"{best.selection:.0%} of the failing requests have it, {best.baseline:.0%} of the passing ones"
    return Markup(f"{code(best.said)}: {shares}")


def _struck(top: Suspect) -> str:
    counts = [counted(n, noun) for n, noun in ((top.users, "user"), (top.tenants, "tenant")) if n]
    counts += [f"seen from {', '.join(top.seen_from)}"] if top.seen_from else []
    return "; ".join(counts) or "no attribute says"


def _starts(triage: Triage) -> Markup:
    blamed = [b for b in triage.services if b.score > 0]
    if not blamed:
        return Markup("no service: nothing went worse than before")
    lines = [f"<b>{html.escape(b.service)}</b> ({b.score:.2f}): {html.escape(b.evidence[0] if b.evidence else '')}"
            for b in blamed[:_SHOWN]]  # fmt: skip
    return Markup("<br>".join(lines))


def _replayed(top: Suspect) -> str:
    if not top.recordings:
        return "no request of the first error was recorded; what telemetry alone says of one: shadowlab replay CASE"
    return f"{counted(len(top.recordings), 'recording')} of the first error: shadowlab replay CASE"
