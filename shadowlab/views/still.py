"""A plotly figure as a static picture: no browser, no server, the same bytes every time.

Drawn are scatter and bar traces with intervals, line and rectangle shapes, annotations and the legend, on linear,
logarithmic, time and category axes in any layout of subplots. A trace of another kind is named instead of drawn.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from shadowlab.views import marks
from shadowlab.views.axes import Axis, kind_of, place
from shadowlab.views.style import CYCLE, INK, LINE, PAPER, QUIET, SANS
from shadowlab.views.svg import cut, document, element, label, width_of

Box = tuple[float, float, float, float]
_DRAWN = ("scatter", "bar")


def draw(figure: Any) -> str:
    """The figure as an SVG document, 880 pixels wide unless its layout says otherwise."""
    layout = figure.layout
    traces = [t for t in figure.data if t.visible in (None, True)]
    wide, high = float(layout.width or 880), float(layout.height or 340)
    title = plain(str(layout.title.text or ""))
    named = [t for t in traces if t.name and t.showlegend is not False]
    legend = named if layout.showlegend is not False and (len(named) > 1 or layout.showlegend) else []
    lines = _lines(legend, wide - 24)
    box = _box(figure, traces, wide, high, top=_top(layout, bool(title), len(lines)))
    axes = _axes(figure, traces, box)
    colours = {id(t): (layout.colorway or CYCLE)[n % len(layout.colorway or CYCLE)] for n, t in enumerate(traces)}
    parts = [_frame(layout, name, axes, box) for name in axes if name[0] == "x"]
    parts += [_frame(layout, name, axes, box) for name in axes if name[0] == "y"]
    parts += [_shape(s, axes, box) for s in layout.shapes if s.type == "rect" or s.layer == "below"]
    stack = marks.Stack(layout.barmode or "group", traces)
    for trace in traces:
        parts.append(_trace(trace, axes, colours[id(trace)], stack, box))
    parts += [_shape(s, axes, box) for s in layout.shapes if s.type == "line" and s.layer != "below"]
    parts += [_annotation(a, axes, box) for a in layout.annotations]
    parts += [label(12, 26, cut(title, wide - 24, 15), font_size=15, font_weight=600)] if title else []
    for n, line in enumerate(lines):
        parts += _legend(line, colours, 12, 20 + 28 * bool(title) + 18 * n)
    return document(wide, high, *parts, title=title or "figure", family=SANS, colour=INK, paper=PAPER)


def _top(layout: Any, title: bool, lines: int) -> float:
    """Room above the plotting area: what title and legend need, more when the figure asks for it."""
    over = [a for a in layout.annotations if a.yref == "paper" and a.y == 1 and a.yanchor == "bottom"]
    above = max((14.0 + (a.yshift or 0) for a in over), default=0.0)
    return max(16.0 + 28 * title + 18 * lines + 6 * (lines > 0) + above, min(float(layout.margin.t or 0), 100.0))


def plain(text: str) -> str:
    """Plotly's small HTML as plain text."""
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<br\s*/?>", " ", text)))


def _box(figure: Any, traces: list[Any], wide: float, high: float, *, top: float) -> Box:
    """Left, top, right and bottom of the plotting area; room is left for the words beside it."""
    left, right = 44.0, 24.0
    for name in [n for n in figure.layout if n.startswith("yaxis")]:
        axis = figure.layout[name]
        words = _category_words(figure, traces, name)
        room = max((width_of(w, 11) for w in words), default=30.0) + 14 + (18 if axis.title.text else 0)
        if axis.side == "right":
            right = max(right, room)
        elif words or not axis.domain or axis.domain[0] == 0:
            left = max(left, min(room, wide * 0.4))
    bottom = 34.0 + 18 * any(figure.layout[n].title.text for n in figure.layout if n.startswith("xaxis"))
    right = max(right, min(float(figure.layout.margin.r or 0), wide * 0.35))
    return left, max(top, 16.0), wide - right, high - bottom


def _category_words(figure: Any, traces: list[Any], name: str) -> list[str]:
    axis = figure.layout[name]
    if axis.ticktext is not None:
        return [plain(str(word)) for word in axis.ticktext]
    values = [v for t in traces if _axis_name(t.yaxis, "y") == name for v in marks.listed(t.y)]
    return [plain(str(v)) for v in values] if kind_of(values, axis.type) == "category" else []


def _axis_name(reference: str | None, letter: str) -> str:
    return f"{letter}axis{(reference or letter)[1:]}"


def _axes(figure: Any, traces: list[Any], box: Box) -> dict[str, Axis]:
    found = {}
    for letter in "xy":
        names = sorted({_axis_name(t[f"{letter}axis"], letter) for t in traces if t.type in _DRAWN}) or [
            f"{letter}axis"
        ]
        for name in names:
            mine = [t for t in traces if t.type in _DRAWN and _axis_name(t[f"{letter}axis"], letter) == name]
            found[name] = _axis(figure.layout, name, mine, box)
    return found


