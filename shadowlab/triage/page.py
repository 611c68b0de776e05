"""Triage and suspects as small static pages: they survive nbconvert, code hosts and e-mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from shadowlab import times
from shadowlab.records import Change, Contrast, Objective, Suspect, Triage
from shadowlab.records.base import counted, percent
from shadowlab.triage import charts
from shadowlab.views import servicemap, style
from shadowlab.views.shown import Picture

_CELL = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"
_GAP = "margin-bottom:12px"


def html(triage: Triage) -> str:
    """The whole triage: what burns, the errors over time, the suspects in order, the services, what must be known."""
    state = "an incident" if triage.incident else "no incident"
    head = f"<b>{state}</b> at {triage.at:%Y-%m-%d %H:%M:%S} UTC, looking back {times.spoken(triage.window)}"
    burning = ("window", "burn rate over it", "", "bad", "of the budget", "alert")
    parts = [
        f"<p>{head}</p>",
        _table(burning, _burning(triage)) + _quiet(triage),
        _table(("too slow", "slow traces", "quick ones beside them", ""), _slow(triage)),
        charts.errors_over_time(triage),
        "".join(f"<li style='{_GAP}'>{suspect_html(s)}</li>" for s in triage.suspects).join(("<ol>", "</ol>")),
        f"<div>{service_map(triage).svg}</div>" if triage.edges else "",
        _table(("where it starts", "score", "evidence"),
               [(escape(b.service), f"{b.score:.2f}", escape("; ".join(b.evidence))) for b in triage.services[:8]]),
        _table(("log records", "from", "level", "now", "before", "beside errors"), _logs(triage)),
        "".join(f"<li>{escape(note)}</li>" for note in triage.notes).join(("<ul>", "</ul>")) if triage.notes else "",
    ]  # fmt: skip
    return f'<div style="font-family:{style.SANS.replace(chr(34), chr(39))}">{"".join(parts)}</div>'


def suspect_html(suspect: Suspect) -> str:
    """One suspect: what it is, how often, since when, what sets it apart, the change it follows and why it is here."""
    rows = [
        ("where", f"{escape(suspect.service)}: {escape(suspect.operation)}{_deepest(suspect)}"),
        ("how often", f"{counted(suspect.events, 'event')} in {counted(suspect.traces, 'trace')}, "
                      f"{suspect.first_seen:%H:%M:%S} to {suspect.last_seen:%H:%M:%S} UTC"),
        ("whom", escape(_affected(suspect))),
        ("follows", _change(suspect.change)),
        ("exemplars", f"{_ids(suspect.exemplars)}, {_recorded(suspect.recordings)}"),
        ("why", escape(suspect.why)),
    ]  # fmt: skip
    head = f"<b>{escape(suspect.title)}</b> <code>{escape(suspect.fingerprint)}</code>"
    return f"<div>{head}{_table((), rows)}{_apart(suspect.contrast)}</div>"


def service_map(triage: Triage) -> Picture:
    """Who calls whom in the window, with the way to the service that is blamed."""
    words = {b.service: f"blamed {b.score:.2f}" for b in triage.services if b.score > 0}
    calls = [(e.caller, e.callee, e.calls, e.errors) for e in triage.edges]
    return servicemap.draw(calls, marked=triage.blamed_path, words=words)


def _burning(triage: Triage) -> Iterable[Sequence[str]]:
    for o in _foremost(triage.objectives):
        yield (f"<b>{escape(o.name)}</b>: {_target(o)}",)
        for name, window in o.windows.items():
            rate = "no requests" if window.burn_rate is None else f"{window.burn_rate:.1f}x"
            bad = f"{window.bad:,} of {window.total:,}"
            alert = f"<b>{escape(window.alert)}</b>" if window.alert else ""
            yield (name, charts.sparkline(window), *(f"<span style='white-space:nowrap'>{word}</span>"
                   for word in (rate, bad)), f"{window.budget_spent:.2%}", alert)  # fmt: skip


def _foremost(objectives: Sequence[Objective]) -> Sequence[Objective]:
    """Those that burn, or the three that burn most; the rest is said below."""
    ordered = sorted(objectives, key=lambda o: (not o.alert, -o.budget_spent))
    return ordered[: max(3, min(6, sum(o.alert is not None for o in ordered)))]


def _quiet(triage: Triage) -> str:
    more = len(triage.objectives) - len(_foremost(triage.objectives))
    return f"<p>{counted(more, 'more objective')} below these.</p>" if more else ""


def _slow(triage: Triage) -> Iterable[Sequence[str]]:
    for o in triage.objectives:
        if o.exemplars:
            yield escape(o.name), _ids(o.exemplars), _ids(o.controls), _recorded(o.recordings)


def _ids(traces: Sequence[str]) -> str:
    return " ".join(f"<code>{escape(trace[:16])}</code>" for trace in traces)


def _recorded(recordings: Sequence[str]) -> str:
    return counted(len(recordings), "recording") if recordings else "no recording"


def _logs(triage: Triage) -> Iterable[Sequence[str]]:
    for group in triage.logs[:8]:
        yield (f"<code>{escape(group.template[:160])}</code>", escape(group.service), escape(group.severity),
               f"{group.events:,}", f"{group.before:,}", f"{group.failing:,}")  # fmt: skip


def _target(objective: Objective) -> str:
    days = f"{objective.period.days} days" if objective.period.days else str(objective.period)
    return f"{percent(objective.target)} {escape(objective.indicator)} over {days} ({escape(objective.source)})"


def _apart(found: Sequence[Contrast]) -> str:
    if not found:
        return "<p>No attribute sets its requests apart from passing ones.</p>"
    rows = [
        (
            f"<code>{escape(c.attribute)} = {escape(c.value)}</code>",
            f"{_bar(c.selection, style.VERMILLION)} {c.selection:.1%}",
            f"{_bar(c.baseline, style.SKY)} {c.baseline:.1%}",
            f"{c.q:.2g}",
            escape(", ".join(c.same_as[:4])),
        )
        for c in found
    ]
    return _table(("attribute", "failing", "passing", "q", "the same as"), rows)


def _affected(suspect: Suspect) -> str:
    told = [counted(n, noun) for n, noun in ((suspect.users, "user"), (suspect.tenants, "tenant")) if n]
    told += [f"seen from {', '.join(suspect.seen_from)}"] if suspect.seen_from else []
    return "; ".join(told) or "no attribute says"


def _change(change: Change | None) -> str:
    if change is None:
        return "no change that explains it"
    told = f"{change.kind} of {change.service} {change.after} at {change.at:%H:%M:%S} UTC"
    return escape("; ".join((told, *change.evidence)))


def _deepest(suspect: Suspect) -> str:
    own = next((f for f in reversed(suspect.frames) if f.in_app), None)
    return f" in <code>{escape(f'{own.file}:{own.line} {own.function}')}</code>" if own else ""


def _bar(share: float, colour: str) -> str:
    width = max(0.0, min(1.0, share)) * 80
    return (
        f'<svg width="82" height="10" aria-hidden="true"><rect width="80" height="10" fill="{style.TRACK}"/>'
        f'<rect width="{width:.1f}" height="10" fill="{colour}"/></svg>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th style='{_CELL}'>{escape(word)}</th>" for word in head)
    body = "".join(f"<tr>{_cells(row, len(head))}</tr>" for row in rows)
    return (
        f"<table style='{_GAP}'>{f'<thead><tr>{top}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
        if body
        else ""
    )


def _cells(row: Sequence[str], columns: int) -> str:
    """A lone cell goes across all columns: it heads the rows below it."""
    across = f" colspan='{columns}'" if len(row) == 1 else ""
    return "".join(f"<td style='{_CELL}'{across}>{cell}</td>" for cell in row)
