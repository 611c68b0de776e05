"""Replay the failing recordings with one thing changed, and say in words and in a key what became of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shadowlab import errors
from shadowlab.records import Attempt, Intervention
from shadowlab.replay import Fixture, Hooks, Runner, RunResult
from shadowlab.replay.trees import tree_of
from shadowlab.source import Service, Source

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
    told: str
    """`201 in 4 of 4 runs`."""
    results: tuple[RunResult, ...] = ()

    @property
    def runs(self) -> int:
        """How often a recording was run."""
        return len(self.results)

    def intervention(self, before: Trial) -> Intervention:
        """The trial as a record, against the unchanged one."""
        return Intervention(
            changed=self.changed, before_key=before.key, after_key=self.key,
            flipped=before.ending == "same" and self.ending == "passes", runs=self.runs,
        )  # fmt: skip


@dataclass(slots=True)
class Bench:
    """Failing recordings, the source they fail on, and a memory of what was tried."""

    source: Source
    bad: str
    fixtures: Sequence[Fixture]
    attempts: Sequence[Attempt]
    """What the replay said of the same recordings, in the same order."""
    snapshots: Callable[[Fixture], bytes | None]
    sandbox: str = "embedded"
    progress: Callable[[str, int, int], None] | None = None
    expected: int = 8
    """About how many trials there will be, for the progress bar."""
    _done: dict[str, Trial] = field(default_factory=dict)

    def at(self, revision: str) -> Trial:
        """The recordings at another revision of the source; at `bad` itself it is the unchanged trial."""
        what = NOTHING if revision == self.bad else f"source at {revision[:9]} instead of {self.bad[:9]}"
        return self._once(what, lambda: self._run_at(what, revision, None, None))

    def without(self, revision: str, parent: str) -> Trial | None:
        """The recordings at `bad` with one commit taken back; None when it cannot be taken back alone."""
        what = f"only {revision[:9]} taken back"
        try:
            return self._once(what, lambda: self._run_at(what, self.bad, self.source.diff(revision, parent), None))
        except errors.PatchError:
            return None

    def with_patch(self, what: str, patch: str) -> Trial:
        """The recordings at `bad` with a patch; raises `PatchError` when it does not apply."""
        return self._once(what, lambda: self._run_at(what, self.bad, patch, None))

    def swapped(self, what: str, substitute: Mapping[str, Any]) -> Trial:
        """The recordings at `bad` with one argument of one function replaced."""
        return self._once(what, lambda: self._run_at(what, self.bad, None, Hooks(substitute=substitute)))

    def _once(self, what: str, run: Callable[[], Trial]) -> Trial:
        if what not in self._done:
            if self.progress is not None:
                done = len(self._done)
                self.progress(f"trying {what}", done, max(self.expected, done + 1))
            self._done[what] = run()
        return self._done[what]

    def _run_at(self, what: str, revision: str, patch: str | None, hooks: Hooks | None) -> Trial:
        try:
            service = self._service(revision)
            with (
                tree_of(self.source, revision, patch) as tree,
                Runner(tree, service, sandbox=self.sandbox, snapshots=self.snapshots) as runner,
            ):
                results = runner.run_many([(f, REPEATS) for f in self.fixtures], perturb=False, hooks=hooks)
        except errors.SourceError as exc:
            return Trial(what, "other", "", f"it does not start: {exc.args[0]}")
        return self._judged(what, results, swapped=hooks is not None)

    def _service(self, revision: str) -> Service:
        """What `shadowlab.toml` says there; a revision from before it is run as the failing one is."""
        try:
            return self.source.service(revision)
        except errors.SourceError:
            return self.source.service(self.bad)

    def _judged(self, what: str, results: Sequence[Sequence[RunResult]], *, swapped: bool) -> Trial:
        flat = tuple(result for group in results for result in group)
        endings = [
            _ending(result, fixture, attempt)
            for group, fixture, attempt in zip(results, self.fixtures, self.attempts, strict=True)
            for result in group
        ]
        told = _told(flat)
        ending: Ending = endings[0] if len(set(endings)) == 1 else "other"
        if swapped and any(result.substituted == 0 for result in flat):
            ending, told = "other", f"no such value was met; {told}"
        return Trial(what, ending, flat[0].key, told, flat)


def _ending(result: RunResult, fixture: Fixture, attempt: Attempt) -> Ending:
    """A pass is an answer below 400 (a function: any result) without an exception: a refusal is no proof of a cure."""
    if result.key == attempt.outcome_key or _same_error(result, attempt):
        return "same"
    answered = fixture.kind == "function" or (result.status is not None and 200 <= result.status < 400)
    return "passes" if result.state == "finished" and result.error is None and answered else "other"


def _same_error(result: RunResult, attempt: Attempt) -> bool:
    """The same exception and words: a function that was renamed or moved since changes the outcome key only."""
    if result.error is None or attempt.error is None or result.error.type != attempt.error.type:
        return False
    return _NUMBER.sub("#", result.error.message) == _NUMBER.sub("#", attempt.error.message)


def _told(results: Sequence[RunResult]) -> str:
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
