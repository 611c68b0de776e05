"""Make a recording of a bare JSON event, for a source whose entrypoint is `callable(event)`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from shadowlab import errors, reading
from shadowlab.case import Case
from shadowlab.records import Recording
from shadowlab.replay import blobs, recording, tapes
from shadowlab.replay.files import LARGEST_RECORDING
from shadowlab.replay.fixture import parse
from shadowlab.replay.versions import SCHEMA
from shadowlab.source import Service, Source

TIME = "2025-01-01T00:00:00Z"
"""The time of an event that names none."""
_DATABASE = re.compile(r"(^|_)(DB|DATABASE)(_|$)")
SEED = 1337
"""The seed of an event that names none."""


def from_event(case: Case, event: Path, *, source: Source, fixtures: Path | None = None) -> Recording:
    """Keep a JSON event as a recording; `replay` goes on from it.

    The event is handed to the callable as it is. Its `time` and `rand_seed` are taken where it has them, else `TIME`
    and `SEED`. `fixtures` is a file or folder of recorded answers in any of `tapes.FORMATS`; the callable's `session`,
    and the HTTP clients that it uses, are answered from them; what of them was left out stands in `notes`. Raises
    `RecordingError` when a file cannot be read or the entrypoint takes requests, `SourceError` when there is none.
    """
    document = _read(event)
    tape = tapes.read(fixtures) if fixtures else None
    service = source.service("HEAD")
    if service.kind not in (None, "function"):
        raise errors.RecordingError(
            f"the entrypoint of {service.name} is of kind {service.kind}: it is called with requests, not with events",
            hint="`shadowlab ingest CASE EVENT.json` takes a bare event of a request",
        )
    fields = document if isinstance(document, dict) else {}
    taken = {
        "schema": SCHEMA,
        "service": service.name,
        "kind": "function",
        "commit": source.revision("HEAD"),
        "request": {"method": "CALL", "path": service.entrypoint, "query": "", "headers": [],
                    "body": document, "body_encoding": "json"},
        "time": _time(fields),
        "rand_seed": _seed(fields),
        "outbound": list(tape.calls) if tape else [],
    }  # fmt: skip
    taken |= _database(case, event, fields, service)
    taken["id"] = hashlib.sha256(json.dumps(taken, sort_keys=True).encode()).hexdigest()[:32]
    kept = recording.keep(case, parse(taken, where=str(event)))
    return replace(kept, notes=tape.notes) if tape else kept


def _database(case: Case, event: Path, fields: dict[str, Any], service: Service) -> dict[str, Any]:
    """The event's `db_snapshot`, when it is a file beside the event; the callable finds it by the same name."""
    named = fields.get("db_snapshot")
    if not isinstance(named, str) or not (event.parent / named).is_file():
        return {}
    kept = blobs.with_snapshot(case, {"db_snapshot": named}, blobs.in_folder(event.parent), [])
    names = [name for name in service.environment if _DATABASE.search(name)]
    return {"db_snapshot": kept["db_snapshot"], "db_environment": names[0] if len(names) == 1 else None}


def _time(fields: dict[str, Any]) -> str:
    return fields["time"] if isinstance(fields.get("time"), str) else TIME


def _seed(fields: dict[str, Any]) -> int:
    seed = fields.get("rand_seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else SEED


def _read(file: Path) -> Any:
    try:
        return json.loads(reading.content(file, LARGEST_RECORDING))
    except OSError as exc:
        raise errors.RecordingError(f"{file} cannot be read: {exc.strerror}", hint="name a JSON file") from exc
    except (ValueError, RecursionError) as exc:
        raise errors.RecordingError(f"{file} is not JSON: {exc}", hint="name a JSON file") from exc
