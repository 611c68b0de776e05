"""From a diagnosis to candidates: ask one proposer, try what it drafts, check the answer, put the best first."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.diagnose.stage import failing_attempts, open_bench
from shadowlab.diagnose.syntax import Tree
from shadowlab.diagnose.trials import Bench
from shadowlab.progress import Progress
from shadowlab.propose import diff as diffs
from shadowlab.propose.codemod import CodemodProposer, SearchProposer
from shadowlab.propose.model import ModelProposer, endpoint
from shadowlab.propose.question import Draft, Drafts, Proposer, Question
from shadowlab.propose.request import Constraints, checked, request
from shadowlab.records import Diagnosis, Outcome, Proposal, Replay
from shadowlab.replay.sandboxes import levels
from shadowlab.source import Source

PROPOSERS = ("codemod", "search", "model")


def propose(
    case: Case,
    diagnosis: Diagnosis,
    replay: Replay,
    *,
    source: Source,
    proposer: str | None = None,
    constraints: Constraints | None = None,
    sandbox: str | None = None,
    progress: Progress | None = None,
) -> Proposal:
    """Candidate patches for a diagnosis, best first: unified git diffs with a test, a rationale and a risk.

    `proposer` is `codemod`, `search` or `model`; None asks the codemods, and a configured model when they are silent.
    Candidates are tried in the replay where it reproduced, which ranks them and proves nothing yet: the gates decide.
    No candidate is an outcome too; the record's notes say why. Raises `UsageError` for an unknown proposer or one that
    is not configured, and when the diagnosis holds no failing recording; `SandboxError` when the case's policy asks for
    a stronger sandbox to try patches in.
    """
    wanted = _asked(proposer)
    levels.demand(sandbox or replay.sandbox, levels.of(case))
    question_document = request(case, diagnosis, source=source, constraints=constraints or Constraints())
    revision = diagnosis.revision
    with _bench(case, diagnosis, replay, source, sandbox or replay.sandbox, progress) as bench:
        question = Question(
            request=question_document, case=case, diagnosis=diagnosis, source=source, service=source.service(revision),
            tree=Tree(source.files(revision), lambda file: source.read(file, revision)), bench=bench, progress=progress,
        )  # fmt: skip
        name, drafts = _answers(wanted, question)
    fitting, notes = _fitting(drafts, question_document["constraints"]["max_diff_lines"])
    return Proposal(
        parents=(diagnosis.digest, replay.digest),
        candidates=tuple(draft.candidate(name) for draft in fitting),
        request=question_document,
        notes=notes,
    )


def _asked(proposer: str | None) -> tuple[Proposer, ...]:
    """The proposers to ask in turn until one has something to say."""
    model = ModelProposer(endpoint())
    match proposer:
        case None:
            return (CodemodProposer(), *((model,) if model.endpoint else ()))
        case "codemod":
            return (CodemodProposer(),)
        case "search":
            return (SearchProposer(),)
        case "model" if model.endpoint:
            return (model,)
        case "model":
            raise errors.UsageError(
                "no model is configured",
                hint="set SHADOWLAB_MODEL_URL (an OpenAI-compatible endpoint) and SHADOWLAB_MODEL, or use `codemod`",
            )
    raise errors.UsageError(f"no proposer is called {proposer!r}", hint=f"there are {', '.join(PROPOSERS)}")


def _answers(proposers: tuple[Proposer, ...], question: Question) -> tuple[str, Drafts]:
    notes: tuple[str, ...] = ()
    name, found = proposers[0].name, Drafts()
    for proposer in proposers:
        name, found = proposer.name, proposer.propose(question)
        notes += found.notes
        if found.drafts:
            break
    return name, Drafts(drafts=found.drafts, notes=notes)


def _fitting(drafts: Drafts, most: int) -> tuple[tuple[Draft, ...], tuple[str, ...]]:
    """The drafts that keep to the size, each checked against the answer's schema."""
    fitting, notes = [], list(drafts.notes)
    for draft in drafts.drafts:
        checked(draft.document(), "answer")
        lines = diffs.changed_lines(draft.diff, without=draft.test_files)
        if lines <= most:
            fitting.append(draft)
        else:
            notes.append(f"a diff of {lines} lines was dropped: {most} are allowed")
    return tuple(fitting), tuple(notes)


def _bench(
    case: Case,
    diagnosis: Diagnosis,
    replay: Replay,
    source: Source,
    sandbox: str,
    progress: Progress | None,
) -> AbstractContextManager[Bench | None]:
    """Where drafts are tried: only on a replay that reproduced the failure at this very revision."""
    if replay.outcome is not Outcome.REPRODUCED or replay.revision != diagnosis.revision:
        return nullcontext()
    return open_bench(case, source, diagnosis.revision, failing_attempts(replay), sandbox=sandbox, progress=progress)
