"""Small static drawings of time: a burn rate's way over its window, and errors by suspect with the changes beside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from shadowlab.records import BurnWindow, Triage
from shadowlab.views.style import BLUE, CYCLE, INK, PAPER, QUIET, SANS, VERMILLION
from shadowlab.views.svg import cut, document, element, label, number, rows, text_of, width_of

_WIDE, _TALL, _LEFT = 640.0, 90.0, 44.0


def sparkline(window: BurnWindow) -> str:
    """A bar each slice of the window, a gap for one without requests, a dashed line where 1x is, and the peak."""
    high = max([rate for rate in window.series if rate is not None], default=0.0)
    if not high:
        return ""
    tall, step = 22.0, 100 / len(window.series)
    scale = tall / max(high, 1.0)
    colour = VERMILLION if window.alert else BLUE
    parts = [
        element("rect", x=n * step, y=tall - scale * rate, width=step * 0.8, height=max(scale * rate, 0.6), fill=colour)
        for n, rate in enumerate(window.series)
        if rate is not None
    ]
    level = tall - scale
    parts.append(element("line", x1=0.0, x2=100.0, y1=level, y2=level, stroke="currentColor", stroke_dasharray="2 2"))
    parts.append(label(104, 16, f"peak {high:,.0f}x" if high >= 10 else f"peak {high:.1f}x", font_size=10,
                       fill="currentColor", fill_opacity=0.72))  # fmt: skip
    told = f"burn rate over the window, peak {high:.1f}"
    return element("svg", *parts, width=165, height=23, viewBox="0 0 165 23", role="img", aria_label=told)


def errors_over_time(triage: Triage) -> str:
    """Errors per slice, stacked by suspect, with changes as lines that say what changed; '' without a slice."""
    slices = triage.timeline
    if not slices:
        return ""
    order = [s.fingerprint for s in triage.suspects]
    high = max(1, *(sum(slice.by_fingerprint.values()) for slice in slices))
    changed = _changes(triage)
    levels = rows([_reach(_LEFT + share * (_WIDE - _LEFT), said) for share, said, _ in changed])
    top = 26.0 + 15 * (max(levels, default=-1) + 1)
    low, step = top + _TALL, (_WIDE - _LEFT) / len(slices)
    end = slices[-1].at + width(triage)
    title = f"Errors in slices of {spoken(width(triage))}, by suspect" if order else "No errors in this window"
    parts = [
        label(12, 14, title, font_weight=600),
        element("line", x1=_LEFT, x2=_WIDE, y1=low, y2=low, stroke=QUIET),
        *([label(_LEFT - 6, top + 8, f"{high:,}", text_anchor="end", font_size=10, fill=QUIET)] if order else []),
        label(_LEFT - 6, low, "0", text_anchor="end", font_size=10, fill=QUIET),
        label(_LEFT, low + 14, f"{slices[0].at:%H:%M}", font_size=10, fill=QUIET),
        label(_WIDE, low + 14, f"{end:%H:%M} UTC", font_size=10, fill=QUIET, text_anchor="end"),
    ]
    for n, slice in enumerate(slices):
        heights = [_TALL * slice.by_fingerprint.get(f, 0) / high for f in order]
        parts += _stack(heights, _LEFT + n * step, step * 0.9, low)
    for level, (share, said, linked) in zip(levels, changed, strict=True):
        parts += _change(_LEFT + share * (_WIDE - _LEFT), 26.0 + 15 * level, low, said, linked)
    for n, suspect in enumerate(triage.suspects):
        parts += _named(n, suspect.title, low + 32 + 16 * n)
    told = f"errors from {slices[0].at:%H:%M} to {triage.at:%H:%M} UTC, at most {high:,} a slice"
    return document(_WIDE + 12, low + 24 + 16 * len(order), *parts, title=told, family=SANS, colour=INK, paper=PAPER)


def width(triage: Triage) -> timedelta:
    """How long a slice of the timeline is."""
    slices = triage.timeline
    after = slices[1].at if len(slices) > 1 else triage.at
    return after - slices[0].at if slices else timedelta(0)


def spoken(length: timedelta) -> str:
    """A slice's length: `10 s`, `1 min`, `2 h`."""
    seconds = length.total_seconds()
    return next(
        (f"{seconds / n:.0f} {unit}" for n, unit in ((3600, "h"), (60, "min")) if seconds >= n), f"{seconds:.0f} s"
    )


def _stack(heights: Sequence[float], x: float, wide: float, low: float) -> list[str]:
    """Bars on each other; the number of its suspect stands in each that has room, so that grey will do."""
    parts = []
    for n, tall in enumerate(heights):
        low -= tall
        if tall:
            parts.append(element("rect", x=x, y=low, width=wide, height=tall, fill=CYCLE[n % len(CYCLE)], stroke=PAPER,
                                 stroke_width=0.5))  # fmt: skip
        if tall >= 9 and wide >= 6:
            parts.append(label(x + wide / 2, low + tall / 2 + 3, n + 1, font_size=8, fill=PAPER, text_anchor="middle"))
    return parts


def _changes(triage: Triage) -> list[tuple[float, str, bool]]:
    """Where each change lies, from 0 to 1, what it is, and whether a suspect follows it; the newest dozen."""
    first = triage.timeline[0].at
    length = len(triage.timeline) * width(triage).total_seconds() or 1.0
    linked = {(c.at, c.after) for s in triage.suspects if (c := s.change)}
    return [
        ((c.at - first).total_seconds() / length, f"{c.kind} {c.service} {c.after}", (c.at, c.after) in linked)
        for c in triage.changes
        if first <= c.at <= triage.at
    ][-12:]


def _reach(x: float, said: str) -> tuple[float, float]:
    """From where to where the words of a change at `x` reach."""
    wide = min(width_of("✗ " + said, 10), 210.0) + 4
    return (x - wide, x) if x > _WIDE - 220 else (x, x + wide)


def _change(x: float, y: float, low: float, said: str, linked: bool) -> list[str]:
    colour, left = (VERMILLION if linked else QUIET), x > _WIDE - 220
    return [
        element("path", element("title", text_of(said)), d=f"M{number(x)} {number(y + 3)}V{number(low)}", fill="none",
                stroke=colour, stroke_width=2 if linked else 1, stroke_dasharray="4 3"),
        label(x + (-4 if left else 4), y + 4, cut(("✗ " if linked else "") + said, 210, 10), font_size=10, fill=colour,
              text_anchor="end" if left else None, font_weight=600 if linked else None),
    ]  # fmt: skip


def _named(n: int, title: str, y: float) -> list[str]:
    return [
        element("rect", x=_LEFT, y=y - 9, width=12.0, height=10.0, fill=CYCLE[n % len(CYCLE)]),
        label(_LEFT + 6, y - 1, n + 1, font_size=8, fill=PAPER, text_anchor="middle"),
        label(_LEFT + 18, y, cut(title, _WIDE - _LEFT - 30, 11), font_size=11),
    ]
