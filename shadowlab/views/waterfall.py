"""One trace as a waterfall, with its logs beneath, from plain rows.

>>> spans = [{"span_id": "a", "parent_span_id": None, "service": "api", "name": "GET /", "start_ns": 0, "end_ns": 5}]
>>> draw(spans, trace_id="4bf9")
<Picture: trace 4bf9: 1 span, 0 errors, 5 ns>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shadowlab.records.base import counted
from shadowlab.views import axes
from shadowlab.views.shown import Picture
from shadowlab.views.spans import Bar, Row, arranged, cut_to, failed, loud, spelled_ns
from shadowlab.views.style import CYCLE, INK, LINE, MONO, PAPER, QUIET, SANS, VERMILLION, WASH
from shadowlab.views.svg import cut, document, element, label, text_of, width_of

_WIDE, _NAMES, _ROW, _TOP = 940.0, 330.0, 24.0, 76.0
_MOST_SPANS, _MOST_LOGS = 60, 24


def draw(spans: Sequence[Row], logs: Sequence[Row] = (), *, trace_id: str = "") -> Picture:
    """The waterfall of one trace.

    `spans` are rows of the view `spans` (`span_id`, `parent_span_id`, `service`, `name`, `start_ns`, `end_ns`, and,
    where known, `kind`, `status`, `status_message`); `logs` are rows with `at_ns`, `severity`, `body` and, where
    known, `span_id`. A trace of more than 60 spans is cut to the way to its errors and the longest;
    the picture says so.
    """
    bars = arranged(spans)
    shown = cut_to(bars, _MOST_SPANS)
    low = min((s["start_ns"] for s in spans), default=0)
    high = max([s["end_ns"] for s in spans] + [log["at_ns"] for log in logs], default=1)
    time = axes.Axis("linear", 0.0, float(max(high - low, 1)), _NAMES, _WIDE - 90)
    wrong = sum(failed(s) for s in spans)
    title = f"trace {trace_id}: {counted(len(spans), 'span')}, {counted(wrong, 'error')}, {spelled_ns(high - low)}"
    colours = {name: CYCLE[n % (len(CYCLE) - 1)] for n, name in enumerate(dict.fromkeys(s["service"] for s in spans))}
    floor = _TOP + _ROW * len(shown)
    parts = [label(12, 26, cut(title, _WIDE - 24, 15), font_size=15, font_weight=600), *_services(colours)]
    parts += _scale(time, floor)
    for n, bar in enumerate(shown):
        parts += _row(bar, _TOP + n * _ROW, low, time, colours)
    parts += _signs(shown, logs, low, time)
    if len(shown) < len(bars):
        floor += 20
        parts.append(
            label(12, floor - 2, f"{len(bars) - len(shown)} shorter spans are not shown", font_size=11, fill=QUIET)
        )
    listed, floor = _log_lines(logs, low, floor)
    svg = document(_WIDE, floor + 12, *parts, *listed, title=title, family=SANS, colour=INK, paper=PAPER)
    from shadowlab.views import traceplot

    return Picture(svg=svg, alt=title, figure=traceplot.figure(shown, logs, title=title, low=low, high=high))


def _services(colours: Mapping[str, str]) -> list[str]:
    parts, x = [], 12.0
    for name, colour in colours.items():
        parts += [element("rect", x=x, y=38.0, width=12.0, height=12.0, rx=2, fill=colour)]
        parts += [label(x + 18, 48, cut(name, 200, 11), font_size=11, fill=QUIET)]
        x += 36 + min(width_of(name, 11), 200)
    return parts


def _scale(time: axes.Axis, floor: float) -> list[str]:
    parts = []
    for value in axes.round_ticks(time.high):
        x = time.pixel(value)
        parts.append(element("line", x1=x, x2=x, y1=_TOP - 8, y2=floor, stroke="#e8ecef"))
        parts.append(
            label(x, _TOP - 14, spelled_ns(value) if value else "0", text_anchor="middle", font_size=10, fill=QUIET)
        )
    return parts


def _row(bar: Bar, y: float, low: int, time: axes.Axis, colours: Mapping[str, str]) -> list[str]:
    span, wrong = bar.span, failed(bar.span)
    left, right = time.pixel(span["start_ns"] - low), time.pixel(span["end_ns"] - low)
    indent = 14 + 14 * min(bar.depth, 12)
    sign = "✗ " if wrong else ""
    name = cut(f"{sign}{span['name']}", _NAMES - indent - 14)
    took = spelled_ns(span["end_ns"] - span["start_ns"])
    hover = f"{span['service']}: {span['name']} ({span.get('kind') or 'internal'}), {took}"
    hover += f", {span.get('status_message')}" if span.get("status_message") else ""
    edge = {"stroke": VERMILLION, "stroke_width": 2} if wrong else {}
    place = {"x": left, "y": y + 5, "width": max(right - left, 2.0), "height": 14.0, "rx": 2}
    title = element("title", text_of(hover[:300]))
    box = element("rect", title, **place, fill=colours[span["service"]], fill_opacity=0.85, **edge)
    return [
        element("line", x1=12.0, x2=_WIDE - 12, y1=y + _ROW, y2=y + _ROW, stroke=WASH),
        label(indent, y + 16, name, fill=VERMILLION if wrong else INK, font_weight=600 if wrong else None),
        box,
        label(max(right, left + 2) + 6, y + 16, took, font_size=11, fill=QUIET),
    ]


def _signs(shown: Sequence[Bar], logs: Sequence[Row], low: int, time: axes.Axis) -> list[str]:
    """A small triangle on a span's row for each of its logs."""
    rows = {bar.span["span_id"]: n for n, bar in enumerate(shown)}
    parts = []
    for log in logs[:200]:
        if (row := rows.get(log.get("span_id"))) is None:
            continue
        x, y = time.pixel(log["at_ns"] - low), _TOP + row * _ROW + 3
        colour = VERMILLION if loud(log) else INK
        parts.append(element("path", d=f"M{x - 4:.1f} {y:.1f}h8l-4 6z", fill=colour))
    return parts


def _log_lines(logs: Sequence[Row], low: int, floor: float) -> tuple[list[str], float]:
    if not logs:
        return [], floor
    parts = [element("line", x1=12.0, x2=_WIDE - 12, y1=floor + 12, y2=floor + 12, stroke=LINE)]
    floor += 32
    parts.append(label(12, floor, f"▾ {counted(len(logs), 'log record')} of this trace", font_size=12, font_weight=600))
    for log in sorted(logs, key=lambda entry: entry["at_ns"])[:_MOST_LOGS]:
        floor += 19
        colour = VERMILLION if loud(log) else INK
        parts.append(
            label(96, floor, f"+{spelled_ns(log['at_ns'] - low)}", font_size=11, fill=QUIET, text_anchor="end")
        )
        parts.append(
            label(108, floor, str(log.get("severity") or "")[:9].lower(), font_size=11, fill=colour, font_weight=600)
        )
        body = cut(" ".join(str(log.get("body") or "").split()), _WIDE - 204, 11, mono=True)
        parts.append(label(190, floor, body, font_size=11, font_family=MONO, fill=colour))
    if len(logs) > _MOST_LOGS:
        floor += 19
        parts.append(label(190, floor, f"{len(logs) - _MOST_LOGS} more are not shown", font_size=11, fill=QUIET))
    return parts, floor
