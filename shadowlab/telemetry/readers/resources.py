"""A resource comes with every request of its service: it is taken apart once, and known by its hash from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST: Final = 1000
"""How many are remembered; with more of them, all are forgotten and read again."""


def prepare(con: DuckDBPyConnection) -> None:
    """Teach a connection and its cursors `is_known(raw)`, by which staging leaves out what `keep` remembers."""
    # Not `list_contains`, which becomes a join that loses the order of the rows.
    con.execute("CREATE MACRO is_known(raw) AS coalesce(list_position(getvariable('known_resources'), raw), 0) > 0")


def remember(con: DuckDBPyConnection) -> None:
    """Let a connection that stages remember resources of its own."""
    con.execute("CREATE TEMP TABLE known_resources(raw UBIGINT, attributes STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[])")
    remind(con)


def remind(con: DuckDBPyConnection) -> None:
    """Tell `is_known` which resources are remembered: call it before a statement that stages."""
    con.execute(f"DELETE FROM known_resources WHERE (SELECT count(*) FROM known_resources) > {_MOST}")
    con.execute("SET VARIABLE known_resources = (SELECT list(raw) FROM known_resources)")


def keep(con: DuckDBPyConnection, stage: str, before: int) -> None:
    """Remember the resources that rows of `stage` behind the row `before` carry, and stage those that they lead to."""
    fresh = f"FROM {stage} WHERE rowid > {before}"
    con.execute(
        f"INSERT INTO known_resources SELECT raw, any_value(resource) {fresh} AND resource IS NOT NULL "
        "AND raw NOT IN (SELECT raw FROM known_resources) GROUP BY raw"
    )
    con.execute(f"INSERT INTO stage_resources FROM known_resources WHERE raw IN (SELECT raw {fresh})")
