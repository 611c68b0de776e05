"""The same recordings on two trees: what a change fixes, breaks, alters and leaves alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from shadowlab.case import Case
from shadowlab.records import Became, Compared, Comparison, comparison
from shadowlab.replay import recording
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner
from shadowlab.replay.trees import tree_of
from shadowlab.source import Source

_REPEATS = 2


def compare_trees(
    case: Case,
    recordings: Sequence[str],
    *,
    source: Source,
    base: str,
    revision: str | None = None,
    patch: str | None = None,
    sandbox: str = "embedded",
    parents: tuple[str, ...] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Each recording at `base` against the same at `revision` (`base` when not said), `patch` applied there.

    Raises `SourceError`, `PatchError`, `SandboxError`.
    """
    base, revision = source.revision(base), source.revision(revision or base)
    fixtures = [recording.load(case, id) for id in recordings]
    usable = [fixture for fixture in fixtures if not fixture.missing]
    before = _runs(case, usable, source, base, None, sandbox, progress)
    after = _runs(case, usable, source, revision, patch, sandbox, progress)
    done = {f.id: _compared(f, a, b) for f, a, b in zip(usable, before, after, strict=True)}
    return comparison(
        [done.get(fixture.id) or _not_recorded(fixture) for fixture in fixtures],
        base=base,
        patched=revision,
        patch_sha256=hashlib.sha256(patch.encode()).hexdigest() if patch is not None else None,
        sandbox=sandbox,
        parents=parents,
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
        return runner.run_many([(fixture, _REPEATS) for fixture in fixtures], perturb=False, progress=progress)


def _not_recorded(fixture: Fixture) -> Compared:
    lost, why = Became.NOT_COMPARABLE, f"not recorded: {fixture.missing[0]}"
    return Compared(recording=fixture.id, summary=_asked(fixture), became=lost, why=why)


def _compared(fixture: Fixture, before: Sequence[RunResult], after: Sequence[RunResult]) -> Compared:
    one, two = before[0], after[0]
    differs = tuple(name for name, digest in one.parts.items() if two.parts[name] != digest)
    unsteady = [name for name, runs in (("first", before), ("second", after)) if len({r.digest for r in runs}) > 1]
    why = f"two runs on the {unsteady[0]} tree differ" if unsteady else ""
    if not unsteady and two.unrecorded and not one.unrecorded:
        why = two.unrecorded[0]
    return Compared(
        recording=one.recording,
        summary=_asked(fixture),
        became=Became.NOT_COMPARABLE if unsteady else _became(one, two),
        before=outcome(one),
        after=outcome(two),
        differs=differs,
        new_calls=_only(two.outbound, one.outbound),
        vanished_calls=_only(one.outbound, two.outbound),
        why=why,
    )


def _became(one: RunResult, two: RunResult) -> Became:
    match _fails(one), _fails(two):
        case True, False:
            return Became.FIXED
        case True, True:
            return Became.STILL_FAILING if one.key == two.key else Became.NEW_FAILURE
        case False, True:
            return Became.NEW_FAILURE
    return Became.UNCHANGED if one.digest == two.digest else Became.CHANGED


def _asked(fixture: Fixture) -> str:
    return f"{fixture.request.method} {fixture.request.path}"


def outcome(run: RunResult) -> str:
    """`500 TypeError`, `returned`, or why it did not finish; never a body."""
    if run.state != "finished":
        return f"{run.state}: {run.reason.splitlines()[0][:100] if run.reason else 'no reason'}"
    status = str(run.status) if run.status is not None else "" if run.error else "returned"
    return f"{status} {run.error.type if run.error else ''}".strip()


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
