"""Put the rows that a recording holds of PostgreSQL back into a database."""

from __future__ import annotations

from typing import Any

from shadowlab.replay.state import Database


def put_back(driver: Any, connection: Any, database: Database, *, foreign: bool) -> None:
    """Make the touched tables, rows and sequences; foreign keys when `foreign`: not all rows that they name are known.

    Statements and values are hostile: `connection` may do no more than the service may. Raises what `driver` raises,
    ValueError for a sequence without a number.
    """
    for statement in database.schema:
        connection.execute(statement)
    for table, rows in database.rows.items():
        _put(driver, connection, table, rows)
    for sequence, last in database.sequences.items():
        connection.execute("SELECT setval(%s, %s, %s)", (sequence, max(int(last), 1), int(last) > 0))
    for statement in database.foreign_keys if foreign else ():
        connection.execute(statement)


def _put(driver: Any, connection: Any, table: str, rows: Any) -> None:
    """Insert rows; values are the text that PostgreSQL printed, columns that it computes are left to it."""
    name = driver.sql.Identifier(*table.split("."))
    computed = {
        column
        for (column,) in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attgenerated <> ''",
            (name.as_string(connection),),
        ).fetchall()
    }
    for row in rows:
        columns = [column for column in row if column not in computed]
        statement = driver.sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            name, driver.sql.SQL(", ").join(map(driver.sql.Identifier, columns)),
            driver.sql.SQL(", ").join(driver.sql.Placeholder() * len(columns)),
        )  # fmt: skip
        connection.execute(statement, [row[column] for column in columns])
