"""Which errors are the same: service, type, masked message and the deepest function of the service's own code.

A fingerprint is a hash of those four and of the rules' version; where there is no stack, the operation and the error's
code stand in for the function. Line numbers never count. An exception that was wrapped on purpose counts as its root
cause. Inside a fingerprint, a *path* is the chain of own functions by which it was reached.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shadowlab import errors
from shadowlab.triage import arrays, mask
from shadowlab.triage.arrays import dictionary
from shadowlab.triage.coded import NONE, Coded
from shadowlab.triage.raised import Raised
from shadowlab.triage.readings import VERSION, Read, Reading, rules
from shadowlab.triage.tables import signature

_MANY = 5
"""A word that takes this many values, all else equal, is a parameter."""
_MANY_ALONE = 12
"""The same for a message of that one word, and for part of an operation's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrections:
    """What a person knows better than the rules; kept with the case."""

    merge: tuple[tuple[str, ...], ...] = ()
    """Fingerprints that are one fault; the first names it."""
    split: tuple[str, ...] = ()
    """Fingerprints of several faults, to be told apart by the path that leads to them."""

    @classmethod
    def read(cls, document: object) -> Corrections:
        """The corrections that a case keeps; none where it keeps nothing. Raises `CaseError` when they are damaged."""
        import msgspec

        try:
            return msgspec.convert(document or {}, cls)
        except msgspec.ValidationError as exc:
            raise errors.CaseError(f"the case's corrections are damaged: {exc}") from exc

    def with_more(self, merge: Iterable[Sequence[str]] = (), split: Iterable[str] = ()) -> Corrections:
        """These and more; raises `UsageError` for a group of less than two, or what is no fingerprint."""
        groups, parted = tuple(tuple(group) for group in merge), tuple(split)
        for group in groups:
            if len(group) < 2:
                raise errors.UsageError(f"merging {','.join(group)!r} alone merges nothing", hint="name two: A,B")
        for told in (*parted, *(f for group in groups for f in group)):
            if not re.fullmatch(r"[0-9a-f]{16}", told):
                raise errors.UsageError(f"{told!r} is no fingerprint", hint="`shadowlab triage CASE --json` tells them")
        return Corrections(
            merge=tuple(dict.fromkeys((*self.merge, *groups))), split=tuple(dict.fromkeys((*self.split, *parted)))
        )

    def document(self) -> dict[str, list[Any]]:
        """What a case keeps of them."""
        return {"merge": [list(group) for group in self.merge], "split": list(self.split)}


@dataclass(frozen=True, slots=True)
class Signed:
    """What each error says and which fault it is."""

    reading: Any
    readings: Sequence[Reading]
    """What errors say; `reading` holds a place in it for each error."""
    group: Any
    fingerprints: Sequence[str]
    """In order; `group` holds a place in it for each error."""
    meaning: Any
    meanings: Sequence[Meaning]
    """What readings mean; `meaning` holds a place in it for each error."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reading means in a service, with the groups that all errors of the case make together."""

    fingerprint: str
    merged: str
    """The template of the root's message, with words that take many values replaced."""
    own: str
    """The deepest function of the service's own, or its operation with parts of many values replaced."""
    by_hand: bool
    """Whether a person made this group."""


def sign(service: Coded, read: Read, corrections: Corrections | None = None) -> Signed:
    """Fingerprints of errors by their services and readings.

    The groups depend on the set of errors alone: neither their order nor what came first changes them.
    """
    import numpy as np

    many = len(read.words)
    held, meaning = np.unique((service.code - NONE) * many + read.reading, return_inverse=True)
    pairs = [(None if of == 0 else service.words[of - 1], read.words[n])
             for of, n in zip(*(each.tolist() for each in np.divmod(held, max(1, many))), strict=True)]  # fmt: skip
    meanings = _meanings(pairs, corrections or Corrections())
    fingerprints = sorted({each.fingerprint for each in meanings})
    place = {fingerprint: n for n, fingerprint in enumerate(fingerprints)}
    group = np.array([place[each.fingerprint] for each in meanings], dtype=np.int64)[meaning]
    return Signed(read.reading, read.words, group, fingerprints, meaning, meanings)


