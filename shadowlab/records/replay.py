"""What a request needs to live again, and what became of it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, SupportsIndex, overload

from shadowlab import errors
from shadowlab.records.base import Record, counted, table
from shadowlab.records.triage import Frame


class Outcome(StrEnum):
    """What a replay came to."""

    REPRODUCED = "reproduced"
    """Equal outcomes in every repeat and in the perturbed twin, and the recorded failure among them."""
    DIVERGED = "diverged"
    """It ran, and did something else than was recorded."""
    UNCERTIFIED = "uncertified"
    """The failure showed, but a seam was not held: an unrecorded read, or repeats that differ."""
    UNAVAILABLE = "unavailable"
    """Inputs are missing; they are named in `missing`."""


class Control(StrEnum):
    """What a replay knows of one seam."""

    CONTROLLED = "controlled"
    OBSERVED = "observed-uncontrolled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Recording(Record):
    """What one request needs to live again; the fixture itself is `recordings/<id>.json` in the case."""

    id: str
    service: str
    kind: str
    """`asgi`, `wsgi`, `function`."""
    summary: str
    """`POST /charges -> 500 TypeError`: never a body."""
    at: datetime
    trace_id: str | None
    span_id: str | None
    failed: bool
    control: bool
    """Whether it is one of the seeded share of requests that passed."""
    missing: tuple[str, ...] = ()
    """Inputs that were not recorded; empty when it can be replayed."""
    sha256: str = ""
    """Of the fixture's file."""
    notes: tuple[str, ...] = ()
    """What of its recorded answers could not be taken over, in words."""
    made_from: str | None = None
    """Id of the recording that it is a variant of; None for what production sent."""

    def _summary(self) -> str:
        return f" {self.id} {self.summary}"

    def _repr_html_(self) -> str:
        """All of the recording, bodies folded, where an investigation handed it out."""
        try:
            return str(self.investigation.drawn(self)._repr_html_())
        except errors.ShadowlabError:  # no investigation, or its case has the recording no more
            return table(self.rows(), caption=repr(self))


class Recordings(list[Recording]):
    """Recordings as a list that shows itself as a table, and so does a part of it."""

    @overload
    def __getitem__(self, which: SupportsIndex, /) -> Recording: ...
    @overload
    def __getitem__(self, which: slice, /) -> Recordings: ...
    def __getitem__(self, which: SupportsIndex | slice, /) -> Recording | Recordings:
        return Recordings(super().__getitem__(which)) if isinstance(which, slice) else super().__getitem__(which)

    def _repr_html_(self) -> str:
        failed, lacking = sum(tape.failed for tape in self), sum(bool(tape.missing) for tape in self)
        rows = [
            {"at": tape.at, "recording": tape.id, "request": tape.summary, "trace": tape.trace_id or "",
             "cannot be replayed": "; ".join(tape.missing)}
            for tape in self
        ]  # fmt: skip
        caption = f"{counted(len(self), 'recording')}, {failed:,} failed, {lacking:,} cannot be replayed"
        return table(rows, caption=caption)


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One line of the nondeterminism ledger: a seam, and what the replay knows of it."""

    seam: str
    """`clock`, `randomness`, `ids`, `environment`, `files`, `network`, `database`, `threads`, `hash order`, …"""
    control: Control
    how: str
    """How it was held, or what was seen."""
    events: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An exception that reached the edge of the service."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    """Frames inside the tree only, outermost first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """How one recording came out, over all its repeats."""

    recording: str
    outcome: Outcome
    repeats: int
    status: int | None
    error: Failure | None
    outcome_digest: str
    """Strict: status, headers, body, exceptions with in-tree frames, database change, outbound calls, log records."""
    outcome_key: str
    """Survives a patch elsewhere: status, exception type, innermost in-app function, shape of the change."""
    outbound: tuple[str, ...] = ()
    """Outbound calls in order, as `POST host/path -> 200`."""
    logs: tuple[str, ...] = ()
    """What the service's own code logged, in order, secrets masked, the first fifty lines."""
    divergence: str | None = None
    """Recorded against replayed, in words, when they differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that a replay brought to light beside the outcome."""

    recording: str
    kind: str
    """`second delivery`: a message that comes twice has its effects twice."""
    what: str
    """One sentence."""
    effects: tuple[str, ...] = ()
    """Outbound calls that were made twice, as `POST host/path -> 200`."""
    database: Mapping[str, tuple[int, int]] | None = None
    """Rows that the second time added and removed, by table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """An input that nothing recorded."""

    what: str
    """`request body of POST /charges`, `rows of table rates read by `SELECT …``, `response of call 1: …`."""
    line: str
    """What records it next time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """What telemetry alone says of a request."""

    trace_id: str
    service: str
    operation: str
    method: str
    route: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    """Those that the instrumentation captured."""
    at: datetime
    calls: tuple[str, ...]
    """Outbound calls in order, as `POST host/path -> 200`."""
    statements: tuple[str, ...]
    needs: tuple[Need, ...]
    """Every input that is missing."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Replay(Record):
    """Recorded requests run again, alone."""

    outcome: Outcome
    attempts: int
    reproduced: int
    outcome_digest: str
    outcome_key: str
    sandbox: str
    enforced: tuple[str, ...] = ()
    """What the sandbox really held, as it was probed: `network: no route`, `memory: 1 GiB` …"""
    effects: tuple[Effect, ...] = ()
    error: Failure | None = None
    suspect: str | None = None
    """The suspect's fingerprint, when one was replayed."""
    revision: str = ""
    """The commit that was run."""
    environment: str = ""
    """SHA-256 over the interpreter's version and the contents of the packages that it ran on."""
    runs: tuple[Attempt, ...] = ()
    """One per recording, in the order in which they ran."""
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What came to light beside the outcome; they do not change it."""
    outline: Outline | None = None
    """What telemetry says of a request that nothing recorded; then nothing ran."""
    seed: int = 0

    def raise_for_divergence(self) -> Self:
        """`self` when reproduced, else raises `Diverged` with both sides."""
        if self.outcome is Outcome.REPRODUCED:
            return self
        reason = next((run.divergence for run in self.runs if run.divergence), "") or "; ".join(
            self.missing or self.notes
        )
        what = self.suspect or "the recording"
        raise errors.Diverged(
            f"replay of {what} is {self.outcome} ({self.reproduced}/{self.attempts})\n{reason}",
            hint="`effects` says which seams were not held; `shadowlab show CASE RECORDING` shows what was recorded",
        )

    def to_pytest(self, out: str | None = None) -> Any:
        """Write `tests/replay/test_<suspect>.py` and its fixture below `out` (the case's `patches/` when not said).

        Returns the paths. The test is plain pytest with freezegun and runs without shadowlab.
        """
        return self.investigation.to_pytest(self, out=out)

    def _summary(self) -> str:
        return f" {self.outcome} {self.reproduced}/{self.attempts}"

    def _repr_html_(self) -> str:
        found = "".join(f"<p><b>finding</b> {html.escape(finding.what)}</p>" for finding in self.findings)
        return found + Record._repr_html_(self)

    def rows(self) -> Sequence[Mapping[str, object]]:
        if self.outline is not None:
            return [{"missing": need.what, "recorded next time by": need.line} for need in self.outline.needs]
        return [{"seam": e.seam, "control": e.control.value, "how": e.how, "events": e.events} for e in self.effects]
