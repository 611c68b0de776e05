"""Points, lines, bars and intervals of a figure, as SVG."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from shadowlab.views.axes import Axis
from shadowlab.views.style import PAPER
from shadowlab.views.svg import element, label, number

_DASHES = {"dot": "2 3", "dash": "7 4", "dashdot": "7 3 2 3", "longdash": "12 4"}


class Stack:
    """How high the bars at each place of a figure stand by now."""

    def __init__(self, mode: str, traces: Sequence[Any]) -> None:
        self.mode = mode
        self.bars = [t for t in traces if t.type == "bar"]
        self.height: dict[tuple[str, float, bool], float] = defaultdict(float)

    def slot(self, trace: Any) -> tuple[float, float]:
        """Offset and width of a trace's bars, as shares of one place."""
        if self.mode != "group" or len(self.bars) < 2:
            return 0.0, 1.0
        share = 1.0 / len(self.bars)
        return (self.bars.index(trace) + 0.5) * share - 0.5, share


def scatter(trace: Any, x: Axis, y: Axis, colour: str) -> str:
    """A scatter trace: its area, its line, its intervals, its points, its texts."""
    mode = trace.mode or ("lines" if len(trace.x) > 20 else "lines+markers")
    xs, ys = listed(trace.x), listed(trace.y)
    points = [(x.at(a), y.at(b)) for a, b in zip(xs, ys, strict=False)]
    parts = []
    if "lines" in mode:
        parts += _line(trace, points, y, trace.line.color or colour)
    parts += _intervals(trace, xs, ys, x, y, colour)
    if "markers" in mode:
        parts += _points(trace, points, colour)
    if "text" in mode:
        parts += _texts(trace, points)
    return "".join(parts)


def bars(trace: Any, x: Axis, y: Axis, colour: str, stack: Stack) -> str:
    """A bar trace, upright or lying; stacked, grouped or overlaid."""
    lying = trace.orientation == "h"
    along, across = (y, x) if lying else (x, y)
    places = [along.place(v) for v in listed(trace.y if lying else trace.x)]
    values = listed(trace.x if lying else trace.y)
    known = sorted({p for p in places if p is not None})
    gap = min((b - a for a, b in itertools.pairwise(known)), default=(along.high - along.low) / 2 or 1.0)
    offset, share = stack.slot(trace)
    wide = gap * 0.8 * share
    parts = []
    for n, (middle, value) in enumerate(zip(places, values, strict=False)):
        if middle is None or value is None:
            continue
        base = float(_of(trace.base, n) or 0.0)
        if stack.mode in ("stack", "relative"):
            key = (str(trace.xaxis) + str(trace.yaxis), middle, value < 0)
            base, stack.height[key] = stack.height[key], stack.height[key] + value
        ends = sorted(map(along.pixel, _sides(trace, n, middle, along) or _shared(middle, offset * gap * 0.8, wide)))
        low = across.low if across.kind == "log" and not base else across.place(base)
        top = across.place(base + value)
        if low is None or top is None:
            continue
        span = sorted((across.pixel(low), across.pixel(top)))
        (left, right), (up, down) = (span, ends) if lying else (ends, span)
        fill = _of(trace.marker.color, n) or colour
        size = {"width": max(right - left, 0.4), "height": max(down - up, 0.4)}
        if value:
            shape = _of(trace.marker.pattern.shape, n)
            parts += [element("rect", x=left, y=up, **size, fill=fill), hatch(shape, (left, up, right, down))]
        parts += _bar_text(trace, n, (left, up, right, down), lying)
    return "".join(parts) + "".join(_intervals(trace, listed(trace.x), listed(trace.y), x, y, colour))


def key(trace: Any, x: float, y: float, colour: str) -> str:
    """The small sign before a trace's name in the legend."""
    if trace.type == "bar":
        box = element("rect", x=x, y=y - 9, width=14.0, height=10.0, fill=_of(trace.marker.color, 0) or colour)
        return box + hatch(_of(trace.marker.pattern.shape, 0), (x, y - 9, x + 14, y + 1))
    if "lines" in (trace.mode or "lines"):
        return _stroke(f"M{number(x)} {number(y - 4)}h16", trace, trace.line.color or colour)
    return _symbol(str(_of(trace.marker.symbol, 0) or "circle"), x + 7, y - 4, 4, _of(trace.marker.color, 0) or colour)


