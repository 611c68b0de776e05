"""What every format of recorded answers is read into, and the protocol that a format follows."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from shadowlab import errors
from shadowlab.replay.spelling import encoded

LARGEST_BODY = 16 << 20
"""Bytes of one body, unpacked."""
ANY = "ANY"
"""The method of an answer to every method."""
HOST = r"[a-z][a-z0-9+.-]*://[^/?#]*"
"""The scheme and host of any URL, as a pattern."""
_TRANSFER = {"content-encoding", "transfer-encoding", "content-length"}
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file that holds recorded answers."""

    name: str
    """Its name, without folders."""
    text: str
    document: Any = None
    """What its JSON or YAML says; None for another kind of file."""
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Files that its answers may name, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One recorded or stubbed call, and what it got."""

    method: str
    url: str
    """The whole URL, or what stands for several in `pattern`."""
    status: int | None
    headers: Pairs = ()
    body: bytes = b""
    pattern: str | None = None
    """A regular expression that the whole URL must fit."""
    lasting: bool = False
    """Whether it answers any number of calls."""
    request_headers: Pairs = ()
    request_body: bytes | None = None
    """None: not known, any will do."""
    alike: bool = False
    """Whether a body that is the same JSON will do."""
    elapsed_ms: float = 0.0
    error: tuple[str, str] | None = None
    """Type and message."""


class Format(Protocol):
    """One format of recorded answers."""

    name: str

    def recognises(self, sheet: Sheet) -> bool:
        """Whether the file is of this format, judged by its content."""

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """Its answers in order; what is left out of them goes among `notes`, in words."""


def outbound(answer: Answer, seq: int, client: str) -> dict[str, Any]:
    """An answer as an entry of a recording's `outbound`; its body unpacked."""
    content = unpacked(answer.body, answer.headers)
    body, encoding = encoded(content)
    request_body, request_encoding = encoded(answer.request_body or b"")
    exact = answer.request_body is not None and not answer.alike
    return {
        "seq": seq,
        "client": client,
        "method": answer.method.upper(),
        "url": answer.url,
        "request_headers": [list(pair) for pair in answer.request_headers],
        "request_body": request_body,
        "request_body_encoding": request_encoding,
        "request_body_sha256": hashlib.sha256(answer.request_body or b"").hexdigest() if exact else None,
        "status": answer.status,
        "headers": [[name, value] for name, value in answer.headers if name.lower() not in _TRANSFER],
        "body": body,
        "body_encoding": encoding,
        "elapsed_ms": answer.elapsed_ms,
        "error": {"type": answer.error[0], "message": answer.error[1]} if answer.error else None,
        "pattern": answer.pattern,
        "lasting": answer.lasting,
    }


def unpacked(content: bytes, headers: Pairs) -> bytes:
    """A body without its content encoding; raises `RecordingError` for one that cannot be undone."""
    codings = ",".join(value for name, value in headers if name.lower() == "content-encoding").lower()
    for coding in reversed([part.strip() for part in codings.split(",") if part.strip()]):
        if coding in ("gzip", "x-gzip", "deflate"):
            content = _inflated(content, coding)
        elif coding != "identity" and content:
            raise errors.RecordingError(f"a body is packed with {coding!r}", hint="record it unpacked, or with gzip")
    return content


def _inflated(content: bytes, coding: str) -> bytes:
    if not content or (coding != "deflate" and content[:2] != b"\x1f\x8b"):
        return content  # the tool unpacked it already and left the header
    for window in (47, -15):  # gzip or zlib by their heads, else bare deflate, as some servers send it
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(content, LARGEST_BODY + 1)
        except zlib.error:
            continue
        if len(plain) > LARGEST_BODY:
            raise errors.RecordingError(f"a body unpacks to more than {LARGEST_BODY >> 20} MiB")
        return plain
    return content


def pairs(headers: Any) -> Pairs:
    """Headers as pairs, out of an object (values text or lists), a list of pairs, or of name and value objects."""
    found: list[tuple[str, str]] = []
    items: Iterable[Any] = headers.items() if isinstance(headers, dict) else headers or ()
    for item in items:
        if isinstance(item, dict):
            found.append((str(item.get("name", "")), str(item.get("value", ""))))
            continue
        name, value = item
        found += [(str(name), str(one)) for one in (value if isinstance(value, list | tuple) else [value])]
    return tuple(found)


def content(body: Any) -> bytes:
    """A body given as text, bytes, or a JSON value."""
    match body:
        case None:
            return b""
        case bytes():
            return body
        case str():
            return body.encode("utf-8", "surrogatepass")
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def from_base64(text: Any) -> bytes:
    """Raises `RecordingError` for text that is none."""
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise errors.RecordingError("a body says that it is base64, and is not") from exc


def with_query(path: str, query: Mapping[str, Any] | None) -> str:
    """A path with the query of an object; a value may be a list."""
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query, doseq=True)}"


def anywhere(path: str) -> str:
    """The pattern of a path on any host; raises nothing: `path` is taken letter by letter."""
    return HOST + re.escape(path)


def sure(pattern: str) -> str | None:
    """A stranger's regular expression when Python's reads it, else None."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    return pattern if len(pattern) <= 4096 else None
