"""Try a draft in the replay before it is proposed, so that the best comes first. The gates decide, not this."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from shadowlab import errors
from shadowlab.diagnose.trials import Bench, Trial
from shadowlab.propose.question import Draft, Question
from shadowlab.replay import RunResult

AS_BEFORE, ALIKE, GREEN, CHANGED, UNTRIED, RED = range(6)


def tried(draft: Draft, question: Question) -> Draft:
    """The draft with its rank, and with what the replay said in its rationale.

    `AS_BEFORE`: the failing requests are answered byte for byte as before the commit that brought the failure, so the
    contract is kept; `ALIKE`: with the same JSON types; `GREEN`: they pass, and what was answered before is not known;
    `CHANGED`: they no longer fail, and are answered otherwise than before; `RED`: they still fail, or the diff does not
    apply.
    """
    if question.bench is None:
        return replace(draft, rank=UNTRIED, rationale=f"{draft.rationale} It was not tried in the replay.")
    what = f"the source with diff {hashlib.sha256(draft.diff.encode()).hexdigest()[:9]}"
    try:
        if not question.good_answers:
            question.bench.at(question.bench.bad)  # what a pass is, is told against the unchanged failure
        trial = question.bench.with_patch(what, draft.diff)
    except errors.PatchError as exc:
        return replace(draft, rank=RED, rationale=f"{draft.rationale} {exc.args[0]}.")
    rank, why = _ranked(trial, question, question.bench)
    return replace(draft, rank=rank, rationale=f"{draft.rationale} In the replay with the diff: {trial.summary}{why}.")


def _ranked(trial: Trial, question: Question, bench: Bench) -> tuple[int, str]:
    """The rank of a trial, and what it says, to be put behind the trial's own words."""
    if question.good_answers and trial.answers == question.good_answers:
        return AS_BEFORE, ", byte for byte as before the commit that brought the failure"
    if not trial.results or any(result.error or (result.status or 200) >= 500 for result in trial.results):
        return RED, ": not mended"
    if not question.good_answers:
        return (GREEN, "") if trial.ending == "passes" else (CHANGED, ": it no longer fails, and is refused")
    before = bench.at(question.good_revision)
    if [_shape(result) for result in trial.results] == [_shape(result) for result in before.results]:
        return ALIKE, ", with the JSON types of before, but other values"
    return CHANGED, ", but not with what was answered before"


def _shape(result: RunResult) -> object:
    """Status and the JSON types of a body, without its values; a body that is no JSON stands for itself."""
    try:
        return result.status, _types(json.loads(result.body))
    except (ValueError, RecursionError):
        return result.status, result.body


def _types(value: object) -> object:
    match value:
        case dict():
            return {key: _types(item) for key, item in value.items()}
        case list():
            return [_types(item) for item in value]
        case _:
            return type(value).__name__
