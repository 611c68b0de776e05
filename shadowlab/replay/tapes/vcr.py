"""VCR cassettes: vcrpy's, in YAML or JSON, and those of Ruby's VCR; and a recording's calls written as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shadowlab.replay.fixture import Fixture, content_of
from shadowlab.replay.tapes.base import Answer, Sheet, content, from_base64, pairs


class Vcr:
    """One answer an interaction, used once, in their order."""

    name = "vcr"

    def recognises(self, sheet: Sheet) -> bool:
        """By `interactions` (vcrpy) or `http_interactions` (Ruby)."""
        document = sheet.document if isinstance(sheet.document, dict) else {}
        return any(isinstance(document.get(name), list) for name in ("interactions", "http_interactions"))

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """Bodies as they were on the wire; what was packed is unpacked later."""
        document = sheet.document
        for each in document.get("interactions") or document.get("http_interactions") or ():
            request, response = each["request"], each["response"]
            status = response.get("status", response.get("status_code"))
            yield Answer(
                method=str(request["method"]),
                url=str(request["uri"]),
                status=int(status["code"] if isinstance(status, dict) else status),
                headers=pairs(response.get("headers")),
                body=_body(response.get("body", response.get("content"))),
                request_headers=pairs(request.get("headers")),
                request_body=_body(request.get("body")),
            )


def _body(body: Any) -> bytes:
    if not isinstance(body, dict):
        return content(body)
    if "base64_string" in body:
        return from_base64("".join(str(body["base64_string"]).split()))
    return content(body.get("string"))


def cassette(fixture: Fixture) -> tuple[bytes, tuple[str, ...]]:
    """A recording's calls as a vcrpy cassette (YAML), and what of them a cassette cannot hold."""
    import yaml

    calls = [call for call in fixture.outbound if call.status is not None and call.client not in ("redis", "grpc")]
    left = [f"{call.method} {call.url.partition('?')[0]}" for call in fixture.outbound if call not in calls]
    document = {"interactions": [_interaction(call) for call in calls], "version": 1}
    notes = tuple(f"{what}: no HTTP answer, which a cassette cannot hold" for what in left)
    return yaml.safe_dump(document, sort_keys=True, allow_unicode=True).encode(), notes


def _interaction(call: Any) -> dict[str, Any]:
    posted = content_of(call.request_body, call.request_body_encoding)
    answer = content_of(call.body, call.body_encoding)
    # The body is unpacked: headers that speak of its transfer would make the client unpack it again.
    headers = [(k, v) for k, v in call.headers if k.lower() not in ("content-encoding", "transfer-encoding")]
    return {
        "request": {"method": call.method.upper(), "uri": call.url, "body": _text(posted) if posted else None,
                    "headers": _gathered(call.request_headers)},
        "response": {"status": {"code": call.status, "message": ""}, "headers": _gathered(headers),
                     "body": {"string": _text(answer)}},
    }  # fmt: skip


def _text(body: bytes) -> str | bytes:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _gathered(headers: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found
