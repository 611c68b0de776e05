"""HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as browsers, proxies and Polly.js write it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from shadowlab.replay.tapes.base import Answer, Sheet, content, from_base64, pairs


class Har:
    """One answer an entry, used once, in the order of the entries."""

    name = "har"

    def recognises(self, sheet: Sheet) -> bool:
        """By `log.entries`."""
        log = sheet.document.get("log") if isinstance(sheet.document, dict) else None
        return isinstance(log, dict) and isinstance(log.get("entries"), list)

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """A response of status 0 is a call that failed."""
        for number, entry in enumerate(sheet.document["log"]["entries"], 1):
            request, response = entry["request"], entry["response"]
            status = int(response.get("status") or 0)
            body = response.get("content") or {}
            if status and body.get("text") is None and int(body.get("size") or 0) > 0:
                notes.append(f"{sheet.name}: entry {number} was saved without its body")
            yield Answer(
                method=str(request["method"]),
                url=str(request["url"]).partition("#")[0],
                status=status or None,
                headers=tuple((k, v) for k, v in pairs(response.get("headers")) if not k.startswith(":")),
                body=_body(body),
                request_headers=tuple((k, v) for k, v in pairs(request.get("headers")) if not k.startswith(":")),
                request_body=_posted(request.get("postData")),
                elapsed_ms=max(float(entry.get("time") or 0.0), 0.0),
                error=None if status else ("ConnectError", str(response.get("_error") or "no answer")),
            )


def _body(entry: dict[str, Any]) -> bytes:
    text = entry.get("text")
    if text is None or entry.get("encoding") != "base64":
        return content(text)
    if str(text).startswith("["):  # Polly.js writes a packed body as a list of pieces
        return b"".join(from_base64(piece) for piece in json.loads(text))
    return from_base64(text)


def _posted(posted: dict[str, Any] | None) -> bytes | None:
    if not posted:
        return b""
    if posted.get("text") is None and posted.get("params"):
        return urlencode([(p.get("name", ""), p.get("value", "")) for p in posted["params"]]).encode()
    return content(posted.get("text"))
