"""What was taken in, and what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from shadowlab.records.base import Record, counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """One record of a file that could not be kept."""

    file: str
    position: str
    """Line, request or record within the file, counted from 1, as `line 12` or `line 12, span 3`."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestedFile:
    """One file that was read."""

    file: str
    format: str
    """`otlp-json`, `recording`, …"""
    sha256: str
    """Of the file's bytes as they were, before redaction."""
    rows: int
    """Rows that it added; 0 when it had been loaded before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreplayable:
    """Recordings that lack the same input, so that they cannot be replayed alone."""

    reason: str
    """What is missing, such as `request.body was cut when it was recorded`."""
    recordings: int


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Ingest(Record):
    """Telemetry and recordings taken into the case; counts are of what this run added."""

    spans: int = 0
    logs: int = 0
    metric_points: int = 0
    recordings: int = 0
    rejected: tuple[Rejected, ...] = ()
    redacted: int = 0
    """Values replaced by a keyed pseudonym."""
    redaction: str = "default"
    """The policy's name; `off` when redaction was switched off."""
    files: tuple[IngestedFile, ...] = ()
    refused: tuple[Rejected, ...] = ()
    """Files that are no telemetry; nothing of them was kept."""
    linked: int = 0
    """Recordings of this run whose trace is in the case."""
    unreplayable: tuple[Unreplayable, ...] = ()
    """Recordings of this run that cannot be replayed, by what they lack; one that lacks two things counts twice."""
    notes: tuple[str, ...] = ()
    """What of recorded answers could not be taken over, in words."""

    def _summary(self) -> str:
        points = [(self.metric_points, "metric point")] if self.metric_points else []
        added = ((self.spans, "span"), (self.logs, "log"), *points, (self.recordings, "recording"))
        counts = f" {', '.join(counted(*each) for each in added)}, {counted(self.redacted, 'value')} redacted"
        return f"{counts}, {len(self.rejected):,} rejected" if self.rejected else counts

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [msgspec.to_builtins(f) for f in self.files]


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Query(Record):
    """One read-only question to the telemetry, kept by its text and the digest of its rows."""

    sql: str
    rows_digest: str
    row_count: int

    kept: ClassVar[bool] = False
