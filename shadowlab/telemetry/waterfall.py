"""One trace with its logs, in the order in which a waterfall shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shadowlab import errors
from shadowlab.telemetry.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceSpan:
    """One bar."""

    span_id: str
    parent_span_id: str | None
    service: str | None
    name: str
    kind: str
    start_ns: int | None
    duration_ns: int | None
    status: str
    status_message: str | None
    depth: int
    """0 for a root, and for a span whose parent is not there."""
    attributes: Mapping[str, str | None]
    events: tuple[Mapping[str, Any], ...] = ()
    recording_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceLog:
    """One log line."""

    at_ns: int | None
    span_id: str | None
    service: str | None
    severity: str | None
    body: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Spans parents first, siblings by time; logs by time."""

    trace_id: str
    spans: tuple[TraceSpan, ...]
    logs: tuple[TraceLog, ...]

    @property
    def start_ns(self) -> int:
        """The earliest start; 0 when no span has one."""
        return min((s.start_ns for s in self.spans if s.start_ns), default=0)

    @property
    def duration_ns(self) -> int:
        """From the earliest start to the latest end."""
        ends = (s.start_ns + (s.duration_ns or 0) for s in self.spans if s.start_ns)
        return max(ends, default=self.start_ns) - self.start_ns


def trace(store: Store, trace_id: str) -> Trace:
    """The spans and logs of one trace; `trace_id` may be cut to a prefix that only one trace has.

    Raises `QueryError` when there is none, or when several start so.
    """
    found = store.sql(
        "SELECT trace_id, start_ns, end_ns FROM traces WHERE starts_with(trace_id, $id) LIMIT 2",
        {"id": trace_id.lower()},
    ).rows()
    if len(found) != 1 or not trace_id:
        several = "several traces start" if found else "no trace starts"
        raise errors.QueryError(f"{several} with {trace_id!r}", hint="`SELECT trace_id FROM traces` lists them")
    whole = found[0]["trace_id"]
    bounds = {"id": whole, "low": found[0]["start_ns"], "high": found[0]["end_ns"]}
    spans = store.sql(
        "SELECT span_id, parent_span_id, service, name, kind, start_ns, duration_ns, status, status_message, "
        "attributes, recording_id FROM part_spans "
        "WHERE trace_id = $id AND (start_ns BETWEEN $low AND $high OR start_ns IS NULL) "
        "ORDER BY start_ns, span_id, row_id", bounds,
    ).rows()  # fmt: skip
    events = store.sql(
        "SELECT span_id, at_ns, name, attributes FROM events WHERE trace_id = $id ORDER BY at_ns", {"id": whole}
    ).rows()
    logs = store.sql(
        "SELECT at_ns, span_id, service, severity, body FROM part_logs WHERE trace_id = $id OR correlation_id IN "
        "(SELECT correlation_id FROM part_spans WHERE trace_id = $id AND correlation_id IS NOT NULL) "
        "ORDER BY at_ns", {"id": whole},
    ).rows()  # fmt: skip
    return Trace(trace_id=whole, spans=_ordered(spans, events), logs=tuple(TraceLog(**log) for log in logs))


def _ordered(spans: list[dict[str, Any]], events: list[dict[str, Any]]) -> tuple[TraceSpan, ...]:
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span["parent_span_id"]
        children.setdefault(parent if parent in known and parent != span["span_id"] else None, []).append(span)
    told: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        told.setdefault(event["span_id"], []).append(event)
    ordered: list[TraceSpan] = []
    waiting = [(span, 0) for span in reversed(children.get(None, []))]
    seen: set[str] = set()
    while waiting:
        span, depth = waiting.pop()
        ordered.append(TraceSpan(**span, depth=depth, events=tuple(told.get(span["span_id"], ()))))
        if span["span_id"] not in seen:
            seen.add(span["span_id"])
            waiting += [(child, depth + 1) for child in reversed(children.get(span["span_id"], []))]
    # Spans that are each other's parents hang on no root: show them all the same.
    lost = [span for span in spans if span["span_id"] not in seen]
    return (*ordered, *(TraceSpan(**span, depth=0, events=tuple(told.get(span["span_id"], ()))) for span in lost))
