"""Who calls whom, as a picture: callers at the left, callees at the right, one way between them marked.

>>> draw([("web", "cart", 90, 4)], marked=("web", "cart"))
<Picture: 2 services, 1 call between them; marked: web → cart>
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

from shadowlab.records.base import counted
from shadowlab.views.shown import Picture
from shadowlab.views.style import INK, LINE, PAPER, QUIET, SANS, VERMILLION, WASH
from shadowlab.views.svg import cut, document, element, label, number, text_of

Call = tuple[str, str, int, int]
"""Caller, callee, calls, and how many of them failed."""
MOST = 24
"""Services that are shown; of more, those with most calls."""
_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 150.0, 40.0, 96.0, 26.0, 16.0


def shown(calls: Sequence[Call], marked: Sequence[str] = ()) -> list[Call]:
    """The calls between the services that there is room for, most calls first; those of `marked` among them."""
    counts: dict[str, int] = defaultdict(int)
    for caller, callee, number_of, _ in calls:
        counts[caller] += number_of
        counts[callee] += number_of
    ordered = sorted(counts, key=lambda name: (name not in marked, -counts[name], name))
    kept = set(ordered[:MOST])
    return [call for call in calls if call[0] in kept and call[1] in kept]


def places(calls: Sequence[Call], alone: Sequence[str] = ()) -> dict[str, tuple[int, float]]:
    """A column and a row for every service: callers left of whom they call, rows centred on 0.

    A service stands one column right of its rightmost caller. Where calls go in a circle, those of `alone` lead, in
    its order, then those that are made most.
    """
    callers = _callers(calls, alone)
    names = sorted({name for call in calls for name in call[:2]} | set(alone))
    columns: dict[str, int] = {}
    for name in names:
        _column(name, callers, columns)
    rows: dict[str, tuple[int, float]] = {}
    for column in range(max(columns.values(), default=0) + 1):
        here = [name for name in names if columns[name] == column]
        height = {name: _mean([rows[c][1] for c in callers[name] if c in rows]) for name in here}
        for n, name in enumerate(sorted(here, key=lambda name: (height[name], name))):
            rows[name] = (column, n - (len(here) - 1) / 2)
    return rows


def _callers(calls: Sequence[Call], first: Sequence[str]) -> Mapping[str, set[str]]:
    """Who calls each service, without the calls that would close a circle."""
    order = set(itertools.pairwise(first))
    callers: dict[str, set[str]] = defaultdict(set)
    for caller, callee, *_ in sorted(calls, key=lambda call: (call[:2] not in order, -call[2], call)):
        if callee not in _above(caller, callers):
            callers[callee].add(caller)
    return callers


def _above(name: str, callers: Mapping[str, set[str]]) -> set[str]:
    """A service and all from which calls come to it."""
    found, left = {name}, [name]
    while left:
        new = callers.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def _column(name: str, callers: Mapping[str, set[str]], known: dict[str, int]) -> int:
    if name not in known:
        known[name] = max((_column(c, callers, known) for c in callers.get(name, ())), default=-1) + 1
    return known[name]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def draw(calls: Sequence[Call], *, marked: Sequence[str] = (), words: Mapping[str, str] | None = None) -> Picture:
    """The map; `marked` are the services on the way to the one that is blamed, the last of them; `words` tell of each.

    The marked way is thick and its last service has a cross: nothing hangs on colour.
    """
    listed = shown(calls, marked)
    at = places(listed, marked)
    if not at:
        return Picture(svg=document(320, 40, label(12, 25, "no service calls another", fill=QUIET), title="no calls",
                                    family=SANS, colour=INK, paper=PAPER), alt="no service calls another")  # fmt: skip
    top = min(row for _, row in at.values())
    spot = {
        name: (_EDGE + column * (_WIDE + _GAP_X), _EDGE + (row - top) * (_HIGH + _GAP_Y))
        for name, (column, row) in at.items()
    }
    way = set(itertools.pairwise(marked))
    ordered = sorted(listed, key=lambda call: call[:2] in way)
    parts = [part for call in ordered for part in _arrow(call, spot, call[:2] in way)]
    blamed = marked[-1] if marked else None
    parts += [
        part for name in sorted(spot) for part in _box(name, spot[name], name in marked, name == blamed, words or {})
    ]
    wide = max(x for x, _ in spot.values()) + _WIDE + _EDGE
    high = max(y for _, y in spot.values()) + _HIGH + _EDGE
    alt = f"{counted(len(spot), 'service')}, {counted(len(listed), 'call')} between them"
    alt += f"; marked: {' → '.join(marked)}" if marked else ""
    return Picture(svg=document(wide, high, *parts, title=alt, family=SANS, colour=INK, paper=PAPER), alt=alt)


def _arrow(call: Call, spot: Mapping[str, tuple[float, float]], marked: bool) -> list[str]:
    caller, callee, calls, failed = call
    (x1, y1), (x2, y2) = spot[caller], spot[callee]
    forth = x2 > x1
    a, b = (x1 + (_WIDE if forth else 0), y1 + _HIGH / 2), (x2 if forth else x2 + _WIDE, y2 + _HIGH / 2)
    bend = (b[0] - a[0]) / 2
    colour = VERMILLION if marked else QUIET
    curve = f"M{number(a[0])} {number(a[1])}C{number(a[0] + bend)} {number(a[1])} {number(b[0] - bend)} {number(b[1])} "
    curve += f"{number(b[0])} {number(b[1])}"
    step = -7 if forth else 7
    head = f"M{number(b[0])} {number(b[1])}l{step} -4v8z"
    share = f", {failed / calls:.1%} fail" if failed and calls else ""
    title = element("title", text_of(f"{caller} calls {callee} {calls:,} times{share}"))
    lines = [f"{calls:,}"] + ([f"{failed / calls:.1%} fail"] if failed and calls else [])
    x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    signs = [
        label(x, y - 5 + 15 * n, word, text_anchor="middle", font_size=10, fill=colour, stroke=PAPER, stroke_width=3,
              paint_order="stroke", font_weight=600 if marked else None)
        for n, word in enumerate(lines)
    ]  # fmt: skip
    path = element("path", title, d=curve, fill="none", stroke=colour, stroke_width=3.5 if marked else 1.2)
    return [path, element("path", d=head, fill=colour), *signs]


def _box(name: str, spot: tuple[float, float], marked: bool, blamed: bool, words: Mapping[str, str]) -> list[str]:
    (x, y), text = spot, words.get(name, "")
    edge = VERMILLION if marked else LINE
    title = element("title", text_of(f"{name} {text}"))
    box = element("rect", title, x=x, y=y, width=_WIDE, height=_HIGH, rx=5, fill=WASH if not blamed else "#fdeee4",
                  stroke=edge, stroke_width=2.5 if marked else 1.0)  # fmt: skip
    heading = cut(("✗ " if blamed else "") + name, _WIDE - 16)
    middle = y + (17 if text else 25)
    weight, fill = (600 if marked else None), (VERMILLION if blamed else INK)
    parts = [box, label(x + 8, middle, heading, font_weight=weight, fill=fill)]
    if text:
        parts.append(label(x + 8, y + 32, cut(text, _WIDE - 16, 10), font_size=10, fill=QUIET))
    return parts
