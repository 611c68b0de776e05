"""Hypotheses, and how far each of them got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shadowlab.records.base import Record
from shadowlab.records.replay import Failure


class Status(StrEnum):
    """How far a hypothesis got. Only an intervention in the replay makes it *confirmed*."""

    PROPOSED = "proposed"
    SUPPORTED = "supported"
    REFUTED = "refuted"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A place in the source tree."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervention:
    """One thing changed in the replay, and what became of the outcome."""

    changed: str
    """`source at 1a2b3c4 instead of 5d6e7f8`, `value of surcharge replaced by str`."""
    before_key: str
    after_key: str
    flipped: bool
    """Whether the failure went away and nothing else came in its place."""
    runs: int
    answers: str = ""
    """SHA-256 over status and body of every recording's answer; empty when the runs differ or nothing ran."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """One possible cause."""

    cause: str
    status: Status
    location: Location | None
    evidence: tuple[str, ...]
    kind: str = ""
    """`commit`, `value`, `configuration`, `upstream` …"""
    interventions: tuple[Intervention, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A function on the way to the failure, with its source."""

    file: str
    function: str
    start_line: int
    end_line: int
    source: str
    failing_line: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One change of the source."""

    revision: str
    subject: str
    at: datetime
    files: tuple[str, ...]
    parent: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Diagnosis(Record):
    """Hypotheses with status and evidence, best first."""

    hypotheses: tuple[Hypothesis, ...] = ()
    slice: tuple[Slice, ...] = ()
    suspect_change: Commit | None = None
    candidates: tuple[Commit, ...] = ()
    """All commits between the last good and the first bad deploy, oldest first."""
    service: str = ""
    revision: str = ""
    """The commit that fails."""
    suspect: str | None = None
    error: Failure | None = None
    recordings: tuple[str, ...] = ()
    """Failing recordings that stand for it, the first of them the one that was intervened on."""
    trace_id: str | None = None

    @property
    def confirmed(self) -> Hypothesis | None:
        """The first confirmed hypothesis."""
        return next((h for h in self.hypotheses if h.status is Status.CONFIRMED), None)

    def _summary(self) -> str:
        best = self.hypotheses[0] if self.hypotheses else None
        return f" {best.status}: {best.cause}" if best else " no hypothesis"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {"status": h.status.value, "cause": h.cause,
             "location": f"{h.location.file}:{h.location.line}" if h.location else "",
             "evidence": "; ".join(h.evidence)}
            for h in self.hypotheses
        ]  # fmt: skip
