"""The one spelling in which a recording is kept: RFC 8785, so that equal recordings are equal bytes.

RFC 8785 sorts keys, and a body must come back byte for byte. So a body stands as a JSON value only where the canonical
spelling of that value *is* the body; every other text stands as a string.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.records import canonical
from shadowlab.replay.fixture import Fixture, content_of
from shadowlab.replay.state import Encoding

LARGEST_INTEGER = 2**53 - 1
"""Beyond it a reader of JSON may round (RFC 7493, section 2.2); such a number is kept as its digits."""


def encoded(content: bytes) -> tuple[Any, Encoding]:
    """`body` and `body_encoding` of some bytes: a JSON value, text, or base64, whichever gives them back."""
    if not content:
        return None, "none"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode(), "base64"
    try:
        value = json.loads(text)
        same = canonical(value) == content
    except (ValueError, RecursionError):
        same = False
    return (value, "json") if same else (text, "utf-8")


def normal(fixture: Fixture) -> Fixture:
    """The same recording with its bodies as they are kept."""

    def spelled(part: Any, *names: tuple[str, str]) -> Any:
        changed = {}
        for body, encoding in names:
            content = content_of(getattr(part, body), getattr(part, encoding))
            changed[body], changed[encoding] = encoded(content)
        return msgspec.structs.replace(part, **changed)

    own, request = ("body", "body_encoding"), ("request_body", "request_body_encoding")
    return msgspec.structs.replace(
        fixture,
        request=spelled(fixture.request, own),
        response=fixture.response and spelled(fixture.response, own),
        outbound=tuple(spelled(call, own, request) for call in fixture.outbound),
        message=fixture.message and spelled(fixture.message, own),
        files=tuple(spelled(file, own) for file in fixture.files),
    )


def spelling(fixture: Fixture) -> bytes:
    """The bytes of a recording that is `normal`; raises `RecordingError` for what RFC 8785 cannot spell."""
    document = msgspec.to_builtins(fixture)
    _without(document, "snapshot_at", "call", "message", "database", "files", "randomness", "schedule")
    _without(document["request"], "pieces", "unread")
    if "database" in document:
        _without(document["database"], "untouched")
    _without(document["versions"], "implementation", "lock", "locale", "time_zone", "encoding")
    for call in document["outbound"]:
        _without(call, "pattern", "lasting")
    for name in ("monotonic_ns", "rand_seed"):
        if isinstance(document[name], int) and abs(document[name]) > LARGEST_INTEGER:
            document[name] = str(document[name])
    for part in (document["flags"], *document["outbound"]):
        for name, value in part.items():
            if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_INTEGER:
                part[name] = int(value)  # as RFC 8785 spells it; it spares the slow way there
    try:
        return canonical(document)
    except (ValueError, RecursionError) as exc:
        raise errors.RecordingError(
            f"recording {fixture.id} cannot be kept as canonical JSON: {exc}",
            hint="numbers beyond 2^53, NaN and half characters must be text (docs/recordings.md)",
        ) from exc


def _without(document: dict[str, Any], *optional: str) -> None:
    """What says nothing is not written: these keys came later, and most recordings have no use for them."""
    for name in optional:
        if not document.get(name):
            document.pop(name, None)
