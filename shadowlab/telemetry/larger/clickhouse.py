"""ClickHouse over the tables of the collector's exporter: a server over HTTP, or a data folder in-process (chdb)."""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors
from shadowlab.telemetry.larger.engine import literal, sql_file
from shadowlab.telemetry.larger.scope import MARGIN_NS, Bounds, Columns, OfTraces

if TYPE_CHECKING:
    import pyarrow as pa

_SETTINGS: Final = {"readonly": "2", "default_format": "ArrowStream", "output_format_arrow_string_as_string": "1"}
"""`readonly` 2: reading statements alone, settings may be given."""
_TIMEOUT_S: Final = 300
USER, PASSWORD = "SHADOWLAB_CLICKHOUSE_USER", "SHADOWLAB_CLICKHOUSE_PASSWORD"


class _Exporter:
    """The mapping, whoever runs the statement."""

    dialect = "clickhouse"
    _database: str

    def mapping(self) -> str:
        """The sections of `sql/clickhouse.sql`, in the database."""
        return sql_file("clickhouse").replace("{database}", f"{self._database}.")

    def columns(self) -> Mapping[str, Bounds]:
        """Bounds that its primary key and partitions serve."""
        table = f"{self._database}.otel_"
        spans = Columns(f"{table}traces", _bounded("Timestamp"), _text, "ServiceName", "TraceId")
        return {
            "spans": spans,
            "events": Columns(f"{table}traces", _event_time, _text, "ServiceName", "TraceId", spans),
            "links": OfTraces(spans, "TraceId"),
            "logs": Columns(f"{table}logs", _bounded("Timestamp"), _text, "ServiceName", "TraceId", spans),
            "metrics": Columns(f"{table}metrics_sum", _bounded("TimeUnix"), _text, "ServiceName"),
        }


class ClickHouse(_Exporter):
    """A server's HTTP interface, by default on port 8123 (8443 with `?secure=1`)."""

    def __init__(self, host: str, database: str, *, secure: bool, user: str | None, password: str | None) -> None:
        self._address = f"{'https' if secure else 'http'}://{host}/"
        self._database = _identifier(database)
        self._headers = {
            "X-ClickHouse-User": user or os.environ.get(USER, "default"),
            "X-ClickHouse-Key": password or os.environ.get(PASSWORD, ""),
        }
        self.name = f"ClickHouse at {host}"

    def run(self, statement: str) -> pa.Table:
        """Raises `QueryError` with the server's reason, `UsageError` when it does not answer."""
        import pyarrow as pa

        request = urllib.request.Request(
            f"{self._address}?{urllib.parse.urlencode(_SETTINGS)}", statement.encode(), self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return pa.ipc.open_stream(answer.read()).read_all()
        except urllib.error.HTTPError as exc:
            reason = exc.read(2000).decode("utf-8", "replace")
            if exc.code in (401, 403) or "AUTHENTICATION_FAILED" in reason:
                raise errors.UsageError(
                    f"{self.name} refuses these credentials", hint=f"set {USER} and {PASSWORD}"
                ) from None
            raise errors.QueryError(f"{self.name} cannot answer: {_first(reason)}", hint=_HINT) from None
        except (OSError, pa.ArrowInvalid) as exc:
            raise errors.UsageError(
                f"{self.name} does not answer: {getattr(exc, 'reason', None) or exc}",
                hint="the address of its HTTP interface is wanted: clickhouse://HOST:8123/DATABASE",
            ) from None

    def close(self) -> None:
        """Nothing is held open."""


class Chdb(_Exporter):
    """A data folder of ClickHouse, read in this process. One folder a process: chdb allows no more."""

    def __init__(self, path: str, database: str) -> None:
        if not os.path.isdir(path):
            raise errors.UsageError(f"{path} is no folder", hint="chdb:///PATH?database=NAME names ClickHouse's data")
        try:
            from chdb import session
        except ImportError as exc:
            raise errors.UsageError(
                "chdb:// needs the package chdb, which is not installed", hint="pip install 'shadowlab[clickhouse]'"
            ) from exc
        self._database = _identifier(database)
        self._session: Any = session.Session(path)
        self.name = f"ClickHouse's data in {path}"

    def run(self, statement: str) -> pa.Table:
        """Raises `QueryError`."""
        import pyarrow as pa

        try:
            answer = self._session.query(
                f"{statement}\nSETTINGS output_format_arrow_string_as_string = 1", "ArrowStream"
            )
        except RuntimeError as exc:  # chdb's errors are plain ones
            raise errors.QueryError(f"{self.name} cannot answer: {_first(str(exc))}", hint=_HINT) from None
        return pa.ipc.open_stream(answer.bytes()).read_all()

    def close(self) -> None:
        """Let go of the folder."""
        self._session.close()


_HINT: Final = "the tables are those of the collector's ClickHouse exporter: otel_traces, otel_logs, otel_metrics_*"


def _first(reason: str) -> str:
    return reason.strip().splitlines()[0][:300] if reason.strip() else "no reason was given"


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(value: str) -> str:
    return literal("clickhouse", value)


def _bounded(column: str) -> Any:
    return lambda operator, ns: f"{column} {operator} fromUnixTimestamp64Nano({ns})"


def _event_time(operator: str, ns: int) -> str:
    """Of an event, with its span's time beside it: that is what the table is sorted by."""
    since = ns - MARGIN_NS if operator == ">=" else ns
    spans = f"Timestamp {operator} fromUnixTimestamp64Nano({since})"
    return f"EventTime {operator} fromUnixTimestamp64Nano({ns}) AND {spans}"
