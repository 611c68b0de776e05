"""Keep secrets and people out of the case, and keep equal values equal.

A value is replaced by a keyed pseudonym, `<email:3f9a0c11d2b4>`: the first 48 bits of HMAC-SHA-256 (RFC 2104) under the
case's own key. Who has the key can test a guess; nobody can read a value back. This is pseudonymisation, not anonymity.

>>> redactor = Redactor(b"a key of this case")
>>> redactor.text("mail ann@example.org") == redactor.text("mail ann@example.org")
True
>>> "ann@example.org" in redactor.text("mail ann@example.org")
False
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from shadowlab import errors

# Written in the part of regular expressions that Python's `re` and DuckDB's RE2 read alike: SQL and Python must agree.
SECRET_KEY: Final = (
    r"(authorization|cookie|password|passwd|passphrase|secret|api[._-]?key|private[._-]?key|access[._-]?key"
    r"|credentials?|token|(^|[._-])pwd|x-amz-signature)$"
)
_PERSON_KEY: Final = (
    r"((^|[._-])(enduser|user|customer|client|peer|session|device|account)[._-]?(id|name|full[._-]?name|address|ip|hash)"
    r"|(^|[._-])(username|user[._-]agent[._-]original|user-agent|x-forwarded-for|x-real-ip|forwarded|phone([._-]?number)?))$"
)
POLICIES: Final = {"default": SECRET_KEY, "strict": f"{SECRET_KEY}|{_PERSON_KEY}"}
"""Names of values that are replaced as a whole: secrets; under `strict` what names a person or a device too."""
_NAMED: Final = r"(?i:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|authorization|cookie)"
_BEFORE_ASSIGNED: Final = _NAMED + r"[\"']?[ \t]*[=:][ \t]*[\"']?(?:(?i:bearer|basic|digest|token)[ \t]+)?"
_BEFORE_ESCAPED: Final = _NAMED + r"\\+[\"'][ \t]*:[ \t]*\\+[\"']"  # JSON as a text in JSON
_BEFORE_SIGNED: Final = r"(?i:x-(?:amz|goog)-signature|[?&]sig(?:nature)?|(?:account|shared_?access)_?key)="
_OPTION: Final = r"--(?:[A-Za-z0-9]+[_-])*" + _NAMED
_BEFORE_WORD: Final = _OPTION + r"[ \t]+[\"']?"  # the next word of a command line
_BEFORE_ELEMENT: Final = _OPTION + r"\"[ \t]*,[ \t]*\""  # the next element of a list of arguments, in JSON
_WORD: Final = r"[^ \t\r\n|;&<>()`\"']+"
_BEFORE_MYSQL: Final = (  # only where a command stands: the `-p` of `docker run --name mysql -p3306:3306` is a port
    rf"(?:(?:^|[\n|;&(`\"'])[ \t]*|\bsudo[ \t]+|[ \t]--[ \t]+|\bexec[ \t]+(?:{_WORD}[ \t]+){{0,8}}?)"
    r"(?:[A-Za-z0-9_./-]*/bin/)?mysql(?:admin|check|dump|import|pump|show|slap)?[ \t]+"
    rf"(?:-{_WORD}[ \t]+(?:{_WORD}[ \t]+){{0,16}}?)?-p[\"']?"
)
_BEFORE_XML: Final = rf"<[A-Za-z0-9_.:-]*{_NAMED}(?:[ \t\r\n][^<>]*)?>"
_BEFORE: Final = (
    f"(?:{_BEFORE_ESCAPED}|{_BEFORE_ASSIGNED}|{_BEFORE_SIGNED}|{_BEFORE_WORD}|{_BEFORE_ELEMENT}|{_BEFORE_MYSQL}"
    f"|{_BEFORE_XML})"
)
_ENDS: Final = r" \t\r\n\"'&;,)}\]"
_ASSIGNED: Final = (
    rf"(?:{_BEFORE_ESCAPED}(?:\\*[^{_ENDS}\\])+|(?:{_BEFORE_ASSIGNED}|{_BEFORE_SIGNED})[^{_ENDS}]+|{_BEFORE_WORD}[^{_ENDS}-][^{_ENDS}]*"
    rf"|{_BEFORE_ELEMENT}(?:\\.|[^\"\\-])(?:\\.|[^\"\\])*|{_BEFORE_MYSQL}[^{_ENDS}]{{2,}})"
)
_BEFORE_URL_PASSWORD: Final = r"://[^/ \t\r\n:@\"']*:"
_URL_PASSWORD: Final = _BEFORE_URL_PASSWORD + r"[^/ \t\r\n@\"']+"
_IN_XML: Final = _BEFORE_XML + r"[^<]{4,}</"
_JWT: Final = r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
_TOKEN: Final = (
    rf"{_JWT}"
    r"|(?i:bearer|basic)[ \t]+[A-Za-z0-9._~+/=-]{7,}[A-Za-z0-9_~+/=-]"
    r"|\b(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{20,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\bnpm_[A-Za-z0-9]{30,}|\bhf_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}"
    r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bhv[bsr]\.[A-Za-z0-9_-]{20,}|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"
    r"|\bdo[opr]_v1_[0-9a-f]{40,}|\bshp(?:at|ca|pa|ss)_[A-Za-z0-9]{20,}|\b(?:dapi|SK)[0-9a-f]{32}\b"
    r"|\b(?:bot)?[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}|\bhooks\.slack\.com/[a-z]+/[A-Za-z0-9/]{16,}"
    r"|\bdiscord(?:app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:-?[^-])*(?:-----END [A-Z ]*PRIVATE KEY-----|[-A-Z ]{0,40}$)"
)
_LOCAL: Final = r"[^ \t\r\n@<>\"'(),:;\[\]\\{}|/=&?%]"
_EMAIL: Final = _LOCAL + r"+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
_CARD: Final = (
    r"\b(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6011|65[0-9]{2}|35[2-8][0-9])(?:[ -]?[0-9]{4}){3}\b"
    r"|\b3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}\b"
)
_FRACTION: Final = r"[0-9]+\.[2-6][0-9]{14,15}\b"  # 0.4111111111111111 is a number, not a card
_PSEUDONYM: Final = r"<(?:secret|token|email|card):[0-9a-f]{12}>"
_TELLING: Final = 6  # letters of a secret that is looked for alone; a shorter one may be a word
_ANY: Final = (
    f"(?:{_PSEUDONYM}|{_ASSIGNED}(?:@[A-Za-z0-9.-]+)?|{_URL_PASSWORD}@|{_IN_XML}|{_TOKEN}|{_EMAIL}|{_FRACTION}|{_CARD})"
)
_FURTHER_ON: Final = (
    _ANY.replace(_EMAIL, f"(?<!{_LOCAL}){_EMAIL}").replace(_FRACTION, f"(?<![0-9]){_FRACTION}").replace(f"{_JWT}|", "")
)
"""The same for `re`, which would try each character of a long word or number: what fits at one fits where it starts.

