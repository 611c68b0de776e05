"""What PostgreSQL's catalog says about a table: enough to make it again, without its foreign keys."""

from __future__ import annotations

import json
from typing import Any

from shadowlab_recorder.database import Table

QUERY = """
SELECT c.oid::text, n.nspname, c.relname, c.relkind::text,
  (SELECT json_agg(json_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
            pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname)) ORDER BY a.attnum)
     FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text,
  (SELECT json_agg(json_build_array(k.contype::text, k.conname, pg_get_constraintdef(k.oid), k.conkey) ORDER BY k.oid)
     FROM pg_constraint k WHERE k.conrelid = c.oid)::text,
  (SELECT json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid) FROM pg_index i
    WHERE i.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid))::text,
  (SELECT json_agg(DISTINCT jsonb_build_array(format_type(t.oid, NULL),
            (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)))
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'e'
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text,
  EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = {}"""
"""One row about one table; a `str.format` puts in which: an oid, or `to_regclass(...)`."""


class Described(Table):
    """A table, with the names of its columns by their numbers, as results refer to them."""

    numbers: dict[int, str]
    oid: int
    unique: dict[str, tuple[str, ...]]
    """Columns of its primary key and unique constraints, by the constraint's name."""


def described(row: tuple[Any, ...]) -> Described | None:
    """The table of a row of `QUERY`; None for what is no table: a view, a catalog's own."""
    oid, schema, name, kind, columns_text, constraints_text, indexes_text, enums_text, triggers = row
    if kind not in ("r", "p") or schema in ("pg_catalog", "information_schema"):
        return None
    columns = json.loads(columns_text or "[]")
    constraints = json.loads(constraints_text or "[]")
    numbers = {number: column for number, column, *_ in columns}
    key = next((kept[3] for kept in constraints if kept[0] == "p"), None) or []
    full = f"{quoted(schema)}.{quoted(name)}"
    made = Described(
        name=f"{schema}.{name}",
        columns=tuple((column, kind) for _, column, kind, *_ in columns),
        key=tuple(numbers[number] for number in key),
        schema=tuple(_schema(schema, full, columns, constraints, json.loads(enums_text or "[]")))
        + tuple(json.loads(indexes_text or "[]")),
        foreign_keys=tuple(
            f"ALTER TABLE {full} ADD CONSTRAINT {quoted(k[1])} {k[2]}" for k in constraints if k[0] == "f"
        ),
        sequences=tuple((column[1], column[7]) for column in columns if column[7]),
        warning="its triggers are not kept" if triggers == "true" else "",
    )
    object.__setattr__(made, "numbers", numbers)
    object.__setattr__(made, "oid", int(oid))
    unique = {kept[1]: tuple(numbers[n] for n in kept[3]) for kept in constraints if kept[0] in ("p", "u")}
    object.__setattr__(made, "unique", unique)
    return made


def quoted(name: str) -> str:
    """An identifier as PostgreSQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _schema(schema: str, full: str, columns: list[Any], constraints: list[Any], enums: list[Any]) -> list[str]:
    made = [] if schema == "public" else [f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}"]
    for name, labels in enums:
        listed = ", ".join("'" + label.replace("'", "''") + "'" for label in labels or ())
        made.append(f"CREATE TYPE {name} AS ENUM ({listed})")
    made += [f"CREATE SEQUENCE {column[7]}" for column in columns if column[7] and not column[5]]
    lines = [_column(column) for column in columns]
    lines += [f"CONSTRAINT {quoted(k[1])} {k[2]}" for k in constraints if k[0] in ("p", "u", "c", "x")]
    return [*made, f"CREATE TABLE {full} (\n  " + ",\n  ".join(lines) + "\n)"]


def _column(column: list[Any]) -> str:
    _, name, kind, required, default, identity, generated, _ = column
    text = f"{quoted(name)} {kind}"
    if identity:
        text += f" GENERATED {'ALWAYS' if identity == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif generated:
        text += f" GENERATED ALWAYS AS ({default}) STORED"
    elif default is not None:
        text += f" DEFAULT {default}"
    return text + (" NOT NULL" if required else "")
