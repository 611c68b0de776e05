"""JSON files: `METHOD_path_with_underscores.json` with `status`, `body`, `headers`; or calls with their `url`.

The name of a file is made as a small replay harness makes it: the method, `_`, and the path with its query, each `/`
written `_`. So `POST__charges.json` answers `POST /charges` on every host, as often as it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from shadowlab import errors
from shadowlab.replay.tapes.base import HOST, Answer, Sheet, content, from_base64, pairs

_NAME = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT)_(_.*|)\.json", re.IGNORECASE)


class Plain:
    """Files written by hand."""

    name = "files"

    def recognises(self, sheet: Sheet) -> bool:
        """By the file's name and its keys; calls by their `url`."""
        if isinstance(sheet.document, dict) and _NAME.fullmatch(sheet.name) and "url" not in sheet.document:
            return bool({"status", "body", "headers"} & sheet.document.keys()) and "request" not in sheet.document
        return all("url" in call for call in _calls(sheet.document)) and bool(_calls(sheet.document))

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """One of a file so named, else the calls in their order."""
        named = _NAME.fullmatch(sheet.name)
        if named and isinstance(sheet.document, dict) and "url" not in sheet.document:
            flat = named[2] or "_"
            fits = HOST + re.escape(flat).replace("_", "[_/]")
            yield _answer(sheet.document, method=named[1], url=flat.replace("_", "/"), pattern=fits, lasting=True)
            return
        for call in _calls(sheet.document):
            yield _answer(call, method=str(call.get("method", "GET")), url=str(call["url"]))


def _calls(document: Any) -> list[dict[str, Any]]:
    found = document if isinstance(document, list) else [document]
    return found if all(isinstance(call, dict) and isinstance(call.get("url"), str) for call in found) else []


def _answer(entry: dict[str, Any], **fields: Any) -> Answer:
    failed = entry.get("error")
    if failed is not None and not (isinstance(failed, dict) and "type" in failed):
        raise errors.RecordingError("an error without a type", hint='write {"type": …, "message": …}')
    coded = entry.get("body_encoding") == "base64"
    return Answer(
        status=entry.get("status", None if failed else 200),
        headers=pairs(entry.get("headers")),
        body=from_base64(entry.get("body")) if coded else content(entry.get("body")),
        elapsed_ms=float(entry.get("elapsed_ms", 0.0)),
        error=(str(failed["type"]), str(failed.get("message", ""))) if failed else None,
        **fields,
    )
