"""The structured question to a proposer, and the schemas that question and answer must fit."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.privacy import Redactor
from shadowlab.records import Diagnosis
from shadowlab.source import Source

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraints:
    """What a candidate must keep to."""

    max_diff_lines: int = 25
    """Changed lines, tests not counted."""
    no_api_contract_change: bool = True
    perf_regression_budget_ms: float = 5.0


def request(case: Case, diagnosis: Diagnosis, *, source: Source, constraints: Constraints) -> dict[str, Any]:
    """The question, checked against `request.schema.json`; texts are redacted with the case's own key.

    Raises `UsageError` when the diagnosis has no error or no recording to ask about.
    """
    if diagnosis.error is None or not diagnosis.recordings:
        raise errors.UsageError(
            "the diagnosis has no failing recording, so there is nothing to mend",
            hint="`shadowlab replay CASE` a failing recording, then `shadowlab diagnose CASE`",
        )
    redactor = Redactor(case.key("redaction"))
    first = diagnosis.recordings[0]
    stack = [
        {"file": frame.file, "func": frame.function, "line": frame.line}
        for frame in diagnosis.error.frames
        if frame.in_app
    ]
    question = {
        "service": diagnosis.service,
        "commit": diagnosis.revision,
        "language": "python",
        "stack": stack[-200:],
        "error": {"type": diagnosis.error.type, "message": redactor.text(diagnosis.error.message)[:_LONGEST_MESSAGE]},
        "repro": {
            "fixture": f"recordings/{first}.json",
            "replay_cmd": replay_command(case, first, source=source, revision=diagnosis.revision),
        },
        "constraints": asdict(constraints),
    }
    return checked(question, "request")


def replay_command(case: Case, recording: str, *, source: Source, revision: str) -> str:
    """A shell command that replays one recording, wherever it is typed: whole paths, quoted."""
    words = ["replay", _whole(case.path), "--recording", recording, "--source", _whole(source.path)]
    return shlex.join([_program(), *words, "--revision", revision])


def _program() -> str:
    """`shadowlab` where the shell finds it, else the script beside this interpreter."""
    beside = Path(sys.executable).with_name("shadowlab")
    return "shadowlab" if shutil.which("shadowlab") or not beside.exists() else str(beside)


def _whole(path: Path) -> str:
    return os.path.abspath(path)


@cache
def schema(name: str) -> dict[str, Any]:
    """`request` or `answer`: its JSON Schema (draft 7), as it lies in the package."""
    document: dict[str, Any] = json.loads(Path(__file__).with_name(f"{name}.schema.json").read_bytes())
    return document


@cache
def _validator(name: str) -> Callable[[object], object]:
    # Not jsonschema: where Jupyter's extras are installed its import builds grammars for two seconds.
    import fastjsonschema

    compiled: Callable[[object], object] = fastjsonschema.compile(schema(name))
    return compiled


def checked(document: dict[str, Any], name: str) -> dict[str, Any]:
    """`document` when it fits the schema called `name`; raises `UsageError` that names the first misfit."""
    import fastjsonschema

    try:
        _validator(name)(document)
    except fastjsonschema.JsonSchemaValueException as exc:
        place = "/".join(str(part) for part in exc.path[1:]) or "the document"
        raise errors.UsageError(
            f"the {name} does not fit its schema at {place}: {exc.message[:200]}",
            hint=f"shadowlab/propose/{name}.schema.json says what it holds",
        ) from exc
    return document
