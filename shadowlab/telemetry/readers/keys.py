"""Records of one kind carry the same keys in one order, with values of the same types: this is their shape.

Keys and types are staged once for each shape, not with every record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST: Final = 64
"""How many shapes are remembered: each record is compared with all of them."""


def prepare(con: DuckDBPyConnection) -> None:
    """Teach a connection and its cursors `is_known_shape(shape)`, by which staging leaves out what `keep` remembers."""
    con.execute(
        "CREATE MACRO is_known_shape(shape) AS coalesce(list_position(getvariable('known_shapes'), shape), 0) > 0"
    )


def remember(con: DuckDBPyConnection) -> None:
    """Let a connection that stages remember shapes of its own."""
    con.execute("CREATE TEMP TABLE known_shapes(shape UBIGINT, keys VARCHAR[], types VARCHAR)")
    remind(con)


def remind(con: DuckDBPyConnection) -> None:
    """Tell `is_known_shape` which shapes are remembered: call it before a statement that stages."""
    con.execute("SET VARIABLE known_shapes = (SELECT list(shape) FROM known_shapes)")


def keep(con: DuckDBPyConnection, stage: str, before: int) -> None:
    """Remember the commonest shapes of the rows of `stage` behind the row `before`, and stage all that are known.

    Only a row whose shape was not known has keys and types of its own.
    """
    con.execute(
        f"INSERT INTO known_shapes SELECT shape, any_value(keys), any_value(types) FROM {stage} WHERE rowid > {before} "
        "AND keys IS NOT NULL AND shape NOT IN (SELECT shape FROM known_shapes) GROUP BY shape "
        f"ORDER BY count(*) DESC LIMIT (SELECT {_MOST} - count(*) FROM known_shapes)"
    )
    con.execute("INSERT INTO stage_shapes FROM known_shapes")
