"""From a URL to an engine."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote

from shadowlab import errors
from shadowlab.telemetry.larger.engine import Engine, wanted

_URL: Final = re.compile(r"(?P<scheme>[a-z0-9+]+)://(?P<rest>[^?]*)(\?(?P<query>.*))?", re.DOTALL)
_HOST: Final = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^\s\[\]:/@]+)(?P<port>:[0-9]{1,5})?")
FORMS: Final = (
    "parquet:///DIR", "parquet+s3://BUCKET/PREFIX", "clickhouse://HOST:8123/DATABASE", "chdb:///DIR?database=NAME",
    "spark://HOST:7077/DATABASE", "spark://local[2]?parquet=DIR", "bigquery://PROJECT/DATASET",
)  # fmt: skip


def connect(url: str) -> Engine:
    """The engine that a URL names; see `FORMS`. Raises `UsageError`; its message never shows a password."""
    found = _URL.fullmatch(url)
    if not found or not url.isprintable():
        raise errors.UsageError("that is no telemetry URL", hint=f"one of {', '.join(FORMS)}")
    scheme, rest = found["scheme"], found["rest"]
    options = dict(parse_qsl(found["query"] or ""))
    wanted()
    if scheme == "parquet":
        from shadowlab.telemetry.larger.duck import of_parquet

        return of_parquet(unquote(rest))
    if scheme.startswith("parquet+"):
        from shadowlab.telemetry.larger.duck import of_parquet

        return of_parquet(f"{scheme.removeprefix('parquet+')}://{rest}")
    if scheme == "clickhouse":
        return _clickhouse(rest, options)
    if scheme == "chdb":
        from shadowlab.telemetry.larger.clickhouse import Chdb

        return Chdb(unquote(rest), options.get("database", "default"))
    if scheme == "spark":
        return _spark(rest, options)
    if scheme == "bigquery":
        return _bigquery(rest)
    raise errors.UsageError(f"{scheme}:// is no engine that shadowlab asks", hint=f"one of {', '.join(FORMS)}")


def _clickhouse(rest: str, options: dict[str, str]) -> Engine:
    from shadowlab.telemetry.larger.clickhouse import ClickHouse

    who, _, place = rest.rpartition("@")
    host, _, database = place.partition("/")
    user, _, password = who.partition(":")
    secure = options.get("secure", "") in ("1", "true")
    found = _HOST.fullmatch(host)
    if not found:
        raise errors.UsageError("the URL names no host", hint="clickhouse://HOST:8123/DATABASE")
    if not found["port"]:
        host = f"{host}:{8443 if secure else 8123}"
    return ClickHouse(
        host,
        database or "default",
        secure=secure,
        user=unquote(user) or None,
        password=unquote(password) or None,
    )


def _spark(rest: str, options: dict[str, str]) -> Engine:
    from shadowlab.telemetry.larger.spark import Spark

    host, _, database = rest.partition("/")
    master = host if host.startswith("local") else f"spark://{host}"
    if not host:
        raise errors.UsageError("the URL names no master", hint="spark://HOST:7077/DATABASE")
    return Spark(master, database=database.replace("/", "."), parquet=options.get("parquet", ""))


def _bigquery(rest: str) -> Engine:
    from shadowlab.telemetry.larger.bigquery import BigQuery

    project, _, dataset = rest.partition("/")
    if not project or not dataset:
        raise errors.UsageError("the URL names no project and dataset", hint="bigquery://PROJECT/DATASET")
    return BigQuery(project, dataset)
