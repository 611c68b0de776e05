"""Put the commits of the range to the test: the one that brings the failure, and the innocent ones near it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shadowlab import errors
from shadowlab.diagnose.bisect import Turn, first_parents, turn
from shadowlab.diagnose.changes import Range, Touch
from shadowlab.diagnose.trials import NOTHING, Bench, Trial
from shadowlab.records import Commit, Failure, Hypothesis, Intervention, Location, Status
from shadowlab.source import Source

MAX_TAKEN_BACK = 3
"""Commits that are taken back alone, nearest to the slice first."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the replays say of the commits of a range."""

    hypotheses: tuple[Hypothesis, ...]
    culprit: Commit | None


def untried(source: Source, span: Range, touches: Sequence[Touch], why: str) -> Verdicts:
    """The commits as *proposed* or *supported* by what they touch, when no replay may decide."""
    near = [t for t in touches if t.score > 0]
    hypotheses = [
        Hypothesis(
            cause=_named(t.commit), kind="commit", location=_location(source, span, t),
            status=Status.SUPPORTED if t.score >= 3 else Status.PROPOSED, evidence=(t.why, *span.notes, why),
        )
        for t in near
    ]  # fmt: skip
    return Verdicts(tuple(hypotheses), near[0].commit if near else None)


def tried(source: Source, span: Range, touches: Sequence[Touch], bench: Bench, failure: Failure) -> Verdicts:
    """The commits after bisection, after taking the likely ones back alone, and what each trial proves."""
    chain = first_parents(span.commits, span.bad)
    likely = [t.commit for t in touches if t.score >= 3 and t.commit.parent][:2]
    for commit in likely[:1]:
        bench.look_ahead(commit.parent or "", commit.revision, taken_back=commit)
    found = turn(chain, lambda revision: bench.at(revision).ending, first=[c.revision for c in likely])
    if found is None:
        return untried(source, span, touches, "there is no earlier revision to replay")
    culprit = _descend(source, found.culprit, bench) if found.culprit else None
    closest = [t.commit for t in touches if t.score >= 2][:MAX_TAKEN_BACK]
    taken_back = {c.revision: bench.without(c) for c in dict.fromkeys([*([culprit] if culprit else []), *closest])}
    court = _Court(source, span, bench, failure, found, culprit, taken_back)
    hypotheses = tuple(court.judge(t) for t in touches)
    shown = tuple(h for h, t in zip(hypotheses, touches, strict=True) if h.interventions or t.score > 0)
    remaining = {c.revision for c in found.remaining}
    near = next((t.commit for t in touches if t.commit.revision in remaining), None)
    return Verdicts(shown, culprit or near)


def _descend(source: Source, commit: Commit, bench: Bench) -> Commit:
    """The commit that a merge brought the failure with; the merge itself when none of them has it alone."""
    brought = source.commits(commit.parent or commit.revision, commit.revision)[:-1]
    if not brought or bench.at(brought[-1].revision).ending != "same":
        return commit
    found = turn(first_parents(brought, brought[-1].revision), lambda revision: bench.at(revision).ending)
    return (found.culprit if found else None) or commit


@dataclass(frozen=True, slots=True)
class _Court:
    source: Source
    span: Range
    bench: Bench
    failure: Failure
    found: Turn
    culprit: Commit | None
    taken_back: dict[str, Trial | None]

    def judge(self, touch: Touch) -> Hypothesis:
        """One commit's hypothesis."""
        commit, alone = touch.commit, self.taken_back.get(touch.commit.revision)
        if self.culprit is not None and commit.revision == self.culprit.revision:
            return self._guilty(touch, alone)
        if alone is not None and alone.ending == "same":
            why = f"with only this commit taken back the failure still shows: {alone.summary}"
            return self._said(touch, Status.REFUTED, (why,), (alone,))
        if alone is not None and alone.ending == "passes":
            why = f"with only this commit taken back it passes, {alone.summary}: the failure needs this commit too"
            return self._said(touch, Status.SUPPORTED, (why,), (alone,))
        if self.found.low_ending == "same":
            start = self.found.chain[0].parent or ""
            before = self.bench.at(start)
            why = f"the failure shows before the whole deploy, at {start[:9]}: {before.summary}"
            return self._said(touch, Status.REFUTED, (why,), (before,))
        return self._by_place(touch)

    def _guilty(self, touch: Touch, alone: Trial | None) -> Hypothesis:
        parent, itself = self.bench.at(touch.commit.parent or ""), self.bench.at(touch.commit.revision)
        evidence: tuple[str, ...] = (
            f"its parent {(touch.commit.parent or '')[:9]} answers {parent.summary}",
            f"with it the failure shows: {itself.summary}",
        )
        pair = (parent,) if itself.changed == NOTHING else (parent, itself)
        if alone is None:
            return self._said(touch, Status.CONFIRMED, (*evidence, "it cannot be taken back alone"), pair)
        evidence = (*evidence, f"the failing revision with only this commit taken back: {alone.summary}")
        # Something later that carries the failure as well makes this commit a beginning, not the cause of today.
        status = Status.SUPPORTED if alone.ending == "same" else Status.CONFIRMED
        return self._said(touch, status, evidence, (*pair, alone))

    def _by_place(self, touch: Touch) -> Hypothesis:
        """A commit that was not taken back alone: its place before or after the turn decides, where there is one."""
        places = [c.revision for c in self.found.chain]
        if touch.commit.revision not in places:
            return self._said(touch, Status.PROPOSED, ("it came in by a merge and was not tried alone",), ())
        place = places.index(touch.commit.revision)
        if place > self.found.high:
            revision = places[self.found.high]
            first = self.bench.at(revision)
            why = f"the failure shows already at {revision[:9]}, without this commit: {first.summary}"
            return self._said(touch, Status.REFUTED, (why,), (first,))
        if place <= self.found.low and self.found.low_ending == "passes":
            revision = places[self.found.low]
            last = self.bench.at(revision)
            why = f"the failure does not show yet at {revision[:9]}, which has this commit: {last.summary}"
            return self._said(touch, Status.REFUTED, (why,), (last,))
        why = f"one of {len(self.found.remaining)} commits between the last pass and the first failure"
        return self._said(touch, Status.SUPPORTED if touch.score >= 3 else Status.PROPOSED, (why,), ())

    def _said(self, touch: Touch, status: Status, evidence: tuple[str, ...], trials: tuple[Trial, ...]) -> Hypothesis:
        before = self.bench.at(self.bench.bad)
        interventions: tuple[Intervention, ...] = tuple(trial.intervention(before) for trial in trials)
        cause = _named(touch.commit)
        if status is Status.CONFIRMED:
            cause = f"{cause} brings the {self.failure.type}"
        return Hypothesis(
            cause=cause, status=status, kind="commit", location=_location(self.source, self.span, touch),
            evidence=(touch.why, *evidence, *self.span.notes), interventions=interventions,
        )  # fmt: skip


def _named(commit: Commit) -> str:
    return f"commit {commit.revision[:9]} “{commit.subject}”"


def _location(source: Source, span: Range, touch: Touch) -> Location | None:
    """Where the commit touches the slice, as lines are counted in the failing revision."""
    if touch.location is None:
        return None
    file, line, function, now = touch.location
    try:
        same = source.read(file, touch.commit.revision) == source.read(file, span.bad)
    except errors.SourceError:
        return None
    return Location(file=file, line=line if same else now, function=function)
