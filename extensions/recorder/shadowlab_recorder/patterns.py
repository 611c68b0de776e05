"""Secrets that are known by their looks, and places in JSON that a service names."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

_NAMED = r"(?i:password|passwd|pwd|passphrase|secret|token|(?:api|access)[_-]?key|authorization|cookie)"
_SCHEME = r"(?:(?i:bearer|basic|digest|token)[ \t]+)?"
_OPTION = rf"--(?:[A-Za-z0-9]+[_-])*{_NAMED}"
_KEPT = r"(?!\[redacted:)"
_ENDS = r"\s\"'&,;)"
_MYSQL = r"mysql(?:admin|check|dump|import|pump|show|slap)?"
_WORD = r"[^\s|;&<>()`\"']+"

PATTERNS: dict[str, str] = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "json web token": r"\beyJ[\w-]{6,4000}\.[\w-]{6,}(?:\.[\w-]*)?",
    "aws key id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "github token": r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,})",
    "gitlab token": r"\bglpat-[\w-]{16,}",
    "slack token": r"\bxox[abeoprs]-[\w-]{10,}",
    "stripe key": r"\b(?:[rsp]k_(?:live|test)_\w{8,}|(?:[rs]k|whsec)_(?=[A-Za-z]*\d)[A-Za-z0-9]{16,})",
    "model provider key": r"\bsk-(?=[\w-]{0,60}\d)[\w-]{20,}",
    "google key": r"\bAIza[\w-]{30,}",
    "sendgrid key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
    "npm token": r"\bnpm_\w{30,}",
    "hugging face token": r"\bhf_\w{30,}",
    "pypi token": r"\bpypi-[\w-]{30,}",
    "vault token": r"\bhv[bsr]\.[\w-]{20,}",
    "age key": r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}",
    "digitalocean token": r"\bdo[opr]_v1_[0-9a-f]{40,}",
    "shopify token": r"\bshp(?:at|ca|pa|ss)_[A-Za-z0-9]{20,}",
    "databricks token": r"\bdapi[0-9a-f]{32}\b",
    "twilio key": r"\bSK[0-9a-f]{32}\b",
    "telegram token": r"\b(?:bot)?[0-9]{8,10}:AA[\w-]{30,}",
    "webhook": r"\b(?:hooks\.slack\.com/[a-z]+|discord(?:app)?\.com/api/webhooks/[0-9]+)/(?P<secret>[\w/-]{16,})",
    "bearer": r"(?i)\bbearer\s+[\w.~+/-]{12,}=*",
    "basic": r"(?i)\bbasic\s+(?P<secret>[A-Za-z0-9+/]{7,}=*)",
    "password in URL": rf"://[^/\s:@\"']*:(?P<secret>{_KEPT}[^/\s@\"']{{4,}})@\S",
    "signed URL": r"(?i)(?:\bx-(?:amz|goog)-signature|[?&]sig(?:nature)?|(?:account|shared_?access)_?key)="
    rf"(?P<secret>{_KEPT}[^{_ENDS}]{{5,}})",
    "password in text": rf"{_NAMED}(?:\s*=\s*[\"']?|\\*[\"']\s*:\s*b?\\*[\"']){_SCHEME}"
    rf"(?P<secret>{_KEPT}(?:\\*[^{_ENDS}\\]){{6,}})",
    "password after a colon": r"(?i:passw(?:or)?d|passphrase|secret|(?:api|access)[_-]?key|authorization|cookie):"
    rf"[ \t]*{_SCHEME}(?P<secret>{_KEPT}(?=[^{_ENDS}]{{0,60}}\d)[^{_ENDS}]{{6,}})",
    "password after an option": rf"{_OPTION}[ \t]+[\"']?(?P<secret>{_KEPT}[^{_ENDS}-][^{_ENDS}]{{3,}})",
    "password in arguments": rf"\"{_OPTION}\"\s*,\s*\"(?P<secret>{_KEPT}(?:\\.|[^\"\\-])(?:\\.|[^\"\\])*)",
    "password of mysql": r"(?:(?:^|[\n|;&(`\"'])[ \t]*|\bsudo[ \t]+|[ \t]--[ \t]+"
    rf"|\bexec[ \t]+(?:{_WORD}[ \t]+){{0,8}}?)"
    rf"(?:[\w./-]*/bin/)?{_MYSQL}[ \t]+(?:-{_WORD}[ \t]+(?:{_WORD}[ \t]+){{0,16}}?)?-p[\"']?"
    rf"(?P<secret>{_KEPT}[^{_ENDS}]{{2,}})",
    "password in XML": r"""(?x)<
        (?i:(?:[\w.-]{1,40}:)?[\w.-]{0,40}(?:password|passwd|pwd|passphrase|secret|api-?_?key|token)(?:\s[^<>]*)?)>
        (?P<secret>(?!\[redacted:)[^<]{4,})</""",
    "card number": r"[3-6](?<=\b.)(?!(?<=\d\..)\d{14,}\b)\d{3}(?:[ -]?\d{4}){2}[ -]?\d{3,4}\b",
}
"""Regular expressions by the rule's name; only the group `secret` is removed where there is one.

A card number must also satisfy Luhn's check (ISO/IEC 7812-1), what follows `basic` be a user and a password (RFC 7617).
"""

_MARKS: dict[str, tuple[str, ...]] = {
    "private key": ("-----begin ",),
    "json web token": ("eyj",),
    "aws key id": ("akia", "asia"),
    "github token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "gitlab token": ("glpat-",),
    "slack token": ("xox",),
    "stripe key": ("sk_", "pk_", "rk_", "whsec_"),
    "model provider key": ("sk-",),
    "google key": ("aiza",),
    "sendgrid key": ("sg.",),
    "npm token": ("npm_",),
    "hugging face token": ("hf_",),
    "pypi token": ("pypi-",),
    "vault token": ("hvs.", "hvb.", "hvr."),
    "age key": ("age-secret-key-1",),
    "digitalocean token": ("_v1_",),
    "shopify token": ("shpat_", "shpca_", "shppa_", "shpss_"),
    "databricks token": ("dapi",),
    "twilio key": ("sk",),
    "telegram token": (":aa",),
    "webhook": ("hooks.slack.com/", ".com/api/webhooks/"),
    "bearer": ("bearer",),
    "basic": ("basic",),
    "password in URL": ("://",),
    "signed URL": ("signature=", "sig=", "key="),
    "password in text": ("passw", "passp", "pwd", "secret", "token", "key", "authorization", "cookie"),
    "password after a colon": ("passw", "passp", "secret", "key", "authorization", "cookie"),
    "password after an option": ("--",),
    "password in arguments": ('"--',),
    "password of mysql": ("mysql",),
    "password in XML": ("</",),
    "card number": ("",),
}
"""What stands in every text that the rule fits, one of these at least, in small letters: quick to find."""

_SHORTEST = 10
"""Letters of the shortest text that one of them fits, `pwd=` and six more; most texts of a recording are shorter."""

_Rule = tuple[str, tuple[str, ...], re.Pattern[str]]
_COMMON: tuple[_Rule, ...] = tuple(
    (name, _MARKS[name], re.compile(pattern, re.DOTALL)) for name, pattern in PATTERNS.items()
)
_STEP = re.compile(r"\.\.|\.?([^.\[\]]+)|\[(\*|\d+|'[^']*'|\"[^\"]*\")\]")


class Looks:
    """The patterns of one service: those that everybody has, and its own."""

    def __init__(self, own: Sequence[str] = ()) -> None:
        self._rules = list(_COMMON)
        self._shortest = 0 if own else _SHORTEST
        for pattern in own:
            try:
                self._rules.append((f"pattern {pattern}", ("",), re.compile(pattern, re.DOTALL)))
            except re.error as error:
                raise ValueError(f"redact_patterns: {pattern!r} is no regular expression: {error}") from error

    def replace(self, text: str, take: Callable[[str, str], str]) -> str:
        """The text with `take(rule, found)` in place of everything that looks like a secret."""
        if len(text) < self._shortest:
            return text
        folded = text.casefold()
        for rule, marks, pattern in self._rules:
            for mark in marks:
                if mark in folded:
                    text = pattern.sub(partial(_replaced, rule, take), text)
                    break
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
    if (rule == "card number" and not _luhn(found[0])) or (rule == "basic" and not _user_and_password(found["secret"])):
        return found[0]
    if "secret" not in found.re.groupindex:
        return take(rule, found[0])
    start, end = (each - found.start() for each in found.span("secret"))
    return found[0][:start] + take(rule, found["secret"]) + found[0][end:]


def _user_and_password(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text, validate=True)
    except ValueError:
        return False


def _luhn(text: str) -> bool:
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
