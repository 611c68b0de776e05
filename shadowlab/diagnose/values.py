"""Put guesses about values to the test: replace the value in the replay, and see whether the request passes."""

from __future__ import annotations

from collections.abc import Sequence

from shadowlab.diagnose.patterns import Guess
from shadowlab.diagnose.trials import Bench, Trial
from shadowlab.records import Hypothesis, Status, Suspect

MAX_SWAPS = 4
"""Values that are replaced in turn, for all guesses together."""


def untried(guesses: Sequence[Guess], seen: Sequence[str], why: str) -> tuple[Hypothesis, ...]:
    """The guesses as *proposed*, when no replay may decide."""
    return tuple(_said(guess, Status.PROPOSED, (*seen, why), None, None) for guess in guesses)


def tried(guesses: Sequence[Guess], seen: Sequence[str], bench: Bench) -> tuple[Hypothesis, ...]:
    """The guesses after their values were replaced, one at a time."""
    left = MAX_SWAPS
    found: list[Hypothesis] = []
    for guess in guesses:
        swaps = guess.swaps[:left]
        left -= len(swaps)
        trials = [bench.swapped(swap.words, swap.substitute) for swap in swaps]
        found.append(_judged(guess, seen, trials, bench))
    return tuple(found)


def _judged(guess: Guess, seen: Sequence[str], trials: Sequence[Trial], bench: Bench) -> Hypothesis:
    before = bench.at(bench.bad)
    if not trials:
        return _said(guess, Status.PROPOSED, (*seen, "no value was replaced: the replay cannot reach it"), None, None)
    for trial in trials:
        if trial.ending == "passes":
            return _said(guess, Status.CONFIRMED, (*seen, f"{trial.changed}: {trial.summary}"), trial, before)
    tried = tuple(f"{trial.changed}: {trial.summary}" for trial in trials)
    met = [trial for trial in trials if all(result.substituted for result in trial.results)]
    if met and all(trial.ending == "same" for trial in met):
        return _said(guess, Status.REFUTED, (*seen, *tried), met[0], before)
    return _said(guess, Status.PROPOSED, (*seen, *tried), trials[0], before)


def contrast(suspect: Suspect | None) -> tuple[str, ...]:
    """What sets the failing requests apart, in words, when triage found something strong."""
    strong = [c for c in suspect.contrast if abs(c.effect) >= 0.3][:2] if suspect else []
    return tuple(
        f"{c.attribute} is {c.value} in {c.selection:.0%} of the failing and {c.baseline:.0%} of the passing requests"
        for c in strong
    )


def _said(
    guess: Guess, status: Status, evidence: tuple[str, ...], trial: Trial | None, before: Trial | None
) -> Hypothesis:
    interventions = (trial.intervention(before),) if trial and before else ()
    return Hypothesis(
        cause=guess.cause, status=status, kind=guess.kind, location=guess.location,
        evidence=(*guess.evidence, *evidence), interventions=interventions,
    )  # fmt: skip
