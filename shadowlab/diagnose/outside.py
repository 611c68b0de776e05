"""Put to the test what came from outside and no commit explains: the moment of a request, and the answers of others."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.diagnose.trials import Bench, Trial
from shadowlab.records import Hypothesis, Location, Status
from shadowlab.replay import Fixture, recording
from shadowlab.replay.fixture import Outbound

MAX_PASSING = 20
"""Recordings that passed, the last ones before the failure, that tell what is usual."""
MAX_DEPTH = 20
"""Levels of an answer that are looked at."""
MAX_ODD = 3
"""Odd parts of answers that are put to the test, one at a time."""

Place = tuple[str, ...]
"""Keys from the top of a JSON document; `[]` is any item of a list."""


@dataclass(frozen=True, slots=True)
class Odd:
    """A part of an answer that is of a kind which no passing request met there."""

    call: str
    """`POST http://catalog/products`, without its query."""
    place: Place
    kind: str
    usual: tuple[str, ...]
    stand_in: Any
    """What a passing request met there."""
    seen: int
    """Passing requests that met something there."""

    @property
    def words(self) -> str:
        """`null at products[].dimensions in the answer to POST http://catalog/products`."""
        named = ".".join(self.place).replace(".[]", "[]") or "the top"
        return f"{self.kind} at {named} in the answer to {self.call}"


def passing(case: Case, failing: Sequence[Fixture]) -> tuple[Fixture, ...]:
    """The last recordings of the same service that passed before the first of `failing`, the newest first."""
    first = min(fixture.at for fixture in failing)
    same = [r for r in recording.listed(case) if not r.failed and r.service == failing[0].service and r.at < first]
    found = []
    for control in sorted(same, key=lambda r: (r.at, r.id), reverse=True)[:MAX_PASSING]:
        try:
            found.append(recording.load(case, control.id))
        except errors.RecordingError:
            continue
    return tuple(found)


def tried(bench: Bench, passed: Sequence[Fixture], location: Location | None) -> tuple[Hypothesis, ...]:
    """What is confirmed by changing an answer, or else the moment; nothing when neither makes the failure go.

    A part of an answer is replaced by what passing requests met in its place; the clock is set to the last moment at
    which a recorded request passed, then to the first. Where none that passed was recorded before, nothing is tried.
    """
    before = bench.at(bench.bad)
    for odd in _odd(bench.fixtures, passed)[:MAX_ODD]:
        trial = bench.altered(f"{odd.words} replaced by {_kind(odd.stand_in)}", functools.partial(_mended, odd=odd))
        if trial.ending == "passes":
            usual = f"{odd.seen} passing requests before it met {' or '.join(odd.usual)} there"
            return (_confirmed("upstream", odd.words, location, (usual,), trial, before),)
    failed = min(fixture.time for fixture in bench.fixtures)
    for one in (*passed[:1], *passed[1:][-1:]):  # others may still pass when the failure has begun
        trial = bench.altered(f"the clock at {one.time[:19]}Z", functools.partial(_at, time=one.time))
        if trial.ending == "passes":
            cause = f"the moment of the request: it fails at {failed[:19]}Z, and passes at {one.time[:19]}Z"
            return (_confirmed("time", cause, location, (f"{one.summary} passed then",), trial, before),)
    return ()


def _confirmed(
    kind: str, cause: str, location: Location | None, evidence: tuple[str, ...], trial: Trial, before: Trial
) -> Hypothesis:
    return Hypothesis(
        cause=cause, kind=kind, status=Status.CONFIRMED, location=location,
        evidence=(*evidence, f"{trial.changed}: {trial.summary}"), interventions=(trial.intervention(before),),
    )  # fmt: skip


def _odd(failing: Sequence[Fixture], passed: Sequence[Fixture]) -> list[Odd]:
    """What all failing requests met in answers and no passing one did, the outermost first."""
    usual: dict[tuple[str, Place], dict[str, Any]] = defaultdict(dict)
    seen: dict[tuple[str, Place], int] = defaultdict(int)
    for fixture in passed:
        met = _met(fixture)
        for at, kinds in met.items():
            seen[at] += 1
            for kind, value in kinds.items():
                usual[at].setdefault(kind, value)
    each = [_met(fixture) for fixture in failing]
    everywhere = set(each[0]).intersection(*each[1:])
    return [
        Odd(call, place, kind, tuple(sorted(usual[call, place])), next(iter(usual[call, place].values())),
            seen[call, place])
        for call, place in sorted(everywhere, key=lambda at: (len(at[1]), at))
        if usual.get((call, place))
        for kind in sorted(set.intersection(*(set(met[call, place]) for met in each)))
        if kind not in usual[call, place]
    ]  # fmt: skip


def _met(fixture: Fixture) -> Mapping[tuple[str, Place], dict[str, Any]]:
    """For each place of each answer, the kinds of values there, each with one that is of it."""
    met: dict[tuple[str, Place], dict[str, Any]] = defaultdict(dict)
    for call in fixture.outbound:
        for place, value in _walk(_answer(call), ()):
            met[_called(call), place].setdefault(_kind(value), value)
    return met


def _walk(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    yield place, value
    if len(place) > MAX_DEPTH:
        return
    inner = (
        value.items()
        if isinstance(value, dict)
        else (("[]", item) for item in value)
        if isinstance(value, list)
        else ()
    )
    for name, item in inner:
        yield from _walk(item, (*place, str(name)))


def _at(fixture: Fixture, time: str) -> Fixture:
    return msgspec.structs.replace(fixture, time=time)


def _mended(fixture: Fixture, odd: Odd) -> Fixture:
    """The recording with the odd part of each such answer replaced."""

    def put(value: Any, place: Place) -> Any:
        if place == odd.place:
            return odd.stand_in if _kind(value) == odd.kind else value
        if len(place) > MAX_DEPTH:
            return value
        if isinstance(value, dict):
            return {name: put(item, (*place, str(name))) for name, item in value.items()}
        return [put(item, (*place, "[]")) for item in value] if isinstance(value, list) else value

    calls = tuple(
        msgspec.structs.replace(call, body=put(_answer(call), ()), body_encoding="json")
        if _called(call) == odd.call and _answer(call) is not None
        else call
        for call in fixture.outbound
    )
    return msgspec.structs.replace(fixture, outbound=calls)


def _answer(call: Outbound) -> Any:
    """An answer's JSON, None when it is none."""
    if call.body_encoding == "utf-8":
        try:
            return json.loads(call.body)
        except (ValueError, RecursionError):
            return None
    return call.body if call.body_encoding == "json" else None


def _called(call: Outbound) -> str:
    return f"{call.method.upper()} {call.url.partition('?')[0]}"


def _kind(value: Any) -> str:
    """What JSON calls a value's kind."""
    if isinstance(value, bool):
        return "a boolean"
    kinds = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