Of `eyJeyJeyJ...` only the first can begin a JSON web token. It may begin anywhere in a word, and is looked for alone.
"""
_IN_WORD: Final = r"eyJ[A-Za-z0-9_-]*"


@dataclass(slots=True)
class Redactor:
    """Replace what must not be kept; counts what it replaced, by rule. The same key gives the same pseudonyms."""

    key: bytes
    policy: str = "default"
    replaced: Counter[str] = field(default_factory=Counter)

    def pseudonym(self, rule: str, value: str) -> str:
        """`<rule:12 hex digits>`; a value that is a pseudonym already stays."""
        if re.fullmatch(_PSEUDONYM, value):
            return value
        self.replaced[rule] += 1
        return f"<{rule}:{hmac.new(self.key, value.encode('utf-8', 'surrogatepass'), hashlib.sha256).hexdigest()[:12]}>"

    def value(self, name: str, value: str) -> str:
        """The value under a name: wholly replaced when the name tells of a secret, else its text redacted."""
        if is_secret(name, self.policy):
            return self.pseudonym("secret", value) if value else value
        return self.text(value)

    def text(self, text: str) -> str:
        """Text with tokens, passwords, card numbers and e-mail addresses replaced."""
        found = set(_secrets(text))
        for secret in sorted(found, key=lambda word: (-len(word), word)):
            text = text.replace(secret, self._replacement(secret))
        return text

    def json(self, document: Any, name: str = "") -> Any:
        """A JSON value with every text in it redacted, each under its own key's name."""
        match document:
            case dict():
                return {key: self.json(value, key) for key, value in document.items()}
            case list():
                return [self.json(value, name) for value in document]
            case str():
                return self.value(name, document)
            case int() | float() if not isinstance(document, bool) and is_secret(name, self.policy):
                return self.pseudonym("secret", str(document))
            case _:
                return document

    def _replacement(self, found: str) -> str:
        before, rule, secret, after = _parts(found)
        return before + (self.pseudonym(rule, secret) if rule else secret) + after


