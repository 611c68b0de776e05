"""BigQuery over the Parquet layout, loaded or as external tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shadowlab import errors
from shadowlab.telemetry.larger.duck import layout_columns
from shadowlab.telemetry.larger.engine import sql_file
from shadowlab.telemetry.larger.scope import Bounds

if TYPE_CHECKING:
    import pyarrow as pa


class BigQuery:
    """A dataset of a project; credentials are Google's own defaults (`gcloud auth application-default login`)."""

    dialect = "bigquery"

    def __init__(self, project: str, dataset: str) -> None:
        self._prefix = f"`{project.replace('`', '')}`.`{dataset.replace('`', '')}`."
        self.name = f"BigQuery's {project}.{dataset}"
        self._project = project
        self._client: Any = None

    def mapping(self) -> str:
        """The sections of `sql/bigquery.sql`."""
        return sql_file("bigquery").replace("{database}", self._prefix)

    def columns(self) -> Mapping[str, Bounds]:
        """Bounds on times and days."""
        return layout_columns("bigquery", self._prefix, by_day=True)

    def run(self, statement: str) -> pa.Table:
        """Raises `UsageError` without the client or credentials, `QueryError` with BigQuery's reason."""
        try:
            from google.api_core.exceptions import GoogleAPIError
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import bigquery
        except ImportError as exc:
            raise errors.UsageError(
                "bigquery:// needs google-cloud-bigquery, which is not installed",
                hint="pip install google-cloud-bigquery",
            ) from exc
        try:
            self._client = self._client or bigquery.Client(project=self._project)
            table: pa.Table = self._client.query_and_wait(statement).to_arrow()
        except GoogleAuthError:
            raise errors.UsageError(
                f"{self.name}: no credentials are there", hint="gcloud auth application-default login"
            ) from None
        except GoogleAPIError as exc:
            raise errors.QueryError(f"{self.name} cannot answer: {str(exc).splitlines()[0][:300]}") from None
        return table

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()
