"""Candidate patches."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shadowlab import errors
from shadowlab.records.base import Record, counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """What a candidate may touch and cost."""

    surface: str
    expected_perf_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One possible patch."""

    diff: str
    """Unified diff, paths relative to the tree, tests included."""
    tests: tuple[str, ...]
    """pytest node ids of the tests that it brings."""
    rationale: str
    risk: Risk
    proposer: str
    proof: str | None = None
    """Digest of the gate report that proved it; None until one did."""
    test_files: tuple[str, ...] = ()
    """Paths in `diff` that are tests, split off from the change itself."""

    @property
    def digest(self) -> str:
        """SHA-256 of the diff."""
        return hashlib.sha256(self.diff.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Proposal(Record):
    """Candidate patches, best first."""

    candidates: tuple[Candidate, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    """The structured request that the proposer answered; see `shadowlab/propose/request.schema.json`."""
    notes: tuple[str, ...] = ()
    """Why a proposer had nothing to say."""

    @property
    def top(self) -> Candidate:
        """The first candidate; raises `UsageError` when there is none."""
        if not self.candidates:
            raise errors.UsageError(
                "\n".join(["no candidate was proposed", *self.notes]),
                hint="write one yourself; `shadowlab compare CASE --patch FILE` says what becomes of the recordings",
            )
        return self.candidates[0]

    def _summary(self) -> str:
        return f" {counted(len(self.candidates), 'candidate')}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {"proposer": c.proposer, "rationale": c.rationale, "surface": c.risk.surface,
             "lines": sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in c.diff.splitlines())}
            for c in self.candidates
        ]  # fmt: skip
