"""Rows of some segments into a new one: all of them when segments are merged, an incident's when one is cut out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry.segment import rows_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ORDER: Final = {
    "spans": "start_ns, row_id", "events": "at_ns, row_id", "links": "trace_id, row_id", "logs": "at_ns, row_id",
    "metric_points": "name, at_ns, row_id",
}  # fmt: skip
_OF_A_RESOURCE: Final = ("spans", "logs", "metric_points")


def copy_rows(con: DuckDBPyConnection, names: Sequence[str], only: Mapping[str, str] | None = None) -> dict[str, int]:
    """Fill the attached, empty `segment` from attached segments `names`; gives the rows of each part.

    `only` says which rows of a part are wanted, as a SQL condition; a part that it leaves out is copied whole.
    Resources come along, each once.
    """
    _copy_resources(con, names)
    told = {}
    for part, order in _ORDER.items():
        rows = f"SELECT * FROM ({_all(part, names)}) WHERE {(only or {}).get(part, 'true')}"
        con.execute(f"INSERT INTO segment.{part} BY NAME {rows} ORDER BY {order}")
        told[part] = int(con.execute(f"SELECT count(*) FROM segment.{part}").fetchall()[0][0])
    return told


def _copy_resources(con: DuckDBPyConnection, names: Sequence[str]) -> None:
    """One row a resource; `moved` says which number it had in each segment."""
    told = (f"SELECT {n} AS source, * FROM ({rows_of('resources', name)})" for n, name in enumerate(names))
    union = " UNION ALL BY NAME ".join(told)
    con.execute(f"CREATE TEMP TABLE told AS {union}")
    con.execute(
        "INSERT INTO segment.resources BY NAME "
        "SELECT (row_number() OVER (ORDER BY resource_id) - 1)::INTEGER AS resource_ix, resource_id, "
        "any_value(attributes) AS attributes, any_value(attribute_types) AS attribute_types "
        "FROM told GROUP BY resource_id"
    )
    con.execute(
        "CREATE TEMP TABLE moved AS SELECT t.source, t.resource_ix AS before, r.resource_ix AS after "
        "FROM told t JOIN segment.resources r USING (resource_id)"
    )


def _all(part: str, names: Sequence[str]) -> str:
    if part not in _OF_A_RESOURCE:
        return " UNION ALL BY NAME ".join(f"SELECT * FROM {name}.{part}" for name in names)
    one = (
        f"SELECT p.* REPLACE (m.after AS resource_ix) FROM {name}.{part} p "
        f"LEFT JOIN moved m ON m.source = {n} AND m.before = p.resource_ix"
        for n, name in enumerate(names)
    )
    return " UNION ALL BY NAME ".join(one)
