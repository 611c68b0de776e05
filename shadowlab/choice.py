"""Which suspect, recordings, revision and candidate a verb takes when it is not told, or told by a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shadowlab import errors
from shadowlab.records import Candidate, Proposal, Suspect, Triage

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation


def suspect(inv: Investigation, wanted: Suspect | str | None) -> Suspect | None:
    """The suspect whose fingerprint starts so; else the first of the latest triage that has recordings, if any."""
    if isinstance(wanted, Suspect):
        return wanted
    suspects = found.suspects if (found := inv.latest(Triage)) else ()
    if wanted is None:
        return next((s for s in suspects if s.recordings), None)
    named = [s for s in suspects if s.fingerprint.startswith(wanted)]
    if len(named) != 1:
        raise errors.UsageError(
            f"{len(named)} suspects of the latest triage start with {wanted!r}",
            hint=f"`shadowlab show {inv.case.path}` lists them",
        )
    return named[0]


def tapes(inv: Investigation, chosen: Suspect | None) -> tuple[str, ...]:
    """The recordings of a suspect, exemplars' first; without one, the newest failing recording."""
    if chosen is not None and chosen.recordings:
        return chosen.recordings
    failing = [tape.id for tape in inv.recordings if tape.failed]
    if chosen is None and failing:
        return (failing[-1],)
    whose = f"suspect {chosen.fingerprint[:12]}" if chosen else "a failing request"
    raise errors.RecordingError(
        f"{inv.case.path} has no recording of {whose}",
        hint="record the service with shadowlab-recorder and ingest its folder",
    )


def revision(inv: Investigation, ids: Sequence[str], wanted: str | None) -> str:
    """The commit to run: the one that is wanted, else the one that the first recording names, else HEAD."""
    from shadowlab.replay import recording

    named = recording.load(inv.case, ids[0]).commit if ids and wanted is None else wanted
    return inv.source.revision(named or "HEAD")


def recorded(inv: Investigation) -> dict[str, tuple[str, ...]]:
    """Trace id to the ids of its failing recordings."""
    by_trace: dict[str, tuple[str, ...]] = {}
    for tape in inv.recordings:
        if tape.trace_id and tape.failed:
            by_trace[tape.trace_id] = (*by_trace.get(tape.trace_id, ()), tape.id)
    return by_trace


def frames(inv: Investigation) -> tuple[str, ...]:
    """Path prefixes of production frames, where the source is known."""
    if not inv.case.settings().get("source"):
        return ()
    return inv.source.service("HEAD").frames


def candidate(proposal: Proposal, wanted: Proposal | Candidate | int | None) -> Candidate:
    """The candidate that is wanted: itself, its number from 0, or the first."""
    if isinstance(wanted, Candidate):
        return wanted
    if not isinstance(wanted, int):
        return proposal.top
    if not 0 <= wanted < len(proposal.candidates):
        raise errors.UsageError(
            f"there is no candidate {wanted}: the proposal has {len(proposal.candidates)}", hint="they count from 0"
        )
    return proposal.candidates[wanted]
