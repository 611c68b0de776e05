"""Which column a parameter is compared with or goes into: its name says whether the value may be kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from shadowlab_recorder.sql import Token, tokens_of

_COMPARED = {"=", "<", ">", "!", "like", "ilike", "in", "between", "similar", "regexp", "glob", "match"}
_BETWEEN = {"not", "binary", "any", "all"}
_ENDS = {
    "where", "or", "on", "set", "having", "values", "select", "from", "join", "limit", "offset", "order", "group",
    "returning", "when", "then", "else"
}  # fmt: skip


@lru_cache(maxsize=2048)
def named(statement: str, columns: tuple[str, ...] = ()) -> dict[int, str]:
    """Numbers of marks, and the columns that they belong to; those that belong to none are left out.

    `columns` are those of the table that it writes to, for an insert that names none.
    """
    tokens = tokens_of(statement)
    return _compared(tokens) | _inserted(tokens, columns)


@lru_cache(maxsize=2048)
def keys(statement: str) -> tuple[str, ...]:
    """What each mark is called, where they are named: `password_1` of `:password_1`, `%(password_1)s`."""
    marks = (token.text for token in tokens_of(statement) if token.kind == "mark")
    return tuple(mark[2:-2] if mark.startswith("%(") else mark[1:] for mark in marks)


def worded(statement: str, words: Callable[[str], str]) -> str:
    """The statement with `words` for what stands between its marks: `password = :given` holds no secret."""
    marks = [token for token in tokens_of(statement) if token.kind == "mark"]
    starts, ends = [0, *(mark.end for mark in marks)], [*(mark.start for mark in marks), len(statement)]
    between = [words(statement[start:end]) for start, end in zip(starts, ends, strict=True)]
    return between[0] + "".join(mark.text + part for mark, part in zip(marks, between[1:], strict=True))


def _compared(tokens: list[Token]) -> dict[int, str]:
    """`a = ?`, `lower(a) LIKE lower(?)`, `a IN (?, ?)`, `a BETWEEN ? AND ?`: the last column before the sign."""
    found: dict[int, str] = {}
    number, last, column, depth, ranged = 0, "", "", 0, False
    for token in tokens:
        word = token.text.lower()
        if word in _COMPARED:
            column, depth, ranged = last, token.depth, ranged or word == "between"
        elif word in _ENDS or (word == "and" and not ranged) or (word == "," and token.depth <= depth):
            last = column = ""
        elif word == "and":
            ranged = False
        elif token.kind == "mark":
            if column:
                found[number] = column
            number += 1
        elif not column and token.kind in ("word", "quoted") and word not in _BETWEEN:
            last = token.name
    return found


def _inserted(tokens: list[Token], columns: tuple[str, ...]) -> dict[int, str]:
    """`INSERT INTO t (a, b) VALUES (?, ?), (?, ?)`."""
    words = [token.text.lower() if not token.depth else "" for token in tokens]
    if "values" not in words or "into" not in words:
        return {}
    values = words.index("values")
    listed = [token.name for token in tokens[:values] if token.depth == 1 and token.kind in ("word", "quoted")]
    listed = listed or [*columns]
    found: dict[int, str] = {}
    number, place = sum(token.kind == "mark" for token in tokens[:values]), 0
    for token in tokens[values:]:
        if not token.depth:
            place = 0
        elif token.text == "," and token.depth == 1:
            place += 1
        if token.kind == "mark":
            if token.depth and place < len(listed):
                found[number] = listed[place]
            number += 1
    return found
