"""The main job on the bundled incident, told as it goes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.incidents import build_source, bundled
from shadowlab.investigation import open_investigation
from shadowlab.progress import Progress
from shadowlab.records import Diagnosis, GateReport, Replay, Triage, Verdict
from shadowlab.records.base import percent

INCIDENT = "payments-decimal"


def run(
    out: Path,
    *,
    tell: Callable[[str], None],
    sandbox: str = "embedded",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Take the bundled incident from its telemetry to a signed report in case folder `out`, which is replaced.

    Returns the paths, the verdict and the seconds of each verb. Raises `SandboxError` when there is no such sandbox,
    `CaseError` when `out`, or the folder of the source beside it, holds something else than an older demo.
    """
    from shadowlab.replay import sandboxes

    sandboxes.named(sandbox)
    incident = bundled(INCIDENT)
    source = out.with_name(f"{out.name}-source")
    _make_room(out, source)
    clock = _Clock()
    inv = open_investigation(out, progress=progress)
    inv.case.remember(source=os.path.relpath(source, out))  # by this the next demo knows what it may replace
    build_source(incident, source)

    tell(f"The incident: {INCIDENT}. The service's history is in {source}, the case in {out}.\n")
    files = [incident / name for name in _TELEMETRY]
    took = clock("ingest", lambda: inv.ingest(*files))
    tell(f"ingest    {took.spans:,} spans, {took.logs:,} logs, {took.metric_points:,} metric points,"
         f" {took.recordings:,} recordings; {took.redacted:,} values redacted")  # fmt: skip
    found = clock("triage", lambda: inv.triage(slo=incident / "objective.openslo.yaml"))
    _tell_triage(found, tell)
    tell(f"sandbox   {sandbox}, because {_why(sandbox)}")
    again = clock("replay", lambda: inv.replay(found.top, times=20, sandbox=sandbox))
    _tell_replay(again, tell)
    why = clock("diagnose", lambda: inv.diagnose(again))
    _tell_diagnosis(why, tell)
    fix = clock("propose", lambda: inv.propose(why))
    tell(f"patch     {fix.top.rationale}\n\n{_indented(fix.top.diff)}")
    gates = clock("gate", lambda: inv.gate(fix))
    _tell_gates(gates, tell)
    if gates.verdict is Verdict.PASS:
        plan = clock("rollout", lambda: inv.rollout(gates))
        tell(
            f"rollout   {len(plan.files)} files; approvals wanted from {', '.join(plan.approvals)}; nothing is deployed"
        )
    report = clock("report", lambda: inv.report())
    checked = clock("verify", inv.verify)
    tell(f"verify    {checked.verdict}: {len(checked.checks)} checks, {len(inv.ledger)} ledger entries\n")
    ends = {"notebook": str(out / report.notebook), "html": str(out / report.html), "case": str(out)}
    for name, place in ends.items():
        tell(f"{name:<9} {place}")
    return {"type": "Demo", "verdict": str(gates.verdict), **ends, "source": str(source),
            "outcome": str(again.outcome), "sandbox": sandbox, "seconds": clock.seconds}  # fmt: skip


_TELEMETRY = (
    "traces.otlp.jsonl.gz",
    "logs.otlp.jsonl.gz",
    "metrics.otlp.jsonl.gz",
    "recordings.jsonl.gz",
)


class _Clock:
    """Seconds of each verb."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, verb: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[verb] = round(time.perf_counter() - start, 2)
        return result


def _make_room(out: Path, source: Path) -> None:
    """Take an older demo's case and source away; never anything else."""
    older = _is_demo(out, source)
    for place in (out, source):
        if place.exists() and not older and not (place.is_dir() and not any(place.iterdir())):
            problem = f"{place} is there already, and no demo made it"
            raise errors.CaseError(problem, hint="name another folder with --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise errors.CaseError(f"cannot make a case in {out}: {exc.strerror}", hint="name another folder") from exc
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as aside:
        for place in (source, out):
            if place.exists():
                place.replace(Path(aside) / place.name)


def _is_demo(out: Path, source: Path) -> bool:
    """Whether a case takes for its source what only a demo puts beside a case."""
    return (out / "case.json").exists() and Case(out).settings().get("source") == os.path.relpath(source, out)


def _why(sandbox: str) -> str:
    """Why the replays run in this sandbox and not in another."""
    if sandbox != "embedded":
        return "you asked for it"
    from shadowlab.replay.sandboxes import docker

    engine = (
        "a container engine answers here too: try --sandbox docker"
        if docker.answers()
        else "no container engine answers here"
    )
    return f"it needs neither root nor docker; {engine}"


def _tell_triage(found: Triage, tell: Callable[[str], None]) -> None:
    for objective in found.objectives:
        rates = ", ".join(f"{b.burn_rate:.0f}x over {w}" for w, b in objective.windows.items() if b.burn_rate)
        tell(f"burns     {objective.name} ({percent(objective.target)} promised): {rates or 'nothing'};"
             f" {objective.budget_spent:.1%} of the budget in 30 minutes"
             + (" - an incident" if found.incident else ""))  # fmt: skip
    top = found.top
    tell(f"error     {top.title}: {top.events} events since {top.first_seen:%H:%M:%S} in {top.operation}")
    if top.change:
        tell(f"change    {top.change.kind} of {top.change.service} at {top.change.at:%H:%M:%S}:"
             f" {top.change.before} -> {top.change.after}")  # fmt: skip


def _tell_replay(again: Replay, tell: Callable[[str], None]) -> None:
    tell(f"replay    {again.outcome} {again.reproduced}/{again.attempts} in sandbox {again.sandbox}"
         f" ({'; '.join(again.enforced) or 'nothing enforced'})")  # fmt: skip


def _tell_diagnosis(why: Diagnosis, tell: Callable[[str], None]) -> None:
    for hypothesis in why.hypotheses:
        tell(f"{hypothesis.status:<9} {hypothesis.cause}")
        for line in hypothesis.evidence:
            tell(f"          - {line}")


def _tell_gates(gates: GateReport, tell: Callable[[str], None]) -> None:
    for gate in gates.gates:
        tell(f"gate      {gate.verdict:<12} {gate.name}: {gate.observed} (limit {gate.limit})")
    tell(f"verdict   {gates.verdict}")


def _indented(text: str) -> str:
    return "".join(f"          {line}\n" for line in text.splitlines())
