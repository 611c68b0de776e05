"""The same questions on a larger engine, where the data is: Parquet, ClickHouse, Spark, BigQuery.

A question is one ibis expression over `questions.tables`; an engine maps its own tables to those, in its own SQL,
with the bounds of a `Scope` in them, so that partitions and indexes serve. Nothing is written there; `slices` pulls
an incident into a case.
"""

from shadowlab.telemetry.larger.connect import connect
from shadowlab.telemetry.larger.engine import Engine, answer
from shadowlab.telemetry.larger.export import export
from shadowlab.telemetry.larger.scope import Scope
from shadowlab.telemetry.larger.slices import LIMIT, Slice, take_slice

__all__ = ["LIMIT", "Engine", "Scope", "Slice", "answer", "connect", "export", "take_slice"]
