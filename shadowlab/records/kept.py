"""Read a kept record: it stays what was written, whichever shadowlab wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.records.base import KINDS, SCHEMA, Record, digest_of


def from_json(document: object) -> Record:
    """The record that `document` (a mapping as `to_json` gives it) holds; its digest stays that of what was written.

    An older record has the defaults of fields that came later. Raises `CaseError` when it is no record, has unknown
    values, its digest does not fit its content, or a newer shadowlab wrote what this one does not know.
    """
    if not isinstance(document, dict):
        raise errors.CaseError("not a shadowlab record: it is no JSON object")
    body = {key: value for key, value in document.items() if key != "digest"}
    content = digest_in(document)
    if content is None or document.get("digest", content) != content:
        raise errors.CaseError(
            f"the {document.get('type')} says digest {str(document.get('digest'))[:12]}, its content has "
            f"{(content or 'none')[:12]}",
            hint="the file was changed after it was written; `shadowlab verify CASE` says what else was",
        )
    schema = schema_in(document)
    try:
        kind = KINDS[body["type"]]
        record = msgspec.convert({key: body[key] for key in body if key not in ("type", "schema")}, kind)
    except (KeyError, TypeError) as exc:
        what = f"the type {body.get('type')!r}"
        raise _newer(schema, what) or errors.CaseError(
            "not a shadowlab record: its `type` is missing or unknown"
        ) from exc
    except msgspec.ValidationError as exc:
        raise _newer(schema, f"in a {kind.__name__}: {exc}") or errors.CaseError(
            f"not a {kind.__name__} record: {exc}"
        ) from exc
    known = record.known()
    if (unknown := sorted(_unknown(known, body))) and (newer := _newer(schema, f"{kind.__name__}.{unknown[0]}")):
        raise newer
    if known != body:
        object.__setattr__(record, "_as_kept", _ordered(known, body))  # a frozen value: nobody else sets it
    return record


def digest_in(document: Mapping[str, Any]) -> str | None:
    """The digest of a kept record's content, whatever it says of itself; None when it has no canonical spelling."""
    try:
        return digest_of({key: value for key, value in document.items() if key != "digest"})
    except (ValueError, TypeError, RecursionError):  # not what was ever written: NaN, huge numbers
        return None


def schema_in(document: Mapping[str, Any]) -> int:
    """The schema that a kept record says it is of; raises `CaseError` when that is no number."""
    schema = document.get("schema", 1)
    if type(schema) is not int:
        raise errors.CaseError("not a shadowlab record: its `schema` is no number")
    return schema


def _newer(schema: int, what: str) -> errors.CaseError | None:
    """The error for something unknown in a record of a newer schema; None when the record is not newer."""
    if schema <= SCHEMA:
        return None
    return errors.CaseError(
        f"a newer shadowlab wrote this: its record schema is {schema}, this one reads up to {SCHEMA} and does not know "
        f"{what}",
        hint="open the case with a newer shadowlab; `shadowlab verify CASE` holds it to its bytes with this one, too",
    )


def _unknown(known: object, kept: object, path: str = "") -> Iterator[str]:
    """Fields of a kept record that its type has not, as paths."""
    if isinstance(known, dict) and isinstance(kept, dict):
        for key, value in kept.items():
            where = f"{path}.{key}".removeprefix(".")
            yield from _unknown(known[key], value, where) if key in known else (where,)
    elif isinstance(known, list) and isinstance(kept, list):
        for one, other in zip(known, kept, strict=False):
            yield from _unknown(one, other, f"{path}[]")


def _ordered(known: Any, kept: Any) -> Any:
    """What is kept, in the order of the type's fields, which is the order in which it was written."""
    if isinstance(known, dict) and isinstance(kept, dict):
        ours = {key: _ordered(known[key], kept[key]) for key in known if key in kept}
        return ours | {key: value for key, value in kept.items() if key not in known}
    if isinstance(known, list) and isinstance(kept, list) and len(known) == len(kept):
        return [_ordered(one, other) for one, other in zip(known, kept, strict=True)]
    return known if known == kept else kept  # 1 is 1.0, but a type spells it in one way
