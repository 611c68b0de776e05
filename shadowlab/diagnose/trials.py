"""Replay the failing recordings with one thing changed, and say in words and in a key what became of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

from shadowlab import errors
from shadowlab.progress import Progress
from shadowlab.records import Attempt, Commit, Intervention, digest_of
from shadowlab.replay import Fixture, Hooks, Runner, RunResult
from shadowlab.replay.trees import tree_of
from shadowlab.source import Source

Ending = Literal["same", "passes", "other"]
"""The failure shows; it is gone and an ordinary answer came; something else happened."""

REPEATS = 2
"""An intervention runs at least twice on each recording."""
NOTHING = "nothing"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the failing recordings when one thing was changed."""

    changed: str
    ending: Ending
    key: str
    """Outcome key of the first recording; empty when nothing ran."""
    summary: str
    """`201 in 4 of 4 runs`."""
    results: tuple[RunResult, ...] = ()

    @property
    def runs(self) -> int:
        """How often a recording was run."""
        return len(self.results)

    @property
    def answers(self) -> str:
        """SHA-256 over status and body of each recording's answer; empty when runs of one differ or nothing ran."""
        seen: dict[str, set[tuple[int | None, str]]] = {}
        for result in self.results:
            seen.setdefault(result.recording, set()).add((result.status, hashlib.sha256(result.body).hexdigest()))
        steady = all(len(answers) == 1 for answers in seen.values())
        return digest_of([[name, *answers.pop()] for name, answers in sorted(seen.items())]) if seen and steady else ""

    def intervention(self, before: Trial) -> Intervention:
        """The trial as a record, against the unchanged one."""
        return Intervention(
            changed=self.changed, before_key=before.key, after_key=self.key,
            flipped=before.ending == "same" and self.ending == "passes", runs=self.runs, answers=self.answers,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Setup:
    """One trial to run: the failing revision, or another one, with at most one thing changed."""

    what: str
    revision: str
    patch: str | None = None
    hooks: Hooks | None = None
    alter: Callable[[Fixture], Fixture] | None = None
    """What is changed in each recording."""


class Bench:
    """Failing recordings, the source they fail on, and a memory of what was tried. Use as a context manager."""

    def __init__(
        self,
        source: Source,
        bad: str,
        fixtures: Sequence[Fixture],
        attempts: Sequence[Attempt],
        snapshots: Callable[[Fixture], bytes | None],
        *,
        sandbox: str = "embedded",
        progress: Progress | None = None,
    ) -> None:
        """`attempts` is what the replay said of `fixtures`, in the same order; `bad` is the revision that fails."""
        self.source, self.bad = source, bad
        self.expected = 6
        self._fixtures, self._attempts, self._snapshots = fixtures, attempts, snapshots
        self._sandbox, self._progress = sandbox, progress
        self._done: dict[str, Trial] = {}
        self._ahead: dict[str, Future[list[list[RunResult]]]] = {}
        self._unchanged: dict[str, RunResult] = {}
        self._failing: Runner | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._pool = self._open.enter_context(ThreadPoolExecutor(max_workers=2))
        return self

    def __exit__(self, *exc: object) -> None:
        for future in self._ahead.values():
            future.cancel()
        self._open.close()

    def at(self, revision: str) -> Trial:
        """The recordings at another revision of the source; at `bad` itself it is the unchanged trial."""
        return self._trial(self._at(revision))

    def without(self, commit: Commit) -> Trial | None:
        """The recordings at `bad` with one commit taken back; None when it cannot be taken back alone."""
        setup = self._without(commit)
        try:
            return self._trial(setup) if setup else None
        except errors.PatchError:
            return None

    def with_patch(self, what: str, patch: str) -> Trial:
        """The recordings at `bad` with a patch; raises `PatchError` when it does not apply."""
        return self._trial(_Setup(what, self.bad, patch))

    def swapped(self, what: str, substitute: Mapping[str, Any]) -> Trial:
        """The recordings at `bad` with one argument of one function replaced."""
        return self._trial(_Setup(what, self.bad, None, Hooks(substitute=substitute)))

    def altered(self, what: str, alter: Callable[[Fixture], Fixture]) -> Trial:
        """The recordings at `bad` with one thing changed in what came from outside."""
        return self._trial(_Setup(what, self.bad, alter=alter))

    @property
    def fixtures(self) -> Sequence[Fixture]:
        """The failing recordings, as they are."""
        return self._fixtures

    def look_ahead(self, *revisions: str, taken_back: Commit | None = None) -> None:
        """Begin trials that will be asked for soon, two at a time."""
        setups = [self._at(revision) for revision in revisions]
        alone = self._without(taken_back) if taken_back else None
        for setup in [*setups, *([alone] if alone else [])]:
            if setup.what not in self._done and setup.what not in self._ahead:
                self._ahead[setup.what] = self._pool.submit(self._run, setup)

    def _at(self, revision: str) -> _Setup:
        what = NOTHING if revision == self.bad else f"source at {revision[:9]} instead of {self.bad[:9]}"
        return _Setup(what, revision)

    def _without(self, commit: Commit) -> _Setup | None:
        back = self.source.diff(commit.revision, commit.parent) if commit.parent else ""
        return _Setup(f"only {commit.revision[:9]} taken back", self.bad, back) if back else None

    def _trial(self, setup: _Setup) -> Trial:
        if setup.what not in self._done:
            if self._progress is not None:
                done = len(self._done)
                self._progress(f"trying {setup.what}", done, max(self.expected, done + 1))
            self._done[setup.what] = self._tried(setup)
        return self._done[setup.what]

    def _tried(self, setup: _Setup) -> Trial:
        ahead = self._ahead.pop(setup.what, None)
        try:
            results = ahead.result() if ahead else self._run(setup)
        except (errors.SourceError, errors.SandboxError) as exc:
            if setup.what == NOTHING:
                raise
            return Trial(setup.what, "other", "", f"it does not start: {str(exc.args[0])[:200]}")
        return self._judged(setup, results)

    def _run(self, setup: _Setup) -> list[list[RunResult]]:
        """Each recording at least twice; the unpatched failing tree stays up for the trials that change a value."""
        wanted = [(setup.alter(fixture) if setup.alter else fixture, REPEATS) for fixture in self._fixtures]
        if setup.revision == self.bad and setup.patch is None:
            self._failing = self._failing or self._open.enter_context(self._runner(setup))
            return self._failing.run_many(wanted, perturb=False, hooks=setup.hooks)
        with self._runner(setup) as runner:
            return runner.run_many(wanted, perturb=False, hooks=setup.hooks)

    @contextmanager
    def _runner(self, setup: _Setup) -> Iterator[Runner]:
        try:
            service = self.source.service(setup.revision)
        except errors.SourceError:  # from before shadowlab.toml: it is run as the failing revision is
            service = self.source.service(self.bad)
        with (
            tree_of(self.source, setup.revision, setup.patch) as tree,
            Runner(tree, service, sandbox=self._sandbox, snapshots=self._snapshots) as runner,
        ):
            yield runner

    def _judged(self, setup: _Setup, results: Sequence[Sequence[RunResult]]) -> Trial:
        flat = tuple(result for group in results for result in group)
        if setup.what == NOTHING:
            self._unchanged = {group[0].recording: group[0] for group in results}
        endings = {
            _ending(result, attempt, self._unchanged.get(result.recording))
            for group, attempt in zip(results, self._attempts, strict=True)
            for result in group
        }
        ending: Ending = endings.pop() if len(endings) == 1 else "other"
        summary = _summary(flat)
        if setup.hooks and any(result.substituted == 0 for result in flat):
            ending, summary = "other", f"no such value was met; {summary}"
        return Trial(setup.what, ending, flat[0].key, summary, flat)


def _ending(result: RunResult, attempt: Attempt, unchanged: RunResult | None) -> Ending:
    """How one run ended, against the recorded failure and against a run in which nothing was changed.

    A pass is an answer below 400 without an exception (a plain function: any result). A refusal, 4xx, is a pass only
    where the request got as far as the failing one had: the same outbound calls and rows. Otherwise a revision that
    does not know the route yet would count as a cure.
    """
    if result.key == attempt.outcome_key or _same_error(result, attempt):
        return "same"
    if result.state != "finished" or result.error is not None:
        return "other"
    if result.status is None or 200 <= result.status < 400:
        return "passes"
    return "passes" if result.status < 500 and unchanged is not None and _as_far(result, unchanged) else "other"


def _as_far(result: RunResult, unchanged: RunResult) -> bool:
    worked = bool(unchanged.outbound or unchanged.database)
    same = result.outbound[: len(unchanged.outbound)] == unchanged.outbound and result.database == unchanged.database
    return worked and same


def _same_error(result: RunResult, attempt: Attempt) -> bool:
    """The same exception and words: a function that was renamed or moved since changes the outcome key only."""
    if result.error is None or attempt.error is None or result.error.type != attempt.error.type:
        return False
    return _NUMBER.sub("#", result.error.message) == _NUMBER.sub("#", attempt.error.message)


def _summary(results: Sequence[RunResult]) -> str:
    words = [_word(result) for result in results]
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    return "; ".join(f"{word} in {count} of {len(words)} runs" for word, count in counts.items())


def _word(result: RunResult) -> str:
    if result.state != "finished":
        return f"{result.state} ({result.reason.splitlines()[0][:120]})" if result.reason else result.state
    status = str(result.status) if result.status is not None else "a result"
    if result.error is not None:
        return f"{result.error.type}" if result.status is None else f"{status} {result.error.type}"
    return f"{status}, with {len(result.unrecorded)} calls that were never recorded" if result.unrecorded else status
