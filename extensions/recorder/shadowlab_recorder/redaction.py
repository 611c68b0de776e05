"""Take secrets out before anything reaches a disk, and say by which rule."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote_plus

from shadowlab_recorder.patterns import Looks, Places, walk
from shadowlab_recorder.tape import RawHeaders

DENIED_NAMES: tuple[str, ...] = (
    "authorization",
    "proxy-authorization",
    "*authorization*",
    "cookie",
    "set-cookie",
    "*cookie*",
    "x-api-key",
    "*api-key*",
    "*api_key*",
    "*apikey*",
    "*access-key*",
    "*access_key*",
    "*private-key*",
    "*private_key*",
    "*token*",
    "*secret*",
    "*password*",
    "*passwd*",
    "*credential*",
    "*session*",
    "*jwt*",
    "sig",  # of an address that lets in whoever has it
    "x-*-signature*",
    "x-auth*",
)
"""Names of headers, query parameters and variables whose values never reach a disk; the first match is the rule."""

KEY_VARIABLE = "SHADOWLAB_RECORDER_KEY"
"""Set it in the service to keep tokens equal between processes and restarts."""

_SCHEMES = re.compile(r"(?i)^\s*(bearer|basic|digest|negotiate|apikey)\s+(\S.*)$")
_USERINFO = re.compile(r"(?<=://)[^/?#@\s]+@")
_FORM = re.compile(r"[\w.%+*\[\]-]+=[^\s&={}<>]*(?:&[\w.%+*\[\]-]+=[^\s&={}<>]*)*")
_PART = re.compile(r"(name=\"([^\"]+)\"(?:\r\n[^\r\n]+){0,20}\r\n\r\n)(.*?)(\r\n--|\Z)", re.DOTALL)
"""A field of `multipart/form-data` (RFC 7578); the last one of a body that was cut ends where the body does."""
_ADDRESSES = ("location", "content-location", "referer", "origin")
"""Headers that hold a URL."""


class Redaction:
    """The rules and the key of one service."""

    def __init__(
        self,
        extra: Sequence[str] = (),
        key: bytes | None = None,
        *,
        paths: Sequence[str] = (),
        patterns: Sequence[str] = (),
    ) -> None:
        self.names = (*DENIED_NAMES, *(name.lower() for name in extra))
        self.places = Places(paths)
        self.looks = Looks(patterns)
        self._known: dict[str, str | None] = {}
        self._key = key or os.environ.get(KEY_VARIABLE, "").encode() or os.urandom(32)

    def rule(self, name: str) -> str | None:
        """The first rule that denies this name, None when it may be kept."""
        lowered = name.lower()
        if lowered not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[lowered] = next((rule for rule in self.names if fnmatchcase(lowered, rule)), None)
        return self._known[lowered]

    def token(self, value: str) -> str:
        """The same token for the same value, for whoever holds the same key."""
        digest = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"[redacted:{digest[:16]}]"


class Redacted:
    """One recording on its way to the disk: let it learn all headers first, then ask for everything.

    What is taken out late may stand in what was given early: a second one that `knows` the first sees to that.
    `pause` is called before each text that is looked through.
    """

    def __init__(
        self, redaction: Redaction, knows: Redacted | None = None, pause: Callable[[], None] = lambda: None
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._redaction = redaction
        self._pause = pause
        self._taken: dict[str, str] = dict(knows._taken) if knows else {}

    def learn(self, *headers: RawHeaders) -> None:
        """Takes note of the values to remove, so that a repetition of one is found wherever it is."""
        for name, value in (pair for raw in headers for pair in _decoded(raw)):
            if self._denied(name, value):
                self._remember(name, value)

    def headers(self, raw: RawHeaders) -> list[list[str]]:
        return [[name, self._header(name, value)] for name, value in _decoded(raw)]

    def query(self, raw: str) -> str:
        """A query string with the values of denied parameters replaced; all else stays as it was, byte for byte."""
        return "&".join(self._parameter(each) for each in raw.split("&"))

    def url(self, url: str) -> str:
        """A URL without its user, password and denied parameters."""
        bare, found = _USERINFO.subn("", url)
        self.counts["url userinfo"] += found
        address, mark, query = bare.partition("?")
        return self.text(address + mark + self.query(query))

    def value(self, name: str, value: str) -> str:
        """The value of a named setting."""
        rule = self._redaction.rule(name)
        if rule is not None:
            return self._take(f"name {rule}", name, value)
        kept, found = _USERINFO.subn("", value)
        self.counts["url userinfo"] += found
        return self.text(kept)

    def text(self, text: str) -> str:
        """Text without what looks like a secret, and without any value that was taken out elsewhere."""
        self._pause()
        text = self._redaction.looks.replace(text, self._seen)
        for secret, token in self._taken.items():
            if secret in text:
                self.counts["echo of a removed value"] += text.count(secret)
                text = text.replace(secret, token)
        return text

    def cell(self, name: str, value: Any) -> Any:
        """A value of a row or of a statement's parameters, by the name of its column."""
        if not isinstance(value, str) or not value:
            return value
        rule = self._redaction.rule(name) if name else None
        if rule is not None:
            return self._take(f"column {rule}", name, value)
        return self._json(value) if value[0] in "{[" else self.text(value)

    def body(self, body: bytes) -> bytes:
        """A body: JSON and forms by the names and places in them, and all else as text."""
        if not body:
            return body
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return self._bytes(body)
        if text[0] in "{[":
            return self._json(text).encode("utf-8", "surrogatepass")
        if _FORM.fullmatch(text):
            text = "&".join(self._parameter(each, "form") for each in text.split("&"))
        elif "form-data" in text:
            text = _PART.sub(self._part, text)
        return self.text(text).encode("utf-8", "surrogatepass")

    def _json(self, text: str) -> str:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(text)
        before = self.counts.total()
        clean = walk(value, self.leaf, self._redaction.places)
        if self.counts.total() == before:
            return self.text(text)
        compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False) == text
        made = json.dumps(
            clean, separators=(",", ":") if compact else None, ensure_ascii=not compact and text.isascii()
        )
        return self.text(made)

    def place(self, place: str) -> str | None:
        """The JSON path that names this place, None when none does."""
        return self._redaction.places.rule(place)

    def denied(self, name: str) -> bool:
        """Whether nothing of this name may be kept."""
        return bool(name) and self._redaction.rule(name) is not None

    def leaf(self, place: str, name: str, value: Any, denied_by: str | None) -> Any:
        """A value inside of a body; `told` is the path that names it."""
        self._pause()
        if denied_by is not None and value is not None and not isinstance(value, bool):
            return self._take(f"path {denied_by}", name, value if isinstance(value, str) else json.dumps(value))
        rule = self._redaction.rule(name) if isinstance(value, str) and value and name else None
        if rule is not None:
            return self._take(f"body {rule}", name, value)
        if isinstance(value, str) and value[:1] in ("{", "["):
            return self._json(value)
        return self._redaction.looks.replace(value, self._seen) if isinstance(value, str) else value

    def _part(self, found: re.Match[str]) -> str:
        rule = self._redaction.rule(found[2])
        return found[0] if rule is None else f"{found[1]}{self._take(f'form {rule}', found[2], found[3])}{found[4]}"

    def _bytes(self, body: bytes) -> bytes:
        """Bytes that are no text: what was taken out elsewhere is found in them too."""
        for secret, token in self._taken.items():
            needle = secret.encode("utf-8", "surrogateescape")
            if needle in body:
                self.counts["echo of a removed value"] += body.count(needle)
                body = body.replace(needle, token.encode())
        return body

    def binary(self, body: bytes) -> bytes:
        """A body of some binary format: what goes is replaced by as many bytes, so that lengths in it stay true."""

        def seen(rule: str, value: str) -> str:
            return _fitted(self._seen(rule, value), len(value))

        body = self._redaction.looks.replace(body.decode("latin-1"), seen).encode("latin-1")
        for secret, token in self._taken.items():
            needle = secret.encode("utf-8", "surrogateescape")
            if needle in body:
                self.counts["echo of a removed value"] += body.count(needle)
                body = body.replace(needle, _fitted(token, len(needle)).encode())
        return body

    def _seen(self, rule: str, value: str) -> str:
        self.counts[f"looks like: {rule}"] += 1
        self._remember("", value)
        return self._redaction.token(value)

    @property
    def took(self) -> bool:
        """Whether anything was taken out that could stand elsewhere too."""
        return bool(self._taken)

    def report(self) -> dict[str, int]:
        """How many values went, by rule."""
        return {rule: count for rule, count in sorted(self.counts.items()) if count}

    def _header(self, name: str, value: str) -> str:
        rule = self._denied(name, value)
        if rule is not None:
            return self._take(rule, name, value)
        if name.lower().endswith("-bin"):  # metadata of gRPC that is no text
            return self._binary_header(value)
        return self.url(value) if name.lower() in _ADDRESSES else self.text(value)

    def _binary_header(self, value: str) -> str:
        try:
            raw = base64.b64decode(value, validate=True)
        except ValueError:
            return self.text(value)
        return base64.b64encode(self.binary(raw)).decode()

    def _denied(self, name: str, value: str) -> str | None:
        rule = self._redaction.rule(name)
        if rule is not None:
            return f"header {rule}"
        return "header value of an authorization scheme" if _SCHEMES.match(value) else None

    def _parameter(self, pair: str, where: str = "query") -> str:
        name, equals, value = pair.partition("=")
        rule = self._redaction.rule(unquote_plus(name)) if value else None
        if rule is None:
            return pair
        self._remember(name, unquote_plus(value))
        return f"{name}{equals}{self._take(f'{where} {rule}', name, value)}"

    def _take(self, rule: str, name: str, value: str) -> str:
        self.counts[rule] += 1
        self._remember(name, value)
        return self._redaction.token(value)

    def _remember(self, name: str, value: str) -> None:
        scheme = _SCHEMES.match(value)
        for secret in (value, scheme[2] if scheme else "", *_cookies(name, value)):
            if _telling(secret):
                self._taken[secret] = self._redaction.token(secret)


def _decoded(raw: RawHeaders) -> list[tuple[str, str]]:
    """As text, whether an application wrote them as bytes (ASGI) or as text (WSGI)."""
    return [(_text(name), _text(value)) for name, value in raw]


def _text(part: Any) -> str:
    return part if isinstance(part, str) else bytes(part).decode("latin-1")


def _cookies(name: str, value: str) -> list[str]:
    """The values inside of `cookie: a=1; b=2` and the one of `set-cookie: a=1; Path=/`."""
    if "cookie" not in name.lower():
        return []
    pairs = value.split(";")[: 1 if name.lower() == "set-cookie" else None]
    return [pair.partition("=")[2].strip().strip('"') for pair in pairs]


def _fitted(token: str, length: int) -> str:
    return token[:length].ljust(length, "*")


def _telling(secret: str) -> bool:
    """Whether a removed value is worth searching for elsewhere: `production` in `x-session-mode` is not."""
    return len(secret) >= 16 or (len(secret) >= 8 and any(letter.isdigit() for letter in secret))
