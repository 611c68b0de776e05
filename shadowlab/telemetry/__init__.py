"""Take telemetry in, ask it in SQL: OTLP and friends in, DuckDB out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shadowlab.telemetry.ask import named, user_sql
from shadowlab.telemetry.contrast import contrast
from shadowlab.telemetry.fingerprints import known_fingerprints, set_fingerprints
from shadowlab.telemetry.ingest import ingest
from shadowlab.telemetry.reading import reading
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.store import Store, store
from shadowlab.telemetry.views import VIEWS

if TYPE_CHECKING:
    from shadowlab.telemetry.waterfall import Trace, TraceLog, TraceSpan, trace

__all__ = [
    "VIEWS", "Rows", "Store", "Trace", "TraceLog", "TraceSpan", "contrast", "ingest", "known_fingerprints",
    "named", "reading", "set_fingerprints", "store", "trace", "user_sql",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What shows one trace, imported when it is first asked for."""
    if name not in ("Trace", "TraceLog", "TraceSpan", "trace"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shadowlab.telemetry import waterfall

    return getattr(waterfall, name)
