"""Take secrets out of messages that are no text: by the names of their fields where these are known."""

from __future__ import annotations

from typing import Any

from shadowlab_recorder.body import Body
from shadowlab_recorder.redaction import Redacted


def cleaned(body: Body, clean: Redacted) -> bytes:
    """A body without its secrets; a message of Protocol Buffers stays one."""
    raw = body.bytes()
    if body.form is None or not raw:
        return clean.body(raw)
    try:
        message = body.form.FromString(raw)
    except Exception:  # a body that was cut is no message
        return clean.binary(raw)
    before = clean.counts.total()
    try:
        _walk(message, "", "", None, clean)
        if clean.counts.total() > before:
            raw = message.SerializeToString(deterministic=True)
    except Exception:  # what cannot be put back cleaned, an odd enumeration in a list, is not kept at all
        clean.counts["message that cannot be cleaned"] += 1
        return b""
    return clean.binary(raw)


def _walk(message: Any, place: str, name: str, denied_by: str | None, clean: Redacted) -> None:
    own = not message.DESCRIPTOR.full_name.startswith("google.protobuf.")
    for field, value in message.ListFields():
        here, known = f"{place}/{field.name}", field.name if own else name
        rule = denied_by or clean.place(here)
        if hasattr(value, "ListFields"):
            _walk(value, here, known, rule, clean)
        elif hasattr(value, "items"):
            for key in list(value):
                _item(value, key, f"{here}/{key}", str(key), rule, clean)
        elif isinstance(value, (str, bytes, int, float)):
            made = _leaf(here, known, value, rule, clean)
            if made != value:
                _set(message, field, made)
        else:
            for n in range(len(value)):
                _item(value, n, f"{here}/{n}", known, rule, clean)


def _set(message: Any, field: Any, value: Any) -> None:
    if field.is_extension:
        message.Extensions[field] = value
    else:
        setattr(message, field.name, value if field.enum_type is None else _first(field))


def _first(field: Any) -> int:
    """An enumeration's first value: not all have one that is zero."""
    return int(field.enum_type.values[0].number)


def _item(values: Any, key: Any, place: str, name: str, denied_by: str | None, clean: Redacted) -> None:
    """One of a map's or a list's."""
    value, rule = values[key], denied_by or clean.place(place)
    if hasattr(value, "ListFields"):
        _walk(value, place, name, rule, clean)
        return
    made = _leaf(place, name, value, rule, clean)
    if made != value:
        values[key] = made


def _leaf(place: str, name: str, value: Any, denied_by: str | None, clean: Redacted) -> Any:
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        made = clean.leaf(place, name, text, denied_by) if denied_by or clean.denied(name) else text
        return value if made == text else made.encode("latin-1")
    made = clean.leaf(place, name, value, denied_by)
    if isinstance(value, str):
        return clean.text(made)
    return value if made == value else type(value)()
