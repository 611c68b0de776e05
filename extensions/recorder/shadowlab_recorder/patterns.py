"""Secrets that are known by their looks, and places in JSON that a service names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

PATTERNS: dict[str, str] = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "json web token": r"\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]{6,}",
    "aws key id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "github token": r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,})",
    "gitlab token": r"\bglpat-[\w-]{20,}",
    "slack token": r"\bxox[abeoprs]-[\w-]{10,}",
    "stripe key": r"\b[rsp]k_(?:live|test)_\w{8,}",
    "google key": r"\bAIza[\w-]{35}",
    "sendgrid key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
    "npm token": r"\bnpm_\w{30,}",
    "bearer": r"(?i)\bbearer\s+[\w.~+/-]{12,}=*",
    "password in text": r"""(?ix)(?:\b|(?<=[_-]))(?:password|passwd|pwd|secret|api_?key|(?:access)?token)
        (?:\s*=\s*["']?|["']\s*:\s*b?["'])
        (?P<secret>(?!\[redacted:)[^\s"'&,;)]{6,})""",
    "password in XML": r"""(?x)<
        (?i:(?:[\w.-]{1,40}:)?[\w.-]{0,40}(?:password|passwd|secret|api-?_?key|token)(?:\s[^<>]*)?)>
        (?P<secret>(?!\[redacted:)[^<]{4,})</""",
    "card number": r"\b(?!(?<=\d\.)\d{15,}\b)[3-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{3,4}\b",
}
"""Regular expressions by the rule's name; only the group `secret` is removed where there is one.

A card number must also satisfy Luhn's check (ISO/IEC 7812-1).
"""

_SHORTEST = 10
"""Letters of the shortest text that one of them fits, `pwd=` and six more; most texts of a recording are shorter."""

_compiled = {name: re.compile(pattern, re.DOTALL) for name, pattern in PATTERNS.items()}
_STEP = re.compile(r"\.\.|\.?([^.\[\]]+)|\[(\*|\d+|'[^']*'|\"[^\"]*\")\]")


class Looks:
    """The patterns of one service: those that everybody has, and its own."""

    def __init__(self, own: Sequence[str] = ()) -> None:
        self._patterns = dict(_compiled)
        self._shortest = 0 if own else _SHORTEST
        for pattern in own:
            try:
                self._patterns[f"pattern {pattern}"] = re.compile(pattern, re.DOTALL)
            except re.error as error:
                raise ValueError(f"redact_patterns: {pattern!r} is no regular expression: {error}") from error

    def replace(self, text: str, take: Callable[[str, str], str]) -> str:
        """The text with `take(rule, found)` in place of everything that looks like a secret."""
        if len(text) < self._shortest:
            return text
        for rule, pattern in self._patterns.items():
            if pattern.search(text):
                text = pattern.sub(partial(_replaced, rule, take), text)
        return text


class Places:
    """JSON paths: `$.card.number`, `$.items[*].code`, `$..pin`; `card.number` means `$.card.number`."""

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self._rules = [(path, re.compile(_expression(path))) for path in paths]

    def rule(self, place: str) -> str | None:
        """The path that names this place, written `/items/0/code`."""
        return next((path for path, expression in self._rules if expression.fullmatch(place)), None)


def _expression(path: str) -> str:
    rest = path[1:] if path.startswith("$") else "." + path
    made, at = "", 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise ValueError(f"redact_paths: {path!r} is not understood from {rest[at:]!r} on")
        step = found[1] or (found[2] or "").strip("'\"")
        if found[0] == "..":
            made += "(?:/[^/]+)*"
        else:
            made += "/[^/]+" if step == "*" else "/" + re.escape(step)
        at = found.end()
    return made


def walk(value: Any, leaf: Callable[[str, str, Any, str | None], Any], places: Places) -> Any:
    """The JSON value with each leaf replaced by `leaf(place, name, value, rule)`; a rule holds for all below."""
    return _walked(value, "", "", None, leaf, places)


def _walked(value: Any, place: str, name: str, rule: str | None, leaf: Any, places: Places) -> Any:
    rule = rule or places.rule(place)
    if isinstance(value, dict):
        return {key: _walked(each, f"{place}/{key}", key, rule, leaf, places) for key, each in value.items()}
    if isinstance(value, list):
        return [_walked(each, f"{place}/{n}", name, rule, leaf, places) for n, each in enumerate(value)]
    return leaf(place, name, value, rule)


def _replaced(rule: str, take: Callable[[str, str], str], found: re.Match[str]) -> str:
    if rule == "card number" and not _luhn(found[0]):
        return found[0]
    if "secret" not in found.re.groupindex:
        return take(rule, found[0])
    start, end = (each - found.start() for each in found.span("secret"))
    return found[0][:start] + take(rule, found["secret"]) + found[0][end:]


def _luhn(text: str) -> bool:
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
