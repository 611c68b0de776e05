"""Stage a file of OTLP/JSON lines: with DuckDB's typed reader where it can, line by line where it must."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shadowlab.telemetry.connection import is_the_machines, quoted, statements
from shadowlab.telemetry.readers import dialects, keys, resources
from shadowlab.telemetry.readers.base import HEAD, LONGEST, Faults

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_KV: Final = (
    "STRUCT(key VARCHAR, value STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR, "
    "bytesValue VARCHAR, arrayValue JSON, kvlistValue JSON))[]"
)
_USUAL: Final = (
    "STRUCT(key VARCHAR, value STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue DOUBLE, boolValue VARCHAR))[]"
)
"""The kinds of value that nearly every attribute has: each kind is a column, which is empty but for its own values."""
_ANY: Final = _KV.removeprefix("STRUCT(key VARCHAR, value ").removesuffix(")[]")
_RESOURCE: Final = f"resource STRUCT(attributes {_KV}, droppedAttributesCount VARCHAR), schemaUrl VARCHAR"
_SCOPE: Final = (
    f"scope STRUCT(name VARCHAR, version VARCHAR, attributes {_KV}, droppedAttributesCount VARCHAR), schemaUrl VARCHAR"
)
_SPAN: Final = f"""STRUCT(traceId VARCHAR, spanId VARCHAR, parentSpanId VARCHAR, traceState VARCHAR, flags VARCHAR,
    name VARCHAR, kind VARCHAR, startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, attributes {{own}},
    events STRUCT(timeUnixNano VARCHAR, name VARCHAR, attributes {_KV}, droppedAttributesCount VARCHAR)[],
    links STRUCT(traceId VARCHAR, spanId VARCHAR, traceState VARCHAR, flags VARCHAR, attributes {_KV},
                 droppedAttributesCount VARCHAR)[],
    status STRUCT(message VARCHAR, code VARCHAR), droppedAttributesCount VARCHAR, droppedEventsCount VARCHAR,
    droppedLinksCount VARCHAR)"""
_LOG: Final = f"""STRUCT(timeUnixNano VARCHAR, observedTimeUnixNano VARCHAR, severityNumber VARCHAR,
    severityText VARCHAR, body {_ANY}, attributes {{own}}, traceId VARCHAR, spanId VARCHAR, flags VARCHAR,
    eventName VARCHAR, droppedAttributesCount VARCHAR)"""
_BUCKETS: Final = 'STRUCT("offset" VARCHAR, bucketCounts VARCHAR[])'
_POINT: Final = f"""STRUCT(attributes {_KV}, startTimeUnixNano VARCHAR, timeUnixNano VARCHAR, asDouble VARCHAR,
    asInt VARCHAR, "count" VARCHAR, "sum" VARCHAR, "min" VARCHAR, "max" VARCHAR, bucketCounts VARCHAR[],
    explicitBounds VARCHAR[], scale VARCHAR, zeroCount VARCHAR, zeroThreshold VARCHAR, positive {_BUCKETS},
    negative {_BUCKETS}, quantileValues STRUCT(quantile VARCHAR, "value" VARCHAR)[], flags VARCHAR,
    exemplars STRUCT(timeUnixNano VARCHAR, asDouble VARCHAR, asInt VARCHAR, traceId VARCHAR, spanId VARCHAR,
                     filteredAttributes {_KV})[])[]"""
_METRIC: Final = f"""STRUCT(name VARCHAR, description VARCHAR, unit VARCHAR, metadata {_KV},
    gauge STRUCT(dataPoints {_POINT}),
    sum STRUCT(dataPoints {_POINT}, aggregationTemporality VARCHAR, isMonotonic VARCHAR),
    histogram STRUCT(dataPoints {_POINT}, aggregationTemporality VARCHAR),
    exponentialHistogram STRUCT(dataPoints {_POINT}, aggregationTemporality VARCHAR),
    summary STRUCT(dataPoints {_POINT}))"""
_OUTLINE: Final = {
    name: f"STRUCT({_RESOURCE}, {scopes} STRUCT({_SCOPE})[], {old} JSON)[]"
    for name, (scopes, old, _) in dialects.SIGNALS.items()
}  # fmt: skip
_BLOCKS: Final = {
    "resourceSpans": f"{_RESOURCE}, scopeSpans STRUCT({_SCOPE}, spans {_SPAN}[])[]",
    "resourceLogs": f"{_RESOURCE}, scopeLogs STRUCT({_SCOPE}, logRecords {_LOG}[])[]",
    "resourceMetrics": f"{_RESOURCE}, scopeMetrics STRUCT({_SCOPE}, metrics {_METRIC}[])[]",
}
"""What is under each signal; `{own}` stands for the attributes of its records."""
_STATEMENTS: Final = {
    "resourceSpans": ("json_spans", "stage_spans"),
    "resourceLogs": ("json_logs", "stage_logs"),
    "resourceMetrics": ("json_metrics", "stage_metric_points"),
}
_LIMITS: Final = (2 << 20, 16 << 20, LONGEST)
"""Bytes of a line, tried in turn: DuckDB reads in pieces of twice as many, and each of its threads takes whole ones."""
_TOO_LONG: Final = "maximum_object_size"
"""What DuckDB speaks of where a line is longer than its limit."""
_FIRST: Final = re.compile(rb'"(resourceSpans|resourceLogs)"\s*:')


@dataclass(frozen=True, slots=True)
class JsonLines:
    """OTLP/JSON, a request a line; positions count lines from `first_line`."""

    path: Path
    faults: Faults
    spool: Path
    first_line: int = 1
    word: str = "line"

    @property
    def position(self) -> str:
        """As `Portion.position`."""
        return f"from {self.word} {self.first_line}"

    def stage(self, con: DuckDBPyConnection) -> int:
        """As `Portion.stage`; lines and records that cannot be kept go to `faults`."""
        import duckdb

        for limit in _LIMITS:
            con.execute("BEGIN")
            try:
                if found := _at_once(con, self.path, limit):
                    con.execute("COMMIT")
                    return found
                con.execute("ROLLBACK; BEGIN")
                if found := _fast(con, self.path, limit):
                    con.execute("COMMIT")
                    return found
                con.execute("ROLLBACK")
                break
            except duckdb.Error as exc:
                con.execute("ROLLBACK")
                if is_the_machines(exc):
                    raise
                if _TOO_LONG not in str(exc):
                    break
        clean = self.spool / f"clean-{self.first_line}.jsonl"
        try:
            return _fast(con, clean, LONGEST, strict=False) if self._sift(clean) else 0
        finally:
            clean.unlink(missing_ok=True)

    def _sift(self, clean: Path) -> int:
        kept = 0
        with self.path.open("rb") as told, clean.open("wb") as out:
            for number, line in enumerate(told, self.first_line):
                if not line.strip():
                    continue
                for request in self._requests(line, number):
                    out.write(_written(request))
                    kept += 1
        return kept

    def _requests(self, line: bytes, number: int) -> list[dict[str, Any]]:
        def fault(position: str, reason: str) -> None:
            self.faults.add(f"{self.word} {number}{position and ', '}{position}", reason)

        if len(line) > LONGEST:
            fault("", f"longer than {LONGEST >> 20} MiB")
            return []
        try:
            told = json.loads(line, parse_constant=str)  # some write NaN, which is no JSON
            return list(dialects.requests(told, fault))
        except RecursionError:
            fault("", "nested too deeply")
        except ValueError as exc:
            fault("", f"not JSON: {exc}")
        return []


def _written(request: dict[str, Any]) -> bytes:
    """A line; half a surrogate pair, which no encoding has and DuckDB refuses, becomes a question mark."""
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _at_once(con: DuckDBPyConnection, path: Path, limit: int) -> int:
    """Stage in one pass the spans or logs of a file that holds nothing else; 0 when it is not as plain as that.

    Of their attributes' values only the usual kinds are read, until the connection meets one that is of none of them.
    """
    import duckdb

    usual = not con.execute("SELECT coalesce(getvariable('every_kind'), false)").fetchall()[0][0]
    try:
        found = _in_one_pass(con, path, limit, usual=usual)
    except duckdb.Error as exc:
        if not usual or is_the_machines(exc) or _TOO_LONG in str(exc):
            raise
        found = None
    if found is None:
        con.execute("ROLLBACK; SET VARIABLE every_kind = true; BEGIN")
        found = _in_one_pass(con, path, limit, usual=False)
    return found or 0


def _in_one_pass(con: DuckDBPyConnection, path: Path, limit: int, *, usual: bool) -> int | None:
    """As `_at_once`; None when a value is of none of the `usual` kinds, where these alone are read."""
    with path.open("rb") as told:
        found = _FIRST.search(told.read(HEAD))
    if not found:
        return 0
    signal = found[1].decode()
    statement, stage = _STATEMENTS[signal]
    others = [name for name in _BLOCKS if name != signal]
    old = dialects.SIGNALS[signal][1]
    block = _block(signal, _USUAL if usual else _KV)
    columns = {signal: f"STRUCT({block}, {old} JSON)[]"} | dict.fromkeys(others, "JSON")
    strange = " OR ".join(f"{name} IS NOT NULL" for name in others)
    dated = f"coalesce(len(list_filter({signal}, lambda r: r.{old} IS NOT NULL)) > 0, false)"
    before = last_row(con, stage)
    resources.remind(con)
    keys.remind(con)
    con.execute(staging(statement, _source(path, columns, limit), strange=f"{strange} OR {dated}", usual=usual))
    staged, odd, of_no_kind = con.execute(
        f"SELECT count(*), count_if(odd), count_if(contains(types, 'n')) FROM {stage} WHERE rowid > {before}"
    ).fetchall()[0]
    if odd or (usual and of_no_kind):
        return 0 if odd else None
    resources.keep(con, stage, before)
    keys.keep(con, stage, before)
    return int(staged)


def _fast(con: DuckDBPyConnection, path: Path, limit: int, *, strict: bool = True) -> int:
    """Stage with typed reads, a pass for each signal; 0 when there is something that only `_sift` can tell apart."""
    outline = _source(path, _OUTLINE, limit)
    seen = ", ".join(f"count({name})" for name in _OUTLINE)
    none = " AND ".join(f"{name} IS NULL" for name in _OUTLINE)
    old = " + ".join(
        f"coalesce(count_if(len(list_filter({name}, lambda r: r.{old} IS NOT NULL)) > 0), 0)"
        for name, (_, old, _) in dialects.SIGNALS.items()
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE outline AS SELECT * FROM {outline}")
    total, *counts, foreign, dated = con.execute(
        f"SELECT count(*), {seen}, count_if({none}), {old} FROM outline"
    ).fetchall()[0]
    if strict and (foreign or dated):
        return 0
    before = {stage: last_row(con, stage) for _, stage in _STATEMENTS.values()}
    keys.remind(con)
    for name, requests in zip(_BLOCKS, counts, strict=True):
        if requests:
            source = _source(path, {name: f"STRUCT({_block(name, _KV)})[]"}, limit)
            con.execute(staging(_STATEMENTS[name][0], source, only="WHERE p IS NOT NULL"))
    if strict and any(odd_rows(con, stage, last) for stage, last in before.items()):
        return 0
    con.execute(statements("json_resources").replace("{source}", "outline"))
    for stage, last in before.items():
        keys.keep(con, stage, last)
    return int(total)


def staging(statement: str, source: str, *, strange: str = "false", only: str = "", usual: bool = False) -> str:
    """The script `statement` over a source of requests; `strange` marks requests whose rows are odd.

    The values of the records' attributes are of the `usual` kinds alone, or of any.
    """
    script = statements(statement).replace("{source}", source)
    for what in ("shape", "vals", "types") if usual else ():
        script = script.replace(f"json_{what}(", f"usual_{what}(")
    return script.replace("{strange}", strange).replace("{only}", only)


def last_row(con: DuckDBPyConnection, stage: str) -> int:
    return int(con.execute(f"SELECT coalesce(max(rowid), -1) FROM {stage}").fetchall()[0][0])


def odd_rows(con: DuckDBPyConnection, stage: str, last: int) -> int:
    return int(con.execute(f"SELECT count(*) FROM {stage} WHERE odd AND rowid > {last}").fetchall()[0][0])


def _block(signal: str, own: str) -> str:
    """What is under a signal, where the attributes of its records are read as `own`."""
    return _BLOCKS[signal].replace("{own}", own)


def _source(path: Path, columns: dict[str, str], limit: int) -> str:
    kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    return (
        f"read_json({quoted(str(path))}, format='newline_delimited', records=true, compression='none', "
        f"maximum_object_size={limit}, columns={{{kinds}}})"
    )
