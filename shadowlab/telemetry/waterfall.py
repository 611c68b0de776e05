"""One trace with its logs, in the order in which a waterfall shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors
from shadowlab.records.base import counted
from shadowlab.telemetry import questions
from shadowlab.telemetry.store import Store

if TYPE_CHECKING:
    from shadowlab.views import Picture

_SPANS: Final = """
SELECT span_id, parent_span_id, service, name, kind, start_ns, duration_ns, status, status_message, attributes,
       recording_id, correlation_id, row_id
FROM part_spans WHERE trace_id = $trace_id AND (start_ns BETWEEN $low AND $high OR start_ns IS NULL)"""
_IN_TIME: Final = "AND (at_ns BETWEEN $low AND $high OR at_ns IS NULL) ORDER BY at_ns"
_EVENTS: Final = "SELECT span_id, at_ns, name, attributes FROM part_events WHERE list_contains($keys,"
_LOGS: Final = "SELECT at_ns, trace_id, span_id, service, severity, body FROM part_logs WHERE list_contains($keys,"
_BESIDE: Final = {
    "event": f"{_EVENTS} trace_id) {_IN_TIME}",
    "log": f"{_LOGS} trace_id) {_IN_TIME}",
    "correlated": f"{_LOGS} correlation_id) {_IN_TIME}",
}
"""What is shown beside the spans, by the word that `moments` has for it."""
_WHOM: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#]*@)?([^/?#@]+[^?#]*)", re.IGNORECASE)
"""Host and path of a URL, without who asks and what for."""


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


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
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

    def __repr__(self) -> str:
        failed = counted(sum(s.status == "error" for s in self.spans), "error")
        return f"<Trace {self.trace_id} {counted(len(self.spans), 'span')}, {failed}, {self.duration_ns / 1e6:.1f} ms>"

    def _repr_mimebundle_(self, **asked: Any) -> dict[str, Any]:
        """In a notebook, its waterfall."""
        return self.plot_waterfall()._repr_mimebundle_(**asked)

    def plot_waterfall(self) -> Picture:
        """The spans over time, a bar each, with the logs and exceptions beneath (a plotly figure)."""
        from shadowlab.views import waterfall

        return waterfall.draw(*_rows(self), trace_id=self.trace_id)


def _rows(trace: Trace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A trace's spans and logs as rows to draw; exceptions stand among the logs."""
    spans: list[dict[str, Any]] = []
    logs = [
        {"at_ns": log.at_ns or trace.start_ns, "span_id": log.span_id, "severity": log.severity, "body": log.body}
        for log in trace.logs
    ]
    for span in trace.spans:
        start = span.start_ns or trace.start_ns
        bar = {name: getattr(span, name) for name in ("span_id", "parent_span_id", "kind", "status")}
        bar |= {"name": _called(span), "service": span.service or "?", "status_message": span.status_message}
        spans.append({**bar, "start_ns": start, "end_ns": start + (span.duration_ns or 0)})
        for event in span.events:
            told = event["attributes"] or {}
            if event["name"] == "exception":
                body = f"{told.get('exception.type')}: {told.get('exception.message')}"
                sign = {"at_ns": event["at_ns"] or start, "span_id": span.span_id}
                logs.append({**sign, "severity": "EXCEPTION", "body": body})
    return spans, logs


def _called(span: TraceSpan) -> str:
    """The span's name; of a call by HTTP whom it asked, too, and a status that is an error's: `POST` says neither."""
    told = span.attributes
    whom = _WHOM.match(told.get("url.full") or told.get("http.url") or "")
    if span.kind != "client" or not whom:
        return span.name
    status = told.get("http.response.status_code") or told.get("http.status_code")
    refused = f" → {status}" if (status or "") >= "4" else ""
    return f"{span.name}{refused} {whom[1]}"


def trace(store: Store, trace_id: str) -> Trace:
    """The spans and logs of one trace; `trace_id` may be cut to a prefix that only one trace has.

    Raises `QueryError` when there is none, or when several start so.
    """
    found = store.sql(
        "SELECT trace_id, start_ns AS low, end_ns AS high FROM traces "
        "WHERE trace_id >= $id AND trace_id < $id || 'g' LIMIT 2",
        {"id": trace_id.lower()},
    ).rows()
    if len(found) != 1 or not trace_id:
        several = "several traces start" if found else "no trace starts"
        raise errors.QueryError(f"{several} with {trace_id!r}", hint="`SELECT trace_id FROM traces` lists them")
    whole = found[0]["trace_id"]
    spans = store.sql(questions.statement("trace", {"spans": _SPANS}), found[0]).rows()
    spans.sort(key=lambda s: (s["start_ns"] is None, s["start_ns"] or 0, s["span_id"], s.pop("row_id")))
    others = list({told for span in spans if (told := span.pop("correlation_id"))})
    moments = store.sql(
        "SELECT what, key, first_ns AS low, last_ns AS high FROM part_moments "
        "WHERE (key = $id AND what <> 'correlated') OR (key IN (SELECT unnest($others)) AND what = 'correlated')",
        {"id": whole, "others": others},
    ).rows()
    events, logs, correlated = (
        _within(store, query, [m for m in moments if m["what"] == what]) for what, query in _BESIDE.items()
    )
    logs += [log for log in correlated if log["trace_id"] != whole]
    logs.sort(key=lambda log: (log["at_ns"] is None, log["at_ns"]))
    for log in logs:
        del log["trace_id"]
    return Trace(trace_id=whole, spans=_ordered(spans, events), logs=tuple(TraceLog(**log) for log in logs))


def _within(store: Store, query: str, moments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a question about what `moments` name and the time that they span; without any nothing is asked."""
    if not moments:
        return []
    lows, highs = ([m[end] for m in moments if m[end] is not None] for end in ("low", "high"))
    keys = [m["key"] for m in moments]
    return store.sql(query, {"keys": keys, "low": min(lows, default=0), "high": max(highs, default=0)}).rows()


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
