"""What was recorded beside what the replay did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shadowlab.records import Attempt, Failure, Recording, Replay
from shadowlab.views.shown import Page
from shadowlab.views.style import GREEN, VERMILLION, badge
from shadowlab.views.tables import Markup, code, grid

_SAME = Markup(f"<b style='color:{GREEN}'>=</b>")
_OTHER = Markup(f"<b style='color:{VERMILLION}'>≠</b>")


def compare(recorded: Recording | Mapping[str, Any], replay: Replay) -> Page:
    """Status, error, deepest frame and outbound calls of a recording, and of its replay.

    `recorded` is the record, or the fixture with its parts (`response`, `error`, `outbound`). Bodies are never shown.
    """
    ident = recorded.id if isinstance(recorded, Recording) else str(recorded.get("id", ""))
    run = next((attempt for attempt in replay.runs if attempt.recording == ident), None)
    if run is None:
        return Page(f"<p>Recording {code(ident)} was not replayed.</p>", f"recording {ident} was not replayed")
    rows: list[Sequence[object]] = [_row(*parts) for parts in _parts(recorded, run)]
    repeats = f"{run.repeats} repeats, digest {run.outcome_digest[:12]}"
    rows.append(("outcome", "", Markup(badge(run.outcome.value)), repeats))
    if run.divergence:
        rows.append(("divergence", "", "", code(run.divergence)))
    return grid(("", "recorded", "", "replayed"), rows, alt=f"recording {ident[:12]} against its replay")


def _row(what: str, before: str, after: str) -> Sequence[object]:
    return what, code(before), _SAME if before == after else _OTHER, code(after)


def _parts(recorded: Recording | Mapping[str, Any], run: Attempt) -> list[tuple[str, str, str]]:
    """Pairs of words to compare; what the recording does not tell is left out."""
    if isinstance(recorded, Recording):
        result = f"{run.status or ''} {run.error.type if run.error else ''}".strip()
        return [("result", recorded.summary.partition("-> ")[2] or recorded.summary, result)]
    parts = []
    response, error = recorded.get("response"), recorded.get("error")
    if response:
        parts.append(("status", str(response["status"]), str(run.status)))
    if error:
        parts.append(("error", f"{error['type']}: {error['message']}", _told(run.error)))
        parts.append(("raised in", _deepest(error.get("frames", ()), run), _deepest_of(run.error)))
    calls = [_call(call) for call in recorded.get("outbound", ())]
    replayed = [" ".join(call.split()) for call in run.outbound]
    return [*parts, ("outbound calls", "; ".join(calls) or "none", "; ".join(replayed) or "none")]


def _told(error: Failure | None) -> str:
    return f"{error.type}: {error.message}" if error else "none"


def _deepest_of(error: Failure | None) -> str:
    frame = error.frames[-1] if error and error.frames else None
    return f"{frame.file} {frame.function}" if frame else "none"


def _deepest(frames: Sequence[Mapping[str, Any]], run: Attempt) -> str:
    """The recorded frame that the replay's deepest frame stands for, in the replay's words where they are the same."""
    replayed = _deepest_of(run.error)
    for frame in reversed(frames):
        file, function = str(frame.get("file")), str(frame.get("function"))
        if run.error and run.error.frames:
            deepest = run.error.frames[-1]
            if file.endswith(deepest.file) and function == deepest.function:
                return replayed
    last = frames[-1] if frames else {}
    return f"{last.get('file', '?')} {last.get('function', '')}".strip()


def _call(call: Mapping[str, Any] | str) -> str:
    if isinstance(call, str):
        return re.sub(r"^(\S+) \w+://([^?#\s]*)\S*", r"\1 \2", call)
    host_and_path = re.sub(r"^(?:\w+://)?(?:[^/?#]*@)?([^?#]*).*", r"\1", str(call.get("url", "")), flags=re.DOTALL)
    outcome = call.get("status") or (call.get("error") or {}).get("type", "?")
    return f"{call.get('method')} {host_and_path} -> {outcome}"