def _parts(found: str) -> tuple[str, str, str, str]:
    """Of what `_ANY` matched: what is before the secret, its rule ("" if it is none), the secret, what is after it."""
    if before := re.match(f"{_BEFORE}|{_BEFORE_URL_PASSWORD}", found):
        after = "</" if found[0] == "<" else ""
        return before[0], "secret", found[before.end() : len(found) - len(after)], after
    if re.fullmatch(_TOKEN, found):
        return "", "token", found, ""
    if re.fullmatch(_EMAIL, found):
        return "", "email", found, ""
    return "", "card" if re.fullmatch(_CARD, found) and _luhn(found) else "", found, ""


def _secrets(text: str) -> Iterator[str]:
    """What `_ANY` matches in a text, each where the last one ended or further on; in time as its length."""
    here, at, other, token = re.compile(_ANY), 0, -1, -1
    while (found := here.match(text, at)) or at < len(text):
        if found is None:
            other = other if other >= at else _start(re.compile(_FURTHER_ON).search(text, at), text)
            token = token if token >= at else _start(_web_token(text, at), text)
            found = here.match(text, min(other, token))
        if found is None:
            return
        yield found[0]
        at = found.end()


def _start(found: re.Match[str] | None, text: str) -> int:
    return found.start() if found else len(text)


def _web_token(text: str, at: int) -> re.Match[str] | None:
    words = re.compile(_IN_WORD).finditer(text, at)
    return next((found for word in words if (found := re.compile(_JWT).match(text, word.start()))), None)


def masked(text: str) -> str:
    """Text for messages that go into records and reports: each secret is its rule's name alone, such as `<email>`.

    No key is needed, and the same text is masked alike everywhere.
    """
    return re.sub(r"<(secret|token|email|card):[0-9a-f]{12}>", r"<\1>", Redactor(b"").text(text))


def unrepeated(text: str, words: Iterable[str]) -> str:
    """A message about words that somebody typed, without the secrets in them; addresses of people stay.

    The rest of the message is left as it is: it may speak of `--webhook-secret FILE`.
    """
    for found in sorted({each for word in words for each in _secrets(word)}, key=lambda each: (-len(each), each)):
        before, rule, secret, after = _parts(found)
        if rule in ("", "email") or re.fullmatch(_PSEUDONYM, secret):
            continue
        if secret.endswith("@"):  # of a URL
            secret, after = secret[:-1], "@"
        text = text.replace(found, f"{before}<{rule}>{after}")
        if len(secret) < _TELLING:
            continue
        text = text.replace(secret, f"<{rule}>")
        for cut in range(1, len(secret) - 3):  # DuckDB repeats a part of a long line
            text = text.replace(f"...{secret[cut:]}", f"...<{rule}>").replace(f"{secret[:-cut]}...", f"<{rule}>...")
    return text


