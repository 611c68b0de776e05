"""The same recordings on two trees: what a change fixes, breaks, alters and leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shadowlab.case import Case
from shadowlab.replay import recording
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner
from shadowlab.replay.trees import tree_of
from shadowlab.source import Source


class Change(StrEnum):
    """What became of one recording."""

    FIXED = "fixed"
    STILL_FAILING = "still failing"
    NEW_FAILURE = "new failure"
    CHANGED = "changed but passing"
    UNCHANGED = "unchanged"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One recording on both trees."""

    recording: str
    change: Change
    differs: tuple[str, ...] = ()
    """Parts of the outcome that differ: `body`, `headers`, `database` …"""
    new_calls: tuple[str, ...] = ()
    """Outbound calls that only the second tree makes."""
    vanished_calls: tuple[str, ...] = ()
    why: str = ""
    """Why it cannot be compared."""


def compare_trees(
    case: Case,
    recordings: Sequence[str],
    *,
    source: Source,
    base: str,
    revision: str | None = None,
    patch: str | None = None,
    sandbox: str = "embedded",
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Compared, ...]:
    """Each recording at `base` against the same at `revision` (`base` when not said), `patch` applied there."""
    fixtures = [recording.load(case, id) for id in recordings]
    usable = [fixture for fixture in fixtures if not fixture.missing]
    before = _runs(case, usable, source, base, None, sandbox, progress)
    after = _runs(case, usable, source, revision or base, patch, sandbox, progress)
    done = {f.id: _compared(a, b) for f, a, b in zip(usable, before, after, strict=True)}
    lost = Change.NOT_COMPARABLE
    return tuple(
        done.get(f.id) or Compared(recording=f.id, change=lost, why=f"not recorded: {f.missing[0]}") for f in fixtures
    )


def _runs(
    case: Case,
    fixtures: Sequence[Fixture],
    source: Source,
    revision: str,
    patch: str | None,
    sandbox: str,
    progress: Callable[[str, int, int], None] | None,
) -> list[list[RunResult]]:
    if not fixtures:
        return []
    with (
        tree_of(source, revision, patch) as tree,
        Runner(
            tree, source.service(revision), sandbox=sandbox, snapshots=lambda fixture: recording.snapshot(case, fixture)
        ) as runner,
    ):
        return runner.run_many([(fixture, 2) for fixture in fixtures], perturb=False, progress=progress)


def _compared(before: Sequence[RunResult], after: Sequence[RunResult]) -> Compared:
    one, two = before[0], after[0]
    differs = tuple(name for name, digest in one.parts.items() if two.parts[name] != digest)
    unsteady = [name for name, runs in (("first", before), ("second", after)) if len({r.digest for r in runs}) > 1]
    return Compared(
        recording=one.recording,
        change=Change.NOT_COMPARABLE if unsteady else _change(one, two),
        differs=differs,
        new_calls=_only(two.outbound, one.outbound),
        vanished_calls=_only(one.outbound, two.outbound),
        why=f"two runs on the {unsteady[0]} tree differ" if unsteady else "",
    )


def _change(one: RunResult, two: RunResult) -> Change:
    match _fails(one), _fails(two):
        case True, False:
            return Change.FIXED
        case True, True:
            return Change.STILL_FAILING if one.key == two.key else Change.NEW_FAILURE
        case False, True:
            return Change.NEW_FAILURE
    return Change.UNCHANGED if one.digest == two.digest else Change.CHANGED


def _fails(run: RunResult) -> bool:
    return run.state != "finished" or run.error is not None or (run.status is not None and run.status >= 500)


def _only(these: Sequence[str], those: Sequence[str]) -> tuple[str, ...]:
    left = list(those)
    found = []
    for call in these:
        if call in left:
            left.remove(call)
        else:
            found.append(call)
    return tuple(found)
