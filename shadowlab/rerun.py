"""Execute the evidence again instead of trusting it: the latest replay, then the gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shadowlab.records import Check, GateReport, Replay, Verdict, Verification, overall
from shadowlab.records.base import counted

if TYPE_CHECKING:
    from shadowlab.opened import Opened


def rerun(inv: Opened, verification: Verification) -> Verification:
    """`told` with a check for each record that could be executed again. Nothing is written into the case."""
    checks = [*verification.checks]
    if (kept := inv.latest(Replay)) is not None:
        checks.append(_replayed(inv, kept))
    if (gates := inv.latest(GateReport)) is not None:
        checks.append(_gated(inv, gates))
    return Verification(verdict=overall(checks), checks=tuple(checks))


def _replayed(inv: Opened, kept: Replay) -> Check:
    from shadowlab import replay

    again = replay.replay(
        inv.case,
        list(dict.fromkeys(run.recording for run in kept.runs)),
        source=inv.source,
        revision=kept.revision,
        times=kept.attempts,
        sandbox=kept.sandbox,
        suspect=kept.suspect,
        seed=kept.seed,
        progress=inv.progress,
    )
    same = again.outcome_digest == kept.outcome_digest and again.outcome == kept.outcome
    return Check(
        name="replay executed again",
        verdict=Verdict.PASS if same else Verdict.FAIL,
        detail=f"{again.outcome} {again.reproduced}/{again.attempts}, outcome {again.outcome_digest[:12]}"
        + ("" if same else f"; recorded: {kept.outcome}, outcome {kept.outcome_digest[:12]}")
        + _elsewhere(kept.environment, again.environment),
    )


def _gated(inv: Opened, kept: GateReport) -> Check:
    from shadowlab import gates
    from shadowlab.records import Diagnosis

    diagnosis, replay = inv.latest(Diagnosis), inv.latest(Replay)
    if kept.candidate is None or diagnosis is None or replay is None:
        return Check(name="gates executed again", verdict=Verdict.INCONCLUSIVE, detail="the report names no candidate")
    again = gates.gate(
        inv.case,
        kept.candidate,
        diagnosis,
        replay,
        source=inv.source,
        alpha=kept.alpha,
        seed=kept.seed,
        sandbox=kept.sandbox or replay.sandbox,
        parents=kept.parents,
        progress=inv.progress,
    )
    before = {gate.name: gate.verdict for gate in kept.gates}
    now = {gate.name: gate.verdict for gate in again.gates}
    moved = [
        f"{name}: {before.get(name)} before, {now.get(name)} now"
        for name in before | now
        if before.get(name) != now.get(name)
    ]
    return Check(
        name="gates executed again",
        verdict=Verdict.FAIL if moved else Verdict.PASS,
        detail=("; ".join(moved) or f"{counted(len(now), 'gate')}, the same verdicts: {again.verdict}")
        + _elsewhere(kept.environment, again.environment),
    )


def _elsewhere(then: str, now: str) -> str:
    """Whether the service ran on something else this time; older records do not say what it was."""
    return "" if then in ("", now) else "; on other packages than then"
