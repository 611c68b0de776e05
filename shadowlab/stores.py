"""Larger stores: questions asked of them where they are, and an incident's slice pulled into a case."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shadowlab import errors, times
from shadowlab.case import Case
from shadowlab.intake import ingest
from shadowlab.progress import Progress
from shadowlab.records import Ingest

if TYPE_CHECKING:
    from shadowlab.telemetry import Rows
    from shadowlab.telemetry.larger import Engine, Scope
    from shadowlab.telemetry.larger.slices import Held

_BEFORE = 2
"""How many windows a triage pulls: the one that is looked at, and as much before it to compare with."""


def asked(
    case: Case,
    url: str | None,
    question: str,
    *,
    window: str | timedelta,
    at: str | datetime | None,
    service: str | None,
    trace: str | None,
) -> Rows:
    """Answer a question that ships with shadowlab (`@rates`, `@signatures` ...) where the data is.

    That is the case itself when there is no URL.

    Raises `UsageError` for an engine that is not there, and `QueryError`.
    """
    from shadowlab.telemetry import questions
    from shadowlab.telemetry.larger import answer, connect
    from shadowlab.telemetry.larger.duck import of_case

    name = question.strip().removeprefix("@")
    engine = connect(url) if url else of_case(case)
    try:
        scope = _scope(engine, window=times.window(window), at=at, services=_listed(service), trace=trace)
        known = questions.named(scope.start_ns, scope.end_ns, scope.services)
        if name not in known or not question.strip().startswith("@"):
            names = "; ".join(f"@{key}: {value.says}" for key, value in known.items())
            raise errors.QueryError(f"{engine.name} is asked questions that ship with shadowlab", hint=names)
        if (name == "contrast" and not service) or (name == "trace" and not trace):
            what = "--service NAME" if name == "contrast" else "--trace ID"
            raise errors.UsageError(f"@{name} needs {what}", hint=f"add {what}")
        return answer(engine, known[name], scope)
    finally:
        engine.close()


def pulled(
    case: Case,
    url: str,
    *,
    window: str | timedelta,
    at: str | datetime | None,
    services: Sequence[str] = (),
    trace: str | None = None,
    limit: int | None,
    redact: str | None,
    progress: Progress | None,
) -> tuple[Ingest, dict[str, object]]:
    """Pull whole traces with their logs and metrics into `case`; gives the record, and what the ledger says of it.

    Where no service is named and it would be more than `limit` spans, the one with the most errors is taken. Raises
    `UsageError` when nothing is there or that is more than `limit` spans too, and `TelemetryError` when a part of it
    cannot be read.
    """
    from shadowlab.telemetry.larger import LIMIT, connect, take_slice

    engine = connect(url)
    most = limit or LIMIT
    try:
        scope = _scope(engine, window=times.window(window), at=at, services=tuple(services), trace=trace)
        scope = _narrowed(engine, scope, most)
        held = _held(case, scope, redact)
        with take_slice(engine, scope, case.telemetry, limit=most, held=held, progress=progress) as part:
            done = Ingest(redaction=redact or "off")  # where the case has all of it
            if paths := [str(path) for path in part.paths]:
                done = ingest(case, paths, tape=None, redact=redact, progress=progress)
            if done.refused:
                raise errors.TelemetryError(
                    f"a part of what {engine.name} gave could not be read: {done.refused[0].reason}",
                    hint="the case holds the rest; take the slice into a new case rather than trust this one",
                )
            return done, {"engine": engine.name, **_told(scope), "bytes_moved": part.bytes_moved}
    finally:
        engine.close()


def _held(case: Case, scope: Scope, redact: str | None) -> Held | None:
    """What the case has already of what `scope` may touch, by what a record is known again by."""
    from shadowlab import telemetry
    from shadowlab.telemetry.larger.slices import KNOWN_BY, Held

    near = scope.widened()
    trace = f" AND trace_id = '{scope.trace_id}'" if scope.trace_id else ""
    with telemetry.store(case) as store:
        tables = {
            part: store.sql(
                f"SELECT {', '.join(columns)} FROM {part} "
                f"WHERE {columns[0]} BETWEEN {near.start_ns} AND {near.end_ns}{trace}"
            ).arrow()
            for part, columns in KNOWN_BY.items()
        }
    return Held(tables, redact, case.key("redaction")) if any(map(len, tables.values())) else None


def _narrowed(engine: Engine, scope: Scope, limit: int) -> Scope:
    """`scope`, or when it names nothing and is too large, the service in it that fails most."""
    from shadowlab.telemetry.larger.engine import ask
    from shadowlab.telemetry.larger.slices import size
    from shadowlab.telemetry.questions import expressions

    if scope.services or scope.trace_id or size(engine, scope) <= limit:
        return scope
    failing = ask(engine, expressions.signatures(), ("errors",), scope).rows()
    return replace(scope, services=(failing[0]["service"],)) if failing else scope


@contextlib.contextmanager
def connected(url: str | None) -> Iterator[Engine | None]:
    """The engine that a URL names, closed when the block ends; None for none. Raises `UsageError`."""
    if url is None:
        yield None
        return
    from shadowlab.telemetry.larger import connect

    engine = connect(url)
    try:
        yield engine
    finally:
        engine.close()


def window_of_triage(window: str | timedelta) -> timedelta:
    """How much a triage of `window` pulls."""
    return times.window(window) * _BEFORE


def _scope(
    engine: Engine, *, window: timedelta, at: str | datetime | None, services: tuple[str, ...], trace: str | None
) -> Scope:
    from shadowlab.telemetry.larger import Scope
    from shadowlab.telemetry.larger.slices import EVER, newest_ns

    if trace and at in (None, "last"):  # where in the archive it lies is what is asked
        return Scope(EVER.start_ns, EVER.end_ns, services, trace)
    moment = times.moment(at)
    end = newest_ns(engine, time.time_ns()) + 1 if moment is None else _ns(moment)
    return Scope(end - window // timedelta(microseconds=1) * 1000, end, services, trace)


def _ns(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _listed(service: str | None) -> tuple[str, ...]:
    return (service,) if service else ()


def _told(scope: Scope) -> dict[str, object]:
    span = {"from": _spoken(scope.start_ns), "until": _spoken(scope.end_ns)}
    return {**span, "services": list(scope.services), "trace": scope.trace_id}


def _spoken(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat()
