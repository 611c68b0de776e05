"""The answer to one question."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from shadowlab.records import Query, table

if TYPE_CHECKING:
    import pandas
    import pyarrow

_SHOWN = 30


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """Rows and the question they answer. Small parts show in a notebook; `.df()`, `.arrow()`, `.rows()` give all."""

    query: str
    table: pyarrow.Table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.table.column_names)

    def arrow(self) -> pyarrow.Table:
        """All rows as an Arrow table."""
        return self.table

    def df(self) -> pandas.DataFrame:
        """All rows as a pandas DataFrame."""
        frame: pandas.DataFrame = self.table.to_pandas(maps_as_pydicts="lossy")
        return frame

    def rows(self) -> list[dict[str, Any]]:
        """All rows as dictionaries; whole decimals are `int`, maps are `dict`, dates beyond Python's calendar words."""
        return [{name: _plain(value) for name, value in row.items()} for row in _dictionaries(self.table)]

    @property
    def digest(self) -> str:
        """SHA-256 over the question and every row in order."""
        return self.record.digest

    @property
    def record(self) -> Query:
        """The question as a record, for the report."""
        rows = msgspec.json.encode([self.columns, [list(row.values()) for row in self.rows()]], enc_hook=str)
        return Query(sql=self.query, rows_digest=hashlib.sha256(rows).hexdigest(), row_count=len(self))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"<Rows {len(self):,} x {len(self.columns)}: {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        shown: Sequence[Mapping[str, object]] = Rows(self.query, self.table.slice(0, _SHOWN)).rows()
        more = f"<p>{len(self) - _SHOWN:,} more rows are not shown.</p>" if len(self) > _SHOWN else ""
        return table(shown, caption=repr(self)) + more


def _dictionaries(table: pyarrow.Table) -> list[dict[str, Any]]:
    try:
        listed: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="lossy")
    except (OverflowError, ValueError):  # a date that DuckDB knows and Python does not: `DATE 'infinity'`
        columns = [[_or_words(value) for value in column] for column in table.columns]
        return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
    return listed


def _or_words(value: Any) -> Any:
    try:
        return value.as_py(maps_as_pydicts="lossy")
    except (OverflowError, ValueError):
        return "beyond the calendar"


def _plain(value: Any) -> Any:
    match value:
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value
