"""An incident's part of an archive, pulled into a case: whole traces, with their logs and metrics.

It goes through the same door as a file, so it is redacted, compared with what is there, and can be pulled twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shadowlab import errors, privacy
from shadowlab.scratch import Scratch
from shadowlab.telemetry import connection, segments
from shadowlab.telemetry.larger.engine import Engine, ask
from shadowlab.telemetry.larger.scope import Scope
from shadowlab.telemetry.questions import expressions

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

LIMIT: Final = 1_000_000
"""Spans that a slice may have unless a person says more."""
_PULLED: Final = ("spans", "events", "links", "logs", "metric_points")
KNOWN_BY: Final = {
    "spans": ("start_ns", "duration_ns", "trace_id", "span_id", "service", "name", "kind"),
    "logs": ("at_ns", "trace_id", "span_id", "service", "severity_number", "body"),
}
"""By which a record is known again that a case has from its own files, its time first: a store keeps less of it."""
_TEXT: Final = {"spans": "name", "logs": "body"}
"""Which of these a case may hold redacted, and the store whole."""
_LOOK_BACK_S: Final = (3600, 86_400, 30 * 86_400)
EVER: Final = Scope(0, 1 << 62)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Held:
    """What a case has already, and how it redacts what comes in."""

    tables: Mapping[str, pa.Table]
    """By the columns of `KNOWN_BY`."""
    policy: str | None
    key: bytes


@dataclass(frozen=True, slots=True)
class Slice:
    """What was pulled: files of OTLP/JSON that are there while the slice is open, and how much."""

    paths: tuple[Path, ...]
    spans: int
    bytes_moved: int
    """As Arrow tables, before they became files."""


def newest_ns(engine: Engine, now_ns: int) -> int:
    """Time of the archive's newest span: looked for near `now_ns` first, so that the archive is not read for it.

    Raises `UsageError` when it holds no spans.
    """
    near = tuple(Scope(now_ns - seconds * 1_000_000_000, now_ns + 1) for seconds in _LOOK_BACK_S)
    for scope in (*near, EVER):
        (found,) = ask(engine, expressions.extent(), ("spans",), scope).rows()
        if found["spans"]:
            return int(found["end_ns"])
    raise errors.UsageError(f"{engine.name} holds no spans", hint="is it the right database or folder?")


def size(engine: Engine, scope: Scope) -> int:
    """How many spans the traces have that `scope` touches."""
    (found,) = ask(engine, expressions.extent(), ("spans",), replace(scope, whole=True)).rows()
    return int(found["spans"])


@contextlib.contextmanager
def take_slice(
    engine: Engine,
    scope: Scope,
    folder: Path,
    *,
    limit: int = LIMIT,
    held: Held | None = None,
    progress: Progress | None = None,
) -> Iterator[Slice]:
    """Pull every trace that `scope` touches, whole, into files below `folder`; they go when the block ends.

    Records that are `held` already are left out.

    Raises `UsageError` when nothing is there, and when it would be more than `limit` spans: it is counted first.
    """
    whole = replace(scope, whole=True)
    spans = size(engine, scope)
    if not spans:
        raise errors.UsageError(
            f"{engine.name} has no spans of that", hint="`--window` and `--at` say when, `--service` and `--trace` what"
        )
    if spans > limit:
        raise errors.UsageError(
            f"the slice would be {spans:,} spans, more than {limit:,}",
            hint=f"narrow it with --service or --window, or say --limit {spans}",
        )
    with Scratch(segments.SLICE, folder) as scratch:
        pulled: dict[str, pa.Table] = {}
        for done, part in enumerate(_PULLED):
            if progress:
                progress("slice", done, len(_PULLED))
            pulled[part] = ask(engine, expressions.everything(part), (part,), whole).arrow()
        moved = sum(table.nbytes for table in pulled.values())
        paths = _written(pulled, held or Held({}, None, b""), scratch.path)
        if progress:
            progress("slice", len(_PULLED), len(_PULLED))
        yield Slice(paths, spans, moved)


def _written(pulled: Mapping[str, pa.Table], held: Held, folder: Path) -> tuple[Path, ...]:
    with connection.closing(connection.connect(spill=folder)) as con:
        new = {**pulled, **_unknown(con, pulled, held)}
        for part, table in new.items():
            con.register(part, table)
        con.execute(resources.files("shadowlab.telemetry.larger").joinpath("sql", "otlp.sql").read_text())
        return tuple(_copied(con, part, folder) for part in ("spans", "logs", "metric_points") if len(new[part]))


def _unknown(con: DuckDBPyConnection, pulled: Mapping[str, pa.Table], held: Held) -> dict[str, pa.Table]:
    con.execute(privacy.macros(held.policy))
    for name, value in privacy.key_variables(held.key).items():
        con.execute(f"SET VARIABLE {name} = $value", {"value": value})
    return {part: _without(con, part, pulled[part], table) for part, table in held.tables.items()}


def _without(con: DuckDBPyConnection, part: str, told: pa.Table, held: pa.Table) -> pa.Table:
    con.register("told", told)
    con.register("held", held)
    text = _TEXT[part]
    secret = con.sql(f"SELECT 1 FROM (SELECT DISTINCT {text} AS v FROM told) WHERE has_secret(v) LIMIT 1").fetchall()

    def compared(column: str) -> str:
        return f"redacted_text({column})" if secret and column.endswith(f".{text}") else column

    same = (f"{compared(f'told.{name}')} IS NOT DISTINCT FROM {compared(f'held.{name}')}" for name in KNOWN_BY[part])
    return con.sql(f"FROM told ANTI JOIN held ON {' AND '.join(same)}").to_arrow_table()


def _copied(con: DuckDBPyConnection, part: str, folder: Path) -> Path:
    place = folder / f"{part}.jsonl"
    con.execute(f"COPY (SELECT * FROM otlp_{part}) TO {connection.quoted(str(place))} (FORMAT json)")
    return place
