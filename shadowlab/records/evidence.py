"""What leaves the house: plans, reports, verifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from shadowlab.records.base import Record, Verdict, counted


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Plan(Record):
    """How a gated patch would go out. Files only; nothing is deployed."""

    files: tuple[str, ...]
    """Paths in the case folder."""
    steps: tuple[str, ...]
    approvals: tuple[str, ...]
    rollback: str
    labels: tuple[str, ...] = ()

    def _summary(self) -> str:
        return f" {counted(len(self.files), 'file')}, {counted(len(self.steps), 'step')}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [{"step": n, "what": step} for n, step in enumerate(self.steps, 1)]


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Report(Record):
    """An executed notebook and its page."""

    notebook: str
    """Path in the case folder."""
    html: str
    statement: str
    """Path in the case folder of the signed statement over both."""
    template: str = "incident"
    notebook_sha256: str = ""
    html_sha256: str = ""

    def _summary(self) -> str:
        return f" {self.template}: {self.html}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that verification looked at."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Verification(Record):
    """Whether what lies in the case is what was written there."""

    verdict: Verdict
    checks: tuple[Check, ...] = ()

    kept: ClassVar[bool] = False

    def _summary(self) -> str:
        failed = [c.name for c in self.checks if c.verdict is not Verdict.PASS]
        return f" {self.verdict}" + (f": {', '.join(failed)}" if failed else f" {counted(len(self.checks), 'check')}")

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [{"check": c.name, "verdict": c.verdict.value, "detail": c.detail} for c in self.checks]
