"""Cut an incident out of a case that goes on receiving: whole traces, their logs and metrics."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Ingest
from shadowlab.telemetry import connection, segment, segments
from shadowlab.telemetry.copying import copy_rows
from shadowlab.telemetry.segments import Segment
from shadowlab.telemetry.store import attach_all, name_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def cut(
    case: Case, into: Case, *, start_ns: int, end_ns: int, services: Sequence[str] = ()
) -> tuple[Ingest, list[str]]:
    """Copy every trace of `case` that has a span of `services` (all, when empty) in the window into the case `into`.

    Logs and metric points are those of these traces and of these services in the window; rows stay as they are,
    redacted as they were. Gives what `into` gained, and the traces' ids. Raises `UsageError` when there is nothing.
    """
    import duckdb

    chosen = [one for one in segments.manifest(case).segments if one.kind == "telemetry"]
    with into.writing("cut"), tempfile.TemporaryDirectory(prefix=segments.CUT, dir=into.telemetry) as folder:
        beside, place = segments.new_path(into, "telemetry")
        with connection.closing(connection.connect(spill=Path(folder))) as con:
            attach_all(con, case.telemetry, chosen)
            names = [name_of(one) for one in chosen]
            traces = _wanted(con, names, start_ns, end_ns, services)
            segment.create(con, beside)
            try:
                rows = copy_rows(con, names, _conditions(start_ns, end_ns))
                segment.finish(con)
            except duckdb.Error as exc:
                raise errors.TelemetryError(f"cannot cut the incident out: {str(exc).splitlines()[0]}") from exc
        segments.put_in_place(beside, place)
        spans, logs, points = rows["spans"], rows["logs"], rows["metric_points"]
        made = Segment(file=place.name, spans=spans, logs=logs, metric_points=points)
        segments.publish(into, (*segments.manifest(into).segments, made))
    return Ingest(spans=spans, logs=logs, metric_points=points), traces


def _wanted(
    con: DuckDBPyConnection, names: Sequence[str], start_ns: int, end_ns: int, services: Sequence[str]
) -> list[str]:
    spans = " UNION ALL ".join(f"SELECT trace_id, service, start_ns FROM {name}.spans" for name in names)
    told = {"from": start_ns, "until": end_ns, "services": list(services)}
    if names:
        con.execute(
            f"CREATE TEMP TABLE wanted AS SELECT DISTINCT trace_id, service FROM ({spans}) "
            "WHERE start_ns >= $from AND start_ns < $until "
            "AND (len($services) = 0 OR list_contains($services, service))",
            told,
        )
    found = con.execute("SELECT DISTINCT trace_id FROM wanted ORDER BY ALL").fetchall() if names else []
    if not found:
        who = f"of {', '.join(services)} " if services else ""
        raise errors.UsageError(
            f"there are no spans {who}in that window", hint="is the service called so in its spans?"
        )
    return [str(row[0]) for row in found]


def _conditions(start_ns: int, end_ns: int) -> dict[str, str]:
    of_traces = "trace_id IN (SELECT trace_id FROM wanted)"
    around = f"at_ns >= {start_ns} AND at_ns < {end_ns} AND service IN (SELECT service FROM wanted)"
    return {
        "spans": of_traces, "events": of_traces, "links": of_traces,
        "logs": f"{of_traces} OR ({around})", "metric_points": around,
    }  # fmt: skip