def is_secret(name: str, policy: str = "default") -> bool:
    """Whether a header, attribute or field of this name is replaced as a whole."""
    return re.search(POLICIES[policy], name.lower()) is not None


def _luhn(number: str) -> bool:
    digits = [int(c) for c in reversed(number) if c.isdigit()]
    return sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0


def macros(policy: str | None) -> str:
    """SQL that makes `redacted_value(k, v)` and `redacted_text(v)`; without a policy both give `v` back.

    The key is read from the variables that `key_variables` gives. Raises `UsageError` for an unknown policy.
    """
    if policy is None:
        return """CREATE MACRO redacted_text(v) AS v; CREATE MACRO redacted_value(k, v) AS v;
            CREATE MACRO has_secret(v) AS false; CREATE MACRO secret_key(k) AS false;"""
    if policy not in POLICIES:
        raise errors.UsageError(f"no redaction policy {policy!r}", hint=f"there are: {', '.join(POLICIES)}")
    before = _quoted(f"^(?:{_BEFORE}|{_BEFORE_URL_PASSWORD})")
    rest = f"substr(m, length(regexp_extract(m, {before})) + 1)"
    return f"""
    CREATE MACRO pseudonym(rule, v) AS CASE WHEN regexp_full_match(v, {_quoted(_PSEUDONYM)}) THEN v
        ELSE '<' || rule || ':' || sha256(getvariable('redaction_outer')
             || unhex(sha256(getvariable('redaction_inner') || encode(v))))[:12] || '>' END;
    CREATE MACRO luhn(digits) AS list_sum(list_transform(string_split(reverse(digits), ''), lambda d, i:
        CASE WHEN i % 2 = 1 THEN d::INT ELSE (2 * d::INT) // 10 + (2 * d::INT) % 10 END)) % 10 = 0;
    CREATE MACRO replacement(m) AS CASE
        WHEN regexp_matches(m, {before}) THEN regexp_extract(m, {before})
             || CASE WHEN m[1] = '<' THEN pseudonym('secret', {rest}[:-3]) || '</' ELSE pseudonym('secret', {rest}) END
        WHEN regexp_full_match(m, {_quoted(_TOKEN)}) THEN pseudonym('token', m)
        WHEN regexp_full_match(m, {_quoted(_EMAIL)}) THEN pseudonym('email', m)
        WHEN regexp_full_match(m, {_quoted(_CARD)}) AND luhn(regexp_replace(m, '[^0-9]', '', 'g'))
             THEN pseudonym('card', m)
        ELSE m END;
    CREATE MACRO has_secret(v) AS regexp_matches(v, {_quoted(_ANY)});
    CREATE MACRO secrets_in(v) AS list_distinct(regexp_extract_all(v, {_quoted(_ANY)}));
    CREATE MACRO redacted_text(v) AS CASE WHEN has_secret(v) THEN
        list_reduce(list_sort(list_transform(secrets_in(v),
            lambda m: {{'size': -length(m), 'text': m}})).list_transform(lambda m: m.text),
            lambda acc, m: replace(acc, m, replacement(m)), v) ELSE v END;
    CREATE MACRO secret_key(k) AS regexp_matches(lower(k), {_quoted(POLICIES[policy])});
    CREATE MACRO redacted_value(k, v) AS CASE
        WHEN v IS NULL OR v = '' THEN v WHEN secret_key(k) THEN pseudonym('secret', v) ELSE redacted_text(v) END;
    """


def key_variables(key: bytes) -> dict[str, bytes]:
    """The two padded keys of RFC 2104 for the SQL macros."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return {
        "redaction_inner": bytes(b ^ 0x36 for b in block),
        "redaction_outer": bytes(b ^ 0x5C for b in block),
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
