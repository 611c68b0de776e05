"""What was recorded against what was replayed: the same failure, the same answer, or the difference in words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shadowlab.privacy import masked
from shadowlab.replay.fixture import Fixture, RecordedError
from shadowlab.replay.results import RunResult

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_TOKEN = re.compile(r"(?=[^\s]*\d)[A-Za-z0-9_\-.~+/=]{8,}")
_WORDS = re.compile(r"[A-Za-z]{4,}")
_REDACTED = "[redacted"
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_NEAR_S = 120.0
_LIBRARY = re.compile(r"/(site|dist)-packages/|/lib/python\d")


def divergence(fixture: Fixture, run: RunResult, prefixes: Sequence[str]) -> str | None:
    """Recorded against replayed, in words; None when nothing differs that was recorded.

    Ids and times that the service made itself may differ where both sides have one in the same place: production's
    randomness was not recorded. Bodies are never quoted.
    """
    found = _differences(fixture, run, prefixes)
    if not found:
        return None
    return f"  recorded: {fixture.summary}\n  replayed: {_summary(fixture, run)}\n  differs: {'; '.join(found)}"


def _summary(fixture: Fixture, run: RunResult) -> str:
    """One line about a run, without its body."""
    if run.state != "finished":
        return f"{fixture.request.method} {fixture.request.path} -> {run.state}: {run.reason.splitlines()[0][:200]}"
    status = run.status if run.status is not None else "returned"
    return f"{fixture.request.method} {fixture.request.path} -> {status}" + (f" {run.error.type}" if run.error else "")


def made_by_service(fixture: Fixture, run: RunResult) -> int:
    """How many values of the body are ids or times that differ from the recorded ones."""
    return _body(fixture, run)[1]


def _differences(fixture: Fixture, run: RunResult, prefixes: Sequence[str]) -> list[str]:
    if run.state != "finished":
        return [f"{run.state}: {run.reason}"]
    found = list(run.unrecorded)
    if fixture.response is not None and run.status != fixture.response.status:
        found.append(f"status {fixture.response.status}, now {run.status}")
    if fixture.response is not None or fixture.error is not None:
        found += _errors(fixture.error, run, prefixes)
    if not found and fixture.response is not None:
        found += _body(fixture, run)[0]
    return found


def _errors(recorded: RecordedError | None, run: RunResult, prefixes: Sequence[str]) -> list[str]:
    if recorded is None:
        return [f"no exception, now {run.error.type}: {run.error.message[:200]}"] if run.error else []
    if run.error is None:
        return [f"{recorded.type}, now no exception"]
    if _bare(recorded.type) != _bare(run.error.type):
        return [f"{recorded.type}, now {run.error.type}: {run.error.message[:200]}"]
    found = []
    theirs, ours = _ADDRESS.sub("0x<address>", masked(recorded.message)), run.error.message
    if theirs != ours and _REDACTED not in theirs and alike(theirs, ours)[0]:
        found.append("the exception's message differs")
    there = [(file, frame.function.rpartition(".")[2]) for frame in recorded.frames
             if (file := in_app(frame.file, prefixes)) is not None]  # fmt: skip
    here = [(frame.file, frame.function.rpartition(".")[2]) for frame in run.error.frames]
    if there and there != here:
        found.append(f"raised in {_place(there)}, now in {_place(here)}")
    return found


def in_app(file: str, prefixes: Sequence[str]) -> str | None:
    """A production frame's path in the tree; None when it is a library's."""
    for prefix in prefixes:
        root = prefix.rstrip("/") + "/"
        if file.startswith(root) and not _LIBRARY.search(file):
            return file[len(root) :]
    return None


def _place(frames: list[tuple[str, str]]) -> str:
    return " > ".join(f"{file}:{function}" for file, function in frames[-3:]) or "no frame of the tree"


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _body(fixture: Fixture, run: RunResult) -> tuple[list[str], int]:
    if fixture.response is None or fixture.response.content == run.body:
        return [], 0
    recorded, replayed = _decoded(fixture.response.content), _decoded(run.body)
    paths, made = alike(recorded, replayed)
    return [f"the body differs at {', '.join(paths[:5])}"] if paths else [], made


def _decoded(content: bytes) -> Any:
    text = content.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def alike(recorded: Any, replayed: Any, path: str = "$") -> tuple[list[str], int]:
    """Paths at which two JSON values differ, and at how many others both hold an id or a time of their own."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        lost = [f"{path}.{key}" for key in recorded.keys() ^ replayed.keys()]
        parts = [alike(recorded[key], replayed[key], f"{path}.{key}") for key in recorded if key in replayed]
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        lost = []
        parts = [alike(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(recorded, replayed, strict=True))]
    elif recorded == replayed and type(recorded) is type(replayed):
        return [], 0
    else:
        return ([], 1) if _both_made(recorded, replayed) else ([path], 0)
    return sorted(lost) + [p for paths, _ in parts for p in paths], sum(made for _, made in parts)


def _both_made(a: Any, b: Any) -> bool:
    """Whether both are ids or times that a service makes, of one form."""
    if isinstance(a, str) and isinstance(b, str):
        return _REDACTED in a or _both_texts_made(a, b)
    numbers = isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool)
    # Seconds, or milliseconds, since 1970.
    return numbers and any(min(a, b) > 10**9 * unit and abs(a - b) < _NEAR_S * unit for unit in (1, 1000))


def _both_texts_made(a: str, b: str) -> bool:
    if _UUID.fullmatch(a) and _UUID.fullmatch(b):
        return True
    times = _time(a), _time(b)
    if times[0] and times[1]:
        return abs((times[0] - times[1]).total_seconds()) < _NEAR_S
    a, b = _UUID.sub("<id>", a), _UUID.sub("<id>", b)
    tokens = _TOKEN.findall(a), _TOKEN.findall(b)
    if not tokens[0] or [len(t) for t in tokens[0]] != [len(t) for t in tokens[1]]:
        return a == b
    return _WORDS.findall(_TOKEN.sub("<token>", a)) == _WORDS.findall(_TOKEN.sub("<token>", b))


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=None) if len(text) >= 19 else None