def _axis(layout: Any, name: str, traces: list[Any], box: Box) -> Axis:
    axis, letter = layout[name], name[0]
    values = [v for t in traces for v in marks.listed(t[letter])]
    kind = kind_of(values, axis.type)
    categories = tuple(dict.fromkeys(str(v) for v in values)) if kind == "category" else ()
    low, high = _range(axis, kind, categories, traces, letter, layout)
    start, end = (box[0], box[2]) if letter == "x" else (box[3], box[1])
    domain = axis.domain or (0.0, 1.0)
    start, end = start + domain[0] * (end - start), start + domain[1] * (end - start)
    if axis.autorange == "reversed":
        start, end = end, start
    return Axis(kind, low, high, start, end, categories)


def _range(
    axis: Any, kind: str, categories: tuple[str, ...], traces: list[Any], letter: str, layout: Any
) -> tuple[float, float]:
    """The axis' two ends, as numbers along it."""
    if axis.range is not None and None not in axis.range:
        ends = [float(v) if kind in ("log", "category") else place(v, kind, categories) or 0.0 for v in axis.range]
        return ends[0], ends[1]
    if kind == "category":
        return -0.5, max(len(categories), 1) - 0.5
    numbers = [n for v in _extent(traces, letter, layout) if (n := place(v, kind, categories)) is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    upright_bars = any(t.type == "bar" and (t.orientation == "h") == (letter == "x") for t in traces)
    if kind == "linear" and (upright_bars or axis.rangemode == "tozero"):
        low, high = min(low, 0.0), max(high, 0.0)
    pad = (high - low) * 0.06 or (0.5 if kind == "log" else abs(high) * 0.1 or 1.0)
    return (low if low == 0.0 and kind == "linear" else low - pad), high + pad


def _extent(traces: list[Any], letter: str, layout: Any) -> Iterator[Any]:
    """Every value that must be seen, intervals and stacks included."""
    heights: dict[str, float] = {}
    for trace in traces:
        values = marks.listed(trace[letter])
        yield from values
        error = trace[f"error_{letter}"]
        for value, above, below in zip(
            values, marks.listed(error.array), marks.listed(error.arrayminus or error.array), strict=False
        ):
            yield from (value + (above or 0), value - (below or 0))
        if (
            trace.type == "bar"
            and layout.barmode in ("stack", "relative")
            and (trace.orientation == "h") == (letter == "x")
        ):
            for at, value in zip(marks.listed(trace["y" if letter == "x" else "x"]), values, strict=False):
                heights[str(at)] = heights.get(str(at), 0.0) + (value or 0.0)
    yield from heights.values()


def _frame(layout: Any, name: str, axes: dict[str, Axis], box: Box) -> str:
    """An axis' grid, ticks, words and title."""
    spec, axis, upright = layout[name], axes[name], name[0] == "y"
    if spec.visible is False:
        return ""
    other = axes.get(_axis_name(spec.anchor if spec.anchor != "free" else None, "x" if upright else "y"))
    across = (other.start, other.end) if other else ((box[0], box[2]) if upright else (box[3], box[1]))
    low, high = min(across), max(across)
    parts = []
    for at, words in _ticks(spec, axis, upright):
        grid = spec.showgrid is not False and axis.kind != "category" and not spec.overlaying
        line = {"x1": low, "x2": high, "y1": at, "y2": at} if upright else {"x1": at, "x2": at, "y1": low, "y2": high}
        parts.append(element("line", **line, stroke="#e8ecef") if grid else "")
        if spec.showticklabels is not False:
            parts.append(_tick_label(words, at, (low, high), upright, spec.side))
    if spec.title.text:
        parts.append(_axis_title(plain(str(spec.title.text)), axis, (low, high), upright, spec.side))
    if spec.showline is False:
        return "".join(parts)
    if upright:
        return "".join(parts) + element("line", x1=low, x2=low, y1=axis.start, y2=axis.end, stroke=LINE)
    return "".join(parts) + element("line", x1=axis.start, x2=axis.end, y1=high, y2=high, stroke=LINE)


def _ticks(spec: Any, axis: Axis, upright: bool) -> list[tuple[float, str]]:
    if spec.tickvals is None:
        return [(at, plain(word)) for at, word in axis.ticks(spec.tickformat, 44 if upright else 90)]
    words = spec.ticktext if spec.ticktext is not None else spec.tickvals
    placed = [(axis.at(v), plain(str(w))) for v, w in zip(spec.tickvals, words, strict=False)]
    return [(at, word) for at, word in placed if at is not None]


def _tick_label(words: str, at: float, span: tuple[float, float], upright: bool, side: str | None) -> str:
    if not upright:
        return label(at, span[1] + 17, words, text_anchor="middle", font_size=11, fill=QUIET)
    if side == "right":
        return label(span[1] + 7, at + 4, words, font_size=11, fill=QUIET)
    return label(span[0] - 7, at + 4, cut(words, span[0] - 10, 11), text_anchor="end", font_size=11, fill=QUIET)


def _axis_title(text: str, axis: Axis, span: tuple[float, float], upright: bool, side: str | None) -> str:
    middle = (axis.start + axis.end) / 2
    if not upright:
        return label(middle, span[1] + 36, text, text_anchor="middle", font_size=11, fill=INK)
    x = span[1] + 46 if side == "right" else 13.0
    turn = f"rotate(-90 {x:.1f} {middle:.1f})"
    return label(x, middle, text, text_anchor="middle", font_size=11, fill=INK, transform=turn)


def _trace(trace: Any, axes: dict[str, Axis], colour: str, stack: marks.Stack, box: Box) -> str:
    if trace.type not in _DRAWN:
        return label(
            (box[0] + box[2]) / 2,
            (box[1] + box[3]) / 2,
            f"{trace.type}: see the interactive figure",
            text_anchor="middle",
        )
    x, y = axes[_axis_name(trace.xaxis, "x")], axes[_axis_name(trace.yaxis, "y")]
    return marks.scatter(trace, x, y, colour) if trace.type == "scatter" else marks.bars(trace, x, y, colour, stack)


def _reference(value: Any, reference: str | None, axes: dict[str, Axis], box: Box, letter: str) -> float:
    """The pixel of a shape's or annotation's coordinate: in data, in an axis' domain, or on paper."""
    place = reference or letter
    axis = axes.get(_axis_name(place.split()[0], letter))
    if place == "paper" or axis is None:
        start, end = (box[0], box[2]) if letter == "x" else (box[3], box[1])
        return start + float(value) * (end - start)
    if place.endswith("domain"):
        return axis.start + float(value) * (axis.end - axis.start)
    number = axis.place(value)
    return axis.pixel(number if number is not None else float(value) if axis.kind == "category" else axis.low)


def _shape(shape: Any, axes: dict[str, Axis], box: Box) -> str:
    x0, x1 = (_reference(v, shape.xref, axes, box, "x") for v in (shape.x0, shape.x1))
    y0, y1 = (_reference(v, shape.yref, axes, box, "y") for v in (shape.y0, shape.y1))
    colour = shape.line.color or QUIET
    if shape.type == "line":
        dash = marks._DASHES.get(str(shape.line.dash))
        width = float(shape.line.width or 2)
        return element("line", x1=x0, y1=y0, x2=x1, y2=y1, stroke=colour, stroke_width=width, stroke_dasharray=dash)
    width = float(shape.line.width if shape.line.width is not None else 0)
    edge = {"stroke": colour, "stroke_width": width} if width else {}
    size = {"x": min(x0, x1), "y": min(y0, y1), "width": abs(x1 - x0), "height": abs(y1 - y0)}
    return element("rect", **size, fill=shape.fillcolor or "none", fill_opacity=shape.opacity, **edge)


def _annotation(note: Any, axes: dict[str, Axis], box: Box) -> str:
    x = _reference(note.x, note.xref, axes, box, "x") + (note.xshift or 0)
    y = _reference(note.y, note.yref, axes, box, "y") - (note.yshift or 0)
    lines = [plain(line) for line in re.split(r"<br\s*/?>", str(note.text or ""))]
    size = float(note.font.size or 11)
    anchor = {"left": "start", "right": "end"}.get(str(note.xanchor), "middle")
    parts = []
    if note.showarrow is not False and note.ax is not None and note.ay is not None:
        tip = (x, y)
        x, y = x + float(note.ax), y + float(note.ay)
        parts.append(element("line", x1=tip[0], y1=tip[1], x2=x, y2=y, stroke=note.arrowcolor or QUIET))
    up = {"top": size, "bottom": -4 - (len(lines) - 1) * size * 1.25}.get(str(note.yanchor), size * 0.35)
    for n, line in enumerate(lines):
        where = min(max(x, 4 if anchor == "start" else 0), box[2] + 20)
        parts.append(
            label(where, y + up + n * size * 1.25, line, text_anchor=anchor, font_size=size, fill=note.font.color)
        )
    return "".join(parts)


def _lines(named: list[Any], room: float) -> list[list[Any]]:
    """A legend's traces, in as many lines as they need."""
    lines: list[list[Any]] = []
    left = 0.0
    for trace in named:
        need = 40 + width_of(plain(str(trace.name)), 11)
        if not lines or need > left:
            lines.append([])
            left = room
        lines[-1].append(trace)
        left -= need
    return lines


def _legend(named: list[Any], colours: dict[int, str], x: float, y: float) -> list[str]:
    parts = []
    for trace in named:
        words = plain(str(trace.name))
        parts += [marks.key(trace, x, y, colours[id(trace)]), label(x + 21, y, words, font_size=11)]
        x += 40 + width_of(words, 11)
    return parts
