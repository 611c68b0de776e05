"""Spark over the Parquet layout: tables of a catalog, or the files themselves."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors
from shadowlab.telemetry.larger.duck import EMPTY, PARTS, layout_columns
from shadowlab.telemetry.larger.engine import sql_file
from shadowlab.telemetry.larger.scope import Bounds

if TYPE_CHECKING:
    import pyarrow as pa

_SETTINGS: Final = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.shuffle.partitions": "16",
}


class Spark:
    """A session on a master; `database` names a catalog's tables, `parquet` a folder or URL that Spark reads."""

    dialect = "databricks"

    def __init__(self, master: str, *, database: str = "", parquet: str = "") -> None:
        try:
            from pyspark.sql import SparkSession
        except ImportError as exc:
            raise errors.UsageError(
                "spark:// needs pyspark and Java 17, which are not installed", hint="pip install 'shadowlab[spark]'"
            ) from exc
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder: Any = SparkSession.builder.master(master).appName("shadowlab")
        if master.startswith("local"):
            builder = builder.config("spark.driver.host", "127.0.0.1")
        for key, value in _SETTINGS.items():
            builder = builder.config(key, value)
        self.name = f"Spark at {master}"
        try:
            self._session: Any = builder.getOrCreate()
        except Exception as exc:  # py4j raises whatever the JVM did, a plain Exception among it
            raise errors.UsageError(
                f"{self.name} does not answer: {str(exc).splitlines()[0][:200]}",
                hint="spark://HOST:7077/DATABASE, or spark://local[2]?parquet=DIR; Java 17 must be there",
            ) from None
        self._session.sparkContext.setLogLevel("ERROR")
        logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)  # what fails is raised; it logs it whole
        self._prefix = "".join(f"`{part.replace('`', '``')}`." for part in database.split(".")) if database else ""
        if parquet:
            self._show(parquet)

    def _show(self, parquet: str) -> None:
        from sqlglot import transpile

        self._prefix = "shadowlab_"
        for part in PARTS:
            try:
                self._session.read.parquet(f"{parquet.rstrip('/')}/{part}").createOrReplaceTempView(f"shadowlab_{part}")
            except Exception as exc:  # py4j again; a layout without logs is fine, one without spans is not
                if part == "spans":
                    raise errors.UsageError(
                        f"{parquet} holds no spans that Spark can read", hint="docs/scale.md shows the layout"
                    ) from exc
                empty = transpile(EMPTY[part], read="duckdb", write=self.dialect)[0]
                self._session.sql(empty).createOrReplaceTempView(f"shadowlab_{part}")

    def mapping(self) -> str:
        """The sections of `sql/spark.sql`."""
        return sql_file("spark").replace("{database}", self._prefix)

    def columns(self) -> Mapping[str, Bounds]:
        """Bounds on times and days."""
        return layout_columns("databricks", self._prefix, by_day=True)

    def run(self, statement: str) -> pa.Table:
        """Raises `QueryError`."""
        try:
            table: pa.Table = self._session.sql(statement).toArrow()
        except Exception as exc:  # py4j's errors have no common parent but this
            raise errors.QueryError(
                f"{self.name} cannot answer: {str(exc).splitlines()[0][:300]}", hint="docs/scale.md shows the layout"
            ) from None
        return table

    def close(self) -> None:
        """End the session."""
        self._session.stop()
