"""From a reproduced failure to hypotheses, each as far as the replays carry it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.diagnose import outside, suspects, values
from shadowlab.diagnose.changes import Range, Touch, deployed, rank
from shadowlab.diagnose.frames import map_frames
from shadowlab.diagnose.patterns import Clue, guesses
from shadowlab.diagnose.slices import cut, slices
from shadowlab.diagnose.syntax import Tree
from shadowlab.diagnose.trials import Bench
from shadowlab.progress import Progress
from shadowlab.records import (
    Attempt,
    Commit,
    Diagnosis,
    Failure,
    Hypothesis,
    Outcome,
    Replay,
    Status,
    Suspect,
    Triage,
)
from shadowlab.source import Source

MAX_RECORDINGS = 3
"""Recordings that each intervention is tried on; they must all agree."""
_ORDER = {Status.CONFIRMED: 0, Status.SUPPORTED: 1, Status.PROPOSED: 2, Status.REFUTED: 3}


def diagnose(
    case: Case,
    replay: Replay,
    *,
    source: Source,
    triage: Triage | None = None,
    good: str | None = None,
    bad: str | None = None,
    sandbox: str = "embedded",
    progress: Progress | None = None,
) -> Diagnosis:
    """Why the replayed recordings fail: hypotheses with status and evidence, best first.

    `good` is the last revision that was deployed without the failure, `bad` the one that fails (the replay's own when
    not said). A hypothesis is *confirmed* only when one thing was changed in the replay and every run passed; a commit
    near the failure is *refuted* when the failure shows without it. Where the replay did not reproduce the failure,
    nothing is tried and nothing is confirmed or refuted.

    Raises `SourceError` when `bad` is no revision of the source, `SandboxError` when the sandbox is not to be had.
    """
    bad = source.revision(bad or replay.revision or "HEAD")
    failing = failing_attempts(replay)
    failure = failing[0].error if failing else replay.error
    tree = Tree(source.files(bad), lambda file: source.read(file, bad))
    frames = map_frames(failure.frames if failure else (), prefixes=source.service(bad).frames, files=tree.files)
    if failure is not None:
        failure = Failure(type=failure.type, message=failure.message, frames=frames)
    cuts = cut(tree, frames)
    span = deployed(source, good=good, bad=bad)
    touches = rank(source, span, cuts)
    clue = Clue(failure, tree, cuts) if failure else None
    suspect = triage.suspect(replay.suspect) if triage else None
    with open_bench(case, source, bad, failing, sandbox=sandbox, progress=progress) as bench:
        found, culprit = _hypotheses(case, source, span, touches, clue, suspect, bench, _unfit(replay, bench))
    return Diagnosis(
        parents=(replay.digest, *((triage.digest,) if triage else ())),
        hypotheses=found,
        slice=slices(tree, cuts),
        suspect_change=culprit,
        candidates=span.commits,
        service=source.service(bad).name,
        revision=bad,
        suspect=replay.suspect,
        error=failure,
        recordings=tuple(attempt.recording for attempt in failing),
        trace_id=_trace_id(case, failing, suspect),
    )


def failing_attempts(replay: Replay) -> tuple[Attempt, ...]:
    """The attempts that show the failure, those of the same outcome as the first of them first."""
    failed = [a for a in replay.runs if a.error is not None or (a.status is not None and a.status >= 500)]
    failed.sort(key=lambda a: a.outcome is not Outcome.REPRODUCED)
    first = failed[0].outcome_key if failed else ""
    return tuple(sorted(failed, key=lambda a: a.outcome_key != first))


def open_bench(
    case: Case,
    source: Source,
    bad: str,
    failing: Sequence[Attempt],
    *,
    sandbox: str,
    progress: Progress | None = None,
) -> AbstractContextManager[Bench | None]:
    """A bench for the failing attempts of one replay, for at most `MAX_RECORDINGS` of them; None when there is none."""
    from shadowlab.replay import recording

    chosen = [a for a in failing if a.outcome_key == failing[0].outcome_key][:MAX_RECORDINGS]
    if not chosen:
        return nullcontext()
    fixtures = [recording.load(case, attempt.recording) for attempt in chosen]
    held = {f.db_snapshot: recording.snapshot(case, f) for f in fixtures}
    return Bench(source, bad, fixtures, chosen, lambda f: held[f.db_snapshot], sandbox=sandbox, progress=progress)


def _unfit(replay: Replay, bench: Bench | None) -> str | None:
    """Why no intervention may decide, None when they may."""
    if bench is None:
        return "nothing was put to the test: the replay shows no failure"
    if replay.outcome is not Outcome.REPRODUCED:
        return f"nothing was put to the test: the replay is {replay.outcome}, so a changed outcome would prove nothing"
    unchanged = bench.at(bench.bad)
    if unchanged.ending != "same":
        return f"nothing was put to the test: replayed again, unchanged, it did otherwise ({unchanged.summary})"
    return None


def _hypotheses(
    case: Case,
    source: Source,
    span: Range,
    touches: Sequence[Touch],
    clue: Clue | None,
    suspect: Suspect | None,
    bench: Bench | None,
    why_not: str | None,
) -> tuple[tuple[Hypothesis, ...], Commit | None]:
    """Commits, values, settings, and what came from outside, the most certain first."""
    guessed = guesses(clue) if clue else ()
    seen = values.contrast(suspect)
    if bench is None or why_not is not None or clue is None:
        why = why_not or "no exception was seen"
        commits, of_values = suspects.untried(source, span, touches, why), values.untried(guessed, seen, why)
    else:
        bench.expected = 4 + min(len(touches), suspects.MAX_TAKEN_BACK) + len(guessed)
        commits = suspects.tried(source, span, touches, bench, clue.failure)
        of_values = values.tried(guessed, seen, bench)
    found = (*commits.hypotheses, *of_values)
    if bench is not None and why_not is None and not any(h.status is Status.CONFIRMED for h in found):
        found = (*outside.tried(bench, outside.passing(case, bench.fixtures), clue.location if clue else None), *found)
    return tuple(sorted(found, key=lambda h: _ORDER[h.status])), commits.culprit


def _trace_id(case: Case, failing: Sequence[Attempt], suspect: Suspect | None) -> str | None:
    from shadowlab.replay import recording

    for attempt in failing[:1]:
        try:
            trace_id = recording.load(case, attempt.recording).trace_id
        except errors.RecordingError:
            trace_id = None
        if trace_id:
            return trace_id
    return suspect.exemplars[0] if suspect and suspect.exemplars else None
