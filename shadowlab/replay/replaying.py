"""The verb: recorded requests run again, alone, and judged: reproduced, diverged, uncertified or unavailable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Attempt, Effect, Finding, Outcome, Replay, digest_of
from shadowlab.replay import messages, recording
from shadowlab.replay.compare import divergence, made_by_service
from shadowlab.replay.environments import Environment
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.jobs import Hooks
from shadowlab.replay.lacking import Provenance, lacking
from shadowlab.replay.ledger import ledger, uncontrolled
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner, Snapshots
from shadowlab.replay.trees import tree_of
from shadowlab.source import Service, Source

if TYPE_CHECKING:
    from shadowlab.replay.fanout import Fanned

Progress = Callable[[str, int, int], None]
_MOST_LOGS, _MOST_NOTES = 50, 5


def replay(
    case: Case,
    recordings: Sequence[str],
    *,
    source: Source,
    revision: str,
    times: int = 2,
    sandbox: str = "embedded",
    suspect: str | None = None,
    patch: str | None = None,
    seed: int = 0,
    hooks: Hooks | None = None,
    parents: tuple[str, ...] = (),
    workers: str | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Run recordings (by id) against `source` at `revision`, `times` runs in all, spread over them.

    Each recording that is used runs at least twice in the canonical environment, and once more in a perturbed twin
    that is not counted. *reproduced*: every run equals the recording, and every other run of it, byte for byte.
    `seed` is added to each recording's own; `workers` is the address of a Dask scheduler to run on.
    Raises `RecordingError`, `SourceError`, `PatchError`, `SandboxError`.
    """
    revision = source.revision(revision)
    provenance = Provenance(sandbox=sandbox, revision=revision, suspect=suspect, seed=seed, parents=parents)
    service = source.service(revision)
    fixtures = [recording.load(case, id) for id in recordings]
    if not fixtures:
        raise errors.RecordingError("no recording was named", hint="`shadowlab ingest CASE PATH` takes some in")
    usable = [fixture for fixture in fixtures if not fixture.missing]
    missing = tuple(f"{f.id[:8]}: {what}" for f in fixtures for what in f.missing)
    if not usable:
        return _unavailable(fixtures, missing, provenance)
    wanted = [(_seeded(fixture, seed), repeats) for fixture, repeats in _spread(usable, times)]
    snapshots = {f.id: recording.snapshot(case, f) for f, _ in wanted}
    with (
        tree_of(source, revision, patch) as tree,
        _runner(workers, tree, service, sandbox, lambda f: snapshots[f.id]) as runner,
    ):
        runs = runner.run_many(wanted, hooks=hooks, progress=progress)
        findings = messages.findings(runner, [fixture for fixture, _ in wanted])
        world = _World(runner.clock, runner.steady, runner.enforced, runner.environment)
    judged = [_judged(f, r, service, world) for (f, _), r in zip(wanted, runs, strict=True)]
    notes = [f"replayed with a patch of {len(patch.splitlines())} lines"] if patch else []
    if missing:
        notes.append(f"{len(fixtures) - len(usable)} of {len(fixtures)} recordings cannot be replayed")
    notes += [f"{f.id[:8]}: not known of the database: {f.database.incomplete[0]}" for f, _ in wanted
              if f.database and f.database.incomplete and not f.db_snapshot][:_MOST_NOTES]  # fmt: skip
    return _record(
        [f for f, _ in wanted], runs, judged, world, provenance,
        missing=missing, notes=(*notes, *messages.notes(usable)), findings=findings,
    )  # fmt: skip


def _runner(workers: str | None, tree: Path, service: Service, sandbox: str, snapshots: Snapshots) -> Runner | Fanned:
    if workers is None:
        return Runner(tree, service, sandbox=sandbox, snapshots=snapshots)
    from shadowlab.replay.fanout import Fanned

    return Fanned(workers, tree, service, sandbox=sandbox, snapshots=snapshots)


@dataclass(frozen=True, slots=True)
class _World:
    clock: str
    steady: bool
    enforced: tuple[str, ...]
    environment: Environment


@dataclass(frozen=True, slots=True)
class _Judged:
    attempt: Attempt
    good: int
    """Runs that reproduced the recording."""
    sensitive: tuple[str, ...]
    reasons: tuple[str, ...]


