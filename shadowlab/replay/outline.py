"""What telemetry alone says of a request, and each input that it lacks, with the line that records it next time.

Spans tell method, route, captured headers, outbound calls and statements; they hold no body, no row and no answer. So
nothing can be run from them. What is missing is named, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shadowlab import errors
from shadowlab.records import Need, Outline, Replay
from shadowlab.replay.inside.urls import split
from shadowlab.replay.lacking import Provenance, lacking

if TYPE_CHECKING:
    from shadowlab.telemetry import Store
    from shadowlab.telemetry.waterfall import Trace, TraceSpan

_HEADER = "http.request.header."
_BODIES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_READ = re.compile(r"\b(?:from|join)\s+(?!\()([\w.\"`\[\]]+)", re.IGNORECASE)
_WRITTEN = re.compile(r"\b(?:update|delete\s+from|insert\s+into)\s+([\w.\"`\[\]]+)", re.IGNORECASE)
_RECORDED = frozenset({"sqlite", "postgresql"})
_LONGEST = 120


def outline(store: Store, trace_id: str, *, service: str | None = None, environment: Sequence[str] = ()) -> Outline:
    """What `trace_id` says of the request that failed in `service` (else of the trace's first request).

    `environment` are the names that the source says the service needs. Raises `QueryError` when there is no such trace.
    """
    from shadowlab import telemetry

    trace = telemetry.trace(store, trace_id)
    entry = _entry(trace, service)
    inside = _inside(trace, entry)
    line = _Line.of(entry, environment)
    request = _request_of(entry)
    calls = [
        span for span in inside if span.kind == "client" and _attribute(span, "http.request.method", "http.method")
    ]
    statements = [span for span in inside if _statement(span)]
    needs = (
        *_request(entry, request, line),
        *_rows(statements, line),
        *_answers(calls, line),
        *_rest(environment, line),
    )
    return Outline(
        trace_id=trace.trace_id,
        service=entry.service or "",
        operation=entry.name,
        method=request["method"],
        route=request["route"],
        path=request["path"],
        query=request["query"],
        headers=tuple(_headers(entry)),
        at=datetime.fromtimestamp((entry.start_ns or 0) / 1e9, UTC),
        calls=tuple(_called(span) for span in calls),
        statements=tuple(dict.fromkeys(_short(_statement(span)) for span in statements)),
        needs=tuple({need.what: need for need in needs}.values()),
    )


def unavailable(plan: Outline, provenance: Provenance) -> Replay:
    """The replay of an outline: nothing ran, and what is missing is named."""
    nothing = lacking(tuple(need.what for need in plan.needs), provenance)
    notes = (f"planned from telemetry alone: trace {plan.trace_id} has no recording",)
    return replace(nothing, notes=notes, outline=plan)


class _Line:
    """The line that would have recorded an input."""

    def __init__(self, wrap: str, after: str, database: str) -> None:
        self._wrap, self._after, self._database = wrap, after, database

    @classmethod
    def of(cls, entry: TraceSpan, environment: Sequence[str]) -> _Line:
        """As the entry point wants it: around an application, or on a function."""
        named = [name for name in environment if re.search(r"(^|_)(DB|DATABASE)(_|$)", name)]
        database = f'database="{named[0] if named else "DATABASE_URL"}"'
        if entry.kind == "server":
            return cls('app = shadowlab_recorder.record(app, directory="recordings"', ")", database)
        return cls('@shadowlab_recorder.record(directory="recordings"', ")", database)

    def plain(self) -> str:
        return self._wrap + self._after

    def rows(self) -> str:
        return f"{self._wrap}, {self._database}{self._after}"

    def having(self, argument: str) -> str:
        return f"{self._wrap}, {argument}{self._after}"


def _entry(trace: Trace, service: str | None) -> TraceSpan:
    """The span of the request: of the service's, a server's or consumer's that failed before one that did not."""
    own = [span for span in trace.spans if service is None or span.service == service] or list(trace.spans)
    entries = [span for span in own if span.kind in ("server", "consumer")] or own
    if not entries:
        raise errors.QueryError(f"trace {trace.trace_id} has no span", hint="`shadowlab sql CASE 'FROM traces'`")
    return next((span for span in entries if span.status == "error"), entries[0])


def _inside(trace: Trace, entry: TraceSpan) -> list[TraceSpan]:
    """The spans below the request, other services' left out."""
    below = {entry.span_id}
    found = []
    for span in trace.spans:  # parents come first
        if span.parent_span_id in below and span.service == entry.service:
            below.add(span.span_id)
            found.append(span)
    return found


def _attribute(span: TraceSpan, *names: str) -> str:
    return next((value for name in names if (value := span.attributes.get(name))), "")


def _request_of(entry: TraceSpan) -> Mapping[str, str]:
    target = split(_attribute(entry, "http.target", "url.full", "http.url"))
    method, _, rest = entry.name.partition(" ")
    return {
        "method": _attribute(entry, "http.request.method", "http.method") or (method if rest else ""),
        "route": _attribute(entry, "http.route", "messaging.destination.name") or rest or entry.name,
        "path": _attribute(entry, "url.path") or target.path,
        "query": _attribute(entry, "url.query") or target.query,
    }


def _headers(entry: TraceSpan) -> Iterator[tuple[str, str]]:
    for name, value in sorted(entry.attributes.items()):
        if name.startswith(_HEADER):
            yield name.removeprefix(_HEADER).replace("_", "-"), str(value)


def _statement(span: TraceSpan) -> str:
    return _attribute(span, "db.query.text", "db.statement")


def _request(entry: TraceSpan, request: Mapping[str, str], line: _Line) -> Iterator[Need]:
    what = f"{request['method']} {request['path'] or request['route']}".strip()
    if entry.kind == "consumer":
        yield Need(what=f"payload and headers of the message from {request['route']}", line=line.plain())
        return
    if entry.kind != "server":
        yield Need(what=f"what {entry.name} was called with", line=line.plain())
        return
    if not request["path"]:
        yield Need(what=f"path of {what}: the route alone is known", line=line.plain())
    captured = ", ".join(name for name, _ in _headers(entry))
    others = f" other than {captured}" if captured else ""
    yield Need(what=f"request headers of {what}{others}", line=line.plain())
    if request["method"].upper() in _BODIES:
        yield Need(what=f"request body of {what}", line=line.plain())


def _rows(statements: Sequence[TraceSpan], line: _Line) -> Iterator[Need]:
    for span in statements:
        text, system = _statement(span), _attribute(span, "db.system.name", "db.system").lower()
        if system and system not in _RECORDED:
            how = (
                line.plain()
                if system == "redis"
                else f"a dump of the {system} tables: the recorder does not see {system}"
            )
            yield Need(what=f"reply of {system} to `{_short(text)}`", line=how)
            continue
        written = [_table(name) for name in _WRITTEN.findall(text)]
        for table in dict.fromkeys(_table(name) for name in _READ.findall(text)):
            if table not in written:
                yield Need(what=f"rows of table {table} read by `{_short(text)}`", line=line.rows())
        for table in dict.fromkeys(written):
            yield Need(what=f"rows of table {table} before `{_short(text)}`", line=line.rows())
        if not written and not _READ.search(text):
            yield Need(what=f"result of `{_short(text)}`", line=line.rows())


def _answers(calls: Sequence[TraceSpan], line: _Line) -> Iterator[Need]:
    for number, span in enumerate(calls, 1):
        yield Need(what=f"response of call {number}: {_called(span)}", line=line.plain())


def _rest(environment: Sequence[str], line: _Line) -> Iterator[Need]:
    if environment:
        names = ", ".join(f'"{name}"' for name in environment)
        text = line.having(f"environment=({names}{',' if len(environment) == 1 else ''})")
        yield Need(what=f"values of {', '.join(environment)}", line=text)
    yield Need(what="random draws (ids, tokens)", line=line.having("seed_random=True"))


def _called(span: TraceSpan) -> str:
    method = _attribute(span, "http.request.method", "http.method")
    url = split(_attribute(span, "url.full", "http.url"))
    host = url.netloc.rpartition("@")[2] or _attribute(span, "server.address", "net.peer.name", "peer.service")
    status = _attribute(span, "http.response.status_code", "http.status_code")
    came = status or _attribute(span, "error.type") or "no answer"
    return f"{method} {host}{url.path or _attribute(span, 'url.path')} -> {came}"


def _table(name: str) -> str:
    return re.sub(r"[\"`\[\]]", "", name)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]}…"
