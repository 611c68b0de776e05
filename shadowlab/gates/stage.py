"""All gates on one candidate, in an order in which patched code runs only after it was read."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.gates import contract, leaks, policy, replays, shadow, shortcuts, static, suite
from shadowlab.gates.bench import Bench, Check, Escaped, Limits, Progress, prepared
from shadowlab.records import Candidate, Diagnosis, Gate, GateReport, Proposal, Replay, Verdict, overall
from shadowlab.replay import sandboxes
from shadowlab.replay.sandboxes import levels
from shadowlab.source import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A check and the names of the gates that it answers with, for when it cannot answer."""

    names: tuple[str, ...]
    check: Check
    runs: bool = False
    """Whether the service's code runs in it."""


READ = (
    Family(names=("policy",), check=policy.policy),
    Family(names=("shortcuts",), check=shortcuts.shortcuts),
    Family(names=("secrets",), check=leaks.secrets),
)
"""Gates that read the patch; what they refuse is not run."""
RUN = (
    Family(names=("ruff",), check=static.ruff),
    Family(names=("mypy",), check=static.mypy),
    Family(names=("tests",), check=suite.tests, runs=True),
    Family(names=("new test red-green",), check=suite.new_test, runs=True),
    Family(names=("contract",), check=contract.contract, runs=True),
)
"""Gates that start tools or patched code, each on copies of its own, two at a time beside those that replay."""
REPLAYED = (
    Family(names=(replays.RED,), check=replays.red_green_red, runs=True),
    Family(names=("passing unchanged",), check=replays.unchanged, runs=True),
)
"""Gates that replay recordings."""


def gate(
    case: Case,
    candidate: Candidate,
    diagnosis: Diagnosis,
    replay: Replay,
    *,
    source: Source,
    alpha: float = 0.05,
    seed: int = 0,
    sandbox: str = "embedded",
    parents: tuple[str, ...] = (),
    constraints: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> GateReport:
    """Decide whether a candidate may go on: pass only when every gate passes.

    `constraints` are those of the proposal's request, found among `parents` when not given; missing ones have the
    defaults of `Limits`. A patch that the reading gates refuse is not run. Raises `PatchError` when the diff cannot be
    read or does not apply, `SandboxError` when there is no such sandbox, `UsageError` for an alpha that cannot be.
    """
    if not 0 < alpha < 0.5:
        raise errors.UsageError(f"alpha {alpha} is not between 0 and 0.5", hint="0.05 is usual")
    sandboxes.named(sandbox)
    limits = _limits(case, _constraints(case, parents) if constraints is None else constraints)
    revision = diagnosis.revision or replay.revision or source.revision()
    with prepared(
        candidate, source=source, revision=revision, diagnosis=diagnosis, replay=replay, case=case,
        limits=limits, alpha=alpha, seed=seed, sandbox=sandbox,
    ) as bench:  # fmt: skip
        gates = judged(bench, progress=progress)
        digest, ran_on = _ran_on(bench)
        return GateReport(
            verdict=overall(gates), gates=gates, candidate=candidate, revision=revision, service=bench.service.name,
            alpha=alpha, seed=seed, sandbox=sandbox, environment=digest, ran_on=ran_on, parents=parents,
        )  # fmt: skip


def _ran_on(bench: Bench) -> tuple[str, str]:
    """The environment's digest, and what it is in words with the test tools beside it; why, when it cannot be had."""
    digest = description = ""
    try:
        place = bench.runtime()
        digest, description = place.digest, place.description
        tools = bench.runtime(tests=True).tools
    except errors.ShadowlabError as exc:
        return digest, f"{description}; the tests have none: {exc.args[0]}".removeprefix("; ")
    return digest, description + (f"; for the tests {' and '.join(tools)} beside it" if tools else "")


def _limits(case: Case, constraints: Mapping[str, Any]) -> Limits:
    """Those of the proposal; the case's policy and the proposal both may ask for stronger walls, neither for weaker."""
    limits = Limits.of(constraints)
    policy = levels.of(case)
    named = "least_sandbox" in constraints
    return replace(limits, least_sandbox=levels.stronger(limits.least_sandbox, policy) if named else policy)


def _constraints(case: Case, parents: tuple[str, ...]) -> Mapping[str, Any]:
    """What the proposal that the candidate comes from was asked to keep to."""
    for parent in parents:
        with contextlib.suppress(errors.CaseError):
            record = case.record(parent)
            if isinstance(record, Proposal):
                return dict(record.request.get("constraints", {}))
    return {}


def judged(bench: Bench, *, progress: Progress | None = None) -> tuple[Gate, ...]:
    """Every gate's answer, in a fixed order."""
    tell = _Teller(progress, len(READ) + len(RUN) + len(REPLAYED) + 1)
    mirrored = Family(names=shadow.NAMES, check=partial(shadow.shadow_run, progress=progress), runs=True)
    if bench.refusals:
        return policy.policy(bench)
    read = [gate for family in READ for gate in _answered(bench, family, tell)]
    if any(gate.verdict is not Verdict.PASS for gate in read):
        return (*read, *(g for family in (*RUN, *REPLAYED, mirrored) for g in _not_run(family, _REFUSED)))
    # Nothing beside the last of them: it measures time.
    return (*read, *_side_by_side(bench, RUN, tell, beside=REPLAYED), *_answered(bench, mirrored, tell))


_REFUSED = "the patch was refused before it was run"


class _Teller:
    """Counts families for the progress bar."""

    def __init__(self, progress: Callable[[str, int, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, what: str, *, done: int = 0) -> None:
        self._done += done
        if self._progress is not None:
            self._progress(f"gate: {what}", self._done, self._total)


def _side_by_side(
    bench: Bench, families: Sequence[Family], tell: _Teller, *, beside: Sequence[Family] = ()
) -> list[Gate]:
    """Families two at a time, and others `beside` them in this thread, with which a fork server ends."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.map(lambda family: _answered(bench, family, tell), families)
        second = [gate for family in beside for gate in _answered(bench, family, tell)]
        return [*(gate for gates in first for gate in gates), *second]


def _answered(bench: Bench, family: Family, tell: _Teller) -> tuple[Gate, ...]:
    """The family's gates; one that could not be judged is inconclusive, and one that broke out fails."""
    tell(family.names[0])
    began = time.perf_counter()
    try:
        gates = family.check(bench)
        if family.runs:
            gates = tuple(replace(gate, environment=bench.runtime().digest) for gate in gates)
    except Escaped as exc:
        gates = tuple(replace(gate, verdict=Verdict.FAIL) for gate in _not_run(family, str(exc.args[0])))
    except (errors.ShadowlabError, OSError, subprocess.SubprocessError) as exc:
        gates = _not_run(family, str(exc.args[0]) if isinstance(exc, errors.ShadowlabError) else type(exc).__name__)
    tell(family.names[0], done=1)
    seconds = round((time.perf_counter() - began) / max(1, len(gates)), 3)
    return tuple(replace(gate, seconds=seconds) for gate in gates)


def _not_run(family: Family, why: str) -> tuple[Gate, ...]:
    return tuple(
        Gate(name=name, verdict=Verdict.INCONCLUSIVE, observed="not run", limit="", detail=why) for name in family.names
    )
