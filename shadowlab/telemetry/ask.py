"""SQL from people: read-only, without files or network, with a time and a memory limit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors, interrupts
from shadowlab.case import Case
from shadowlab.telemetry import questions
from shadowlab.telemetry.growth import bounded
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.store import Store, store
from shadowlab.telemetry.views import VIEWS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY: Final = re.compile(r"([1-9][0-9]{0,6}(?:\.[0-9]+)?) ?([KMGT])(i?)B", re.IGNORECASE)
_READS: Final = ("SELECT", "EXPLAIN", "RELATION")
_LOCKED: Final = """
SET enable_external_access = false; SET disabled_filesystems = 'LocalFileSystem';
SET python_enable_replacements = false; SET allow_community_extensions = false;
SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET lock_configuration = true;
"""
_LOOK_S: Final = 0.1
Progress = Callable[[str, int, int], None]


def user_sql(
    case: Case,
    query: str,
    params: Mapping[str, Any] | Sequence[Any] = (),
    *,
    tables: Mapping[str, Any] | None = None,
    timeout_s: float = 60.0,
    memory: str = "2GB",
    progress: Progress | None = None,
) -> Rows:
    """Answer one question of a person over the views; `@name` is a question that ships with shadowlab.

    `tables` are DataFrames or Arrow tables that the query may name; the store's own views come first. `progress` hears
    of percent, now and then, of what takes longer than a moment; Ctrl-C stops the query. Raises `QueryError` for
    anything but one reading statement, for what touches files or the network, and when `timeout_s` seconds or `memory`
    run out.
    """
    text = named(query)
    size = _MEMORY.fullmatch(memory)
    if not timeout_s > 0:
        raise errors.UsageError(f"{timeout_s:g} s is no limit of time", hint="write it in seconds, such as 60")
    if not size:
        raise errors.UsageError(f"{memory!r} is no limit of memory", hint="write it as 500MB or 2GB")
    with interrupts.deferred() as stopped, store(case, memory=memory) as opened:
        for name, frame in (tables or {}).items():
            if name not in VIEWS:
                opened.con.register(name, frame)
        opened.con.execute(_LOCKED)
        _refuse_writes(opened.con, text)
        with bounded(_bytes(size)):
            return Rows(text, _answer(opened, text, params, timeout_s, memory, stopped, progress))


def _bytes(size: re.Match[str]) -> int:
    """As DuckDB reads it: `2GB` is 2,000,000,000 and `2GiB` 2,147,483,648."""
    number, unit, binary = size.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("KMGT".index(unit.upper()) + 1))


def named(query: str) -> str:
    """The text of a query: `@dominant_errors` names `queries/dominant_errors.sql`, anything else is itself.

    Raises `QueryError` when there is no query of that name.
    """
    if not query.lstrip().startswith("@"):
        return query
    name = query.strip()[1:]
    folder = resources.files("shadowlab.telemetry").joinpath("queries")
    names = sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
    if name not in names:
        told = ", ".join(f"@{known}" for known in (*names, *questions.named(0, 1, ())))
        raise errors.QueryError(f"no query is called @{name}", hint=f"there are: {told}")
    return folder.joinpath(f"{name}.sql").read_text()


def _refuse_writes(con: DuckDBPyConnection, text: str) -> None:
    import duckdb

    try:
        found = con.extract_statements(text)
    except duckdb.Error as exc:
        raise _query_error(exc) from exc
    if not found:
        raise errors.QueryError("nothing is asked", hint="`shadowlab sql CASE 'SHOW TABLES'` lists the views")
    if len(found) != 1:
        raise errors.QueryError(f"{len(found)} statements; one is answered at a time", hint="send them one by one")
    kind = _kind(found[0])
    if kind not in _READS:
        raise errors.QueryError(f"{kind} is not answered: a case's telemetry is read-only", hint="ask with SELECT")


def _kind(statement: Any) -> str:
    try:
        return str(statement.type.name)
    except ValueError:  # DuckDB has statements that its Python does not know, such as UPDATE EXTENSIONS
        return "such a statement"


def _answer(
    store: Store,
    text: str,
    params: Any,
    timeout_s: float,
    memory: str,
    stopped: Callable[[], bool],
    progress: Progress | None,
) -> Any:
    import duckdb

    deadline = time.monotonic() + timeout_s
    try:
        # DuckDB looks at no signal while it works: it works in a thread, and this one asks for Ctrl-C.
        with ThreadPoolExecutor(1, "shadowlab-query") as pool:
            return _watched(pool.submit(store.answer, store.con, text, params), store.con, deadline, stopped, progress)
    except duckdb.InterruptException as exc:
        raise errors.QueryError(
            f"the query took more than {timeout_s:g} s", hint="narrow it by time or service, or raise --timeout"
        ) from exc
    except (duckdb.OutOfMemoryException, MemoryError) as exc:
        raise errors.QueryError(
            f"the query needs more than {memory} of memory", hint="narrow it, or raise --memory"
        ) from exc
    except duckdb.Error as exc:
        raise _query_error(exc) from exc


def _watched(
    answer: Future[Any],
    con: DuckDBPyConnection,
    deadline: float,
    stopped: Callable[[], bool],
    progress: Progress | None,
) -> Any:
    """Wait for an answer, tell how far it is, and stop it at the deadline or when somebody interrupts."""
    told = False
    try:
        while not wait((answer,), _LOOK_S).done:
            if stopped():
                raise KeyboardInterrupt
            share = con.query_progress()
            if progress and 0 <= share < 100:
                progress("query, percent", int(share), 100)
                told = True
            if time.monotonic() > deadline:
                con.interrupt()
        return answer.result()
    except BaseException:
        while not answer.done():
            con.interrupt()
            wait((answer,), _LOOK_S)
        raise
    finally:
        if progress and told:
            progress("query, percent", 100, 100)


def _query_error(exc: Exception) -> errors.QueryError:
    reason = re.sub(r"\n+", "\n  ", str(exc).strip())
    return errors.QueryError(
        f"the query cannot run: {reason}", hint="`shadowlab sql CASE 'SHOW TABLES'` lists the views"
    )
