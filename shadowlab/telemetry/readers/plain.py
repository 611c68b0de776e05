"""Arrays and key-value lists of OTLP as plain JSON text: `{"values": [{"intValue": "1"}]}` gives `[1]`."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEEPEST: Final = 64
"""Levels of nesting that are read."""


def prepare(con: DuckDBPyConnection) -> None:
    """Teach a connection `json_array`, `json_kvlist` (text) and `pb_array`, `pb_kvlist` (bytes)."""
    con.create_function("json_array", _json_array, ["VARCHAR"], "VARCHAR")
    con.create_function("json_kvlist", _json_kvlist, ["VARCHAR"], "VARCHAR")
    con.create_function("pb_array", _pb_array, ["BLOB"], "VARCHAR")
    con.create_function("pb_kvlist", _pb_kvlist, ["BLOB"], "VARCHAR")


def plain_text(holder: Any, *, is_map: bool) -> str:
    """The text for an OTLP/JSON `ArrayValue`, or with `is_map` a `KeyValueList`.

    Raises `ValueError` when it is neither, or nested more than `DEEPEST` deep.
    """
    try:
        return json.dumps(_entries(holder, is_map, 0), ensure_ascii=False, separators=(",", ":"))
    except (AttributeError, TypeError, KeyError, RecursionError) as exc:
        raise ValueError(f"an array or key-value list that cannot be read: {exc!r}") from exc


class _Key(str):
    """A key that is no other: a key-value list may say one twice, and so may the text of a JSON object."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _entries(holder: dict[str, Any], is_map: bool, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"a value that is nested more than {DEEPEST} deep")
    entries = holder.get("values") or []
    if is_map:
        return {_Key(entry["key"]): _plain(entry.get("value"), depth) for entry in entries}
    return [_plain(entry, depth) for entry in entries]


def _plain(value: Any, depth: int) -> Any:
    match value:
        case {"arrayValue": dict() as inner}:
            return _entries(inner, False, depth + 1)
        case {"kvlistValue": dict() as inner}:
            return _entries(inner, True, depth + 1)
        case {"intValue": number}:
            return _whole(number)
        case {"doubleValue": number}:
            return _double(number)
        case {"stringValue": plain} | {"boolValue": plain} | {"bytesValue": plain}:
            return plain
        case _:
            return None


def _whole(told: Any) -> Any:
    """A whole number from its text; what is none stays as it was told."""
    try:
        return int(told) if isinstance(told, str) or int(told) == told else told
    except (TypeError, ValueError, OverflowError):
        return told


def _double(told: Any) -> Any:
    """A number from text or a number; what JSON has no number for, such as `NaN`, stays as it was told."""
    try:
        number = float(told)
    except (TypeError, ValueError, OverflowError):
        return told
    return number if math.isfinite(number) else told


def _json(text: str | None, is_map: bool) -> str | None:
    if text is None:
        return None
    try:
        return plain_text(json.loads(text), is_map=is_map)
    except RecursionError:
        raise ValueError(f"a value that is nested more than {DEEPEST} deep") from None


def _bytes(told: bytes | None, kind: str) -> str | None:
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.common.v1 import common_pb2

    if told is None:
        return None
    try:
        document = json_format.MessageToDict(getattr(common_pb2, kind).FromString(told))
    except (DecodeError, RecursionError, json_format.Error) as exc:
        raise ValueError(f"a value that cannot be read: {exc}") from exc
    return plain_text(document, is_map=kind == "KeyValueList")


def _json_array(text: str) -> str | None:
    return _json(text, False)


def _json_kvlist(text: str) -> str | None:
    return _json(text, True)


def _pb_array(told: bytes) -> str | None:
    return _bytes(told, "ArrayValue")


def _pb_kvlist(told: bytes) -> str | None:
    return _bytes(told, "KeyValueList")
