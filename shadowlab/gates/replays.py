"""The recorded requests, without the patch, with it, and with it taken back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from shadowlab import errors
from shadowlab.gates import sequence, tapes
from shadowlab.gates.bench import Bench, did_not_run, digest
from shadowlab.gates.moved import ELSEWHERE, MOVES, ON_ANOTHER_HOST
from shadowlab.gates.roles import Role
from shadowlab.gates.sequence import Lasting, failed, summary
from shadowlab.records import Gate, Verdict
from shadowlab.replay import Fixture, Hooks, Runner, RunResult

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_MOST_MOVED = 3
"""Failing recordings that are replayed at another time, under other ids and on another host too."""
_OUTSIDE = ("files", "network", "processes", "threads")
_COUNTED = re.compile(r"(: Thread-)\d+")
"""A thread's name as Python gives it, with how many came before."""
RED = "replay red-green-red"
_RED_LIMIT = "fails without, passes with, fails again with the patch taken back"


def red_green_red(bench: Bench) -> tuple[Gate, ...]:
    """Every failing recording: red on the service as it is, green with the patch, red when the patch is taken back.

    A few of them once more at another time, under other ids and on another host: what fails there alike without the
    patch must not fail there with it. And once more among others, one after the other in one process: what is cured
    alone must be cured there.
    """
    fixtures = tapes.failing(bench)
    if not fixtures:
        return (did_not_run(RED, _RED_LIMIT, "no failing recording can be replayed alone"),)
    few = fixtures[:_MOST_MOVED]
    moved = [(how, n) for how in (*MOVES, ON_ANOTHER_HOST) for n in range(len(few))]
    with (
        tapes.runner(bench, bench.base) as control,
        tapes.runner(bench, bench.patched) as candidate,
        ThreadPoolExecutor(max_workers=2) as pool,
    ):
        for runner in (control, candidate):
            runner.launch(fixtures)
            runner.launch(few, ELSEWHERE)
        # Side by side: a fork server that imports the service has use for one processor only.
        first, second = (pool.submit(_and_moved, runner, fixtures, few) for runner in (control, candidate))
        rest = pool.submit(_taken_back, bench, fixtures), pool.submit(_as_before, bench, fixtures)
        (red, red_moved), (green, green_moved) = first.result(), second.result()
        again, good_before = (each.result() for each in rest)
        lasting = _lasting(bench, control, candidate, list(zip(few, red, green, strict=False)))
    usual = _known(bench, fixtures)
    if any(_reaches(r, g, usual) for r, g in zip(red, green, strict=True)):
        usual |= _usual(bench)
    runs = zip(red, green, again, strict=True)
    reasons = [why for r, g, a in runs if (why := _wrong(bench, r, g, a, usual))]
    good = len(fixtures) - len(reasons)
    for (how, n), r, g in zip(moved, red_moved, green_moved, strict=True):
        if red[n].key == r.key == g.key != green[n].key:
            reasons.append(f"{_short(g)} fails as before with the patch {how}: {summary(g)}")
    verdict = Verdict.FAIL if reasons else lasting.verdict
    passed = f"{summary(red[0])} -> {summary(green[0])} -> {summary(again[0])}"
    gate = Gate(
        name=RED,
        verdict=verdict,
        observed=f"{good}/{len(fixtures)} red, green, red",
        limit=_RED_LIMIT,
        detail="; ".join([*reasons, *lasting.why][:5]) or f"{passed}; {_held(lasting)}",
    )
    return (gate, *_answered_as_before(bench, good_before, green))


def _and_moved(
    runner: Runner, fixtures: Sequence[Fixture], few: Sequence[Fixture]
) -> tuple[list[RunResult], list[RunResult]]:
    """Recordings, and a few of them at another time, under other ids and on another host."""
    runs = _each(runner, [*fixtures, *(move(fixture) for move in MOVES.values() for fixture in few)])
    return runs[: len(fixtures)], runs[len(fixtures) :] + _each(runner, few, ELSEWHERE)


def _lasting(
    bench: Bench, control: Runner, candidate: Runner, runs: Sequence[tuple[Fixture, RunResult, RunResult]]
) -> Lasting:
    """Whether the cure lasts where requests share a process; it is not asked of a service in another language."""
    few = [(fixture, red, green) for fixture, red, green in runs if failed(red) and not failed(green)]
    if not few or bench.runtime().foreign:
        return Lasting(verdict=Verdict.PASS)
    return sequence.cured(control, candidate, few, tapes.passing(bench))


def _held(lasting: Lasting) -> str:
    if not lasting.compared:
        return "among other requests in one process nothing could be compared"
    return f"so {lasting.compared} times more among other requests in one process"


