"""What every engine has in common: a mapping to `tables` in its own SQL, and a way to run one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Protocol

from shadowlab import errors
from shadowlab.telemetry import questions
from shadowlab.telemetry.larger.scope import Bounds, Scope
from shadowlab.telemetry.questions import Question
from shadowlab.telemetry.rows import Rows

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa


class Engine(Protocol):
    """An archive that is asked where it is. Read-only: it is sent one SELECT at a time."""

    dialect: str
    """As ibis and sqlglot call it."""
    name: str
    """For people: `ClickHouse at db.example:8123`; without credentials."""

    def mapping(self) -> str:
        """Common table expressions, a section `-- table: NAME` for each of `questions.tables.SCHEMAS` but `traits`."""

    def columns(self) -> Mapping[str, Bounds]:
        """How `{where_...}` of the mapping is filled: key is what follows `where_`."""

    def run(self, statement: str) -> pa.Table:
        """Send one statement. Raises `QueryError` without credentials in its message."""

    def close(self) -> None:
        """Let go of the engine."""


def answer(engine: Engine, question: Question, scope: Scope) -> Rows:
    """A question about the window, services or trace of `scope`. Raises `QueryError`."""
    return ask(engine, question.text(), question.reads, scope.reaching_back(question.back_ns))


def ask(engine: Engine, expression: ibis.Table, reads: Sequence[str], scope: Scope) -> Rows:
    """One question about one scope: compiled for the engine, answered there, in the types of the expression."""
    import pyarrow as pa

    statement = compiled(engine, expression, reads, scope)
    found = engine.run(statement)
    schema = pa.schema([(name, pa.type_for_alias(str(kind).lstrip("!"))) for name, kind in expression.schema().items()])
    return Rows(statement, found.select(schema.names).cast(schema))


def compiled(engine: Engine, expression: ibis.Table, reads: Sequence[str], scope: Scope) -> str:
    """The statement that an engine is sent."""
    ibis = wanted()
    sections = _sections(engine.mapping())
    filled = {f"where_{name}": columns.where(scope) for name, columns in engine.columns().items()}
    tables = {name: f"(\n{_filled(sections[name], filled)})" for name in reads}
    return questions.opened(tables, str(ibis.to_sql(expression, dialect=engine.dialect)).strip())


def literal(dialect: str, text: str) -> str:
    """`text` as a string literal of a dialect, whatever is in it."""
    from sqlglot import exp

    return exp.Literal.string(text).sql(dialect=dialect)


def sql_file(name: str) -> str:
    """A mapping that ships with shadowlab."""
    return resources.files("shadowlab.telemetry.larger").joinpath("sql", f"{name}.sql").read_text()


def wanted() -> Any:
    """ibis, or what to install."""
    try:
        import ibis
    except ImportError as exc:
        raise errors.UsageError(
            "larger engines need ibis-framework, which is not installed", hint="pip install 'shadowlab[stores]'"
        ) from exc
    return ibis


_SECTION: Final = "-- table: "


def _sections(mapping: str) -> dict[str, str]:
    parts = mapping.split(_SECTION)[1:]
    return {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() + "\n" for part in parts}


def _filled(section: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        section = section.replace(f"{{{name}}}", value)
    return section
