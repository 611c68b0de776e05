"""A case's telemetry as Parquet, partitioned by day and service: the layout that every engine here reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection
from shadowlab.telemetry.larger.duck import PARTS
from shadowlab.telemetry.store import store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Progress = Callable[[str, int, int], None]
_DAY: Final = "strftime(make_timestamp_ns({time}), '%Y-%m-%d') AS day"
_TEXT: Final = {
    "spans": "SELECT *, {day} FROM spans ORDER BY day, service, start_ns",
    "events": "SELECT *, {day} FROM events ORDER BY day, service, at_ns",
    "links": "SELECT l.*, s.service, s.start_ns, {day} FROM links l "
    "JOIN spans s ON s.trace_id = l.trace_id AND s.span_id = l.span_id ORDER BY day, service, start_ns",
    "logs": "SELECT *, {day} FROM logs ORDER BY day, service, at_ns",
    "metric_points": "SELECT *, {day} FROM metric_points ORDER BY day, service, name, at_ns",
}
_TIME: Final = {"spans": "start_ns", "links": "s.start_ns"}
_ROWS_A_BATCH: Final = 100_000


def export(case: Case, folder: Path, *, progress: Progress | None = None) -> tuple[Path, ...]:
    """Write `folder/PART/day=YYYY-MM-DD/service=NAME/*.parquet` (zstd, sorted by time); gives the files.

    Rows without a time are left out. Written beside and renamed: `folder` must not be there. Raises `UsageError`.
    """
    if folder.exists():
        raise errors.UsageError(f"{folder} is there already", hint="name a new folder; an export is not mixed into one")
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with store(case) as opened:
            opened.views.make_all()
            for done, part in enumerate(PARTS):
                if progress:
                    progress("export", done, len(PARTS))
                _write(opened.con, part, beside / part)
        beside.mkdir(parents=True, exist_ok=True)
        beside.rename(folder)
    except OSError as exc:
        raise errors.UsageError(f"{folder} cannot be written: {exc.strerror}", hint="name another folder") from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if progress:
        progress("export", len(PARTS), len(PARTS))
    return tuple(sorted(folder.rglob("*.parquet")))


def _write(con: DuckDBPyConnection, part: str, place: Path) -> None:
    import pyarrow as pa
    import pyarrow.dataset as ds

    text = _TEXT[part].format(day=_DAY.format(time=_TIME.get(part, "at_ns")))
    with connection.closing(con.cursor()) as cursor:
        reader = cursor.sql(f"SELECT * FROM ({text}) WHERE day IS NOT NULL").to_arrow_reader(_ROWS_A_BATCH)
        options = ds.ParquetFileFormat().make_write_options(compression="zstd")
        ds.write_dataset(
            reader,
            place,
            format="parquet",
            file_options=options,
            partitioning=ds.partitioning(pa.schema([("day", pa.string()), ("service", pa.string())]), flavor="hive"),
            max_rows_per_group=_ROWS_A_BATCH,
        )
        reader.close()
