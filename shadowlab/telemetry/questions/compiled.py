"""What triage asks of a case, compiled for DuckDB: the text ships, and a test holds it to the expressions.

`python -m shadowlab.telemetry.questions > shadowlab/telemetry/questions/duckdb.sql` writes it anew.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry.questions import expressions

if TYPE_CHECKING:
    import ibis

_FIRST: Final = 7_000_000_000_000_000_000
"""Stands for the first parameter while an expression is compiled; the others follow. No stamp of a case is as late."""
_QUESTIONS: Final[Mapping[str, tuple[Callable[..., ibis.Table], tuple[str, ...]]]] = {
    "slots": (expressions.slots, ("end_ns", "step_ns", "since_ns", "until_ns")),
    "slots_of_services": (expressions.slots_of_services, ("end_ns", "step_ns", "since_ns", "until_ns")),
    "edges": (expressions.edges, ("since_ns", "until_ns")),
    "apart": (expressions.apart, ()),
    "failing_traces": (expressions.failing_traces, ()),
    "trace": (expressions.trace, ()),
}
_SECTION: Final = "-- question: "
_HEAD: Final = "-- Compiled from `expressions.py`; `python -m shadowlab.telemetry.questions` writes it.\n"
_NO_TABLES: Final[Mapping[str, str]] = MappingProxyType({})


def statement(question: str, tables: Mapping[str, str] = _NO_TABLES, /, **values: int) -> str:
    """The text of a question over `tables` (names to SELECTs; the rest are views), its parameters filled in.

    Whatever the SELECTs bind with `?` comes in the order of `tables`.
    """
    text = _shipped()[question]
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(int(value)))
    return opened({name: f"NOT MATERIALIZED ({query})" for name, query in tables.items()}, text)


def opened(tables: Mapping[str, str], text: str) -> str:
    """`text` with common table expressions in front of its own; `tables` maps names to what follows `AS`."""
    told = ",\n".join(f"{name} AS {query}" for name, query in tables.items())
    if not told:
        return text
    return f"WITH {told},\n{text.removeprefix('WITH ')}" if text.startswith("WITH ") else f"WITH {told}\n{text}"


def compiled() -> str:
    """What `duckdb.sql` holds. Needs ibis."""
    return _HEAD + "".join(f"{_SECTION}{name}\n{_text(name)}\n" for name in _QUESTIONS)


def _text(question: str) -> str:
    import ibis

    expression, parameters = _QUESTIONS[question]
    stands_for = {name: _FIRST + n for n, name in enumerate(parameters)}
    text = str(ibis.to_sql(expression(*stands_for.values()), dialect="duckdb")).strip()
    for name, number in stands_for.items():
        text = text.replace(str(number), f"{{{name}}}")
    return text


@functools.cache
def _shipped() -> Mapping[str, str]:
    told = resources.files("shadowlab.telemetry.questions").joinpath("duckdb.sql").read_text().split(_SECTION)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in told}