def _meanings(pairs: Sequence[tuple[str | None, Reading]], corrections: Corrections) -> list[Meaning]:
    """What each reading means in its service."""
    operations: dict[tuple[str | None, str], set[str]] = defaultdict(set)
    for service, reading in pairs:
        if reading.own.startswith("@ "):
            operations[service, reading.root_type].add(reading.own)
    named = {key: _operations(frozenset(names)) for key, names in operations.items()}
    owns = [named[service, reading.root_type][reading.own] if reading.own.startswith("@ ") else reading.own
            for service, reading in pairs]  # fmt: skip
    families: dict[tuple[str | None, str, str], set[str]] = defaultdict(set)
    for (service, reading), own in zip(pairs, owns, strict=True):
        families[service, reading.root_type, own].add(reading.root_template)
    merged = {key: _merged(frozenset(texts)) for key, texts in families.items()}
    split = frozenset(corrections.split)
    into = {old: group[0] for group in corrections.merge for old in group[1:]}
    made = set(into.values())
    told = []
    for (service, reading), own in zip(pairs, owns, strict=True):
        template = merged[service, reading.root_type, own][reading.root_template]
        plain = _signature(VERSION, mask.VERSION, service, reading.root_type, template, own)
        parted = plain in split
        one = hashlib.sha256((plain + (reading.path or "")).encode()).hexdigest()[:16] if parted else plain
        told.append(Meaning(into.get(one, one), template, own, parted or one in into or one in made))
    return told


@lru_cache(maxsize=65_536)
def _signature(*parts: object) -> str:
    """Most errors of a case mean what they meant a minute ago."""
    return signature(parts)


def kept(raised: Raised, signed: Signed, prefixes: Sequence[str] = ()) -> Any:
    """An Arrow table of every error's fingerprint (`error_id`, `fingerprint`) and its reading."""
    import numpy as np

    texts = zip(*signed.readings, strict=True) if signed.readings else [()] * len(Reading._fields)
    said = dict(zip(Reading._fields, texts, strict=True))
    causes = arrays.lists(said.pop("causes")).take(arrays.arrow(signed.reading))
    return arrays.table({
        "error_id": raised.error_id, "fingerprint": dictionary(signed.group, signed.fingerprints), "causes": causes,
        **{name: dictionary(signed.reading, words) for name, words in said.items()},
        "rules": dictionary(np.zeros(len(signed.reading)), [rules(prefixes)]),
    })  # fmt: skip


@lru_cache(maxsize=4_096)
def _merged(templates: frozenset[str]) -> Mapping[str, str]:
    """As `merge`; most families of a case are as they were a minute ago."""
    return merge(templates)


def merge(templates: Iterable[str]) -> dict[str, str]:
    """Templates that differ in one word only, where that word takes many values: the word becomes `<*>`.

    All positions are judged on the same set at once, so that no order of templates changes the outcome.
    """
    return {text: " ".join(words) for text, words in _one_each((t, t.split(" ")) for t in templates).items()}


@lru_cache(maxsize=4_096)
def _operations(names: frozenset[str]) -> Mapping[str, str]:
    """The same for operations and the parts of their routes, where ids in words would make a group each."""
    if len(names) < _MANY_ALONE:
        return {name: name for name in names}
    cut = ((name, re.split(r"([ /])", name)) for name in names)
    return {name: "".join(parts) for name, parts in _one_each(cut, _MANY_ALONE).items()}


def _one_each(cut: Iterable[tuple[str, Sequence[str]]], least: int = _MANY) -> dict[str, tuple[str, ...]]:
    """Texts, each with its words, of which some are `<*>`."""
    known = {text: tuple(words) for text, words in cut}
    for _ in range(4):
        values: dict[tuple[int, tuple[str, ...]], set[str]] = defaultdict(set)
        for words in set(known.values()):
            for n, word in enumerate(words):
                values[n, (*words[:n], "", *words[n + 1 :])].add(word)
        after = {
            text: tuple("<*>" if _varies(values, words, n, least) else word for n, word in enumerate(words))
            for text, words in known.items()
        }
        if after == known:
            break
        known = after
    return known


def _varies(values: Mapping[tuple[int, tuple[str, ...]], set[str]], words: tuple[str, ...], n: int, least: int) -> bool:
    seen = values[n, (*words[:n], "", *words[n + 1 :])]
    return len(seen) >= (least if any(w.isalpha() for w in (*words[:n], *words[n + 1 :])) else _MANY_ALONE)
