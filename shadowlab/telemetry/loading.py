"""One run of ingest: files into portions, portions into staging tables, staging tables into a segment."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from shadowlab import errors, interrupts, privacy
from shadowlab.case import Case
from shadowlab.records import Ingest, IngestedFile, Rejected
from shadowlab.telemetry import attachments, connection, inputs, readers, segment, segments
from shadowlab.telemetry.ahead import ahead
from shadowlab.telemetry.inputs import Hashed, Input, Unpacked
from shadowlab.telemetry.readers import Faults, Portion, Reader, base, reader_for
from shadowlab.telemetry.segments import Origin, Segment
from shadowlab.telemetry.store import attach_all, name_of
from shadowlab.telemetry.turns import Share, Turns

_STAGES: Final = {"span": "stage_spans", "log": "stage_logs", "metric_point": "stage_metric_points"}
_MEMORY: Final = "1600MB"
"""What DuckDB may hold; near it, each block that is let go of is given back to the system, and asked for anew."""
_PUBLISH_AT: Final = 4_000_000
"""Rows after which a segment is closed at the next end of a file."""


@dataclass(slots=True)
class _Taken:
    """One file whose rows are staged or in the open segment."""

    told: IngestedFile
    first: dict[str, int]
    """Per stage, the first row id that is its own."""
    size: int = 0
    rows: int = 0


class Loading:
    """An open segment that nobody sees yet, and the staging tables in memory that spill beside the case."""

    def __init__(self, case: Case, redact: str | None, correlation: Sequence[str]) -> None:
        self.case, self.redact, self.correlation = case, redact or "off", correlation
        self.policy = redact
        self.rejected: list[Rejected] = []
        self.refused: list[Rejected] = []
        self.files: list[IngestedFile] = []
        self.counts = dict.fromkeys(_STAGES, 0)
        self.redacted = 0
        self.on_bytes: Callable[[int], None] | None = None
        """Told how many bytes of the file at hand were read."""
        self._taken: list[_Taken] = []
        self._listed = list(segments.manifest(case).segments)
        self._open: tuple[Path, Path] | None = None
        self._in_segment = dict.fromkeys(_STAGES, 0)
        self._spool = Path(tempfile.mkdtemp(prefix=segments.SPOOL, dir=case.telemetry))
        self.con = connection.connect(memory=_MEMORY, spill=self._spool)
        variables = privacy.key_variables(case.key("redaction"))
        self._turns = Turns(self.con, variables, correlation)

    def __enter__(self) -> Self:
        self.con.execute(privacy.macros(self.policy))
        self.con.execute(connection.statements("macros"))
        readers.prepare(self.con)
        attach_all(self.con, self.case.telemetry, self._known())
        self._turns.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.stop()
        self.con.close()
        if self._open:
            for left in (self._open[0], self._open[0].with_name(self._open[0].name + ".wal")):
                left.unlink(missing_ok=True)
        shutil.rmtree(self._spool, ignore_errors=True)
        interrupts.restore(error)

    def _known(self) -> list[Segment]:
        return [s for s in self._listed if s.kind == "telemetry"]

    def take(self, given: Input) -> None:
        """Load one file, or refuse it whole."""
        faults = Faults(given.name)
        try:
            if given.path and attachments.is_folder_of_rr(given.path):
                kept = attachments.keep_folder(self.case, given.path, self._spool)
                self.files.append(IngestedFile(file=given.name, format="rr", sha256=kept, rows=0))
            else:
                with inputs.opened(given) as raw:
                    self._take(given, Hashed(raw), faults)
        except errors.TelemetryError as exc:
            self.refused.append(Rejected(file=given.name, position="whole file", reason=str(exc.args[0])))
        else:
            self.rejected += faults.rejected()
            if sum(self._in_segment.values()) > _PUBLISH_AT:
                self.publish()

    def _take(self, given: Input, packed: Hashed, faults: Faults) -> None:
        try:
            stream = Unpacked(packed, given.size)
            head = stream.peek(base.HEAD)
        except OSError as exc:
            raise errors.TelemetryError(f"cannot be unpacked: {exc}") from exc
        if not head.strip():
            raise errors.TelemetryError("is empty")
        if kind := attachments.kind_of(head):
            kept = attachments.keep(self.case, stream, given.name)
            self.files.append(IngestedFile(file=given.name, format=kind, sha256=kept, rows=0))
            return
        reader = reader_for(head)
        path = given.path
        if path and not stream.compression and path.is_file() and path.stat().st_size <= base.LONGEST:
            stream.whole = path
        if path and (digest := self._loaded_before(path)):
            self.files.append(IngestedFile(file=given.name, format=reader.name, sha256=digest, rows=0))
            return
        taken = _Taken(IngestedFile(file=given.name, format=reader.name, sha256="", rows=0), self._last_rows())
        self._taken.append(taken)
        try:
            found = self._stage(reader, stream, faults)
        except errors.TelemetryError:
            self._taken.remove(taken)
            raise
        if not found:
            self._taken.remove(taken)
            why = f": {faults.listed[0].position}: {faults.listed[0].reason}" if faults.listed else ""
            raise errors.TelemetryError(f"holds no {reader.name} that can be read{why}")
        taken.told = IngestedFile(file=given.name, format=reader.name, sha256=packed.sha256(), rows=0)
        taken.size = packed.size

    def _stage(self, reader: Reader, stream: Unpacked, faults: Faults) -> int:
        found = 0
        with ahead(reader.portions(stream, self._spool, faults), stream.stop) as portions:
            for portion in portions:
                if self._turns.due(self._staged()):
                    self._append(ending=stream.left is not None and stream.left < base.PORTION)
                if self._are_both_free(stream):
                    found += self._stage_two(portion, portions, faults)
                else:
                    with _blamed(portion, faults):
                        found += portion.stage(self.con)
                if self.on_bytes:
                    self.on_bytes(stream.taken)
        return found

    def _are_both_free(self, stream: Unpacked) -> bool:
        """Whether the thread that moves rows has none to move, here or there, and much is still to be read."""
        return (stream.left or 0) > base.PORTION and self._turns.idle and not self._staged()

    def _stage_two(self, portion: Portion, following: Iterator[Portion], faults: Faults) -> int:
        """Stage one portion in the thread that moves rows, for a turn of its own, and the one after it in this one."""
        beside, found = self._turns.stage_beside(portion), 0
        for second in itertools.islice(following, 1):
            with _blamed(second, faults):
                found += second.stage(self.con)
        with _blamed(portion, faults):
            found += beside.found.result()
        self._append(number=beside.turn)
        return found

    def _loaded_before(self, path: Path) -> str | None:
        """The digest of a file that was loaded already; only a file of a known size is worth hashing first."""
        known = {o.sha256: o.size for s in self._listed for o in s.origins if o.redaction == self.redact}
        known |= {t.told.sha256: t.size for t in self._taken}
        if not path.is_file() or path.stat().st_size not in known.values():
            return None
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest if digest in known else None

    def _last_rows(self) -> dict[str, int]:
        return {s: self._one(f"SELECT coalesce(max(rowid), -1) FROM {table}") + 1 for s, table in _STAGES.items()}

    def _staged(self) -> int:
        return sum(self._one(f"SELECT count(*) FROM {table}") for table in _STAGES.values())

    def _append(self, *, number: int | None = None, ending: bool = False) -> None:
        """Have what is staged, for the turn at hand or that of a `number`, moved into the open segment.

        When staging is `ending`, there is less to do for this thread than for the other.
        """
        looked = self._turns.look(ending=ending) if number is None else None
        if self._turns.full:
            self._collect()
        if self._open is None:
            self._open = segments.new_path(self.case, "telemetry")
            segment.create(self.con, self._open[0])
        ends = [taken.first for taken in self._taken[1:]]
        shares = [Share(taken, taken.first, end) for taken, end in zip(self._taken, [*ends, None], strict=True)]
        known = [name_of(s) for s in self._known()]
        self._turns.begin(looked, self._open[0], shares, known, number=number)
        for taken in self._taken:
            taken.first = dict.fromkeys(_STAGES, 0)

    def _collect(self) -> bool:
        """Wait for the oldest rows that are on their way, and count them; False when none are."""
        turn = self._turns.collect()
        if turn is None:
            return False
        self.redacted += turn.added.redacted
        for signal, rows in turn.added.rows.items():
            self._in_segment[signal] += rows
        for taken, rows in turn.shares:
            taken.rows += rows
        return True

    def publish(self) -> None:
        """Close the open segment and show it to readers; nothing happens when no row is new."""
        if not self._taken:
            return
        if self._staged():
            self._append(ending=True)
        while self._collect():
            pass
        done = [replace(taken.told, rows=taken.rows) for taken in self._taken]
        if self._open and sum(self._in_segment.values()):
            self._put_in_place(*self._open)
        elif self._open:
            self.con.execute("DETACH segment")
            self._open[0].unlink()
        self._open = None
        for signal, rows in self._in_segment.items():
            self.counts[signal] += rows
        self._in_segment = dict.fromkeys(_STAGES, 0)
        self.files += done
        self._taken.clear()

    def _put_in_place(self, beside: Path, place: Path) -> None:
        segment.finish(self.con, known=[name_of(s) for s in self._known()])
        segments.put_in_place(beside, place)
        origins = [
            Origin(file=Path(t.told.file).name, sha256=t.told.sha256, size=t.size, redaction=self.redact)
            for t in self._taken
        ]
        made = Segment(
            file=place.name,
            origins=tuple(origins),
            spans=self._in_segment["span"],
            logs=self._in_segment["log"],
            metric_points=self._in_segment["metric_point"],
        )
        self._listed.append(made)
        segments.publish(self.case, tuple(self._listed))
        attach_all(self.con, self.case.telemetry, [made])

    def _one(self, query: str) -> int:
        return int(self.con.execute(query).fetchall()[0][0] or 0)

    def record(self) -> Ingest:
        """What this run added."""
        return Ingest(
            spans=self.counts["span"],
            logs=self.counts["log"],
            metric_points=self.counts["metric_point"],
            rejected=tuple(self.rejected),
            refused=tuple(self.refused),
            redacted=self.redacted,
            redaction=self.redact,
            files=tuple(self.files),
        )


@contextmanager
def _blamed(portion: Portion, faults: Faults) -> Iterator[None]:
    """What a portion alone is to blame for is a fault of its file, and the rest of it is read."""
    import duckdb

    try:
        yield
    except duckdb.Error as exc:
        if connection.is_the_machines(exc):
            raise
        faults.add(portion.position, f"cannot be loaded: {str(exc).splitlines()[0]}")
