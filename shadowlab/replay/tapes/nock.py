"""nock's recorded definitions (`nock.recorder`, `nockBack`): https://github.com/nock/nock#recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shadowlab import errors
from shadowlab.replay.tapes.base import Answer, Sheet, content, pairs


class Nock:
    """One answer a definition, used once, or as often as `persist` lets it."""

    name = "nock"

    def recognises(self, sheet: Sheet) -> bool:
        """By a list of objects with `scope` and `path`."""
        document = sheet.document
        return (
            isinstance(document, list)
            and bool(document)
            and all(isinstance(d, dict) and d.keys() >= _KEYS for d in document)
        )

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """nock reads a JSON body into its value: the bytes are its compact spelling."""
        for each in sheet.document:
            raw = each.get("rawHeaders") or each.get("headers")
            flat = isinstance(raw, list) and all(isinstance(part, str) for part in raw)
            headers = pairs(list(zip(raw[::2], raw[1::2], strict=False)) if flat else raw)
            posted = content(each.get("body"))
            yield Answer(
                method=str(each.get("method", "GET")),
                url=_host(str(each["scope"])) + str(each["path"]),
                status=int(each.get("status") or 200),
                headers=headers,
                body=_body(each.get("response"), headers, binary=bool(each.get("responseIsBinary"))),
                request_headers=pairs(each.get("reqheaders")),
                request_body=None if each.get("body") in ("*", None) else posted,
                alike=isinstance(each.get("body"), dict | list),
                lasting=bool((each.get("options") or {}).get("persist") or each.get("persist")),
            )


_KEYS = frozenset({"scope", "path"})


def _host(scope: str) -> str:
    """The scope without a port that its scheme implies, as clients write it."""
    for scheme, port in (("http", ":80"), ("https", ":443")):
        if scope.startswith(f"{scheme}://"):
            scope = scope.removesuffix(port)
    return scope.rstrip("/")


def _body(body: Any, headers: Any, *, binary: bool) -> bytes:
    packed = any(name.lower() == "content-encoding" for name, _ in headers)
    try:
        if packed and isinstance(body, list) and all(isinstance(piece, str) for piece in body):
            return bytes.fromhex("".join(body))
        return bytes.fromhex(body) if binary and isinstance(body, str) else content(body)
    except ValueError as exc:
        raise errors.RecordingError("a body says that it is hexadecimal, and is not") from exc
