"""One incident from first look to manifest: each verb calls its stage, keeps the record, writes the ledger.

>>> import shadowlab as sl
>>> inv = sl.open("cases/checkout-5xx", source="services/checkout")  # doctest: +SKIP
>>> found = inv.triage(window="30m")  # doctest: +SKIP

Methods take the previous noun and return the next; a noun that is left out is the latest one kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import shadowlab
from shadowlab import apart, choice, errors, times
from shadowlab.case import Case, open_case
from shadowlab.evidence import Evidence
from shadowlab.records import (
    Candidate,
    Diagnosis,
    GateReport,
    Ingest,
    Judgement,
    Plan,
    Proposal,
    Record,
    Recording,
    Replay,
    Report,
    Suspect,
    Triage,
    Verification,
)
from shadowlab.source import Source, open_source

if TYPE_CHECKING:
    from shadowlab.inspection import Shown
    from shadowlab.plots import Plots
    from shadowlab.telemetry import Rows, Trace

R = TypeVar("R", bound=Record)
OBJECTIVES = "objectives.yaml"
"""Where a case keeps the objectives that it was last triaged against."""


class Investigation:
    """A case at hand, with the verbs. Make one with `shadowlab.open`."""

    def __init__(self, case: Case, *, progress: Callable[[str, int, int], None] | None = None) -> None:
        self.case = case
        self.progress = progress

    def __repr__(self) -> str:
        return f"<Investigation {self.case.path}>"

    # --- the verbs, in the order of an incident ---

    def ingest(self, *paths: str | os.PathLike[str], redact: str | None = "default") -> Ingest:
        """Take telemetry and recordings into the case; what was loaded before adds nothing.

        `redact` names the policy, None switches redaction off (the ledger says so). Files that are no telemetry are
        listed in `refused`; raises `TelemetryError` when no file could be used.
        """
        from shadowlab import telemetry
        from shadowlab.replay import recording

        names = [os.fspath(path) for path in paths]
        if not names:
            raise errors.UsageError("nothing to ingest", hint="name files or folders, or - for standard input")
        evidence = Evidence(self.case)
        tapes = [name for name in names if recording.is_recording(Path(name))]
        told = [name for name in names if name not in tapes]
        done = telemetry.ingest(self.case, told, redact=redact, progress=self.progress) if told else Ingest()
        taken = recording.take_in(self.case, tapes, progress=self.progress) if tapes else recording.TakenIn()
        record = changed(
            done,
            recordings=len(taken.recordings),
            files=done.files + taken.files,
            rejected=done.rejected + taken.rejected,
            refused=done.refused + taken.refused,
            redaction=redact or "off",
        )
        if len(record.refused) == len(names):
            first = record.refused[0]
            raise errors.TelemetryError(
                f"{first.file}: {first.reason}", hint="OTLP, Jaeger and Zipkin files and recordings are read"
            )
        given = [Path(name).name for name in names]
        return self._keep("ingest", record, evidence, files=given, redaction=record.redaction)

    def triage(
        self,
        *,
        slo: str | os.PathLike[str] | None = None,
        window: str | timedelta = "30m",
        at: str | datetime | None = "last",
        top: int = 5,
    ) -> Triage:
        """What burns, which errors explain it, since which change, and what is worth replaying.

        `slo` is an OpenSLO file, remembered by the case; without any, each service gets a default objective.
        """
        from shadowlab import telemetry, triage

        evidence = Evidence(self.case)
        place = Path(slo) if slo else self.case.path / OBJECTIVES
        objectives = triage.slo.load(place) if slo or place.exists() else None
        with telemetry.store(self.case) as store:
            found, fingerprints = triage.triage(
                store,
                objectives=objectives,
                at=times.moment(at),
                window=times.window(window),
                top=top,
                recorded=choice.recorded(self),
                source_frames=choice.frames(self),
            )
        telemetry.set_fingerprints(self.case, fingerprints)
        if slo:
            self.case.put(OBJECTIVES, place.read_bytes())
        found = changed(found, parents=self._parents(Ingest))
        return self._keep("triage", found, evidence, window=times.spoken(found.window), at=str(at), top=top)

    def replay(
        self,
        suspect: Suspect | str | None = None,
        *,
        times: int = 2,
        sandbox: str = "embedded",
        revision: str | None = None,
        recordings: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Replay:
        """Run recorded requests again, alone, `times` times in all, and each of them at least twice.

        Without a suspect the top one that has recordings is taken, else the newest failing recording. Without a
        revision the commit that the recordings name is run.
        """
        from shadowlab import replay

        chosen = choice.suspect(self, suspect) if recordings is None else None
        ids = tuple(recordings) if recordings is not None else choice.tapes(self, chosen)
        source, evidence = self.source, Evidence(self.case)
        done = replay.replay(
            self.case,
            ids,
            source=source,
            revision=choice.revision(self, ids, revision),
            times=times,
            sandbox=sandbox,
            suspect=chosen.fingerprint if chosen else None,
            seed=seed,
            progress=self.progress,
        )
        done = changed(done, parents=self._parents(Triage if chosen else Ingest))
        return self._keep("replay", done, evidence, times=times, sandbox=sandbox, revision=done.revision, seed=seed)

    def diagnose(self, replay: Replay | None = None, *, sandbox: str | None = None) -> Diagnosis:
        """Change one thing at a time until the symptom goes. Only an intervention confirms a hypothesis."""
        from shadowlab import diagnose

        replay, evidence = replay or self._need(Replay, "replay"), Evidence(self.case)
        triage = self.latest(Triage)
        change = next((s.change for s in triage.suspects if s.fingerprint == replay.suspect), None) if triage else None
        why = diagnose.diagnose(
            self.case,
            replay,
            source=self.source,
            triage=triage,
            good=change.before_revision if change else None,
            bad=replay.revision,
            sandbox=sandbox or replay.sandbox,
            progress=self.progress,
        )
        return self._keep("diagnose", why, evidence)

    def propose(self, diagnosis: Diagnosis | None = None, *, proposer: str | None = None) -> Proposal:
        """Candidate patches for a diagnosis, best first; `proposer` is `codemod`, `search` or `model`."""
        from shadowlab import propose

        diagnosis, evidence = diagnosis or self._need(Diagnosis, "diagnose"), Evidence(self.case)
        replay = self._need(Replay, "replay")
        fix = propose.propose(
            self.case, diagnosis, replay, source=self.source, proposer=proposer, progress=self.progress
        )
        return self._keep("propose", fix, evidence, proposer=proposer or "any")

    def gate(
        self,
        candidate: Proposal | Candidate | int | None = None,
        *,
        alpha: float = 0.05,
        seed: int = 0,
        sandbox: str | None = None,
    ) -> GateReport:
        """Decide with numbers whether a candidate may go on; an int picks one of the latest proposal, from 0."""
        from shadowlab import gates

        proposal = candidate if isinstance(candidate, Proposal) else self._need(Proposal, "propose")
        diagnosis, replay = self._need(Diagnosis, "diagnose"), self._need(Replay, "replay")
        evidence = Evidence(self.case)
        report = gates.gate(
            self.case,
            choice.candidate(proposal, candidate),
            diagnosis,
            replay,
            source=self.source,
            alpha=alpha,
            seed=seed,
            sandbox=sandbox or replay.sandbox,
            parents=(proposal.digest,),
            progress=self.progress,
        )
        return self._keep("gate", report, evidence, alpha=alpha, seed=seed)

    def _progress(wanted: Callable[[str, int, int], None] | str | None) -> Callable[[str, int, int], None] | None:
    if wanted != "auto":
        return None if isinstance(wanted, str) else wanted
    if "ipykernel" not in sys.modules:
        return None
    from shadowlab.progress import NotebookBars

    return NotebookBars()
