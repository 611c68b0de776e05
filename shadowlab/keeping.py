"""Keep what a verb made: its record in the case, and one line in the ledger. No other room writes the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import shadowlab
from shadowlab.audit import intent, ledger
from shadowlab.case import Case, spelled
from shadowlab.evidence import Evidence
from shadowlab.records import Record

R = TypeVar("R", bound=Record)


def keep(case: Case, verb: str, record: R, evidence: Evidence, /, **arguments: object) -> R:
    """Keep `record`, write its line with `arguments` and the files of `evidence`; gives `record` back.

    Raises `CaseError` when another process holds the case, `AuditError` when the ledger that is there does not hold.
    """
    with case.writing(verb):
        settle(case)
        files = evidence.written()
        sha256 = hashlib.sha256(spelled(record)).hexdigest()
        reference = {"type": record.type, "digest": record.digest, "parents": list(record.parents), "sha256": sha256}
        line = _line(verb, arguments, files, reference)
        intent.announce(case, line)
        case.keep(record)
        _append(case, line)
        intent.done(case)
    return record


def settle(case: Case) -> None:
    """Write the line of a writer that was killed between its record and its ledger line; call it in its place."""
    line = intent.announced(case)
    if line is not None:
        _append(case, line)
    intent.done(case)


def note(case: Case, verb: str, files: Mapping[str, str | None], /, **arguments: object) -> None:
    """Write the line of something that changed files (path to SHA-256, None for gone) and made no record.

    Raises as `keep` does. Without files nothing is written.
    """
    if files:
        with case.writing(verb):
            settle(case)
            _append(case, _line(verb, arguments, files, None))


def _line(
    verb: str,
    arguments: Mapping[str, object],
    files: Mapping[str, str | None],
    record: Mapping[str, object] | None,
) -> dict[str, Any]:
    return {"verb": verb, "at": datetime.now(UTC).isoformat(), "arguments": dict(arguments), "files": dict(files),
            "record": record, "version": shadowlab.__version__}  # fmt: skip


def _append(case: Case, line: Mapping[str, Any]) -> None:
    at = datetime.fromisoformat(line["at"])
    fields = {name: line[name] for name in ("verb", "arguments", "files", "record", "version")}
    ledger.append(case, at=at, **fields)
