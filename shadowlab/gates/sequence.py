"""The same requests one after the other in one process, in several orders: an answer must not hang on who came before.

Tests know this as order dependence: one passes alone and fails behind another (Lam et al., "iDFlakies", 2019). Here
each request has its own time, seed, tape and database, so that only the process remembers: counters, caches, pools.
What the service itself remembers without the patch is not held against the patch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import msgspec

from shadowlab.records import Verdict
from shadowlab.replay import Fixture, Runner, RunResult
from shadowlab.replay.postgres import needs

_T = TypeVar("_T")
MOST = 15
"""Recordings that make a sequence; each comes six times."""
_MOST_WORN = 9
_STARTED_NS = 3600 * 10**9
"""What the monotonic clock shows first where no recording says it."""
_BREAK = timedelta(minutes=1)
_OUTCOME = ("state", "status", "body", "error", "database")
"""What must not hang on who came before; a cache may spare a call, a pool say in the log that it was made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lasting:
    """Whether what holds for requests alone holds in a sequence, too."""

    verdict: Verdict
    why: tuple[str, ...] = ()
    compared: int = 0
    """Replays in the sequence that could be compared."""


def laps(fixtures: Sequence[Fixture]) -> list[Fixture]:
    """Recordings as they came, backwards, each twice in a row, and as they came and backwards once more.

    Time goes on: the first lap has the recorded times, each other one begins a minute after the one before.
    """
    if not fixtures:
        return []
    came = sorted(fixtures, key=lambda fixture: fixture.time_ns)
    twice = [fixture for fixture in came for _ in range(2)]
    orders = (came, came[::-1], twice, came, came[::-1])
    return [at for number, order in enumerate(orders) for at in _lap(order, came, number)]


