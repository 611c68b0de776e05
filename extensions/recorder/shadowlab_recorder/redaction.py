"""Take secrets out before anything reaches a disk, and say by which rule."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import unquote_plus

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
    "x-auth*",
)
"""Names of headers, query parameters and variables whose values never reach a disk; the first match is the rule."""

KEY_VARIABLE = "SHADOWLAB_RECORDER_KEY"
"""Set it in the service to keep tokens equal between processes and restarts."""

_SCHEMES = re.compile(r"(?i)^\s*(bearer|basic|digest|negotiate|apikey)\s+(\S.*)$")
_USERINFO = re.compile(r"(?<=://)[^/?#@\s]+@")
_ADDRESSES = ("location", "content-location", "referer", "origin")
"""Headers that hold a URL."""


class Redaction:
    """The rules and the key of one service."""

    def __init__(self, extra: Sequence[str] = (), key: bytes | None = None) -> None:
        self.names = (*DENIED_NAMES, *(name.lower() for name in extra))
        self._key = key or os.environ.get(KEY_VARIABLE, "").encode() or os.urandom(32)

    def rule(self, name: str) -> str | None:
        """The first rule that denies this name, None when it may be kept."""
        lowered = name.lower()
        return next((rule for rule in self.names if fnmatchcase(lowered, rule)), None)

    def token(self, value: str) -> str:
        """The same token for the same value, for whoever holds the same key."""
        return f"[redacted:{hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:16]}]"


class Redacted:
    """One recording on its way to the disk: let it learn all headers first, then ask for everything."""

    def __init__(self, redaction: Redaction) -> None:
        self.counts: Counter[str] = Counter()
        self._redaction = redaction
        self._taken: dict[str, str] = {}

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
        """Text without any value that was taken out of a header, should the service have repeated it."""
        for secret, token in self._taken.items():
            if secret in text:
                self.counts["echo of a removed value"] += text.count(secret)
                text = text.replace(secret, token)
        return text

    def body(self, body: bytes) -> bytes:
        """The same for the bytes of a body."""
        for secret, token in self._taken.items():
            needle = secret.encode("utf-8", "surrogateescape")
            if needle in body:
                self.counts["echo of a removed value"] += body.count(needle)
                body = body.replace(needle, token.encode())
        return body

    def report(self) -> dict[str, int]:
        """How many values went, by rule."""
        return {rule: count for rule, count in sorted(self.counts.items()) if count}

    def _header(self, name: str, value: str) -> str:
        rule = self._denied(name, value)
        if rule is not None:
            return self._take(rule, name, value)
        return self.url(value) if name.lower() in _ADDRESSES else self.text(value)

    def _denied(self, name: str, value: str) -> str | None:
        rule = self._redaction.rule(name)
        if rule is not None:
            return f"header {rule}"
        return "header value of an authorization scheme" if _SCHEMES.match(value) else None

    def _parameter(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        rule = self._redaction.rule(unquote_plus(name)) if value else None
        return pair if rule is None else f"{name}{equals}{self._take(f'query {rule}', name, value)}"

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
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def _cookies(name: str, value: str) -> list[str]:
    """The values inside of `cookie: a=1; b=2` and the one of `set-cookie: a=1; Path=/`."""
    if "cookie" not in name.lower():
        return []
    pairs = value.split(";")[: 1 if name.lower() == "set-cookie" else None]
    return [pair.partition("=")[2].strip().strip('"') for pair in pairs]


def _telling(secret: str) -> bool:
    """Whether a removed value is worth searching for elsewhere: `production` in `x-session-mode` is not."""
    return len(secret) >= 16 or (len(secret) >= 8 and any(letter.isdigit() for letter in secret))
