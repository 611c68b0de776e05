"""Templates of log records that say the same about other things, as one: names differ, or one place takes many words.

A template is a row of words and of *slots*: what was masked, and names as programs spell them (`a.b.C`, `aName`).
Those alike in all words, whose slots differ, are one. So are those that differ in one place alone where that place
takes many values; capitalised words in a row are one value there. All templates are judged at once, so that no order
changes what is one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

MANY = 5
"""A place that takes this many values, all else equal, is a parameter."""
MANY_ALONE = 12
"""The same where fewer than `LEAST` other words say of what."""
LEAST = 2
"""Words that templates must share to be one in which names differ."""
_ROUNDS = 4

_PARTS = re.compile(r"([(\[{\"']*)((?:<[\w*]+>|\S)*?)([)\]}\"',.:;!?]*)")
_MASKED = re.compile(r"[^\w\s<]*(?:<?<[\w*]+>[^\w\s<]*)+")
_DOTTED = re.compile(r"[A-Za-z>][.$@][A-Za-z<]|^-?\.[A-Za-z]|\w/[\w.\-]+/|<[\w*]+>.*[/\\@]|[/\\@].*<[\w*]+>")
"""A name that is spoken of even where a colon follows."""
_NAME = re.compile(r"[A-Za-z]:[A-Za-z]|::|->|[a-z][A-Z]|[A-Za-z>]_[A-Za-z<]")
"""One that says who speaks where a colon follows."""
_CAPITAL = re.compile(r"[A-Z][\w\-]*")


class Part(NamedTuple):
    """One word, or the value of one slot, and the signs before and behind it."""

    word: str
    lead: str
    text: str
    tail: str
    slot: bool
    masked: bool
    spoken: bool
    """Whether it is a word of a language, and no sign or value."""


Parts = Sequence[Part]


def one_each(templates: Collection[str]) -> dict[str, str]:
    """The template that each of `templates` belongs to; a single word is no value of nothing."""
    into = {text: text for text in templates}
    for _ in range(_ROUNDS):
        varying = _varying({text for text in into.values() if " " in text})
        alike = _alike(set(varying.values()))
        after = {text: alike[varying[now]] if now in varying else now for text, now in into.items()}
        if after == into:
            break
        into = after
    return into


def _alike(texts: Iterable[str]) -> dict[str, str]:
    """Those whose words are the same and whose slots differ, as one."""
    groups: dict[tuple[str, ...], list[tuple[str, Parts]]] = defaultdict(list)
    for text in texts:
        parts = _joined(_first(_read(text)))
        groups[tuple(f"{p.lead} {p.tail}" if p.slot else p.word for p in parts)].append((text, parts))
    told = {}
    for found in groups.values():
        differ = [n for n, place in enumerate(zip(*(parts for _, parts in found), strict=True)) if len(set(place)) > 1]
        if not _enough(found, differ):
            differ = []
        for text, parts in found:
            told[text] = text if not differ else _with(parts, differ)
    return told


def _enough(found: Sequence[tuple[str, Parts]], differ: Sequence[int]) -> bool:
    """Whether the words they share say enough; where only what was masked differs, or there are many, one does."""
    words = sum(part.spoken for part in found[0][1])
    masked = all(parts[n].masked for _, parts in found for n in differ)
    return words >= (1 if masked or len(found) >= MANY else LEAST)


def _with(parts: Parts, places: Collection[int]) -> str:
    """The template with a parameter in each of `places`."""
    return " ".join(f"{p.lead}<*>{p.tail}" if n in places else p.word for n, p in enumerate(parts))


def _varying(texts: Iterable[str]) -> dict[str, str]:
    """Those that differ in one place of many values, as one."""
    rows = {text: _runs(_read(text)) for text in texts}
    heads: dict[tuple[int, str], int] = {}
    tails: dict[tuple[int, str], int] = {}
    around = {text: _around(heads, tails, row) for text, row in rows.items()}
    values: dict[tuple[int, int, str, str], set[str]] = defaultdict(set)
    for text, row in rows.items():
        for (head, tail), part in zip(around[text], row, strict=True):
            values[head, tail, part.lead, part.tail].add(part.text)
    told = {}
    for text, row in rows.items():
        words = sum(part.spoken for part in row)
        places = [
            n
            for n, ((head, tail), part) in enumerate(zip(around[text], row, strict=True))
            if len(found := values[head, tail, part.lead, part.tail]) >= MANY
            and (words - part.spoken >= LEAST or len(found) >= MANY_ALONE)
        ]
        told[text] = _with(row, places) if places else text
    return told


def _around(heads: dict[tuple[int, str], int], tails: dict[tuple[int, str], int], row: Parts) -> list[tuple[int, int]]:
    """Numbers for what stands before each place and behind it; the same where the same does."""
    words = [part.word for part in row]
    return list(zip(_walk(heads, words), reversed(_walk(tails, words[::-1])), strict=True))


def _walk(trie: dict[tuple[int, str], int], words: Iterable[str]) -> list[int]:
    node, nodes = 0, []
    for word in words:
        nodes.append(node)
        node = trie.setdefault((node, word), len(trie) + 1)
    return nodes


def _runs(parts: Parts) -> Parts:
    """Capitalised words and names in a row as one, but for the first."""
    told: list[Part] = []
    run = False
    for n, part in enumerate(parts):
        capital = n > 0 and ((part.slot and not part.masked) or bool(_CAPITAL.fullmatch(part.text)))
        if capital and run and not part.lead:
            told[-1] = _both(told[-1], part)
        else:
            told.append(part)
        run = capital and not part.tail
    return told


def _joined(parts: Parts) -> Parts:
    """Slots in a row as one, so that lists of any length are alike."""
    told: list[Part] = []
    for part in parts:
        before = told[-1] if told else None
        if before and before.slot and part.slot and before.tail in ("", ",", ";") and not part.lead:
            told[-1] = _both(before, part)
        else:
            told.append(part)
    return told


def _both(one: Part, other: Part) -> Part:
    return one._replace(
        word=f"{one.word} {other.word}",
        text=f"{one.text}{one.tail} {other.text}",
        tail=other.tail,
        masked=one.masked and other.masked,
        spoken=one.spoken or other.spoken,
    )


def _first(parts: Parts) -> Parts:
    """A name that begins a record says who speaks, but for one with a dot, which is spoken of."""
    if parts[0].slot and not parts[0].masked and not _DOTTED.search(parts[0].text):
        return (parts[0]._replace(slot=False, spoken=True), *parts[1:])
    return parts


def _read(text: str) -> Parts:
    return [_part(word) for word in text.split(" ")]


@lru_cache(maxsize=100_000)
def _part(word: str) -> Part:
    """A word taken apart."""
    found = _PARTS.fullmatch(word)
    lead, text, tail = found.groups() if found else ("", word, "")
    still_open = sum(map(text.count, "([{")) - sum(map(text.count, ")]}"))
    if still_open > 0 and text:
        text, tail = text + tail[:still_open], tail[still_open:]
    masked = bool(_MASKED.fullmatch(text))
    name = bool(_DOTTED.search(text)) or (":" not in tail and bool(_NAME.search(text)))
    slot = masked or name
    return Part(word, lead, text, tail, slot, masked, not slot and any(map(str.isalpha, text)))