def _sides(trace: Any, n: int, place: float, along: Axis) -> tuple[float, float] | None:
    """Where a bar of a told width begins and ends; None where the figure leaves it to the places' distance."""
    unit = 0.001 if along.kind == "date" else 1.0  # plotly tells widths of time in milliseconds
    wide, offset = _of(trace.width, n), _of(trace.offset, n)
    if wide is None:
        return None
    start = place + (offset if offset is not None else -wide / 2) * unit
    return start, start + wide * unit


def _shared(place: float, offset: float, wide: float) -> tuple[float, float]:
    return place + offset - wide / 2, place + offset + wide / 2


def hatch(shape: str | None, box: tuple[float, float, float, float]) -> str:
    """Lines of paper over a box, by plotly's names of patterns: what is told apart by colour is told apart in grey."""
    left, up, right, down = box
    lines: list[str] = []
    for sign in {"x": "/\\", "+": "-|", ".": "-"}.get(shape or "", shape or ""):
        match sign:
            case "-":
                lines += [f"M{number(left)} {number(y)}H{number(right)}" for y in _steps(up, down)]
            case "|":
                lines += [f"M{number(x)} {number(up)}V{number(down)}" for x in _steps(left, right)]
            case "/" | "\\":
                lines += _slanted(box, -1 if sign == "/" else 1)
    dash = "2 3" if shape == "." else None
    return element("path", d="".join(lines), stroke=PAPER, stroke_width=1.2, stroke_dasharray=dash) if lines else ""


def _steps(low: float, high: float, gap: float = 5.0) -> list[float]:
    return [low + gap * (n + 0.5) for n in range(int((high - low) / gap + 0.5))]


def _slanted(box: tuple[float, float, float, float], slope: int) -> list[str]:
    """Lines at 45 degrees across a box, cut at its edges."""
    left, up, right, down = box
    wide, tall = right - left, down - up
    lines = []
    for at in _steps(0, wide + tall, 6.0):  # how far right of the low corner a line would leave the base, going up
        near, far = max(0.0, at - tall), min(at, wide)
        xs = (left + near, left + far)
        rise = (at - near, at - far)
        ys = tuple((up + r) if slope < 0 else (down - r) for r in rise)
        lines.append(f"M{number(xs[0])} {number(ys[0])}L{number(xs[1])} {number(ys[1])}")
    return lines


def listed(values: Any) -> list[Any]:
    """A trace's values as a plain list."""
    return [] if values is None else list(values)


def _of(value: Any, n: int) -> Any:
    """The n-th of a list, or the one value for all."""
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return value
    return value[n] if n < len(value) else None


def _line(trace: Any, points: Sequence[tuple[float | None, float | None]], y: Axis, colour: str) -> list[str]:
    path, down = [], False
    last: tuple[float, float] | None = None
    for a, b in points:
        if a is None or b is None:
            down = False
            continue
        if not down:
            path.append(f"M{number(a)} {number(b)}")
        elif trace.line.shape == "hv":
            path.append(f"H{number(a)}V{number(b)}")
        elif trace.line.shape == "vh":
            path.append(f"V{number(b)}H{number(a)}")
        else:
            path.append(f"L{number(a)} {number(b)}")
        down, last = True, (a, b)
    parts = []
    first = next(((a, b) for a, b in points if a is not None and b is not None), None)
    if trace.fill == "tozeroy" and first and last:
        floor = number(y.at(0) if y.kind == "linear" and y.at(0) is not None else y.start)  # type: ignore[arg-type]  # checked
        area = "".join(path) + f"L{number(last[0])} {floor}L{number(first[0])} {floor}Z"
        parts.append(
            element("path", d=area, fill=trace.fillcolor or colour, fill_opacity=None if trace.fillcolor else 0.15)
        )
    return [*parts, _stroke("".join(path), trace, colour)]


def _stroke(path: str, trace: Any, colour: str) -> str:
    width, dash = float(trace.line.width or 2), _DASHES.get(str(trace.line.dash))
    return element("path", d=path, fill="none", stroke=colour, stroke_width=width, stroke_dasharray=dash)


def _points(trace: Any, points: Sequence[tuple[float | None, float | None]], colour: str) -> list[str]:
    parts = []
    for n, (a, b) in enumerate(points):
        if a is None or b is None:
            continue
        radius = float(_of(trace.marker.size, n) or 6) / 2
        fill = _of(trace.marker.color, n) or colour
        parts.append(_symbol(str(_of(trace.marker.symbol, n) or "circle"), a, b, radius, fill))
    return parts


