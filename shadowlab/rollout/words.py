"""Telemetry's and patches' words in Markdown: shown as they are, never obeyed."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 400
_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~&$!])|(?<=:)(//)|(?i:(?<=www)(\.))")
_FIRST = re.compile(r"^(\d*)([-+=:.)])")


def code(text: object, *, longest: int = _LONGEST) -> str:
    """A code span that holds `text` and nothing else: no link, mention or HTML. Not for a table's cell."""
    line = _one_line(str(text), longest)
    if not line:
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def escaped(text: object, *, longest: int = _LONGEST) -> str:
    """Plain words: every sign that Markdown might act on is escaped, mentions are broken."""
    # A word joiner after the sign: nobody is notified by what an attacker wrote into an exception.
    line = _SIGNS.sub(r"\\\g<0>", _one_line(str(text), longest)).replace("@", "@\u2060")
    return _FIRST.sub(r"\1\\\2", line)


def fenced(text: str, language: str = "") -> str:
    r"""A code block that `text` cannot end; what cannot be seen is written out, as `\u202e`, not left out."""
    clean = "".join(c if c in "\n\t" or _shown(c) else c.encode("unicode_escape").decode() for c in text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", clean)), default=0))
    return f"{fence}{language}\n{clean.rstrip()}\n{fence}"


def _one_line(text: str, longest: int) -> str:
    clean = " ".join("".join(letter if _shown(letter) else " " for letter in text).split())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _shown(letter: str) -> bool:
    """Whether a character can be seen; controls and marks that turn the direction of text cannot."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
