"""Triage and suspects as small static pages: they survive nbconvert, code hosts and e-mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from shadowlab import times
from shadowlab.records import Change, Contrast, Objective, Suspect, Triage
from shadowlab.views import style

_CELL = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"


def html(triage: Triage) -> str:
    """The whole triage: what burns, the errors over time, the suspects in order, the services, what must be known."""
    state = "an incident" if triage.incident else "no incident"
    head = f"<b>{state}</b> at {triage.at:%Y-%m-%d %H:%M:%S} UTC, looking back {times.spoken(triage.window)}"
    parts = [
        f"<p>{head}</p>",
        _table(("objective", "target", "window", "burn rate", "", "bad", "of the budget", "alert"), _burning(triage)),
        _errors(triage),
        "".join(f"<li>{suspect_html(s)}</li>" for s in triage.suspects).join(("<ol>", "</ol>")),
        _table(("where it starts", "score", "evidence"),
               [(escape(b.service), f"{b.score:.2f}", escape("; ".join(b.evidence))) for b in triage.services[:8]]),
        "".join(f"<li>{escape(note)}</li>" for note in triage.notes).join(("<ul>", "</ul>")) if triage.notes else "",
    ]  # fmt: skip
    return f'<div style="font-family:{style.SANS.replace(chr(34), chr(39))};color:{style.INK}">{"".join(parts)}</div>'


def suspect_html(suspect: Suspect) -> str:
    """One suspect: what it is, how often, since when, what sets it apart, the change it follows and why it is here."""
    rows = [
        ("where", f"{escape(suspect.service)}: {escape(suspect.operation)}{_deepest(suspect)}"),
        ("how often", f"{_count(suspect.events, 'event')} in {_count(suspect.traces, 'trace')}, "
                      f"{suspect.first_seen:%H:%M:%S} to {suspect.last_seen:%H:%M:%S} UTC"),
        ("follows", _change(suspect.change)),
        ("exemplars", " ".join(f"<code>{escape(t[:16])}</code>" for t in suspect.exemplars)
                      + (f", {len(suspect.recordings)} recordings" if suspect.recordings else ", no recording")),
        ("why", escape(suspect.why)),
    ]  # fmt: skip
    head = f"<b>{escape(suspect.title)}</b> <code>{escape(suspect.fingerprint)}</code>"
    return f"<div>{head}{_table((), rows)}{_apart(suspect.contrast)}</div>"


def _burning(triage: Triage) -> Iterable[Sequence[str]]:
    highest = max((w.burn_rate or 0 for o in triage.objectives for w in o.windows.values()), default=0)
    for o in triage.objectives:
        for n, (name, window) in enumerate(o.windows.items()):
            rate = "no requests" if window.burn_rate is None else f"{window.burn_rate:.1f}x"
            bar = _bar(
                (window.burn_rate or 0) / highest if highest else 0, style.VERMILLION if window.alert else style.BLUE
            )
            first = (escape(o.name), _target(o)) if n == 0 else ("", "")
            bad = f"{window.bad:,} of {window.total:,}"
            yield (*first, name, rate, bar, bad, f"{window.budget_spent:.2%}", escape(window.alert or ""))


def _target(objective: Objective) -> str:
    days = f"{objective.period.days} days" if objective.period.days else str(objective.period)
    return f"{objective.target:.6g} {escape(objective.indicator)} over {days} ({escape(objective.source)})"


def _errors(triage: Triage) -> str:
    """Bars of bad requests per slice, with changes as lines; nothing when there is no slice."""
    slices = triage.timeline
    if not slices:
        return ""
    high, wide, tall = max(1, *(s.bad for s in slices)), 640, 60
    step = wide / len(slices)
    first = slices[0].at
    length = (triage.at - first).total_seconds() or 1.0
    bars = "".join(
        f'<rect x="{n * step:.1f}" y="{tall - tall * s.bad / high:.1f}" width="{step * 0.9:.1f}" '
        f'height="{tall * s.bad / high:.1f}" fill="{style.VERMILLION}"/>'
        for n, s in enumerate(slices)
        if s.bad
    )
    lines = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{tall}" stroke="{style.BLUE}" stroke-dasharray="4 3"/>'
        f'<text x="{x + 3:.1f}" y="10" font-size="10" fill="{style.BLUE}">{escape(f"{c.kind} {c.after}"[:30])}</text>'
        for c in triage.changes
        if 0 <= (x := (c.at - first).total_seconds() / length * wide) <= wide
    )
    axis = f'<line x1="0" x2="{wide}" y1="{tall}" y2="{tall}" stroke="{style.QUIET}"/>'
    words = (
        f'<text x="0" y="{tall + 14}" font-size="10">{first:%H:%M}</text>'
        f'<text x="{wide}" y="{tall + 14}" font-size="10" text-anchor="end">'
        f"{triage.at:%H:%M} UTC, at most {high:,}</text>"
    )
    label = f"bad requests from {first:%H:%M} to {triage.at:%H:%M} UTC, at most {high} a slice"
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {wide} {tall + 18}" width="{wide}" '
        f'style="max-width:100%">{axis}{bars}{lines}{words}</svg>'
    )


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


def _change(change: Change | None) -> str:
    if change is None:
        return "no change that explains it"
    told = f"{change.kind} of {change.service} {change.after} at {change.at:%H:%M:%S} UTC"
    return escape("; ".join((told, *change.evidence)))


def _deepest(suspect: Suspect) -> str:
    own = next((f for f in reversed(suspect.frames) if f.in_app), None)
    return f" in <code>{escape(f'{own.file}:{own.line} {own.function}')}</code>" if own else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bar(share: float, colour: str) -> str:
    width = max(0.0, min(1.0, share)) * 80
    return (
        f'<svg width="82" height="10" aria-hidden="true"><rect width="80" height="10" fill="{style.WASH}"/>'
        f'<rect width="{width:.1f}" height="10" fill="{colour}"/></svg>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th style='{_CELL}'>{escape(word)}</th>" for word in head)
    body = "".join("<tr>" + "".join(f"<td style='{_CELL}'>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{top}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>" if body else ""