def _symbol(name: str, x: float, y: float, r: float, fill: str) -> str:
    left, right, up, down = number(x - r), number(x + r), number(y - r), number(y + r)
    match name:
        case "square":
            return element("rect", x=x - r, y=y - r, width=2 * r, height=2 * r, fill=fill)
        case "diamond":
            return _outline(f"M{number(x)} {up}L{right} {number(y)}L{number(x)} {down}L{left} {number(y)}Z", fill)
        case "triangle-up":
            return _outline(f"M{number(x)} {up}L{right} {down}H{left}Z", fill)
        case "x" | "x-thin" | "x-open":
            return element(
                "path", d=f"M{left} {up}L{right} {down}M{left} {down}L{right} {up}", stroke=fill, stroke_width=2
            )
        case "line-ns" | "line-ns-open":
            return element("path", d=f"M{number(x)} {up}V{down}", stroke=fill, stroke_width=2)
        case _ if name.endswith("-open"):
            return element("circle", cx=x, cy=y, r=r, fill=PAPER, stroke=fill, stroke_width=1.5)
        case _:
            return element("circle", cx=x, cy=y, r=r, fill=fill)


def _outline(d: str, fill: str) -> str:
    return element("path", d=d, fill=fill)


def _texts(trace: Any, points: Sequence[tuple[float | None, float | None]]) -> list[str]:
    where = trace.textposition if isinstance(trace.textposition, str) else "middle center"
    anchor = "end" if "left" in where else "start" if "right" in where else "middle"
    shift_x = {"end": -8, "start": 8, "middle": 0}[anchor]
    shift_y = -8 if "top" in where else 16 if "bottom" in where else 4
    size, parts = _of(trace.textfont.size, 0) or 11, []
    for n, (a, b) in enumerate(points):
        if a is not None and b is not None:
            words, fill = _of(trace.text, n) or "", _of(trace.textfont.color, n)
            parts.append(label(a + shift_x, b + shift_y, words, text_anchor=anchor, font_size=size, fill=fill))
    return parts


def _bar_text(trace: Any, n: int, box: tuple[float, float, float, float], lying: bool) -> list[str]:
    words = _of(trace.text, n)
    if words in (None, "") or trace.textposition == "none":
        return []
    left, up, right, down = box
    colour = _of(trace.textfont.color, n)
    clear = {"stroke": PAPER, "stroke_width": 3, "paint_order": "stroke"}  # of the lines that it stands on
    if lying:
        return [label(right + 5, (up + down) / 2 + 4, words, font_size=11, fill=colour, **clear)]
    return [label((left + right) / 2, up - 5, words, font_size=11, text_anchor="middle", fill=colour, **clear)]


def _intervals(trace: Any, xs: Sequence[Any], ys: Sequence[Any], x: Axis, y: Axis, colour: str) -> list[str]:
    parts = []
    for error, upright in ((trace.error_x, False), (trace.error_y, True)):
        if error.array is None or error.visible is False:
            continue
        axis = y if upright else x
        for n, (a, b) in enumerate(zip(xs, ys, strict=False)):
            value = b if upright else a
            if value is None:
                continue
            above = _of(error.array, n) or 0.0
            below = above if error.arrayminus is None else _of(error.arrayminus, n) or 0.0
            low, high, other = axis.at(value - below), axis.at(value + above), x.at(a) if upright else y.at(b)
            if low is not None and high is not None and other is not None:
                shade = error.color or _of(trace.marker.color, n) or colour
                parts.append(_whisker(low, high, other, upright, shade, error))
    return parts


def _whisker(low: float, high: float, other: float, upright: bool, colour: str, error: Any) -> str:
    half = float(4 if error.width is None else error.width)
    cap, span = number(2 * half), number(high - low)
    if upright:
        d = f"M{number(other - half)} {number(low)}h{cap}m{number(-half)} 0v{span}m{number(-half)} 0h{cap}"
    else:
        d = f"M{number(low)} {number(other - half)}v{cap}m0 {number(-half)}h{span}m0 {number(-half)}v{cap}"
    return element("path", d=d, stroke=colour, stroke_width=float(error.thickness or 2), fill="none")
