"""What a receiver does, on one line, as JSON and as Prometheus text."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

_HELP: Final = {
    "records_received_total": "Spans, log records and metric points that were acknowledged.",
    "requests_total": "Requests by how they were answered.",
    "records_rejected_total": "Records that were taken out of acknowledged requests (partial success).",
    "log_bytes": "Bytes of log that no segment holds yet.",
    "waiting_bytes": "Bytes received and not yet on the disk.",
    "rows_stored_total": "Rows that segments gained.",
    "segments_dropped_total": "Segments that left the window which is kept.",
    "drains_total": "Times the log was turned into segments, by outcome.",
}


@dataclass(slots=True)
class Status:
    """Counters since the start, and what is in hand. Safe to read from any thread."""

    received: Counter[str] = field(default_factory=Counter)
    """Acknowledged records by signal: `traces` (spans), `logs`, `metrics` (points)."""
    answers: Counter[int] = field(default_factory=Counter)
    """Requests by HTTP status, of gRPC too."""
    rejected: int = 0
    stored: int = 0
    dropped: int = 0
    """Segments that left the window which is kept."""
    drains: Counter[str] = field(default_factory=Counter)
    log_bytes: int = 0
    waiting_bytes: int = 0
    last_error: str | None = None
    """Why something was last refused or not stored; nothing of what was sent."""
    healthy: bool = True
    """Whether the last thing that was to be written could be written."""
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answered(self, status: int, message: str | None = None) -> None:
        """Count an answer."""
        with self._counting:
            self.answers[status] += 1
            if message is not None:
                self.last_error = message

    def acknowledged(self, signal: str, records: int, rejected: int) -> None:
        """Count what was kept."""
        with self._counting:
            self.received[signal] += records
            self.rejected += rejected

    def drained(self, rows: int) -> None:
        """Count what segments gained."""
        with self._counting:
            self.drains["done"] += 1
            self.healthy = True
            self.stored += rows

    def failed(self, reason: str) -> None:
        """Count a drain that has to be tried again."""
        with self._counting:
            self.drains["failed"] += 1
            self.last_error = reason

    @property
    def records(self) -> int:
        """Acknowledged records of all signals."""
        return sum(self.received.values())

    @property
    def refused(self) -> int:
        """Requests that were not taken."""
        return sum(count for status, count in self.answers.items() if status >= 400)

    def line(self, rate: float) -> str:
        """One line; `rate` is in records per second."""
        queue = (self.log_bytes + self.waiting_bytes) / 1e6
        told = f"{rate:,.0f} records/s, {self.records:,} received, queue {queue:,.1f} MB, {self.refused:,} refused"
        return f"{told}, last error: {self.last_error}" if self.last_error else told

    def json(self) -> dict[str, Any]:
        """What `/healthz` answers."""
        return {
            "status": "ok" if self.healthy else "failing", "received": dict(self.received), "rejected": self.rejected,
            "refused": self.refused, "log_bytes": self.log_bytes, "segments_dropped": self.dropped,
            "last_error": self.last_error,
        }  # fmt: skip

    def prometheus(self) -> str:
        """What `/metrics` answers: the text exposition format 0.0.4."""
        values = {
            "records_received_total": [(f'{{signal="{name}"}}', n) for name, n in sorted(self.received.items())],
            "requests_total": [(f'{{status="{status}"}}', n) for status, n in sorted(self.answers.items())],
            "records_rejected_total": [("", self.rejected)],
            "log_bytes": [("", self.log_bytes)],
            "waiting_bytes": [("", self.waiting_bytes)],
            "rows_stored_total": [("", self.stored)],
            "segments_dropped_total": [("", self.dropped)],
            "drains_total": [(f'{{outcome="{name}"}}', n) for name, n in sorted(self.drains.items())],
        }
        lines = []
        for name, samples in values.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP shadowlab_{name} {_HELP[name]}", f"# TYPE shadowlab_{name} {kind}"]
            lines += [f"shadowlab_{name}{labels} {value}" for labels, value in samples]
        return "\n".join(lines) + "\n"
