"""Read as much of a SQL statement as is needed to know which rows it touches; what is beyond that is said to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<text>[eEbBxX]?'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`|\[[A-Za-z_][^\]]*\])
      | (?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<mark>%\([^)]*\)[sbt]|%[sbt]|\?\d*|(?<!:)[:@$][A-Za-z_]\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<other>::|%%|\d[\w.]*|.)""",
    re.VERBOSE | re.DOTALL,
)
_CLAUSES = {
    "where", "group", "having", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except",
    "window", "returning", "set", "values", "on", "using", "join", "left", "right", "inner", "outer", "full",
    "cross", "natural", "select", "default"
}  # fmt: skip
_ENDS = {"group", "having", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except", "window"}
_TRANSACTION = {"begin", "start", "commit", "rollback", "savepoint", "release", "end"}


@dataclass(slots=True)
class Token:
    """A word, mark or sign; `depth` counts the parentheses around it."""

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def name(self) -> str:
        """As an identifier: without its quotes, or in lower case."""
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text.lower()


@dataclass(slots=True)
class Query:
    """A further query that tells rows: its text, and the places of its parameters in the statement's."""

    text: str
    marks: tuple[int, ...]


@dataclass(slots=True)
class Parsed:
    """What one statement is about."""

    kind: str
    """`select`, `insert`, `update`, `delete`, `transaction` or `other`."""
    tables: list[tuple[str, str]] = field(default_factory=list)
    """Name (with its schema if it is written) and alias, in the order of the outermost FROM; of a write its target."""
    hidden: bool = False
    """Whether further tables are read inside of it: subqueries, common table expressions, set operations."""
    items: list[tuple[str, str] | None] = field(default_factory=list)
    """Of a select: alias (or empty) and column (`*` for all); None for an expression."""
    grouped: bool = False
    rows: Query | None = None
    """All columns of the rows that it is about to change."""
    whole: dict[str, Query] = field(default_factory=dict)
    """All columns of the rows that it reads, by the alias of their table."""
    by_key: dict[str, int] = field(default_factory=dict)
    """Columns that WHERE holds equal to a parameter, where it says nothing else."""
    columns: dict[str, int] = field(default_factory=dict)
    """Columns of a write and the parameters that go into them."""
    conflict: bool = False
    """Whether an insert may change a row that is there."""

    def key_marks(self, key: tuple[str, ...]) -> tuple[int, ...]:
        """The parameters that WHERE holds these columns equal to, if it names them and nothing else; else none."""
        named = self.by_key
        return tuple(map(named.__getitem__, key)) if named.keys() == set(key) else ()


@lru_cache(maxsize=2048)
def parsed(statement: str) -> Parsed:
    """What a statement is about, as far as it can be told without a parser of the whole language."""
    tokens = tokens_of(statement)
    first = tokens[0].text.lower() if tokens else ""
    nested = any(token.depth and token.text.lower() == "select" for token in tokens)
    match first:
        case "select":
            found = _select(statement, tokens)
        case "insert" | "replace":
            found = _insert(tokens)
        case "update":
            found = _changing(statement, tokens, "update")
        case "delete":
            found = _changing(statement, tokens, "delete")
        case "with":
            writes = [t.text.lower() for t in tokens if t.text.lower() in ("insert", "update", "delete")]
            found = Parsed(writes[0] if writes else "select")
        case _:
            found = Parsed("transaction" if first in _TRANSACTION else "other")
    found.hidden = found.hidden or nested or first == "with"
    return found


def tokens_of(statement: str) -> list[Token]:
    """The statement's tokens without spaces and comments."""
    made: list[Token] = []
    depth = 0
    for found in _TOKEN.finditer(statement):
        kind, text = found.lastgroup or "other", found[0]
        if found["dollar"]:
            kind = "text"
        depth -= text == ")"
        if kind != "space":
            made.append(Token(kind, text, found.start(), found.end(), depth))
        depth += text == "("
    while made and made[-1].text == ";":
        made.pop()
    return made


def arguments(parameters: Any, marks: Sequence[int]) -> Any:
    """Those of a statement's parameters that stand at these marks; named ones all stay."""
    if isinstance(parameters, Mapping) or parameters is None:
        return parameters
    return [parameters[n] for n in marks]


def argument(parameters: Any, mark: int, statement: str) -> Any:
    """The value that goes into the mark with this number; raises `LookupError` when there is none."""
    if not isinstance(parameters, Mapping):
        return parameters[mark]
    text = [token.text for token in tokens_of(statement) if token.kind == "mark"][mark]
    return parameters[text[2:-2] if text.startswith("%(") else text[1:]]


def _places(tokens: list[Token], words: set[str]) -> list[int]:
    return [
        n for n, token in enumerate(tokens) if not token.depth and token.kind == "word" and token.text.lower() in words
    ]


def _marks(tokens: list[Token], start: int, end: int) -> tuple[int, ...]:
    """The numbers of the marks between two offsets of the text."""
    marks = [token for token in tokens if token.kind == "mark"]
    return tuple(n for n, mark in enumerate(marks) if start <= mark.start < end)


def _select(statement: str, tokens: list[Token]) -> Parsed:
    found = Parsed("select")
    start = next(iter(_places(tokens, {"from"})), None)
    ends = [n for n in _places(tokens, _ENDS) if start is not None and n > start]
    found.hidden = bool(_places(tokens, {"union", "intersect", "except"}))
    found.grouped = bool(_places(tokens, {"group", "distinct"}))
    found.items = _items(tokens[1 : len(tokens) if start is None else start])
    if start is None:
        return found
    where = next(iter(_places(tokens, {"where"})), None)
    stop = where if where is not None else ends[0] if ends else len(tokens)
    found.tables, derived = _tables(tokens[start + 1 : stop])
    found.hidden = found.hidden or derived
    if not found.hidden:
        limit = [n for n in ends if tokens[n].text.lower() in ("limit", "order") and not found.grouped]
        keep_order = limit and all(item is not None for item in found.items)
        last = [n for n in ends if tokens[n].text.lower() == "for"] if keep_order else ends
        end = tokens[last[0]].start if last else tokens[-1].end
        marks = _marks(tokens, tokens[start].start, end)
        for table in found.tables:
            alias = _quoted_alias(tokens[start + 1 : stop], table)
            found.whole[table[1]] = Query(f"SELECT {alias}.* {statement[tokens[start].start : end]}", marks)
    return found


def _items(tokens: list[Token]) -> list[tuple[str, str] | None]:
    """The select list: `a.b`, `b`, `*`, `a.*`, each perhaps `AS c`; anything else is an expression."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == "," and not token.depth:
            parts.append([])
        elif not (token.kind == "word" and token.text.lower() in ("distinct", "all")):
            parts[-1].append(token)
    return [_item(part) for part in parts if part]


def _item(part: list[Token]) -> tuple[str, str] | None:
    if len(part) >= 3 and part[-2].text.lower() == "as":
        part = part[:-2]
    names = part[::2]
    if any(dot.text != "." for dot in part[1::2]) or len(part) % 2 == 0:
        return None
    if not all(name.kind in ("word", "quoted") or name.text == "*" for name in names):
        return None
    return (names[-2].name if len(names) > 1 else "", names[-1].name)


def _tables(tokens: list[Token]) -> tuple[list[tuple[str, str]], bool]:
    """Tables and aliases of a FROM, and whether there is a derived one among them."""
    found: list[tuple[str, str]] = []
    derived = False
    at = 0
    expected = True
    while at < len(tokens):
        token = tokens[at]
        if expected and not token.depth and token.text.lower() not in ("only", "lateral"):
            expected = False
            if token.kind not in ("word", "quoted"):
                derived = True
            else:
                name, alias, at = _named(tokens, at)
                found.append((name, alias))
                continue
        elif not token.depth and (token.text == "," or token.text.lower() == "join"):
            expected = True
        at += 1
    return found, derived


def _named(tokens: list[Token], at: int) -> tuple[str, str, int]:
    """`schema.name [AS] alias` from here on: name, alias, where it ends."""
    names = [tokens[at].name]
    at += 1
    while at + 1 < len(tokens) and tokens[at].text == ".":
        names.append(tokens[at + 1].name)
        at += 2
    if at < len(tokens) and tokens[at].text.lower() == "as":
        at += 1
    alias = names[-1]
    if at < len(tokens) and tokens[at].kind in ("word", "quoted") and tokens[at].text.lower() not in _CLAUSES:
        alias = tokens[at].name
        at += 1
    return ".".join(names), alias, at


def _quoted_alias(tokens: list[Token], table: tuple[str, str]) -> str:
    """The alias as the statement writes it."""
    return next((t.text for t in reversed(tokens) if t.kind in ("word", "quoted") and t.name == table[1]), table[1])


def _changing(statement: str, tokens: list[Token], kind: str) -> Parsed:
    """UPDATE and DELETE: the rows that WHERE names, before they change."""
    found = Parsed(kind)
    begin = 1 if kind == "update" else 2
    while begin < len(tokens) and tokens[begin].text.lower() in (
        "only",
        "or",
        "rollback",
        "abort",
        "replace",
        "fail",
        "ignore",
    ):
        begin += 1
    if begin >= len(tokens):
        return found
    name, alias, after = _named(tokens, begin)
    found.tables = [(name, alias)]
    written = statement[tokens[begin].start : tokens[after - 1].end]
    where = next(iter(_places(tokens, {"where"})), None)
    returning = next(iter(_places(tokens, {"returning", "order", "limit"})), None)
    end = tokens[returning].start if returning is not None else tokens[-1].end
    others = [n for n in _places(tokens, {"from", "using", "join"}) if n >= after]
    if others:
        found.hidden = True
        return found
    condition = "" if where is None else " " + statement[tokens[where].start : end]
    marks = () if where is None else _marks(tokens, tokens[where].start, end)
    found.rows = Query(f"SELECT * FROM {written}{condition}", marks)
    if where is not None:
        last = returning if returning is not None else len(tokens)
        found.by_key = _equalities(tokens, tokens[where + 1 : last])
    if kind == "update":
        assigned = next(iter(_places(tokens, {"set"})), after)
        found.columns = _assignments(tokens, assigned + 1, where if where is not None else len(tokens))
    return found


def _equalities(tokens: list[Token], condition: list[Token]) -> dict[str, int]:
    """`a = ? AND t.b = ?` as columns and numbers of marks; empty when there is anything else."""
    numbers = {mark.start: n for n, mark in enumerate(token for token in tokens if token.kind == "mark")}
    found: dict[str, int] = {}
    part: list[Token] = []
    for token in [*(t for t in condition if t.text not in "()"), Token("word", "and", 0, 0, 0)]:
        if token.text.lower() != "and":
            part.append(token)
            continue
        while part[-2:-1] and part[-2].text == "::":  # a cast to the parameter's type
            part = part[:-2]
        if len(part) < 3 or part[-1].kind != "mark" or part[-2].text != "=" or _item(part[:-2]) is None:
            return {}
        found[part[-3].name] = numbers[part[-1].start]
        part = []
    return found


def _assignments(tokens: list[Token], start: int, end: int) -> dict[str, int]:
    numbers = {mark.start: n for n, mark in enumerate(token for token in tokens if token.kind == "mark")}
    return {
        tokens[n].name: numbers[tokens[n + 2].start]
        for n in range(start, end - 2)
        if tokens[n + 1].text == "=" and tokens[n + 2].kind == "mark" and not tokens[n].depth
    }


def _insert(tokens: list[Token]) -> Parsed:
    found = Parsed("insert")
    into = next(iter(_places(tokens, {"into"})), None)
    if into is None or into + 1 >= len(tokens):
        return found
    name, alias, after = _named(tokens, into + 1)
    found.tables = [(name, alias)]
    words = [tokens[n].text.lower() for n in _places(tokens, {"conflict", "replace", "ignore", "duplicate", "select"})]
    found.conflict = bool({"conflict", "replace", "duplicate"} & set(words))
    found.hidden = "select" in words
    values = next((n for n in _places(tokens, {"values"}) if n >= after), None)
    if values is None or after >= len(tokens) or tokens[after].text != "(":
        return found
    listed = [
        token.name for token in tokens[after + 1 : values] if token.kind in ("word", "quoted") and token.depth == 1
    ]
    numbers = {mark.start: n for n, mark in enumerate(token for token in tokens if token.kind == "mark")}
    place = 0
    for token in tokens[values + 2 :]:
        if not token.depth or place >= len(listed):
            break
        if token.kind == "mark" and token.depth == 1:
            found.columns[listed[place]] = numbers[token.start]
        place += token.text == "," and token.depth == 1
    return found
