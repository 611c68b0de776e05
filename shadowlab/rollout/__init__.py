"""Write the plan of a gated patch: pull request, progressive delivery, rollback. Nothing is deployed."""

from __future__ import annotations

import json

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Candidate, Diagnosis, GateReport, Objective, Plan, Proposal, Replay, Triage, Verdict
from shadowlab.records.base import percent
from shadowlab.rollout import canary, pullrequest
from shadowlab.source import Source
from shadowlab.writing import write

__all__ = ["plan"]

_SRE = "SRE"


def plan(
    case: Case,
    gates: GateReport,
    proposal: Proposal,
    diagnosis: Diagnosis,
    triage: Triage | None,
    *,
    source: Source,
    anyway: bool = False,
) -> Plan:
    """Write `patches/<candidate>/` in the case: the diff, the pull request, the canary, the way back.

    Raises `GateFailed` when the report is no pass, unless `anyway` is set (the pull request then says so), and
    `UsageError` when the report names no candidate, or one that the proposal does not hold.
    """
    candidate = _candidate(gates, proposal)
    if gates.verdict is not Verdict.PASS and not anyway:
        gates.raise_for_verdict()
    service = source.service(gates.revision)
    approvals = tuple(dict.fromkeys((*service.owners, _SRE)))
    labels = ("shadowlab", "incident", f"service:{service.name}", f"gates:{gates.verdict.value}", "canary")
    objective = _objective(triage, service.name)
    steps = _steps(objective, approvals)
    rollback = _rollback(diagnosis, triage)
    request = {
        "title": pullrequest.title(diagnosis), "labels": labels, "approvals": approvals, "base": gates.revision,
        "candidate": candidate.digest, "gate_report": gates.digest,
    }  # fmt: skip
    budget = next((g.statistic.limit for g in gates.gates if g.name == "speed" and g.statistic), None)
    files = {
        "change.patch": candidate.diff if candidate.diff.endswith("\n") else candidate.diff + "\n",
        "pull-request.md": pullrequest.body(
            gates,
            candidate,
            diagnosis,
            triage,
            replay=_replay(case, diagnosis),
            approvals=approvals,
            invariants=service.invariants,
        ),
        "pull-request.json": json.dumps(request, indent=2, ensure_ascii=False) + "\n",
        "canary.yaml": canary.canary(service.name, objective, budget_ms=5.0 if budget is None else budget),
        "rollback.md": f"# The way back\n\n{rollback}\n",
    }
    folder = case.patches / candidate.digest[:12]
    with case.writing("plan"):
        for name, text in files.items():
            write(folder / name, text.encode())
    parents = [gates.digest, proposal.digest, diagnosis.digest, *([triage.digest] if triage else [])]
    return Plan(
        files=tuple(f"patches/{folder.name}/{name}" for name in files), steps=steps, approvals=approvals,
        rollback=rollback, labels=labels, parents=tuple(parents),
    )  # fmt: skip


def _candidate(gates: GateReport, proposal: Proposal) -> Candidate:
    if gates.candidate is None:
        raise errors.UsageError("the gate report names no candidate", hint="gate one: `shadowlab gate CASE`")
    if all(candidate.digest != gates.candidate.digest for candidate in proposal.candidates):
        raise errors.UsageError(
            f"the gated candidate {gates.candidate.digest[:12]} is none of the proposal's",
            hint="the proposal was made again after the gates: run `shadowlab gate CASE` on the new one",
        )
    return gates.candidate


def _replay(case: Case, diagnosis: Diagnosis) -> Replay | None:
    """The replay that the diagnosis was made from, as the case keeps it."""
    for parent in diagnosis.parents:
        try:
            record = case.record(parent)
        except errors.CaseError:
            continue
        if isinstance(record, Replay):
            return record
    return None


def _objective(triage: Triage | None, service: str) -> Objective | None:
    """The service's availability objective, the one that burns first."""
    own = [o for o in (triage.objectives if triage else ()) if o.service == service and o.indicator == "availability"]
    return next((o for o in own if o.alert), own[0] if own else None)


def _steps(objective: Objective | None, approvals: tuple[str, ...]) -> tuple[str, ...]:
    step, most = canary.WEIGHTS
    promised = percent(canary.target_of(objective)) + ("" if objective else " (nobody wrote an objective)")
    return (
        "open the pull request: pull-request.md is its body, change.patch applies with `git apply`",
        f"collect the approvals: {', '.join(approvals)}",
        "merge by hand when continuous integration is green",
        f"apply canary.yaml, then deploy: {step}% of traffic, more by {step}% a minute, up to {most}%, then all",
        f"keep while the success rate is at least {promised}; {canary.FAILED_CHECKS} failed checks take traffic back",
        "judge the counts at any time, as often as wanted: `shadowlab judge --control F/N --candidate F/N`",
        "watch the objective's burn rate for an hour after promotion",
    )


def _rollback(diagnosis: Diagnosis, triage: Triage | None) -> str:
    return (
        f"Flagger takes traffic back by itself after {canary.FAILED_CHECKS} failed checks. By hand: "
        f"`git revert --no-edit <merge commit>` and deploy{_before(diagnosis, triage)}. "
        "The fault that this patch mends comes back with it."
    )


def _before(diagnosis: Diagnosis, triage: Triage | None) -> str:
    """What ran well before, as another way back."""
    suspect = pullrequest.suspect_of(diagnosis, triage)
    deploy = suspect.change if suspect else None
    if deploy and deploy.before_revision:
        version = f" ({deploy.before})" if deploy.before else ""
        return f", or deploy {deploy.before_revision[:12]}{version}, what ran before"
    change = diagnosis.suspect_change
    return (
        f", or deploy {change.parent[:12]}, the last commit before the suspect change"
        if change and change.parent
        else ""
    )
