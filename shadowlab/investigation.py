"""One incident from first look to manifest: each verb calls its stage, keeps the record, writes the ledger.

>>> import shadowlab as sl
>>> inv = sl.open("cases/checkout-5xx", source="services/checkout")  # doctest: +SKIP
>>> found = inv.triage(window="30m")  # doctest: +SKIP

Methods take the previous noun and return the next; a noun that is left out is the latest one kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace as changed
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from shadowlab import choice, errors, standalone, times
from shadowlab.case import open_case
from shadowlab.evidence import Evidence, named
from shadowlab.experiments import Experiments
from shadowlab.privacy import Redactor
from shadowlab.progress import Progress, wanted
from shadowlab.records import (
    STORY,
    Candidate,
    Diagnosis,
    GateReport,
    Ingest,
    Judgement,
    Plan,
    Proposal,
    Replay,
    Report,
    Suspect,
    Triage,
    Verification,
)


class Investigation(Experiments):
    """A case at hand, with the verbs, in the order of an incident. Make one with `shadowlab.open`."""

    def ingest(
        self,
        *paths: str | os.PathLike[str],
        redact: str | None = "default",
        tape: str | os.PathLike[str] | None = None,
    ) -> Ingest:
        """Take telemetry and recordings into the case; what was loaded before adds nothing.

        `tape` is a file or folder of recorded answers (HAR, a VCR cassette, nock, WireMock, …: docs/recordings.md) for
        the recordings of this run that bring none, such as bare events. `redact` names the policy, None switches
        redaction off (the ledger says so). Files that are no telemetry are listed in `refused`, or in `rejected` when
        they only lay in a folder that was named; raises `TelemetryError` when no file could be used.
        """
        from shadowlab import intake, live

        names = [os.fspath(path) for path in paths]
        if not names:
            raise errors.UsageError("nothing to ingest", hint="name files or folders, or - for standard input")
        live.take_in_log(self.case)
        evidence = self._evidence()
        record = intake.ingest(
            self.case, names, redact=redact, tape=Path(tape) if tape else None, progress=self.progress
        )
        called = [Path(name).name for name in names]
        kept = self._keep("ingest", record, evidence, files=called, redaction=record.redaction)
        live.merge_files(self.case)
        return kept

    def triage(
        self,
        *,
        slo: str | os.PathLike[str] | None = None,
        window: str | timedelta = "30m",
        at: str | datetime | None = "last",
        top: int = 5,
        merge: Sequence[Sequence[str]] = (),
        split: Sequence[str] = (),
        changes: str | os.PathLike[str] | None = None,
    ) -> Triage:
        """Find what burns, which errors explain it, since which change, and what is worth replaying.

        `slo` is an OpenSLO file, remembered by the case; without any, each service gets a default objective. `merge`
        (groups of fingerprints that are one fault) and `split` (fingerprints of several) are a person's corrections and
        stay in the case. `changes` is a file of JSON lines that tells of changes no trace shows. Raises
        `ObjectiveError`, and `UsageError` for a window or time that cannot be.
        """
        from shadowlab import live, stores, telemetry, triage
        from shadowlab.audit import keys

        live.take_in_log(self.case)
        if self.telemetry:
            self.slice(window=stores.window_of_triage(window), at=at)
        evidence = self._evidence()
        place = Path(slo) if slo else self.case.objectives
        objectives = triage.slo.load(place) if slo or place.exists() else None
        frames, notes = choice.frames(self)
        known = triage.Corrections.read(self.case.settings().get("corrections"))
        corrections = known.with_more(merge, split)
        with (
            stores.connected(self.telemetry) as archive,
            telemetry.store(self.case, secret=keys.secret("facts")) as store,
        ):
            found, fingerprints = triage.triage(
                store,
                objectives=objectives,
                at=times.moment(at),
                window=times.window(window),
                top=top,
                recorded=choice.recorded(self, store),
                passed=lambda: choice.recorded(self, store, failed=False),
                source_frames=frames,
                told_changes=triage.changes.load(Path(changes)) if changes else (),
                corrections=corrections,
                known=partial(telemetry.known_fingerprints, store),
                archive=archive,
            )
        if corrections != known:
            self.case.remember(corrections=corrections.document())
        telemetry.set_fingerprints(self.case, fingerprints)
        if slo:
            kept = Redactor(self.case.key("redaction")).text(place.read_bytes().decode())
            self.case.put(self.case.objectives.name, kept.encode())
        found = changed(found, parents=self._parents(Ingest), notes=(*found.notes, *notes))
        return self._keep("triage", found, evidence, window=times.spoken(found.window), at=str(at), top=top)

    def replay(
        self,
        suspect: Suspect | str | None = None,
        *,
        times: int = 2,
        sandbox: str = "embedded",
        revision: str | None = None,
        recordings: Sequence[str] | None = None,
        trace: str | None = None,
        seed: int = 0,
        workers: str | None = None,
    ) -> Replay:
        """Run recorded requests again, alone, `times` times in all, and each of them at least twice.

        Without a suspect the top one that has recordings is taken, else the newest failing recording; `trace` names the
        request by its trace. Without a revision the commit that the recordings name is run. Of a suspect or trace that
        nothing recorded, the outcome is `unavailable`, and `outline` names every input that is missing. `workers` is
        the address of a Dask scheduler to run on. A replay that diverges is a value; raises `RecordingError` when there
        is nothing to replay, `SourceError`, `SandboxError`.
        """
        from shadowlab import replay

        chosen = choice.suspect(self, suspect) if recordings is None and trace is None else None
        if recordings is None and (nothing := choice.unrecorded(self, chosen, trace)):
            return self._outlined(*nothing, sandbox=sandbox, revision=revision, seed=seed)
        if recordings is None and trace is not None:
            recordings = choice.linked(self, trace)
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
            workers=workers,
            progress=self.progress,
        )
        done = changed(done, parents=self._parents(Triage if chosen else Ingest))
        return self._keep("replay", done, evidence, times=times, sandbox=sandbox, revision=done.revision, seed=seed)

    def diagnose(self, replay: Replay | None = None, *, sandbox: str | None = None) -> Diagnosis:
        """Change one thing at a time until the symptom goes. Only an intervention confirms a hypothesis.

        Raises `UsageError` when nothing was replayed yet, `SourceError`, `SandboxError`.
        """
        from shadowlab import diagnose

        replay, evidence = replay or self._need(Replay, "replay"), Evidence(self.case)
        triage = self.latest(Triage)
        suspect = triage.suspect(replay.suspect) if triage else None
        why = diagnose.diagnose(
            self.case,
            replay,
            source=self.source,
            triage=triage,
            good=choice.last_good(triage, suspect),
            bad=replay.revision,
            sandbox=sandbox or replay.sandbox,
            progress=self.progress,
        )
        return self._keep("diagnose", why, evidence)

    def propose(self, diagnosis: Diagnosis | None = None, *, proposer: str | None = None) -> Proposal:
        """Candidate patches for a diagnosis, best first; `proposer` is `codemod`, `search` or `model`.

        None asks the codemods, and a configured model when they are silent. No candidate is a value too; notes say why.
        """
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
        least_sandbox: str | None = None,
    ) -> GateReport:
        """Decide with numbers whether a candidate may go on; an int picks one of the latest proposal, from 0.

        `alpha` is the error probability of each statistical gate, between 0 and 0.5; `seed` that of everything drawn.
        `least_sandbox` names the weakest sandbox in which patched code may run, for this case from now on: where the
        gates would use a weaker one, the patch is refused and not run. `unconfined` allows all.
        Raises `PatchError` when the diff does not apply, `UsageError` when there is no such candidate, `SandboxError`.
        """
        from shadowlab import gates
        from shadowlab.replay.sandboxes import levels

        if least_sandbox is not None:
            self.case.remember(policy={**(self.case.settings().get("policy") or {}),
                                       "least_sandbox": levels.known(least_sandbox)})  # fmt: skip
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

    def judge(
        self, control: tuple[int, int], candidate: tuple[int, int], *, margin: float = 0.001, alpha: float = 0.05
    ) -> Judgement:
        """Control against candidate from counts alone, as (failures, total); may be asked again as counts grow.

        `margin` is how much worse the candidate's error rate may be, a share from 0 to 1.
        """
        return standalone.judge(control, candidate, margin=margin, alpha=alpha)

    def rollout(self, gates: GateReport | None = None) -> Plan:
        """Write the plan of a gated patch: pull request, canary, rollback. Files only; nothing is deployed.

        Raises `GateFailed` when the report is no pass, `UsageError` when it is of another proposal.
        """
        from shadowlab import rollout

        gates, evidence = gates or self._need(GateReport, "gate"), Evidence(self.case)
        plan = rollout.plan(
            self.case,
            gates,
            self._need(Proposal, "propose"),
            self._need(Diagnosis, "diagnose"),
            self.latest(Triage),
            source=self.source,
        )
        return self._keep("rollout", plan, evidence)

    def report(self, template: str = "incident", **parameters: Any) -> Report:
        """Fill a notebook template from the case and run it: an executed notebook and a page, signed.

        `template` is a name or the path of a notebook, `parameters` fill its parameters cell. Raises `ReportError`.
        """
        from shadowlab import report

        evidence = Evidence(self.case)
        parents = tuple(r.digest for kind in STORY if (r := self.latest(kind)) is not None)
        done = report.render(self.case, template, parameters, progress=self.progress)
        return self._keep("report", changed(done, parents=parents), evidence, template=template)

    def verify(self, *, rerun: bool = False, signers: Sequence[str] = ()) -> Verification:
        """Is all of the case as it was written? `rerun` executes replay and gates again instead of trusting them.

        `signers` are key ids; when given, signatures of no other key are accepted.
        """
        from shadowlab.audit import verify
        from shadowlab.rerun import rerun as again

        verification = verify.verify(self.case, signers=signers)
        return again(self, verification) if rerun else verification

    def _evidence(self) -> Evidence:
        """What lay in the case; telemetry and recordings that a killed run left are this one's."""
        return Evidence(self.case, known=named(self.case, self.ledger))

    def _outlined(
        self, trace: str, suspect: Suspect | None, *, sandbox: str, revision: str | None, seed: int
    ) -> Replay:
        """What telemetry alone says of a request; the source is asked for names only, and may be unknown."""
        from shadowlab import telemetry
        from shadowlab.replay import outline
        from shadowlab.replay.lacking import Provenance

        evidence, known = Evidence(self.case), bool(self.case.settings().get("source"))
        run = self.source.revision(revision or "HEAD") if known else ""
        service = self.source.service(run) if known else None
        with telemetry.store(self.case) as store:
            plan = outline.outline(
                store,
                trace,
                service=suspect.service if suspect else service.name if service else None,
                environment=service.environment if service else (),
            )
        provenance = Provenance(
            sandbox=sandbox,
            revision=run,
            suspect=suspect.fingerprint if suspect else None,
            seed=seed,
            parents=self._parents(Triage if suspect else Ingest),
        )
        done = outline.unavailable(plan, provenance)
        return self._keep("replay", done, evidence, trace=plan.trace_id, revision=run)


def open_investigation(
    path: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None = None,
    create: bool = True,
    progress: Progress | str | None = "auto",
    lock_timeout: float = 10.0,
    telemetry: str | None = None,
) -> Investigation:
    """The investigation of the case in folder `path`, made when there is none and `create` is set.

    `source` is the service's repository, remembered by the case. `progress` is called with (what, done, total);
    `"auto"` shows bars in a notebook and nothing elsewhere. `telemetry` is the URL of a larger store that stays where
    it is: `ask` asks it, `slice` and `triage` pull an incident's part of it. Raises `CaseError`, `SourceError`.
    """
    case = open_case(path, create=create, lock_timeout=lock_timeout)
    inv = Investigation(case, progress=wanted(progress), telemetry=telemetry)
    if source is not None:
        inv.remember_source(source)
    if "IPython" in sys.modules:
        from shadowlab.plots import show_in_notebooks

        show_in_notebooks()
    return inv
