"""Faults by blast radius: what they burn, whom they affect, from how far they are seen, how often they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.breaks import seen_from
from shadowlab.triage.coded import NONE, Coded
from shadowlab.triage.look import Look
from shadowlab.triage.scene import Scene
from shadowlab.triage.spans import NEVER, distinct


@dataclass(frozen=True, slots=True)
class Ranked:
    """A fault with errors in the window. Errors that were passed on count for their root only."""

    fingerprint: str
    rows: Any
    """The places of its own errors up to the end of the window."""
    events: int
    """In the window, each for the requests that it stands for."""
    ever: int
    first_ns: int
    last_ns: int
    traces: int
    users: int
    tenants: int
    seen_from: tuple[str, ...]
    """Other services that see it."""
    burned: float
    """Broken requests over those that their objectives allow."""
    broken: float
    """Requests of objectives that it breaks."""
    passed_on: int
    """Errors of other spans that passed it on."""
    service: str | None
    operation: str | None
    type: str | None
    root_type: str
    own: str
    merged: str
    template: str
    """What most of its errors say."""
    paths: int
    by_hand: bool


def ranked(scene: Scene, look: Look, top: int) -> list[Ranked]:
    """At most `top` faults, the one that burns most first."""
    import numpy as np

    errors, group = scene.errors, scene.signed.group
    names, many = scene.signed.fingerprints, len(scene.signed.fingerprints)
    own = np.flatnonzero(scene.charged.causing & (errors.at_ns <= look.high_ns) & (errors.at_ns != NEVER))
    late = own[errors.at_ns[own] > look.low_ns]
    there = distinct(group[late])

    def sums(rows: Any) -> Any:
        return np.floor(np.bincount(group[rows], scene.places.weight[rows], many) + 0.5).astype(np.int64)

    breaks, affected = scene.breaks, scene.affected
    broken = np.bincount(group[breaks.cause], breaks.weight, many)
    burned = np.bincount(group[breaks.cause], breaks.weight / breaks.allowed, many)
    users, tenants = (affected.counted(kind, errors.tid[late], group[late], many)
                      for kind in (affected.user, affected.tenant))  # fmt: skip
    events, ever = sums(late), sums(own)
    seen = seen_from(look.seen, errors, late, group, scene.ancestry)

    def order(fault: int) -> tuple[Any, ...]:
        affected_by = (-users[fault], -tenants[fault], -len(seen.get(fault, ())))
        return -round(float(burned[fault]), 9), *affected_by, -events[fault], -ever[fault], names[fault]

    passed = _passed_on(scene, look)
    told = []
    for fault in sorted(there.tolist(), key=order)[:top]:
        rows, of_window = own[group[own] == fault], late[group[late] == fault]
        at_ns, traces = errors.at_ns[rows], distinct(errors.tid[of_window])
        told.append(Ranked(
            fingerprint=names[fault], rows=rows, events=int(events[fault]), ever=int(ever[fault]),
            first_ns=int(at_ns.min()), last_ns=int(at_ns.max()), traces=int((traces != 0).sum()),
            users=int(users[fault]), tenants=int(tenants[fault]), seen_from=seen.get(fault, ()),
            burned=float(burned[fault]), broken=float(broken[fault]), passed_on=int(passed[fault]),
            **_said(scene, rows),
        ))  # fmt: skip
    return told


def _passed_on(scene: Scene, look: Look) -> Any:
    """How many errors of the window each fault is passed on by."""
    import numpy as np

    other = ~scene.charged.causing & scene.errors.within(look.low_ns, look.high_ns)
    group = scene.signed.group
    return np.bincount(group[scene.charged.root[other]], minlength=len(scene.signed.fingerprints))


def _said(scene: Scene, rows: Any) -> dict[str, Any]:
    """What most of some errors say, by how many ways they are reached, and whether somebody made their group."""
    import numpy as np

    signed = scene.signed
    of_errors = {"service": scene.errors.service, "operation": scene.places.name, "type": scene.errors.type}
    told: dict[str, Any] = {name: _usual(column.of(rows)) for name, column in of_errors.items()}
    reading, counts = np.unique(signed.reading[rows], return_counts=True)
    words = [signed.readings[n] for n in reading.tolist()]
    for name in ("root_type", "template"):
        told[name] = _most([getattr(word, name) for word in words], counts)
    meaning, counts = np.unique(signed.meaning[rows], return_counts=True)
    meant = [signed.meanings[n] for n in meaning.tolist()]
    for name in ("own", "merged"):
        told[name] = _most([getattr(each, name) for each in meant], counts)
    paths = {word.path for word in words} - {None}
    return {**told, "paths": len(paths), "by_hand": any(each.by_hand for each in meant)}


def _usual(column: Coded) -> str | None:
    """The text that most rows have; the first in order of equally common ones."""
    import numpy as np

    code, counts = np.unique(column.code[column.code != NONE], return_counts=True)
    return _most([column.words[n] for n in code.tolist()], counts)


def _most(words: Sequence[str], counts: Any) -> str | None:
    told: dict[str, int] = {}
    for word, count in zip(words, counts.tolist(), strict=True):
        told[word] = told.get(word, 0) + count
    return min(told, key=lambda word: (-told[word], word), default=None)
