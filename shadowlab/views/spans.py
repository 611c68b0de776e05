"""The rows of a trace: in which order spans stand, which fit on a page, how a duration is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """A span and how deep it stands below its root."""

    span: Row
    depth: int


def spelled_ns(duration: float) -> str:
    """A duration in ns, µs, ms or s, three digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(duration) >= size * 0.9995:  # what three digits round up to the next unit is told in it
            return f"{duration / size:.3g} {unit}" if abs(duration) < size * 999.5 else f"{duration / size:,.0f} {unit}"
    return f"{duration:.0f} ns"


def failed(span: Row) -> bool:
    """Whether a span says of itself that it failed."""
    return span.get("status") == "error"


def arranged(spans: Sequence[Row]) -> list[Bar]:
    """Parents before children, siblings by start. A span whose parent is unknown, or its own ancestor, is a root."""
    known = {s["span_id"] for s in spans}
    children: dict[str | None, list[Row]] = defaultdict(list)
    for span in sorted(spans, key=lambda s: (s["start_ns"], s["span_id"])):
        parent = span.get("parent_span_id")
        children[parent if parent in known else None].append(span)
    bars: list[Bar] = []
    seen: set[str] = set()
    for start in (children[None], sorted(spans, key=lambda s: s["start_ns"])):
        stack = [Bar(s, 0) for s in reversed(start)]
        while stack:
            bar = stack.pop()
            if bar.span["span_id"] in seen:
                continue
            seen.add(bar.span["span_id"])
            bars.append(bar)
            stack += [Bar(s, bar.depth + 1) for s in reversed(children[bar.span["span_id"]])]
    return bars


def cut_to(bars: list[Bar], most: int) -> list[Bar]:
    """At most `most` bars: the way to errors, then the longest."""
    if len(bars) <= most:
        return bars
    parents = {b.span["span_id"]: b.span.get("parent_span_id") for b in bars}
    kept: set[str] = set()
    for bar in sorted(bars, key=lambda b: (not failed(b.span), b.span["start_ns"] - b.span["end_ns"])):
        at: str | None = bar.span["span_id"]
        while at is not None and at in parents and at not in kept and len(kept) < most:
            kept.add(at)
            at = parents[at]
    return [b for b in bars if b.span["span_id"] in kept]


def loud(log: Row) -> bool:
    """Whether a log record tells of an error."""
    return str(log.get("severity") or "").upper().startswith(("ERR", "FATAL", "CRIT", "EXC"))
