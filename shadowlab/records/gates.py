"""Checks on a candidate, with what was seen and what was allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from shadowlab import errors
from shadowlab.records.base import Record, Verdict
from shadowlab.records.proposal import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """The numbers behind a statistical gate."""

    method: str
    estimate: float | None
    interval: tuple[float | None, float | None]
    level: float
    """Confidence of the interval, from 0 to 1."""
    n_control: int
    n_candidate: int
    limit: float | None = None
    p: float | None = None
    e_value: float | None = None
    unit: str = ""

    @property
    def chance(self) -> str:
        """`p` as it may be said: never 0, which would only be what a float can no longer tell; empty when not known."""
        if self.p is None:
            return ""
        return f"{self.p:.2g}" if self.p >= 1e-15 else "< 1e-15"

    @property
    def evidence(self) -> str:
        """`e_value` as it may be said; empty when not known."""
        if self.e_value is None:
            return ""
        return f"{self.e_value:,.0f}" if 100 <= self.e_value < 1e6 else f"{self.e_value:.3g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One check on a candidate, with what was seen and what was allowed."""

    name: str
    verdict: Verdict
    observed: str
    limit: str
    detail: str = ""
    statistic: Statistic | None = None
    seconds: float = 0.0
    environment: str = ""
    """Digest of the interpreter and packages that the service runs on, as a replay has it; empty when none ran."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class GateReport(Record):
    """Whether a candidate may go on, decided with numbers."""

    verdict: Verdict
    gates: tuple[Gate, ...] = ()
    candidate: Candidate | None = None
    revision: str = ""
    """The commit that the candidate was applied to."""
    service: str = ""
    alpha: float = 0.05
    seed: int = 0
    sandbox: str = ""
    environment: str = ""
    """Digest of what the service runs on; empty when it could not be had."""
    ran_on: str = ""
    """The same in words: the interpreter, where its packages come from, and what was added for the tests."""

    def raise_for_verdict(self) -> Self:
        """`self` when passed, else raises `GateFailed` naming the gates."""
        if self.verdict is Verdict.PASS:
            return self
        lines = "\n".join(
            f"  {g.name}: {g.verdict}: {g.observed} (limit {g.limit})" for g in self.gates if g.verdict != "pass"
        )
        raise errors.GateFailed(f"the candidate is not through its gates: {self.verdict}\n{lines or '  no gate ran'}")

    def _summary(self) -> str:
        passed = sum(g.verdict is Verdict.PASS for g in self.gates)
        return f" {self.verdict} {passed}/{len(self.gates)}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {"gate": g.name, "verdict": g.verdict.value, "observed": g.observed, "limit": g.limit} for g in self.gates
        ]


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Judgement(Record):
    """Control against candidate, from counts alone."""

    verdict: Verdict
    samples_needed: int | None
    """More candidate requests until a verdict may be expected; 0 when there is one, None when it cannot be said."""
    interval: tuple[float | None, float | None]
    """Of candidate error rate minus control error rate."""
    method: str
    control: tuple[int, int] = (0, 0)
    candidate: tuple[int, int] = (0, 0)
    margin: float = 0.001
    alpha: float = 0.05
    e_value: float | None = None
    """Evidence against "the difference is the margin"; 1/alpha or more decides, on the side where the interval lies."""

    kept: ClassVar[bool] = False

    def _summary(self) -> str:
        return f" {self.verdict}, {self.method}"
