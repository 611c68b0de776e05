"""What a person may see of a recording: in one place names and sizes only, in the other all of it, redacted."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from shadowlab.privacy import Redactor
from shadowlab.replay.fixture import Fixture, content_of
from shadowlab.replay.inside.urls import bare

_LONGEST = 20_000
"""Characters of a body that are shown."""


def shown(fixture: Fixture) -> dict[str, Any]:
    """Names and sizes, never a body, a row or a header's value."""
    database = fixture.database
    return {
        "id": fixture.id,
        "service": fixture.service,
        "kind": fixture.kind,
        "summary": fixture.summary,
        "time": fixture.time,
        "commit": fixture.commit,
        "trace_id": fixture.trace_id,
        "control": fixture.control,
        "missing": list(fixture.missing),
        "request": {"method": fixture.request.method, "path": fixture.request.path,
                    "headers": [name for name, _ in fixture.request.headers],
                    "body_bytes": len(fixture.request.content),
                    **({"unread": True} if fixture.request.unread else {})},
        "response": fixture.response and {"status": fixture.response.status,
                                          "headers": [name for name, _ in fixture.response.headers],
                                          "body_bytes": len(fixture.response.content)},
        "error": fixture.error and msgspec.to_builtins(fixture.error),
        "outbound": [_call(call) for call in fixture.outbound],
        "message": fixture.message and {"system": fixture.message.system, "topic": fixture.message.topic,
                                        "offset": fixture.message.offset, "body_bytes": len(fixture.payload)},
        "database": database and {"dialect": database.dialect, "reads": len(database.reads),
                                  "writes": len(database.writes),
                                  "rows": {table: len(rows) for table, rows in database.rows.items()},
                                  "not known": list(database.incomplete),
                                  **({"untouched": True} if database.untouched else {})},
        "files": [file.path for file in fixture.files],
        "environment": sorted({*fixture.environment.read, *fixture.environment.values}),
        "flags": fixture.flags,
        "db_snapshot": fixture.db_snapshot,
    }  # fmt: skip


def opened(fixture: Fixture, redactor: Redactor) -> dict[str, Any]:
    """All of it as plain values for `views.recorded`: bodies as text, and every text redacted.

    Bodies and rows lie in the case as they were, since nothing could be replayed without; what is drawn of them travels
    in notebooks, so secrets in it are replaced by the case's pseudonyms.
    """
    clean = redactor.json(msgspec.to_builtins(fixture))
    request = fixture.request
    clean["summary"], clean["missing"] = redactor.text(fixture.summary), list(fixture.missing)
    clean["request"]["text"] = _text(request.content, redactor)
    if fixture.response:
        clean["response"]["text"] = _text(fixture.response.content, redactor)
    if fixture.message:
        clean["message"]["text"] = _text(fixture.payload, redactor)
    for file, seen in zip(fixture.files, clean["files"], strict=True):
        seen["text"] = _text(content_of(file.body, file.body_encoding), redactor)
    for call, seen in zip(fixture.outbound, clean["outbound"], strict=True):
        seen["asked"] = _text(content_of(call.request_body, call.request_body_encoding), redactor)
        seen["text"] = _text(content_of(call.body, call.body_encoding), redactor)
        seen["line"] = redactor.text(_call(call))
    return dict(clean)


def _call(call: Any) -> str:
    url = bare(call.url) if "://" in call.url else call.url
    return f"{call.method} {url} -> {call.status or (call.error and call.error.type)}"


def _text(content: bytes, redactor: Redactor) -> tuple[int, str]:
    """Bytes of a body, and what a person reads of it: JSON spread over lines, text, or the first bytes in hex."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return len(content), content[:64].hex(" ") + (" …" if len(content) > 64 else "")
    try:
        clean = json.dumps(redactor.json(json.loads(text)), indent=2, ensure_ascii=False) if text[:1] in "{[" else None
    except (ValueError, RecursionError):
        clean = None
    clean = redactor.text(text) if clean is None else clean
    return len(content), clean if len(clean) <= _LONGEST else clean[:_LONGEST] + "\n…"
