"""Read crash dumps as text evidence: a log record a thread, its stack parsed into frames.

Read are Python's faulthandler and py-spy, Go panics and Java thread dumps. The record's `stack` is the text as it was;
`attributes['crash.frames']` is a JSON list of `{function, file, line}`, outermost first. Dumps tell no time.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shadowlab import errors
from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers.base import LONGEST, Faults, Portion
from shadowlab.telemetry.readers.documents import attributes
from shadowlab.telemetry.readers.json_lines import JsonLines


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one runtime writes its dumps."""

    name: str
    marks: re.Pattern[str]
    """What the start of a file shows."""
    thread: re.Pattern[str]
    """A line that begins a thread: `name`, perhaps `state`."""
    frame: re.Pattern[str]
    """A frame: `function`, `file`, perhaps `line`; innermost first."""


# What is matched is hostile: no pattern may try a line in more ways than it has letters.
_KINDS: Final = (
    _Kind(
        "python-faulthandler",
        re.compile(r"^(?:Fatal Python error: |(?:Current thread|Thread) 0x[0-9a-f]+.*most recent call first)", re.M),
        re.compile(r"^(?:Current thread|Thread) (?P<name>0x[0-9a-f]+)(?: \[(?P<state>[^\]]*)\])?.*recent call first"),
        re.compile(r'^  File "(?P<file>[^"]*)", line (?P<line>\d{1,9}) in (?P<function>.+)$'),
    ),
    _Kind(
        "py-spy",
        re.compile(r"^Process \d+: .*\n(?:.*\n){0,4}?Thread (?:0x)?[0-9A-Fa-f]+ \(", re.M),
        re.compile(r'^Thread (?P<name>(?:0x)?[0-9A-Fa-f]+) \((?P<state>[^)]*)\)'),
        re.compile(r"^    (?P<function>.+) \((?P<file>[^()]*?)(?::(?P<line>\d{1,9}))?\)$"),
    ),
    _Kind(
        "go-panic",
        re.compile(r"^goroutine \d+ [^\[\n]*\[[^\[\]\n]+\]:$", re.M),
        re.compile(r"^goroutine (?P<name>\d+) [^\[]*\[(?P<state>[^\[\]]+)\]:"),
        re.compile(
            r"^(?:created by )?(?P<function>\S.*?)(?:\([^()]*\)| in goroutine \d+)?\n"
            r"\t(?P<file>.+?):(?P<line>\d{1,9})(?: .*)?$"
        ),
    ),
    _Kind(
        "java-thread-dump",
        re.compile(r"^Full thread dump ", re.M),
        re.compile(r'^"(?P<name>[^"]*)"(?>.*=\S*+)(?: (?P<state>[a-zA-Z.()]++(?: [a-zA-Z.()]++)*+))?'),
        re.compile(r"^\tat (?P<function>[^(]+)\((?P<file>[^:)]*)(?::(?P<line>\d{1,9}))?\)$"),
    ),
)  # fmt: skip


class Crash:
    """Crash dumps of Python, Go and Java."""

    name = "crash-dump"

    def recognises(self, head: bytes) -> bool:
        """Text that shows a dump's own words."""
        return b"\0" not in head and _kind(head.decode("utf-8", "replace")) is not None

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """A record for each thread."""
        told = bytearray()
        while block := stream.read(1 << 20):
            told += block
            if len(told) > LONGEST:
                raise errors.TelemetryError(
                    f"is a dump larger than {LONGEST >> 20} MiB; cut out the thread that failed"
                )
        text = told.decode("utf-8", "replace")
        kind = _kind(text[: 1 << 16])
        records = list(_records(text, kind, faults.file)) if kind else []
        if not records:
            raise errors.TelemetryError("is a crash dump that shows no thread")
        path = spool / "crash.jsonl"
        path.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}) + "\n")
        yield JsonLines(path, faults, spool, word="dump")


def _kind(text: str) -> _Kind | None:
    return next((kind for kind in _KINDS if kind.marks.search(text)), None)


def _records(text: str, kind: _Kind, file: str) -> Iterator[dict[str, Any]]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if kind.thread.match(line)]
    reason = "\n".join(lines[: starts[0]]).strip() if starts else ""
    for start, end in itertools.pairwise([*starts, len(lines)]):
        found = kind.thread.match(lines[start])
        if found is None:
            continue
        stack = "\n".join(lines[start:end]).rstrip()
        told = {
            "crash.kind": kind.name, "crash.file": Path(file).name, "thread.name": found["name"],
            "thread.state": (found["state"] or "").strip() or None, "exception.message": reason or None,
            "exception.stacktrace": stack, "crash.frames": _frames(lines[start + 1 : end], kind),
        }  # fmt: skip
        body = f"{kind.name}: thread {found['name']}"
        yield {"severityNumber": 21, "body": {"stringValue": body}, "eventName": "crash",
               "attributes": attributes({k: v for k, v in told.items() if v is not None})}  # fmt: skip


def _frames(lines: list[str], kind: _Kind) -> list[dict[str, Any]]:
    """Frames outermost first; Go writes one over two lines."""
    pairs = [f"{line}\n{after}" for line, after in itertools.pairwise([*lines, ""])]
    told = pairs if kind.name == "go-panic" else lines
    found = [match for line in told if (match := kind.frame.match(line))]
    return [
        {"function": m["function"], "file": m["file"], **({"line": int(m["line"])} if m["line"] else {})}
        for m in reversed(found)
    ]
