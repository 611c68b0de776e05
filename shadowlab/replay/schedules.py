"""Look for an order of tasks and threads in which a request does something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from shadowlab.case import Case
from shadowlab.records import Exploration, Verdict
from shadowlab.replay import recording, variants
from shadowlab.replay.changes import outcome
from shadowlab.replay.fixture import Fixture, Schedule
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner
from shadowlab.replay.trees import tree_of
from shadowlab.source import Source

_BATCH = 16
SCHEDULES, DEPTH = 200, 3
"""Orders, and priority changes plus one, when nothing else is said."""

Progress = Callable[[str, int, int], None]


class Search:
    """Runs one recording in seeded orders until it comes out differently."""

    def __init__(self, runner: Runner, fixture: Fixture, *, depth: int = DEPTH, strict: bool = False) -> None:
        """`strict` takes any difference of the outcome for another one, its body and log included."""
        self._runner = runner
        self._fixture = fixture
        self._depth = depth
        self._strict = strict
        self._threads = False
        self.first = self._first()
        """First come, first served."""
        pooled = (self.first.readings or {}).get("pooled", 0)
        if pooled or any(seam == "threads" for seam, *_ in self.first.events):
            self._threads = True
            self.first = self._first()
        self.steps = max((self.first.readings or {}).get("steps", 0), 1)
        self.outcomes: Counter[str] = Counter()
        self.tried = 0
        self.found: Fixture | None = None
        """The recording with the order in which it came out otherwise."""
        self.other: RunResult | None = None

    def run(self, schedules: int = SCHEDULES, *, seed: int = 0, progress: Progress | None = None) -> Search:
        """Try up to `schedules` orders; gives itself back. Nothing found is no proof that there is nothing."""
        self.outcomes[outcome(self.first)] += 1
        for start in range(seed, seed + schedules, _BATCH):
            batch = [self._ordered(n) for n in range(start, min(start + _BATCH, seed + schedules))]
            results = self._runner.run_many([(one, 1) for one in batch], perturb=False)
            for one, (run,) in zip(batch, results, strict=True):
                self.tried += 1
                self.outcomes[outcome(run)] += 1
                if self.found is None and self._name(run) != self._name(self.first):
                    self.found, self.other = one, run
            if progress is not None:
                progress("exploring orders", self.tried, schedules)
            if self.found is not None:
                break
        return self

    def _first(self) -> RunResult:
        return self._runner.run(self._ordered(0, depth=0), repeats=1, perturb=False)[0]

    def _name(self, run: RunResult) -> str:
        return run.digest if self._strict else run.key

    def _ordered(self, seed: int, *, depth: int | None = None) -> Fixture:
        steps = 1 if depth == 0 else self.steps
        wanted = self._depth if depth is None else depth
        schedule = Schedule(seed=seed, depth=wanted, steps=steps, threads=self._threads)
        return msgspec.structs.replace(self._fixture, schedule=schedule)


def explore(
    case: Case,
    id: str,
    *,
    source: Source,
    revision: str,
    schedules: int = SCHEDULES,
    depth: int = DEPTH,
    seed: int = 0,
    strict: bool = False,
    sandbox: str = "embedded",
    parents: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Exploration:
    """Run a recording in seeded orders, from `seed` on, of its tasks, and of its threads where it starts some.

    The order in which it comes out differently is kept in the case, as a recording.
    Raises `RecordingError` when it cannot be replayed, `SourceError`, `SandboxError`.
    """
    whole = recording.load_whole(case, id)
    revision = source.revision(revision)
    service = source.service(revision)
    content = recording.snapshot(case, whole)
    with (
        tree_of(source, revision) as tree,
        Runner(tree, service, sandbox=sandbox, snapshots=lambda _: content) as runner,
    ):
        search = Search(runner, whole, depth=depth, strict=strict).run(schedules, seed=seed, progress=progress)
    found = search.found and search.other and variants.keep(case, search.found, whole, search.other, service)
    return Exploration(
        verdict=Verdict.FAIL if found else Verdict.PASS,
        recording=whole.id,
        found=found.id if found else None,
        seed=seed,
        found_seed=search.found.schedule.seed if search.found and search.found.schedule else None,
        schedules=search.tried,
        depth=depth,
        steps=search.steps,
        outcomes=dict(search.outcomes),
        first=outcome(search.first),
        other=outcome(search.other) if search.other else None,
        revision=revision,
        sandbox=sandbox,
        parents=parents,
    )