def unchanged(bench: Bench) -> tuple[Gate, ...]:
    """Recordings that passed: the same strict outcome with and without the patch."""
    name, limit = (
        "passing unchanged",
        "equal outcomes: status, headers, body, database, outbound calls, log; nothing else reached for",
    )
    fixtures = tapes.passing(bench)
    if not fixtures:
        return (did_not_run(name, limit, "no recording of a request that passed can be replayed alone"),)
    with (
        tapes.runner(bench, bench.base) as control,
        tapes.runner(bench, bench.patched) as candidate,
        ThreadPoolExecutor(max_workers=2) as pool,
    ):
        for runner in (control, candidate):
            runner.launch(fixtures)
        before, after = pool.map(lambda runner: _each(runner, fixtures), (control, candidate))
        lasting = Lasting(verdict=Verdict.PASS)
        if not bench.runtime().foreign:
            lasting = sequence.kept(control, candidate, fixtures)
    known = _known(bench, fixtures)
    usable = [(b, a) for b, a in zip(before, after, strict=True) if b.state == "finished" and not b.unrecorded]
    changed = ((b, [*_differs(b, a), *_reaches(b, a, known)]) for b, a in usable)
    moved = [f"{_short(b)}: {', '.join(what)}" for b, what in changed if what]
    if not usable:
        return (did_not_run(name, limit, f"none of {len(fixtures)} could be replayed without the patch"),)
    bound = 1 - bench.alpha ** (1 / len(usable))
    return (
        Gate(
            name=name,
            verdict=Verdict.FAIL if moved else lasting.verdict,
            observed=f"{len(usable) - len(moved)}/{len(usable)} unchanged",
            limit=limit,
            detail="; ".join([*moved, *lasting.why][:5])
            or f"of requests like these fewer than {bound:.1%} change ({1 - bench.alpha:.0%} confidence)",
        ),
    )


def _each(runner: Runner, fixtures: Sequence[Fixture], hooks: Hooks | None = None) -> list[RunResult]:
    wanted = [(fixture, 1) for fixture in fixtures]
    return [results[0] for results in runner.run_many(wanted, perturb=False, hooks=hooks)]


def _each_of(runner: Runner, *groups: Sequence[Fixture]) -> list[list[RunResult]]:
    results = iter(_each(runner, [fixture for group in groups for fixture in group]))
    return [[next(results) for _ in group] for group in groups]


