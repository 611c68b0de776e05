"""What a triage says besides its suspects: where it starts, what changed, which log records came up, what to know."""

from __future__ import annotations

import html
from collections.abc import Sequence

from shadowlab.records import Recording, Suspect, Triage
from shadowlab.views.missing import missing
from shadowlab.views.shown import Page
from shadowlab.views.tables import Markup, code, grid, name


def services(triage: Triage | None) -> Page:
    """The services in the order in which they are blamed, each with its evidence."""
    if triage is None:
        return missing("triage")
    rows = [(b.service, f"{b.score:.2f}", "; ".join(b.evidence)) for b in triage.services[:12]]
    return grid(("service", "score", "evidence"), rows, alt="where it starts")


def changes(triage: Triage | None) -> Page:
    """Every change that the telemetry shows or somebody told of, and which suspect follows it."""
    if triage is None:
        return missing("triage")
    followed = {(c.at, c.kind, c.after): n for n, s in reversed(list(enumerate(triage.suspects, 1))) if (c := s.change)}
    rows = []
    for change in triage.changes:
        n = followed.get((change.at, change.kind, change.after))
        follows = Markup(f"<b>suspect {n} follows it</b>" if n else "no suspect follows it")
        after = f"{change.before or '?'} → {change.after}"
        rows.append((change.at, change.kind, change.service, after, follows, change.evidence))
    if not rows:
        return Page("<p>No change was seen, and nobody told of one.</p>", "no change")
    return grid(("at (UTC)", "what", "where", "from, to", "errors", "evidence"), rows, alt="changes")


def logs(triage: Triage | None) -> Page:
    """Groups of log records without an exception, those that became more common first."""
    if triage is None:
        return missing("triage")
    rows = [
        (code(g.template[:160]), g.service, g.severity, f"{g.events:,}", f"{g.before:,}", f"{g.failing:,}")
        for g in triage.logs
    ]
    if not rows:
        return Page("<p>No log record lies in the window.</p>", "no log records")
    return grid(("log records", "from", "level", "in the window", "before", "beside errors"), rows, alt="log records")


def exemplars(suspect: Suspect | None, recordings: Sequence[Recording] = ()) -> Page:
    """Traces that show a suspect in different request shapes, and passing neighbours to hold against them.

    Beside each the recording of it among `recordings`, which is what `replay` runs.
    """
    if suspect is None:
        return missing("triage")
    kept = {tape.trace_id: tape for tape in recordings if tape.trace_id}
    both = [("failing", trace) for trace in suspect.exemplars] + [("passing", trace) for trace in suspect.controls]
    rows = [
        (what, name(trace), name(tape.id) if (tape := kept.get(trace)) else "none", tape.summary if tape else "")
        for what, trace in both
    ]
    return grid(("", "trace", "recording", "request"), rows, alt="exemplars and controls")


def notes(triage: Triage | None) -> Page:
    """What a reader of the figures must know."""
    if triage is None:
        return missing("triage")
    items = "".join(f"<li>{html.escape(note)}</li>" for note in triage.notes)
    return Page(f"<ul>{items}</ul>" if items else "<p>Nothing in particular.</p>", "notes")
