"""One run of ingest: files into staging tables, staging tables into a segment."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from shadowlab import errors, privacy
from shadowlab.case import Case
from shadowlab.records import Ingest, IngestedFile, Rejected
from shadowlab.telemetry import connection, segments
from shadowlab.telemetry.readers import otlp_json
from shadowlab.telemetry.segments import Origin, Segment
from shadowlab.telemetry.store import attach_all, make_segment, name_of

STAGES: Final = ("stage_spans", "stage_logs", "stage_metrics")
_KEYS: Final = {"stage_spans": "span_new", "stage_logs": "log_new", "stage_metrics": "metric_new"}
_FLUSH_AT: Final = 400_000


class Loading:
    """Staging tables in memory that spill beside the case; `take` files, then `flush` them into one segment."""

    def __init__(self, case: Case, redact: str | None, correlation: Sequence[str]) -> None:
        self.case, self.redact, self.correlation = case, redact, correlation
        self.rejected: list[Rejected] = []
        self.refused: list[Rejected] = []
        self.files: list[IngestedFile] = []
        self.counts = dict.fromkeys(STAGES, 0)
        self.redacted = 0
        self._waiting: list[tuple[IngestedFile, dict[str, tuple[int, int]]]] = []
        self._segments = list(segments.manifest(case).segments)
        self.spill = Path(tempfile.mkdtemp(prefix=".spill-", dir=case.telemetry))
        self.con = connection.connect(spill=self.spill)

    def __enter__(self) -> Self:
        for name, value in privacy.key_variables(self.case.key("redaction")).items():
            self.con.execute(f"SET VARIABLE {name} = $value", {"value": value})
        self.con.execute(privacy.macros(self.redact))
        self.con.execute(connection.statements("macros"))
        self.con.execute(connection.statements("stage"))
        otlp_json.prepare(self.con)
        self.con.execute(connection.statements("otlp_json"))
        attach_all(self.con, self.case.telemetry, [s for s in self._segments if s.kind == "telemetry"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.con.close()
        shutil.rmtree(self.spill, ignore_errors=True)

    def take(self, path: Path) -> None:
        """Stage one file, or refuse it whole."""
        import duckdb

        try:
            told = self._told(path)
            if told.rows < 0:
                return
            before = self._sizes()
            self.con.execute("BEGIN")
            try:
                self.rejected += otlp_json.stage(self.con, path, self.spill)
            except BaseException:
                self.con.execute("ROLLBACK")
                raise
            self.con.execute("COMMIT")
        except errors.TelemetryError as exc:
            self.refused.append(Rejected(file=str(path), position="whole file", reason=str(exc.args[0])))
        except duckdb.Error as exc:
            reason = f"cannot be read: {str(exc).splitlines()[0][:300]}"
            self.refused.append(Rejected(file=str(path), position="whole file", reason=reason))
        else:
            after = self._sizes()
            self._waiting.append((told, {name: (before[name], after[name]) for name in STAGES}))
            if sum(after.values()) > _FLUSH_AT:
                self.flush()

    def _told(self, path: Path) -> IngestedFile:
        try:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as exc:
            raise errors.TelemetryError(f"cannot be read: {exc.strerror}") from exc
        if size == 0:
            raise errors.TelemetryError("is empty")
        told = IngestedFile(file=str(path), format="otlp-json", sha256=sha256, rows=0)
        known = segments.Manifest(segments=tuple(self._segments)).knows(sha256, self.redact or "off")
        if known or any(waiting.sha256 == sha256 for waiting, _ in self._waiting):
            self.files.append(told)
            return IngestedFile(file=str(path), format="otlp-json", sha256=sha256, rows=-1)
        return told

    def _sizes(self) -> dict[str, int]:
        return {name: self._one(f"SELECT count(*) FROM {name}") for name in STAGES}

    def flush(self) -> None:
        """Write what is staged as one segment and publish it."""
        if not self._waiting:
            return
        beside, place = segments.new_path(self.case, "telemetry")
        self.con.execute(f"ATTACH {connection.quoted(str(beside))} AS segment")
        known = [name_of(s) for s in self._segments if s.kind == "telemetry"]
        make_segment(self.con, "segment", correlation=self.correlation, known=known)
        added = {name: self._one(f"SELECT count(*) FROM {key}") for name, key in _KEYS.items()}
        origins = [self._settle(told, ranges) for told, ranges in self._waiting]
        self.redacted += self._count_redacted()
        self.con.execute("CHECKPOINT segment")
        self.con.execute("DETACH segment")
        self._publish(beside, place, added, origins)
        self._waiting.clear()
        for name in (*STAGES, "stage_resources"):
            self.con.execute(f"TRUNCATE {name}")

    def _settle(self, told: IngestedFile, ranges: dict[str, tuple[int, int]]) -> Origin:
        rows = sum(
            self._one(f"SELECT count(*) FROM {_KEYS[name]} WHERE pos >= {low} AND pos < {high}")
            for name, (low, high) in ranges.items()
        )
        self.files.append(IngestedFile(file=told.file, format=told.format, sha256=told.sha256, rows=rows))
        return Origin(file=Path(told.file).name, sha256=told.sha256, redaction=self.redact or "off")

    def _publish(self, beside: Path, place: Path, added: dict[str, int], origins: list[Origin]) -> None:
        segment = Segment(
            file=place.name,
            origins=tuple(origins),
            spans=added["stage_spans"],
            logs=added["stage_logs"],
            metric_points=added["stage_metrics"],
        )
        if sum(added.values()):
            segments.put_in_place(beside, place)
            self._segments.append(segment)
            attach_all(self.con, self.case.telemetry, [segment])
            segments.publish(self.case, tuple(self._segments))
        else:
            beside.unlink()
        for name in STAGES:
            self.counts[name] += added[name]

    def _count_redacted(self) -> int:
        if self.redact is None:
            return 0
        return int(self._one(connection.statements("count_redacted")))

    def _one(self, query: str) -> Any:
        return self.con.execute(query).fetchall()[0][0] or 0

    def record(self) -> Ingest:
        """What this run added."""
        return Ingest(
            spans=self.counts["stage_spans"],
            logs=self.counts["stage_logs"],
            metric_points=self.counts["stage_metrics"],
            rejected=tuple(self.rejected),
            refused=tuple(self.refused),
            redacted=int(self.redacted),
            redaction=self.redact or "off",
            files=tuple(self.files),
        )
