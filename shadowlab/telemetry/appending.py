"""Move what is staged into the open segment: redacted, promoted, compared with what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry import shapes
from shadowlab.telemetry.connection import statements
from shadowlab.telemetry.looking import REDACTED_NAME, Staged
from shadowlab.telemetry.segment import ROW_GROUP, SIGNALS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TIME: Final = {"span": "start_ns", "log": "at_ns", "metric_point": "at_ns"}
_KEY: Final = {
    "span": "hash(span_id, start_ns)",
    "log": "hash(trace_id, span_id, at_ns, observed_ns)",
    "metric_point": "hash(name, at_ns, start_ns)",
}
"""What equal records share, of columns that redaction leaves alone."""
_MOST_RESOURCES: Final = 1000
"""How many are remembered; with more of them, all are forgotten and taken apart again."""
_DISORDER: Final = 1.25
"""How much of the time each row group may cover more than its share before rows are sorted."""


@dataclass(frozen=True, slots=True)
class Added:
    """What one portion added to a segment."""

    redacted: int
    rows: dict[str, int]


def prepare(con: DuckDBPyConnection) -> None:
    """Let a connection remember the resources that `append` took apart."""
    con.execute(
        "CREATE TEMP TABLE kept_resources"
        "(raw UBIGINT, resource_id UBIGINT, ra MAP(VARCHAR, VARCHAR), types VARCHAR, redacted BIGINT)"
    )


def append(con: DuckDBPyConnection, staged: Staged, known: Sequence[str]) -> Added:
    """Move what is staged into the attached `segment`, leaving out rows that it or the databases `known` hold.

    The temporary tables `span_left_out`, `log_left_out` and `metric_point_left_out` tell which rows were not new.
    """
    redacted = _redact_resources(con)
    con.execute(statements("append_resources"))
    added = dict.fromkeys(SIGNALS, 0)
    for signal, rows in staged.rows.items():
        con.execute(f"CREATE OR REPLACE TEMP TABLE {signal}_left_out(pos BIGINT)")
        if not rows:
            continue
        parts = staged.parts[signal]
        suspects = _suspects(con, signal, ("segment", *known))
        left_out = _leave_out(con, signal, parts, ("segment", *known)) if suspects else 0
        if left_out < rows:
            con.execute(_append_script(con, signal, parts, left_out))
            if signal == "span":
                con.execute(_nested_script(con, parts, left_out, alone=not suspects))
            redacted += _one(con, _count_script(signal, parts, left_out))
        added[signal] = rows - left_out
    return Added(redacted=redacted, rows=added)


def _redact_resources(con: DuckDBPyConnection) -> int:
    """Take apart the staged resources that are not remembered; gives how many of their values were replaced."""
    if not _one(con, "SELECT count(*) FROM stage_resources ANTI JOIN kept_resources USING (raw)"):
        return 0
    con.execute(f"DELETE FROM kept_resources WHERE (SELECT count(*) FROM kept_resources) > {_MOST_RESOURCES}")
    before = _one(con, "SELECT sum(redacted) FROM kept_resources")
    con.execute(statements("redact_resources"))
    return _one(con, "SELECT sum(redacted) FROM kept_resources") - before


def _suspects(con: DuckDBPyConnection, signal: str, known: Sequence[str]) -> int:
    """Find the rows that may be there already, or come again; gives their number."""
    key, during = _KEY[signal], _during(con, signal)
    stored = " UNION ALL ".join(f"SELECT {key} FROM {name}.{signal}s {during}" for name in known)
    told = {"signal": signal, "key": key, "stage": f"stage_{signal}s", "stored": stored}
    con.execute(_filled(statements("suspects"), told))
    return _one(con, f"SELECT count(*) FROM {signal}_suspects")


def _leave_out(con: DuckDBPyConnection, signal: str, parts: Mapping[str, str], known: Sequence[str]) -> int:
    """Find among the suspects the rows that are there already; gives their number."""
    stored = " UNION ALL ".join(f"SELECT row_id FROM {name}.{signal}s {_during(con, signal)}" for name in known)
    ready = _ready(signal, parts, f"s.rowid IN (SELECT pos FROM {signal}_suspects)")
    con.execute(_filled(statements("left_out"), {"signal": signal, "ready": ready, "stored": stored}))
    return _one(con, f"SELECT count(*) FROM {signal}_left_out")


def _during(con: DuckDBPyConnection, signal: str) -> str:
    """The time that the staged rows cover, as a condition that row groups can be left unread by."""
    time = _TIME[signal]
    asked = f"SELECT min({time}), max({time}), count(*) - count({time}) FROM stage_{signal}s"
    first, last, timeless = con.execute(asked).fetchall()[0]
    if first is None:
        return f"WHERE {time} IS NULL"
    return f"WHERE {time} BETWEEN {first} AND {last}" + (f" OR {time} IS NULL" if timeless else "")


def _append_script(con: DuckDBPyConnection, signal: str, parts: Mapping[str, str], left_out: int) -> str:
    order = f"ORDER BY {_TIME[signal]}" if _in_disorder(con, signal) else ""
    told = {"ready": _ready(signal, parts, *_new(signal, left_out)), "order": order}
    return _filled(statements(f"append_{signal}s"), told)


def _nested_script(con: DuckDBPyConnection, parts: Mapping[str, str], left_out: int, *, alone: bool) -> str:
    """What lies in the spans that were appended; `alone` when none shares its id and time with another."""
    if alone:
        told = {"during": _during(con, "span"), **parts}
        nested = _filled(statements("nested_of_segment"), told)
    else:
        nested = _ready("span", parts, "s.rowid IN (SELECT pos FROM few_spans)", *_new("span", left_out))
    return _filled(statements("append_nested"), {"nested": nested})


def _in_disorder(con: DuckDBPyConnection, signal: str) -> bool:
    """Whether sorting would spare a question about some minutes the reading of row groups."""
    time = _TIME[signal]
    asked = f"""SELECT sum(last - first), max(last) - min(first) FROM (
        SELECT min({time})::DOUBLE AS first, max({time})::DOUBLE AS last FROM stage_{signal}s
        GROUP BY rowid // {ROW_GROUP})"""
    covered, whole = con.execute(asked).fetchall()[0]
    return bool(whole and covered > _DISORDER * whole)


def _count_script(signal: str, parts: Mapping[str, str], left_out: int) -> str:
    new = _new(signal, left_out)
    hot = f"SELECT said, n FROM {signal}_redacted"
    if left_out:
        pairs = shapes.hot_pairs(signal, _where(*new))
        hot = f"SELECT said, count(*) AS n FROM ({pairs}) JOIN {signal}_redacted USING (k, v) GROUP BY said"
    told = {
        **parts,
        "hot": hot,
        "event_value": "a.v" if parts.get("events") == "events" else "redacted_value(a.k, a.v)",
        "name_of_event": REDACTED_NAME if REDACTED_NAME in parts.get("events", "") else "NULL",
        "link_value": "a.v" if parts.get("links") == "links" else "redacted_value(a.k, a.v)",
        "only": _where(*new),
        "only_events": _where("s.events IS NOT NULL", *new),
        "only_links": _where("s.links IS NOT NULL", *new),
    }
    return _filled(statements(f"count_{signal}s"), told)


def _new(signal: str, left_out: int) -> tuple[str, ...]:
    return (f"s.rowid NOT IN (SELECT pos FROM {signal}_left_out)",) if left_out else ()


def _ready(signal: str, parts: Mapping[str, str], *conditions: str) -> str:
    return _filled(statements(f"ready_{signal}s"), {**parts, "only": _where(*conditions)})


def _where(*conditions: str) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _filled(script: str, parts: Mapping[str, str]) -> str:
    for name, text in parts.items():
        script = script.replace(f"{{{name}}}", text)
    return script


def _one(con: DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0] or 0)
