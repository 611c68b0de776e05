"""`%sql` and `%%sql` in a notebook: questions to the case at hand, with the notebook's DataFrames as tables.

::

    %load_ext shadowlab
    %sql @dominant_errors

    %%sql slow <<
    SELECT http_route, quantile_cont(duration_ns, 0.95) / 1e6 AS p95_ms
    FROM spans WHERE kind = 'server' GROUP BY ALL

The answer is `Rows`: `.df()`, `.arrow()`, `.rows()`. The case is the newest `sl.open(...)` of the notebook, the one
called `inv` before others; `--case PATH` names another one. `--timeout SECONDS` and `--memory 4GB` raise the limits.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors
from shadowlab.investigation import Investigation

if TYPE_CHECKING:
    from shadowlab.telemetry import Rows

_NAMED: Final = re.compile(r"^\s*([A-Za-z_]\w*)\s*<<")
_OPTIONS: Final = ("--case", "--timeout", "--memory")


def load(ipython: Any) -> None:
    """Register the magics with a running IPython."""

    def sql(line: str, cell: str | None = None) -> Rows | None:
        return answer(ipython.user_ns, line, cell)

    ipython.register_magic_function(sql, magic_kind="line_cell", magic_name="sql")


def answer(namespace: dict[str, Any], line: str, cell: str | None = None) -> Rows | None:
    """Answer `%sql line`, or `%%sql line` over `cell`; with `name <<` the rows go into the notebook under that name.

    Raises `UsageError` when no case is open or an option is off, and `QueryError` as `Investigation.sql` does.
    """
    options, rest = _options(line)
    found = _NAMED.match(rest)
    query = rest[found.end() :] if found else rest
    if cell is not None:
        query = f"{query}\n{cell}"
    if not query.strip():
        raise errors.UsageError("no question", hint="`%sql SELECT ...`, or `%%sql` with the question below it")
    inv = _investigation(namespace, options.get("--case"))
    tables = _frames(namespace, query)
    rows = inv.sql(
        query, tables=tables, timeout=_seconds(options.get("--timeout", "60")), memory=options.get("--memory", "2GB")
    )
    if not found:
        return rows
    namespace[found[1]] = rows
    return None


def _options(line: str) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    rest = line.lstrip()
    while rest.startswith("--") and not rest.startswith("-- "):
        name, _, rest = rest.partition(" ")
        if name not in _OPTIONS:
            raise errors.UsageError(f"%sql has no option {name}", hint=f"it has {', '.join(_OPTIONS)}")
        rest = rest.lstrip()
        quoted = re.match(r"""'[^']*'|"[^"]*"|\S+""", rest)
        if quoted is None:
            raise errors.UsageError(f"{name} needs a value")
        options[name], rest = shlex.split(quoted[0])[0], rest[quoted.end() :].lstrip()
    return options, rest


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise errors.UsageError(f"--timeout {text!r} is no number of seconds") from None


def _investigation(namespace: Mapping[str, Any], path: str | None) -> Investigation:
    if path is not None:
        import shadowlab

        return shadowlab.open(path, create=False)
    if isinstance(inv := namespace.get("inv"), Investigation):
        return inv
    opened = [value for value in namespace.values() if isinstance(value, Investigation)]
    if not opened:
        raise errors.UsageError("no case is open in this notebook", hint="`inv = sl.open(PATH)`, or `%sql --case PATH`")
    return opened[-1]


def _frames(namespace: Mapping[str, Any], query: str) -> dict[str, Any]:
    """What the notebook has under a name that the query speaks of, when it is a table."""
    words = set(re.findall(r"[A-Za-z_]\w*", query))
    found = {name: _table(namespace[name]) for name in words if name in namespace and not name.startswith("_")}
    return {name: table for name, table in found.items() if table is not None}


def _table(value: Any) -> Any:
    kind = f"{type(value).__module__.split('.')[0]}.{type(value).__qualname__}"
    match kind:
        case "pandas.DataFrame" | "pyarrow.Table" | "pyarrow.RecordBatch" | "polars.DataFrame":
            return value
        case "shadowlab.Rows":
            return value.arrow()
        case _:
            return None
