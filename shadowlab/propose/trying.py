"""Try a draft in the replay before it is proposed, so that the best comes first. The gates decide, not this."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from shadowlab import errors
from shadowlab.propose.question import Draft, Question

AS_BEFORE, GREEN, CHANGED, UNTRIED, RED = 0, 1, 2, 3, 4


def tried(draft: Draft, question: Question) -> Draft:
    """The draft with its rank, and with what the replay said in its rationale.

    `AS_BEFORE`: the failing requests are answered byte for byte as before the commit that brought the failure, so the
    contract is kept; `GREEN`: they pass, and what was answered before is not known; `CHANGED`: they no longer fail, and
    are answered otherwise than before; `RED`: they still fail, or the diff does not apply.
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
    if question.good_answers and trial.answers == question.good_answers:
        rank, said = AS_BEFORE, f"{trial.told}, byte for byte as before the commit that brought the failure"
    elif trial.results and all(result.error is None and (result.status or 200) < 500 for result in trial.results):
        known = bool(question.good_answers) or trial.ending != "passes"
        rank, said = (CHANGED, f"{trial.told}, but not what was answered before") if known else (GREEN, trial.told)
    else:
        rank, said = RED, f"{trial.told}: not mended"
    return replace(draft, rank=rank, rationale=f"{draft.rationale} In the replay with the diff: {said}.")
