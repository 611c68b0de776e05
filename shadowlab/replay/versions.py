"""What recordings looked like before, and how each is made one of today; a newer one is refused.

Version 0 is the bare event fixture: `request`, `db_snapshot`, `time`, `rand_seed` and nothing else, headers an object,
the body a JSON value or text, no id. Version 1 says `"schema": "shadowlab.recording/v1"`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from shadowlab import errors

SCHEMA = "shadowlab.recording/v1"
CURRENT = 1
_FAMILY = "shadowlab.recording/v"
_TIME = "2025-01-01T00:00:00Z"
"""When an event that names no time is said to have come."""
Document = dict[str, Any]


class NewerFormat(errors.RecordingError):
    """A recording that a later shadowlab wrote."""


def version_of(document: object) -> int | None:
    """The version that a JSON document means to be, None when it is no recording."""
    if not isinstance(document, dict):
        return None
    schema = document.get("schema")
    if schema is None:
        return 0 if isinstance(document.get("request"), dict) else None
    found = re.fullmatch(r"(\d{1,6})", str(schema).removeprefix(_FAMILY))
    return int(found[1]) if found and str(schema).startswith(_FAMILY) else None


def is_recording(document: object) -> bool:
    """Whether a JSON document means to be a recording: of v1 or later, or a bare event fixture with its time."""
    version = version_of(document)
    return bool(version) or (version == 0 and isinstance(document, dict) and "time" in document)


def migrated(document: Mapping[str, Any], *, where: str) -> Document:
    """The document as today's version; raises `NewerFormat`, and `RecordingError` when it is no recording."""
    version = version_of(document)
    if version is None:
        raise errors.RecordingError(
            f"{where}: schema {str(document.get('schema'))[:60]!r}, this shadowlab reads {SCHEMA!r}",
            hint="this file is something else than a recording",
        )
    if version > CURRENT:
        raise NewerFormat(
            f"{where}: schema {_FAMILY}{version}, this shadowlab reads {SCHEMA!r}",
            hint="read it with a newer shadowlab",
        )
    current = dict(document)
    while version < CURRENT:
        current, version = _STEPS[version](current), version + 1
    return _lenient(current)


def _from_event(event: Document) -> Document:
    request = dict(event["request"])
    if isinstance(request.get("query"), dict):
        request["query"] = urlencode(request["query"], doseq=True)
    return {
        "time": _TIME,
        "id": hashlib.sha256(
            json.dumps(event, sort_keys=True, separators=(",", ":"), default=str).encode()
        ).hexdigest()[:32],
        **event,
        "schema": SCHEMA,
        "request": request,
    }


_STEPS: Mapping[int, Callable[[Document], Document]] = {0: _from_event}


def _lenient(document: Document) -> Document:
    """What people write by hand: headers as an object, no query, no encodings, large numbers as digits."""
    if isinstance(document.get("request"), dict):
        document["request"] = {**document["request"], "query": document["request"].get("query") or ""}
    for name in ("request", "response"):
        document[name] = _part(document.get(name))
    if isinstance(document.get("outbound"), list):
        document["outbound"] = [_part(call) for call in document["outbound"]]
    for name in ("monotonic_ns", "rand_seed"):
        if isinstance(document.get(name), str) and re.fullmatch(r"-?\d{1,40}", document[name]):
            document[name] = int(document[name])
    return document


def _part(part: Any) -> Any:
    """A request, response or call with its headers as pairs and its bodies' encodings said."""
    if not isinstance(part, dict):
        return part
    current = dict(part)
    for name in ("headers", "request_headers"):
        if isinstance(current.get(name), dict):
            current[name] = [[str(key), str(value)] for key, value in current[name].items()]
    for name in ("body", "request_body"):
        if current.get(name) is not None:
            current.setdefault(f"{name}_encoding", "utf-8" if isinstance(current[name], str) else "json")
    return current