def _taken_back(bench: Bench, fixtures: Sequence[Fixture]) -> list[RunResult]:
    """The patched tree with every changed file put back, which must be the tree that it came from."""
    with bench.copy(bench.patched) as tree:
        for part in bench.parts_of(Role.CHANGE):
            (tree / part.change.path).unlink(missing_ok=True)
            if (bench.base / part.change.path).exists():
                (tree / part.change.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(bench.base / part.change.path, tree / part.change.path)
        for folder in sorted((p for p in tree.rglob("*") if p.is_dir() and not p.is_symlink()), reverse=True):
            if not (bench.base / folder.relative_to(tree)).is_dir():
                folder.rmdir()
        if digest(tree) != digest(bench.base):
            raise errors.SandboxError("the patch could not be taken back: the tree differs from where it started")
        with Runner(tree, bench.service, sandbox=bench.sandbox, snapshots=bench.database) as runner:
            return _each(runner, fixtures)


def _usual(bench: Bench) -> frozenset[str]:
    """What the service reaches for without the patch, where nothing fails: a request that is cured goes on as far."""
    with tapes.runner(bench, bench.base) as runner:
        return frozenset(what for run in _each(runner, tapes.passing(bench)) for what in _reached(run))


def _known(bench: Bench, fixtures: Sequence[Fixture]) -> frozenset[str]:
    """Names of the environment that production told of, or that the service says it needs: a patch may ask for them."""
    names = {name for fixture in fixtures for name in (*fixture.environment.read, *fixture.environment.values)}
    return frozenset(f"environment: {name}" for name in names.union(bench.service.environment))


def _wrong(bench: Bench, red: RunResult, green: RunResult, again: RunResult, usual: frozenset[str]) -> str | None:
    expected = {run.recording: run.outcome_key for run in bench.replay.runs}
    if not failed(red):
        return f"{_short(red)} does not fail without the patch ({summary(red)})"
    if expected.get(red.recording, red.key) != red.key:
        return f"{_short(red)} fails without the patch in another way than it was replayed: {summary(red)}"
    if failed(green):
        return f"{_short(green)} still fails with the patch: {summary(green)}"
    if green.unrecorded:
        return f"{_short(green)} asks for what was never recorded: {green.unrecorded[0]}"
    reached = [what for what in _reaches(red, green, usual) if not what.startswith("files: read")]
    if reached:
        return f"{_short(green)} reaches for what it left alone without the patch: {reached[0]}"
    if again.digest != red.digest:
        return f"{_short(again)} is not as before when the patch is taken back: {', '.join(_differs(red, again))}"
    return None


def _as_before(bench: Bench, fixtures: Sequence[Fixture]) -> list[RunResult]:
    """What the service answered before the suspect change; nothing where that revision cannot answer."""
    change = bench.diagnosis.suspect_change
    if change is None or change.parent is None or bench.case is None:
        return []
    with bench.source.checked_out(change.parent) as tree:
        try:
            service = bench.source.service(change.parent)
            with Runner(tree, service, sandbox=bench.sandbox, snapshots=bench.database) as runner:
                return _each(runner, fixtures)
        except errors.ShadowlabError:
            return []


def _answered_as_before(bench: Bench, good: Sequence[RunResult], green: Sequence[RunResult]) -> tuple[Gate, ...]:
    """The fixed answer against the one that the service gave to the same request before the suspect change.

    A patch that swallows the error and answers something empty is green too; the last good revision knows better.
    Where that revision cannot answer these requests there is nothing to compare, and no gate.
    """
    change = bench.diagnosis.suspect_change
    known = [(g, run) for g, run in zip(good, green, strict=False) if not failed(g) and not failed(run)]
    if change is None or change.parent is None or not known:
        return ()
    lost = [f"{_short(run)}: {why}" for g, run in known if (why := _lost(g, run))]
    moved = [
        f"{_short(run)}: another number in {why}" for g, run in known if not _lost(g, run) and (why := _moved(g, run))
    ]
    equal = sum(g.body == run.body for g, run in known)
    return (
        Gate(
            name="answers as before the change",
            verdict=Verdict.FAIL if lost else Verdict.INCONCLUSIVE if moved else Verdict.PASS,
            observed=f"{len(known) - len(lost) - len(moved)}/{len(known)} alike, {equal} to the byte",
            limit=f"status, fields and numbers as {change.parent[:9]} answered, the commit before the suspect",
            detail="; ".join((lost + moved)[:5]) or "same status, no field lost, no number or type of a field changed",
        ),
    )


def _lost(good: RunResult, run: RunResult) -> str | None:
    """What an answer no longer has, or has in another type."""
    if good.status != run.status:
        return f"{run.status} where it was {good.status}"
    was, now = _fields(good.body), _fields(run.body)
    if was is None or now is None:
        return None if (was is None) == (now is None) else "JSON on one side only"
    found = sorted(path for path, (kind, _) in was.items() if now.get(path, ("", ""))[0] != kind)
    return f"lost or changed: {', '.join(found[:5])}" if found else None


def _moved(good: RunResult, run: RunResult) -> str | None:
    """Fields with another number: of the same kind, so a caller would take it for true."""
    was, now = _fields(good.body) or {}, _fields(run.body) or {}
    return ", ".join(sorted(path for path, (_, number) in was.items() if now.get(path, ("", number))[1] != number)[:5])


def _fields(body: bytes) -> dict[str, tuple[str, str]] | None:
    """Paths of a JSON document with kind and number at each, the last of a list's; None when it is none."""
    try:
        return {path: (kind, number) for path, kind, number in _walk(json.loads(body), "$")}
    except (ValueError, RecursionError):
        return None


def _walk(value: object, path: str) -> Iterator[tuple[str, str, str]]:
    match value:
        case dict():
            yield path, "object", ""
            for key in value:
                yield from _walk(value[key], f"{path}.{key}")
        case list():
            yield path, "list", ""
            for item in value:
                yield from _walk(item, f"{path}[]")
        case bool() | None:
            yield path, type(value).__name__, str(value)
        case int() | float():
            yield path, "number", str(value)
        case str() if _NUMBER.fullmatch(value):
            yield path, "text", value
        case _:
            yield path, "text", ""


def _differs(a: RunResult, b: RunResult) -> list[str]:
    if a.state != b.state:
        return [summary(b)]
    return [name for name, part in a.parts.items() if b.parts[name] != part]


def _reached(run: RunResult) -> list[str]:
    """What a run reached for beyond its walls, let through or not: `processes: os.system sh`, `environment: DEBUG`."""
    outside = [_COUNTED.sub(r"\1N", f"{seam}: {what}") for seam, what, *_ in run.events if seam in _OUTSIDE]
    return [*outside, *(f"environment: {name}" for name in run.asked)]


def _reaches(before: RunResult, after: RunResult, usual: frozenset[str]) -> list[str]:
    """What only the second run reached for, and is not usual."""
    was = usual.union(_reached(before))
    return [what for what in _reached(after) if what not in was]


def _short(run: RunResult) -> str:
    return run.recording[:8]
