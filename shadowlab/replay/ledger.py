"""The nondeterminism ledger: for each seam, whether it was held, seen uncontrolled, or cannot be known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shadowlab.records import Control, Effect
from shadowlab.records.base import counted
from shadowlab.replay.environments import Environment, differences
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.postgres import how as postgres
from shadowlab.replay.postgres import needs
from shadowlab.replay.results import RunResult
from shadowlab.replay.world import known_zone

_SEAMS = ("files", "network", "processes", "threads", "randomness", "clock", "database", "native code")
_MOST_NAMED = 8


def ledger(
    fixtures: Sequence[Fixture],
    runs: Sequence[RunResult],
    *,
    clock: str,
    steady: bool,
    environment: Environment,
    sensitive: Sequence[str] = (),
) -> tuple[Effect, ...]:
    """One line a seam, `observed-uncontrolled` first; any of these forbids the word *reproduced*.

    `sensitive` names the parts of the outcome that changed in the perturbed twin.
    """
    seen = _seen(runs)
    held = [*_seams(fixtures, runs, clock=clock, steady=steady), _versions(fixtures, environment)]
    if sensitive:
        how = f"{', '.join(sensitive)} changed in the twin (other hash seed, addresses, stand-ins, thread switches)"
        seen.append(Effect(seam="perturbation", control=Control.OBSERVED, how=how, events=len(sensitive)))
    observed = {effect.seam for effect in seen}
    return (*seen, *(effect for effect in held if effect.seam not in observed))


def _seams(fixtures: Sequence[Fixture], runs: Sequence[RunResult], *, clock: str, steady: bool) -> Iterable[Effect]:
    """Python's own seams, or those that a runner of another language tells."""
    reported = next((run.seams for run in runs if run.seams is not None), None)
    if reported is None:
        return _held(fixtures, runs, clock=clock, steady=steady)
    return (*reported, _environment(fixtures))


def uncontrolled(effects: Iterable[Effect]) -> list[str]:
    """What was seen and not held, in words."""
    return [f"{effect.seam}: {effect.how}" for effect in effects if effect.control is Control.OBSERVED]


def _seen(runs: Sequence[RunResult]) -> list[Effect]:
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        for seam, what, denied, times in run.events:
            words = found.setdefault(seam, {})
            words[f"{what} (refused)" if denied else what] = words.get(what, 0) + times
        if run.state == "finished" and run.database is None:
            found.setdefault("database", {})["what changed in it could not be read"] = 1
        if run.seams == ():
            found.setdefault("runner", {})["it says of no seam how it is held"] = 1
    order = {seam: n for n, seam in enumerate(_SEAMS)}
    return [
        Effect(seam=seam, control=Control.OBSERVED, how=_some(found[seam]), events=sum(found[seam].values()))
        for seam in sorted(found, key=lambda seam: (order.get(seam, 99), seam))
    ]


def _some(words: dict[str, int]) -> str:
    names = sorted(words)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _held(fixtures: Sequence[Fixture], runs: Sequence[RunResult], *, clock: str, steady: bool) -> Iterable[Effect]:
    def count(name: str) -> int:
        return sum((run.readings or {}).get(name, 0) for run in runs)

    def effect(seam: str, how: str, events: int = 0, control: Control = Control.CONTROLLED) -> Effect:
        return Effect(seam=seam, control=control, how=how, events=events)

    yield effect(
        "clock", f"stands at the recorded time ({clock}); sleeps and timers pass in virtual time", count("clock")
    )
    yield effect("randomness", "seeded from rand_seed: os.urandom, random, secrets, uuid, numpy", count("randomness"))
    yield effect("hash order", "PYTHONHASHSEED=0; another seed in the twin")
    yield effect(
        "addresses",
        "fixed by personality(2); random in the twin"
        if steady
        else "random in every run: this kernel would not fix them",
    )
    yield _environment(fixtures)
    yield effect("network", "outbound calls answered from the request's own tape; sockets refused", count("outbound"))
    stored = any(needs(fixture) for fixture in fixtures)
    copied = "a copy of the recorded snapshot; SQLite's clock and randomness held"
    if fixtures and all(fixture.untouched for fixture in fixtures):
        copied = "empty: nothing was asked of it when it was recorded; what is asked now is refused and named"
    yield effect("database", postgres() if stored else copied, count("database"))
    yield effect("files", "nothing was read outside the tree, the interpreter and its packages")
    stepped = any(fixture.schedule and fixture.schedule.threads for fixture in fixtures)
    pools = "pools run one job at a time, in the order in which they were handed in"
    locked = "in lock-step, switched between bytecodes of the tree's code as the recorded seed draws them"
    yield effect("threads", locked if stepped else pools)
    yield effect("processes", "none was started")
    yield effect(
        "native code", "clocks and randomness that C code reads by itself are not seen", control=Control.UNKNOWN
    )


def _environment(fixtures: Sequence[Fixture]) -> Effect:
    values = {name for fixture in fixtures for name in fixture.environment.values}
    stand_ins = {name for f in fixtures for name in f.environment.read if name not in f.environment.unset} - values
    how = f"cleared; {counted(len(values), 'recorded value')}"
    if stand_ins:
        how += f"; stand-ins for {len(stand_ins)} whose value was not recorded, others in the twin"
    return Effect(seam="environment", control=Control.CONTROLLED, how=how, events=len(values | stand_ins))


def _versions(fixtures: Sequence[Fixture], environment: Environment) -> Effect:
    """The interpreter and the packages, against those of the recording."""
    recorded = {fixture.versions.python for fixture in fixtures if fixture.versions.python}
    here = environment.name
    ours = environment.interpreter.version.split(".")[:2]
    other = sorted(version for version in recorded if environment.runtime or version.split(".")[:2] != ours)
    packages = {name: version for fixture in fixtures for name, version in fixture.versions.packages.items()}
    differ = differences(packages, environment.packages)
    notes = [f"{here}, recorded on {', '.join(sorted(recorded))}" if recorded else here]
    if not recorded:
        notes.append("none was recorded")
    if packages:
        notes.append(f"{len(differ)} packages in other versions than recorded" if differ else "packages as recorded")
        notes += differ[:_MOST_NAMED] + (
            (f"and {len(differ) - _MOST_NAMED} more",) if len(differ) > _MOST_NAMED else ()
        )
    notes.append(environment.how)
    zones = {fixture.versions.time_zone for fixture in fixtures}
    strange = sorted(zone for zone in zones if zone and not known_zone(zone))
    notes += [f"the time zone {zone} is not known here, UTC instead" for zone in strange]
    control = Control.CONTROLLED if recorded and not other and not differ and not strange else Control.UNKNOWN
    return Effect(seam="versions", control=control, how="; ".join(notes), events=len(differ))
