"""Which suspect, recordings, revision and candidate a verb takes when it is not told, or told by a name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shadowlab import errors, reading
from shadowlab.records import Candidate, Proposal, Recording, Replay, Suspect, Triage

if TYPE_CHECKING:
    from shadowlab.opened import Opened
    from shadowlab.telemetry import Store

_LONGEST_PATCH = 4_000_000
"""Characters: another kind of file that was named by mistake may be larger than memory."""


def suspect(inv: Opened, wanted: Suspect | str | None) -> Suspect | None:
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


def tapes(inv: Opened, chosen: Suspect | None) -> tuple[str, ...]:
    """The recordings of a suspect, exemplars' first; without one, the newest failing recording."""
    if chosen is not None and chosen.recordings:
        return chosen.recordings
    failing = [tape.id for tape in inv.recordings if tape.failed and not tape.made_from]
    if chosen is None and failing:
        return (failing[-1],)
    whose = f"suspect {chosen.fingerprint[:12]}" if chosen else "a failing request"
    raise errors.RecordingError(
        f"{inv.case.path} has no recording of {whose}",
        hint="record the service with shadowlab-recorder and ingest its folder",
    )


def unrecorded(inv: Opened, chosen: Suspect | None, trace: str | None) -> tuple[str, Suspect | None] | None:
    """The trace, and the suspect that it shows, of which nothing was recorded; None when there is a recording to run.

    A named trace, else the suspect's first exemplar; without a suspect that of the top one, if nothing was recorded.
    """
    if trace is not None:
        return None if linked(inv, trace) else (trace, None)
    if chosen is None and not any(tape.failed for tape in inv.recordings):
        chosen = next(iter(found.suspects), None) if (found := inv.latest(Triage)) else None
    if chosen is None or chosen.recordings or not chosen.exemplars:
        return None
    return chosen.exemplars[0], chosen


def linked(inv: Opened, trace: str) -> tuple[str, ...]:
    """The recordings of the trace whose id starts so, failing ones first; raises `UsageError` when several do."""
    from shadowlab import telemetry
    from shadowlab.replay import links

    tapes = inv.recordings
    with telemetry.store(inv.case) as store:
        found = links.traces(store, tapes)
    same = [(tape, of) for tape in tapes if (of := found.get(tape.id, tape.trace_id or "")).startswith(trace)]
    if (many := len({of for _, of in same})) > 1:
        raise errors.UsageError(f"{many} recorded traces start with {trace!r}", hint="give more of the trace's id")
    return tuple(tape.id for tape, _ in sorted(same, key=lambda one: not one[0].failed))


def tape(inv: Opened, wanted: Replay | Recording | str | None) -> str:
    """One recording: the one that is meant, the first of a replay, or of the latest, else the newest failing one."""
    if isinstance(wanted, Recording):
        return wanted.id
    if isinstance(wanted, str):
        return wanted
    replayed = wanted or inv.latest(Replay)
    return replayed.runs[0].recording if replayed and replayed.runs else tapes(inv, suspect(inv, None))[0]


def last_good(found: Triage | None, chosen: Suspect | None) -> str | None:
    """The revision before the change that a suspect follows; with none linked, before its service's latest deploy.

    Errors that grow from a deploy on, or come some time after it, are not linked to it. The replay tells whether it
    brought them.
    """
    if found is None or chosen is None:
        return None
    if chosen.change is not None and chosen.change.before_revision:
        return chosen.change.before_revision
    deploys = [c for c in found.changes if c.service == chosen.service and c.at <= chosen.first_seen]
    return next((c.before_revision for c in reversed(deploys) if c.before_revision), None)


def traffic(inv: Opened, limit: int) -> tuple[str, ...]:
    """Up to `limit` recordings: the failing ones of the latest replay or triage, then as many that passed, spread."""
    replayed = inv.latest(Replay)
    found = inv.recordings
    made = {tape.id: tape.made_from or tape.id for tape in found}
    replayed_ids = [made[run.recording] for run in replayed.runs if run.recording in made] if replayed else []
    failing = replayed_ids or list(tapes(inv, suspect(inv, None)))
    passed = [tape.id for tape in found if not tape.failed and not tape.missing and not tape.made_from]
    failing = failing[: max(limit // 2, limit - len(passed))]
    step = -(-len(passed) // (limit - len(failing))) if limit > len(failing) else 0
    return tuple(dict.fromkeys((*failing, *(passed[::step] if step else ()))))


def patch(wanted: Candidate | str | os.PathLike[str] | None) -> str | None:
    """The unified diff that is meant: a candidate's, a text of several lines, or a file's; raises `PatchError`."""
    if wanted is None:
        return None
    if isinstance(wanted, Candidate):
        return wanted.diff
    if isinstance(wanted, str) and "\n" in wanted:
        return wanted
    try:
        return reading.text(wanted, _LONGEST_PATCH)
    except (OSError, UnicodeDecodeError) as exc:
        told = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise errors.PatchError(
            f"{wanted} cannot be read: {told}", hint="name a unified diff, as `git diff` writes it"
        ) from exc


def revision(inv: Opened, ids: Sequence[str], wanted: str | None) -> str:
    """The commit to run: the one that is wanted, else the one that the first recording names, else HEAD."""
    from shadowlab.replay import recording

    named = recording.load(inv.case, ids[0]).commit if ids and wanted is None else wanted
    return inv.source.revision(named or "HEAD")


def recorded(inv: Opened, store: Store, *, failed: bool = True) -> dict[str, tuple[str, ...]]:
    """Trace id to the ids of its failing recordings, or of those that passed."""
    tapes = [tape for tape in inv.recordings if tape.failed == failed]
    if not tapes:
        return {}
    from shadowlab.replay import links

    by_trace: dict[str, tuple[str, ...]] = {}
    for id, trace in links.traces(store, tapes).items():
        by_trace[trace] = (*by_trace.get(trace, ()), id)
    return by_trace


def frames(inv: Opened) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Path prefixes of production frames, and notes: of a source that is known and cannot be read there are none."""
    if not inv.case.settings().get("source"):
        return (), ()
    try:
        source = inv.source
    except errors.SourceError as exc:
        told = "its source says which frames are the service's own, and nobody else does; name it with --source"
        return (), (f"{exc.args[0]}: {told}",)
    return source.service("HEAD").frames, ()


def candidate(proposal: Proposal, wanted: Proposal | Candidate | int | None) -> Candidate:
    """The candidate that is wanted: itself, its number from 0, or the first."""
    if isinstance(wanted, Candidate):
        return wanted
    if not isinstance(wanted, int) or not proposal.candidates:
        return proposal.top
    if not 0 <= wanted < len(proposal.candidates):
        raise errors.UsageError(
            f"there is no candidate {wanted}: the proposal has {len(proposal.candidates)}", hint="they count from 0"
        )
    return proposal.candidates[wanted]
