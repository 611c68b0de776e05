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
_ECHO_LENGTH = 8
"""A taken value shorter than this is not searched for elsewhere: it would hit innocent text."""


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
    """One recording on its way to the disk: ask for the headers first, then for everything else."""

    def __init__(self, redaction: Redaction) -> None:
        self.counts: Counter[str] = Counter()
        self._redaction = redaction
        self._taken: dict[str, str] = {}

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
            return self._take(f"name {rule}", value)
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
        rule = self._redaction.rule(name)
        if rule is not None:
            return self._take(f"header {rule}", value)
        if _SCHEMES.match(value):
            return self._take("header value of an authorization scheme", value)
        return value

    def _parameter(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        rule = self._redaction.rule(unquote_plus(name)) if value else None
        return pair if rule is None else f"{name}{equals}{self._take(f'query {rule}', value)}"

    def _take(self, rule: str, value: str) -> str:
        self.counts[rule] += 1
        scheme = _SCHEMES.match(value)
        for secret in (value, scheme[2] if scheme else "", *_cookie_values(value)):
            if len(secret) >= _ECHO_LENGTH:
                self._taken[secret] = self._redaction.token(secret)
        return self._redaction.token(value)


def _decoded(raw: RawHeaders) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def _cookie_values(value: str) -> list[str]:
    """The values inside of `a=1; b=2`; nothing of other shapes."""
    pairs = [part.partition("=") for part in value.split(";")]
    return [found.strip().strip('"') for name, equals, found in pairs if equals and " " not in name.strip()]
