"""Rules put to texts by Arrow, whose RE2 is the engine's: to plan them as SQL takes longer than most masking.

What a rule made alike is looked at once by those after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

from shadowlab.triage import arrays
from shadowlab.triage.arrays import array, arrow
from shadowlab.triage.rules import CODES, MAX_CHARACTERS, MAX_TEMPLATE, STAGES, Rule

_SPACES = "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What Unicode calls a space separator."""
_OPEN, _CLOSE, _OTHER = "\x01", "\x02", "\x03"
"""Signs that codes are marked by, and one that stands for them where a text holds them."""
_STATUS = re.compile(r"(?i)(?:http|status|respon|got).*?([1-5])[0-9][0-9]\Z")
_LAST = re.compile(r"([0-9][0-9A-Z]*)\Z")


def put(texts: Any, rules: Sequence[Rule]) -> Any:
    """Texts (an Arrow array, each of them different) after some rules."""
    import pyarrow.compute as pc

    for holds, pattern, to in rules:
        if holds == pattern:
            texts = pc.replace_substring(texts, pattern, to)
        elif not holds:
            texts = pc.replace_substring_regex(texts, f"(?s){pattern}", to)
        elif (held := _holding(texts, holds)).true_count:
            replaced = pc.replace_substring_regex(texts.filter(held), f"(?s){pattern}", to)
            texts = pc.replace_with_mask(texts, held, replaced)
    return texts


def _holding(texts: Any, holds: str | Sequence[str]) -> Any:
    """Which texts hold a sign, or one of several."""
    import pyarrow.compute as pc

    signs = (holds,) if isinstance(holds, str) else holds
    return reduce(pc.or_, (pc.match_substring(texts, sign) for sign in signs))


def templates(texts: Sequence[str]) -> list[str]:
    """The template of each text, in the texts' order; codes that say what went wrong stand behind it."""
    import pyarrow.compute as pc

    if not texts:
        return []
    told = pc.utf8_slice_codeunits(arrays.texts(texts), 0, MAX_CHARACTERS)
    codes = _codes(told)
    for rules in STAGES:
        alike = told.dictionary_encode()
        told = put(alike.dictionary, rules).take(alike.indices)
    told = pc.utf8_slice_codeunits(pc.utf8_trim(told, _SPACES), 0, MAX_TEMPLATE)
    return [f"{text} [{codes[n]}]" if codes.get(n) else text for n, text in enumerate(told.to_pylist())]


def _codes(texts: Any) -> dict[int, str]:
    """The codes in each text that holds some, by its place."""
    import numpy as np
    import pyarrow.compute as pc

    rows = np.flatnonzero(array(pc.match_substring_regex(texts, CODES)))
    plain = pc.replace_substring_regex(texts.take(arrow(rows)), f"[{_OPEN}{_CLOSE}]", _OTHER)
    marked = pc.replace_substring_regex(plain, f"({CODES})", rf"{_OPEN}\1{_CLOSE}")
    found = (re.findall(f"{_OPEN}([^{_CLOSE}]*)", text) for text in marked.to_pylist())
    return {row: " ".join(sorted(set(map(_code, each)))) for row, each in zip(rows.tolist(), found, strict=True)}


def _code(said: str) -> str:
    """A status by its class, another code as it is: `5xx` of `status: 503`."""
    if status := _STATUS.match(said):
        return f"{status[1]}xx"
    code = _LAST.search(said)
    return code[1] if code else ""
