"""What is in a case: an overview, a trace with its logs, a recording, a suspect, any record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from shadowlab import errors
from shadowlab.records import STORY, Record, Recording, Report, Triage
from shadowlab.records.base import table

if TYPE_CHECKING:
    from shadowlab.opened import Opened
    from shadowlab.views import Page, Picture


_NEWEST = 10
"""Failing recordings that an overview names."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Something looked at: `kind` says what, `document` holds it as plain JSON values."""

    kind: str
    document: dict[str, Any]
    drawn: Callable[[], Page | Picture] | None = field(default=None, repr=False, compare=False)
    """Makes the picture that a notebook shows; a table of `document` stands where there is none."""

    def __repr__(self) -> str:
        name = self.document.get("summary") or self.document.get("trace_id") or self.document.get("case") or ""
        return f"<Shown {self.kind} {name}>"

    def _repr_html_(self) -> str:
        if self.drawn is None:
            return table([{"": key, "what": value} for key, value in self.document.items()], caption=repr(self))
        from shadowlab.views import Page

        made = self.drawn()
        return made.html if isinstance(made, Page) else made.svg


def look(inv: Opened, what: str | None) -> Shown | Record:
    """The thing that `what` names: an id of a recording or trace, a suspect's fingerprint, a record's digest.

    The beginning of each will do. Raises `UsageError` when the case has nothing of that name.
    """
    if not what:
        return Shown("case", overview(inv))
    if not re.fullmatch(r"[0-9a-f]{4,64}", what):
        raise errors.UsageError(f"{what!r} names nothing", hint="give a trace id, recording id, fingerprint or digest")
    triage = inv.latest(Triage)
    for suspect in triage.suspects if triage else ():
        if suspect.fingerprint.startswith(what):
            return suspect
    for found in (_kept, _recording, _trace):
        if (shown := found(inv, what)) is not None:
            return shown
    raise errors.UsageError(f"{inv.case.path} has nothing named {what}", hint="`shadowlab show CASE` says what it has")


def overview(inv: Opened) -> dict[str, Any]:
    """Counts of what the case holds, its suspects, its newest failing recordings, the newest record of each type."""
    from shadowlab import telemetry

    with telemetry.reading(inv.case) as case, telemetry.store(case) as store:
        counts = store.sql(
            "SELECT (SELECT count(*) FROM spans) AS spans, (SELECT count(*) FROM logs) AS logs,"
            " (SELECT count(*) FROM metric_points) AS metric_points, (SELECT count(*) FROM errors) AS errors,"
            " (SELECT list(DISTINCT service ORDER BY service) FROM spans) AS services"
        ).rows()[0]
    tapes = inv.recordings
    failing = [tape for tape in tapes if tape.failed]
    triage = inv.latest(Triage)
    names = [kind.__name__ for kind in (Recording, *STORY, Report)]
    kept = {name: str(record) for name in names if (record := inv.case.latest(name)) is not None}
    return {
        "case": inv.case.path.resolve().name,
        **counts,
        "recordings": len(tapes),
        "failing_recordings": len(failing),
        "newest_failing": {tape.id: tape.summary for tape in failing[::-1][:_NEWEST]},
        "suspects": {suspect.fingerprint: suspect.title for suspect in triage.suspects} if triage else {},
        "records": kept,
        "ledger_entries": len(inv.ledger),
    }


def _recording(inv: Opened, what: str) -> Shown | None:
    from shadowlab.replay import look, recording

    ids = [tape.id for tape in inv.recordings if tape.id.startswith(what)]
    if len(ids) != 1:
        return None
    return Shown("recording", look.shown(recording.load(inv.case, ids[0])), partial(inv.drawn, ids[0]))


def _kept(inv: Opened, what: str) -> Record | None:
    found = [p for p in inv.case.records.glob(f"{what}*.json") if p.stem != "latest"]
    return inv.case.record(found[0].stem).bind(inv) if len(found) == 1 else None


def _trace(inv: Opened, what: str) -> Shown | None:
    try:
        trace = inv.trace(what)
    except errors.QueryError:
        return None
    return Shown("trace", asdict(trace), trace.plot_waterfall)