def _judged(fixture: Fixture, runs: Sequence[RunResult], service: Service, world: _World) -> _Judged:
    """What one recording's runs came to."""
    canonical = [run for run in runs if not run.perturbed]
    first = canonical[0]
    differs = divergence(fixture, first, service.frames)
    reasons = _doubts(fixture, runs, world)
    sensitive = tuple(sorted({part for run in runs if run.perturbed for part in _parts(first, run)}))
    outcome = Outcome.DIVERGED if differs else Outcome.UNCERTIFIED if reasons else Outcome.REPRODUCED
    attempt = Attempt(
        recording=fixture.id,
        outcome=outcome,
        repeats=len(canonical),
        status=first.status,
        error=first.error,
        outcome_digest=first.digest,
        outcome_key=first.key,
        outbound=first.outbound,
        logs=first.logs[:_MOST_LOGS],
        divergence=differs or ("\n".join(f"  {reason}" for reason in reasons) or None),
    )
    good = len(canonical) if outcome is Outcome.REPRODUCED else 0
    return _Judged(attempt, good, sensitive, reasons)


def _doubts(fixture: Fixture, runs: Sequence[RunResult], world: _World) -> tuple[str, ...]:
    """Why runs that look right are still no proof."""
    first, *others = runs
    found = []
    for run in others:
        parts = _parts(first, run)
        if parts:
            which = "the perturbed twin" if run.perturbed else "a repeat"
            found.append(f"{which} differs in {', '.join(parts)}" + (f": {run.reason}" if run.reason else ""))
    found += uncontrolled(_ledger([fixture], runs, world))
    return tuple(dict.fromkeys(found))


def _ledger(
    fixtures: Sequence[Fixture], runs: Sequence[RunResult], world: _World, sensitive: Sequence[str] = ()
) -> tuple[Effect, ...]:
    return ledger(
        fixtures, runs, clock=world.clock, steady=world.steady, environment=world.environment, sensitive=sensitive
    )


def _parts(one: RunResult, other: RunResult) -> list[str]:
    return [name for name, digest in one.parts.items() if other.parts[name] != digest]


def _spread(fixtures: Sequence[Fixture], times: int) -> list[tuple[Fixture, int]]:
    """`times` runs over the recordings, each of those used at least twice, the first ones more."""
    times = max(times, 2)
    used = list(fixtures[: max(times // 2, 1)])
    share, rest = divmod(times, len(used))
    return [(fixture, share + (n < rest)) for n, fixture in enumerate(used)]


def _seeded(fixture: Fixture, seed: int) -> Fixture:
    import msgspec

    return msgspec.structs.replace(fixture, rand_seed=fixture.rand_seed + seed) if seed else fixture


def _record(
    fixtures: Sequence[Fixture],
    runs: Sequence[Sequence[RunResult]],
    judged: Sequence[_Judged],
    world: _World,
    provenance: Provenance,
    *,
    missing: tuple[str, ...],
    notes: tuple[str, ...],
    findings: tuple[Finding, ...],
) -> Replay:
    flat = [run for each in runs for run in each]
    sensitive = sorted({part for one in judged for part in one.sensitive})
    effects = (*_ledger(fixtures, flat, world, sensitive), *messages.offsets(fixtures, flat))
    attempts = tuple(one.attempt for one in judged)
    made = sum(made_by_service(f, each[0]) for f, each in zip(fixtures, runs, strict=True) if each[0].body)
    if made:
        notes = (
            *notes,
            f"{made} ids or times in bodies are the replay's own: production's randomness was not recorded",
        )
    keys = sorted({attempt.outcome_key for attempt in attempts})
    return Replay(
        outcome=_overall(attempts),
        attempts=sum(attempt.repeats for attempt in attempts),
        reproduced=sum(one.good for one in judged),
        outcome_digest=digest_of(sorted([a.recording, a.outcome_digest] for a in attempts)),
        outcome_key=keys[0] if len(keys) == 1 else digest_of(keys),
        sandbox=provenance.sandbox,
        enforced=world.enforced,
        effects=effects,
        error=next((attempt.error for attempt in attempts if attempt.error), None),
        suspect=provenance.suspect,
        revision=provenance.revision,
        environment=world.environment.digest,
        runs=attempts,
        missing=missing,
        notes=notes,
        findings=findings,
        parents=provenance.parents,
        seed=provenance.seed,
    )


def _overall(attempts: Sequence[Attempt]) -> Outcome:
    outcomes = {attempt.outcome for attempt in attempts}
    for worst in (Outcome.DIVERGED, Outcome.UNCERTIFIED):
        if worst in outcomes:
            return worst
    return Outcome.REPRODUCED


def _unavailable(fixtures: Sequence[Fixture], missing: tuple[str, ...], provenance: Provenance) -> Replay:
    nothing = lacking(missing, provenance)
    return replace(
        nothing,
        runs=tuple(
            Attempt(recording=f.id, outcome=Outcome.UNAVAILABLE, repeats=0, status=None, error=None,
                    outcome_digest=nothing.outcome_digest, outcome_key=nothing.outcome_key,
                    divergence="; ".join(f.missing))
            for f in fixtures
        ),
    )  # fmt: skip