def spread(many: Sequence[_T], most: int) -> list[_T]:
    """At most so many of them, evenly."""
    return list(many[:: -(-len(many) // most)]) if many and most > 0 else []


def cured(
    control: Runner, candidate: Runner, few: Sequence[tuple[Fixture, RunResult, RunResult]], beside: Sequence[Fixture]
) -> Lasting:
    """Whether what the patch cures stays cured among others: recordings with their outcomes alone, without and with it.

    A request that fails in the sequence fails the patch. One that is answered otherwise than alone leaves it open,
    unless the service answers requests otherwise there without the patch, too. Of a request with a database in
    PostgreSQL, whose rows are carried along, only the error that it had without the patch is looked for.
    """
    if needs(few[0][0]):
        few, beside = few[:1], ()
    alone = {fixture.id: (red, green) for fixture, red, green in few}
    places = laps([*(fixture for fixture, *_ in few), *spread(beside, MOST - len(few))])
    before, after = control.sequence(places), candidate.sequence(places)
    asked = [
        _Place(number=number, fixture=fixture, expected=alone[fixture.id][1], red=red, green=green)
        for number, (fixture, red, green) in enumerate(zip(places, before, after, strict=True))
        if fixture.id in alone and _failure(fixture, red) == _failure(fixture, alone[fixture.id][0])
    ]
    as_alone = [place for place in asked if same(place.expected, place.green)]
    others = _at_their_times(control, candidate, [place for place in asked if not same(place.expected, place.green)])
    failing, otherwise = [each for each in others if each.fails], [each for each in others if each.otherwise]
    if failing:
        why = (f"{each.said}, though not alone: {summary(each.green)}" for each in failing)
        return Lasting(verdict=Verdict.FAIL, why=tuple(why), compared=len(as_alone) + len(others))
    if otherwise and not _remembers(control, places, before):
        why = (f"{each.said} than alone: {', '.join(differing(each.expected, each.green))}" for each in otherwise)
        return Lasting(verdict=Verdict.INCONCLUSIVE, why=tuple(why), compared=len(as_alone) + len(others))
    return Lasting(verdict=Verdict.PASS, compared=len(as_alone) + len(others))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """A cured request in a sequence, and what it is answered alone."""

    number: int
    fixture: Fixture
    expected: RunResult
    red: RunResult
    green: RunResult

    @property
    def fails(self) -> bool:
        return failed(self.green) and (
            not needs(self.fixture) or _failure(self.fixture, self.green) == _failure(self.fixture, self.red)
        )

    @property
    def otherwise(self) -> bool:
        return not needs(self.fixture) and not same(self.expected, self.green)

    @property
    def said(self) -> str:
        does = "fails" if failed(self.green) else "answers otherwise"
        return f"{self.green.recording[:8]} {does} with the patch after {self.number} requests in one process"


def _at_their_times(control: Runner, candidate: Runner, places: Sequence[_Place]) -> list[_Place]:
    """Places with what they are answered alone at the time of the sequence, where the failure is the same there."""
    fixtures = [place.fixture for place in places]
    found = zip(places, _alone(control, fixtures), _alone(candidate, fixtures), strict=True)
    return [
        replace(each, expected=g)
        for each, r, g in found
        if _failure(each.fixture, r) == _failure(each.fixture, each.red) and not failed(g)
    ]


def _failure(fixture: Fixture, run: RunResult) -> str:
    """How a request fails; without what became of rows in PostgreSQL, which nobody compares in a sequence."""
    return (replace(run, database=None) if needs(fixture) else run).key


def kept(control: Runner, candidate: Runner, fixtures: Sequence[Fixture]) -> Lasting:
    """Whether requests that passed are answered in the sequence as without the patch."""
    places = laps(spread([fixture for fixture in fixtures if not needs(fixture)], MOST))
    runs = enumerate(zip(control.sequence(places), candidate.sequence(places), strict=True))
    usable = [(number, b, a) for number, (b, a) in runs if b.state == "finished" and not b.unrecorded]
    moved = [(number, b, a) for number, b, a in usable if not same(b, a)]
    why = tuple(
        f"{b.recording[:8]} after {number} requests in one process: {', '.join(differing(b, a))}"
        for number, b, a in moved
    )
    broken = any(failed(a) and not failed(b) for _, b, a in moved)
    verdict = Verdict.FAIL if broken else Verdict.INCONCLUSIVE if moved else Verdict.PASS
    return Lasting(verdict=verdict, why=why, compared=len(usable))


def worn(control: Runner, candidate: Runner, failing: Sequence[tuple[Fixture, str | None]]) -> list[str]:
    """Of requests that failed alike in a long sequence, those that alone fail so without the patch, and not with it.

    The first and the last of them are asked, and some between.
    """
    asked = [*spread(failing, _MOST_WORN), *failing[-1:]]
    fixtures = [fixture for fixture, _ in asked]
    alone = zip(_alone(control, fixtures), _alone(candidate, fixtures), strict=True)
    found = dict[str, None]()
    for (fixture, kind), (red, green) in zip(asked, alone, strict=True):
        if failed(red) and (red.error and red.error.type) == kind and not failed(green):
            found[fixture.id] = None
    return list(found)


def failed(run: RunResult) -> bool:
    """Whether a request had no good answer."""
    return run.state != "finished" or run.error is not None or run.status is None or run.status >= 500


def same(a: RunResult, b: RunResult) -> bool:
    """Whether two replays came to the same, but for what a cache or a pool may change."""
    return not differing(a, b)


def differing(a: RunResult, b: RunResult) -> list[str]:
    """The parts of the outcome that are not the same."""
    if a.state != b.state:
        return [summary(b)]
    return [part for part in _OUTCOME if a.parts[part] != b.parts[part]]


def summary(run: RunResult) -> str:
    """A replay's end in a few words."""
    if run.state != "finished":
        return f"{run.state} {run.reason}".strip()[:200]
    return f"{run.status} {run.error.type}" if run.error else str(run.status)


def _remembers(control: Runner, places: Sequence[Fixture], before: Sequence[RunResult]) -> bool:
    """Whether the service without the patch answers a request that passes otherwise in the sequence than alone."""
    passing = [(fixture, run) for fixture, run in zip(places, before, strict=True) if not failed(run)]
    alone = _alone(control, [fixture for fixture, _ in passing])
    return any(not same(a, run) for a, (_, run) in zip(alone, passing, strict=True))


def _alone(runner: Runner, fixtures: Sequence[Fixture]) -> list[RunResult]:
    return [results[0] for results in runner.run_many([(fixture, 1) for fixture in fixtures], perturb=False)]


def _lap(order: Sequence[Fixture], came: Sequence[Fixture], number: int) -> Iterator[Fixture]:
    """One lap, its requests at the times of those that came, by both of the clocks that a service reads."""
    began, later = came[0], number * (came[-1].at - came[0].at + _BREAK)
    for place, fixture in enumerate(order):
        at = came[place * len(came) // len(order)].at + later
        monotonic = (began.monotonic_ns or _STARTED_NS) + (at - began.at) // timedelta(microseconds=1) * 1000
        yield msgspec.structs.replace(fixture, time=at.isoformat(), monotonic_ns=monotonic)
