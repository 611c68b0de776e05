"""Take telemetry in, ask it in SQL: OTLP and friends in, DuckDB out."""

from shadowlab.telemetry.ask import named, user_sql
from shadowlab.telemetry.fingerprints import set_fingerprints
from shadowlab.telemetry.ingest import ingest
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.store import VIEWS, Store, store
from shadowlab.telemetry.waterfall import Trace, TraceLog, TraceSpan, trace

__all__ = [
    "VIEWS", "Rows", "Store", "Trace", "TraceLog", "TraceSpan", "ingest", "named", "set_fingerprints", "store", "trace",
    "user_sql",
]  # fmt: skip
