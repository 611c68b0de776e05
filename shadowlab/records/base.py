"""What every record has: a digest, parents, plain JSON and a picture for paper."""

from __future__ import annotations

import contextlib
import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self

import msgspec
import rfc8785

from shadowlab import errors


def canonical(document: object) -> bytes:
    """The one spelling of a JSON document, RFC 8785; `document` may hold dataclasses, enums and aware datetimes."""
    plain = msgspec.to_builtins(document)
    if _usual(plain):
        with contextlib.suppress(UnicodeEncodeError):
            spelled = msgspec.json.encode(plain, order="sorted")
            if spelled.isascii() or max(spelled) < _ASTRAL:
                return spelled
    return rfc8785.dumps(plain)


_ASTRAL = 0xF0
"""UTF-8's first byte of a character beyond U+FFFF: RFC 8785 sorts those keys by their UTF-16 halves."""


def _usual(value: object) -> bool:
    """Whether every number in it is spelled by every writer of JSON as RFC 8785 spells it, and every key is text."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind is dict:
            waiting += one.values()  # type: ignore[attr-defined]  # a dict, by the line above
        elif kind is list or kind is tuple:
            waiting += one  # type: ignore[arg-type]  # a sequence, by the line above
        elif kind is float:
            if one.is_integer() or not 1e-4 <= abs(one) < 1e16:  # type: ignore[attr-defined, arg-type]  # a float
                return False
        elif kind is int:
            if abs(one) >= 2**53:  # type: ignore[arg-type]  # an int
                return False
        elif kind is not str and one is not None and kind is not bool:
            return False
    return True


SCHEMA = 3
"""Goes up by one whenever a record gains a field or a value; a kept record without a number is of schema 1."""


def digest_of(document: object) -> str:
    """SHA-256 of `document`'s canonical JSON, 64 lower-case hex digits."""
    return hashlib.sha256(canonical(document)).hexdigest()


class Verdict(StrEnum):
    """What a judge says; *inconclusive* is never a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Judged(Protocol):
    """Anything with a verdict: a gate, a check."""

    @property
    def verdict(self) -> Verdict:
        """What was said of it."""


def overall(judged: Iterable[Judged]) -> Verdict:
    """The verdict of several: fail if any fails, pass only if there are some and all pass."""
    verdicts = {one.verdict for one in judged}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.INCONCLUSIVE


KINDS: dict[str, type[Record]] = {}
"""Every kind of record by its noun."""


class Bound:
    """Remembers which investigation handed a value out, so that it can be asked to draw or write it, and how a record
    that was read is kept. Neither is a field."""

    __slots__ = ("_as_kept", "_investigation")
    _investigation: Any
    _as_kept: Mapping[str, Any]

    @property
    def investigation(self) -> Any:
        """The `Investigation` that handed this value out; raises `UsageError` when none did."""
        try:
            return self._investigation
        except AttributeError:
            raise errors.UsageError(
                f"this {type(self).__name__} was not handed out by an investigation",
                hint="fetch it with `inv.latest(...)`",
            ) from None

    def bind(self, investigation: object) -> Self:
        """`self`, with its investigation remembered."""
        object.__setattr__(self, "_investigation", investigation)
        return self


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Record(Bound):
    """One stage's result: a value with a digest and the digests of what it was made from."""

    parents: tuple[str, ...] = ()
    """Digests of the records that this one was made from."""

    kept: ClassVar[bool] = True
    """Whether the investigation keeps it in the case."""

    def __init_subclass__(cls) -> None:
        # A slotted dataclass is made twice; the second one has the fields and wins.
        KINDS[cls.__name__] = cls

    @property
    def type(self) -> str:
        """The record's noun, as `--json` prints it."""
        return type(self).__name__

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of type, schema, parents and fields; of one that was read, as it is kept."""
        return digest_of(self._body())

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON values: `type`, `digest`, `schema`, `parents`, then its fields.

        Of one that was read from a case, what is kept there: an older one has no field that came later.
        """
        body = self._body()
        return {"type": self.type, "digest": digest_of(body), **body}

    def _body(self) -> Mapping[str, Any]:
        return getattr(self, "_as_kept", None) or self.known()

    def known(self) -> dict[str, Any]:
        """All that this shadowlab knows of the record, as plain JSON values; its digest is left out."""
        return {"type": self.type, "schema": SCHEMA, **msgspec.json.decode(msgspec.json.encode(self))}

    def __repr__(self) -> str:
        return f"<{self.type} {self.digest[:8]}{self._summary()}>"

    def _summary(self) -> str:
        """What one line should say of it, with a leading space."""
        return ""

    def _repr_html_(self) -> str:
        return table(self.rows(), caption=repr(self))

    def rows(self) -> Sequence[Mapping[str, object]]:
        """What a table of this record shows: a row each, the same keys in all. Its ancestry stands in its JSON."""
        return [{"field": f.name, "value": getattr(self, f.name)} for f in fields(self) if f.name != "parents"]


def table(rows: Sequence[Mapping[str, object]], *, caption: str = "", limit: int = 50) -> str:
    """A small static HTML table that survives nbconvert, code hosts and e-mail; cut after `limit` rows, and says so."""
    if not rows:
        return f"<p><code>{html.escape(caption)}</code></p>"
    head = "".join(f"<th style='text-align:left'>{html.escape(str(key))}</th>" for key in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(_cell(v))}</td>" for v in row.values()) + "</tr>"
        for row in rows[:limit]
    )
    more = f"<p>{len(rows) - limit} more rows are not shown.</p>" if len(rows) > limit else ""
    # above the table and no caption of it: a caption in one piece would make the table as wide as itself
    title = f"<p style='text-align:left;margin:0'><code>{html.escape(caption)}</code></p>" if caption else ""
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 candidate`, `1,204 spans`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float) -> str:
    """A share that was promised or allowed, whole: 0.999 is `99.9%`, 0.99995 is `99.995%`."""
    return f"{100 * share:.10g}%"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.4g}"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
        case tuple() | list():
            return ", ".join(_cell(v) for v in value[:6]) + (" …" if len(value) > 6 else "")
        case _:
            return str(value)
