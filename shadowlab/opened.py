"""A case at hand: what is in it, asked and shown, and how what a verb makes is kept."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.evidence import Evidence
from shadowlab.progress import Progress
from shadowlab.records import (
    Diagnosis,
    GateReport,
    Proposal,
    Record,
    Recording,
    Recordings,
    Replay,
    Triage,
)
from shadowlab.source import Source, open_source

if TYPE_CHECKING:
    from shadowlab.inspection import Shown
    from shadowlab.plots import Plots
    from shadowlab.telemetry import Rows, Trace
    from shadowlab.views import Page

R = TypeVar("R", bound=Record)


class Opened:
    """A case that is open, to be looked at. `Investigation` adds the verbs."""

    def __init__(self, case: Case, *, progress: Progress | None = None, telemetry: str | None = None) -> None:
        self.case = case
        self.progress = progress
        self.telemetry = telemetry
        """URL of a larger store, where the telemetry stays; None when the case holds it."""

    def __repr__(self) -> str:
        return f"<Investigation {self.case.path}>"

    def _repr_html_(self) -> str:
        """The incident as far as it is known, from the newest record of each kind."""
        from shadowlab import views

        glance = views.glance(
            self.latest(Triage), self.latest(Replay), self.latest(Diagnosis), self.latest(Proposal),
            self.latest(GateReport),
        )  # fmt: skip
        return f"<p><code>{html.escape(repr(self))}</code></p>{glance.html}"

    def latest(self, kind: type[R]) -> R | None:
        """The newest kept record of a type, such as `shadowlab.Triage`."""
        kept = self.case.latest(kind.__name__)
        return kept.bind(self) if isinstance(kept, kind) else None

    def show(self, what: str | None = None) -> Shown | Record:
        """What is in the case, or the trace, recording, suspect or record that `what` names."""
        from shadowlab.inspection import look

        return look(self, what)

    def sql(
        self,
        query: str,
        *,
        tables: Mapping[str, Any] | None = None,
        timeout: float = 60.0,
        memory: str = "2GB",
    ) -> Rows:
        """Query the telemetry, read-only, without file or network access; `@name` runs a query of the package.

        `tables` maps names to DataFrames or Arrow tables that the query may read too; `timeout` is in seconds. Raises
        `QueryError` when the query cannot run, may not, or takes more than it is given.
        """
        from shadowlab import telemetry

        with telemetry.reading(self.case) as case:
            return telemetry.user_sql(
                case, query, tables=tables, timeout_s=timeout, memory=memory, progress=self.progress
            )

    def contrast(
        self,
        selection: str = "status = 'error'",
        *,
        within: str = "true",
        sample: float | None = None,
        top: int = 50,
        timeout: float = 60.0,
        memory: str = "2GB",
    ) -> Rows:
        """The attribute values that set spans of which `selection` holds apart from the others `within`.

        Both are SQL conditions over `spans`; `sample` is the share to read, from 0 to 1, and each row says how far it
        may be off by it. See `shadowlab.telemetry.contrast`.
        """
        from shadowlab import telemetry

        with telemetry.reading(self.case) as case:
            return telemetry.contrast(
                case, selection, within=within, sample=sample, top=top, timeout_s=timeout, memory=memory,
                progress=self.progress,
            )  # fmt: skip

    def ask(
        self,
        question: str,
        *,
        window: str | timedelta = "30m",
        at: str | datetime | None = "last",
        service: str | None = None,
        trace: str | None = None,
    ) -> Rows:
        """Ask the larger store that `open` was told of, or else the case: `@rates`, `@signatures`, `@burn` ...

        Raises `UsageError` when the store is not there, `QueryError` with its reason.
        """
        from shadowlab import stores

        return stores.asked(self.case, self.telemetry, question, window=window, at=at, service=service, trace=trace)

    def trace(self, trace_id: str) -> Trace:
        """One trace with its logs; raises `QueryError` when the case has no such trace."""
        from shadowlab import telemetry

        with telemetry.reading(self.case) as case, telemetry.store(case) as store:
            return telemetry.trace(store, trace_id)

    @property
    def recordings(self) -> Recordings:
        """Every recording of the case, oldest first; each shows itself as a page, bodies folded, secrets taken out."""
        if not any(self.case.recordings.glob("*.json")):  # nothing was recorded: spare the import
            return Recordings()
        from shadowlab.replay import recording

        return Recordings(tape.bind(self) for tape in recording.listed(self.case))

    def drawn(self, tape: Recording | str) -> Page:
        """A recording as a page: request, calls with their answers, rows, response; raises `RecordingError`."""
        from shadowlab import views
        from shadowlab.privacy import Redactor
        from shadowlab.replay import look, recording

        fixture = recording.load(self.case, tape.id if isinstance(tape, Recording) else tape)
        return views.recorded(look.opened(fixture, Redactor(self.case.key("redaction"))))

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """What was done, oldest first."""
        from shadowlab.audit import ledger

        return ledger.entries(self.case)

    @property
    def plots(self) -> Plots:
        """The figures: `burn`, `timeline`, `contrast`, `services`, `waterfall`, `gates`."""
        from shadowlab.plots import Plots

        return Plots(self)

    @property
    def source(self) -> Source:
        """The service's repository; raises `SourceError` when the case does not know one."""
        kept = self.case.settings().get("source")
        if not kept:
            raise errors.SourceError(
                f"{self.case.path} does not know the service's source", hint="name its repository with --source"
            )
        return open_source(self.case.path / kept)

    def remember_source(self, path: str | os.PathLike[str]) -> None:
        """Name the service's repository; the case keeps it, relative to itself."""
        found = open_source(Path(path))
        kept = os.path.relpath(found.path, self.case.path.resolve())
        if self.case.settings().get("source") != kept:
            self.case.remember(source=kept)

    def _keep(self, verb: str, record: R, evidence: Evidence, **arguments: object) -> R:
        from shadowlab import keeping

        return keeping.keep(self.case, verb, record, evidence, **arguments).bind(self)

    def _larger(self) -> str:
        if self.telemetry is None:
            raise errors.UsageError(
                "no larger store was named", hint="--telemetry URL, or open(case, telemetry=URL); see docs/scale.md"
            )
        return self.telemetry

    def _need(self, kind: type[R], verb: str) -> R:
        kept = self.latest(kind)
        if kept is None:
            raise errors.UsageError(
                f"{self.case.path} has no {kind.__name__} yet", hint=f"run `shadowlab {verb} {self.case.path}` first"
            )
        return kept

    def _parents(self, kind: type[Record]) -> tuple[str, ...]:
        kept = self.latest(kind)
        return (kept.digest,) if kept else ()
