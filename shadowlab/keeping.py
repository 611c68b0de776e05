"""Keep what a verb made: its record in the case, and one line in the ledger. No other room writes the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import shadowlab
from shadowlab.audit import ledger
from shadowlab.case import Case
from shadowlab.evidence import Evidence
from shadowlab.records import Record

R = TypeVar("R", bound=Record)


def keep(case: Case, verb: str, record: R, evidence: Evidence, /, **arguments: object) -> R:
    """Keep `record`, write its line with `arguments` and the files of `evidence`; gives `record` back.

    Raises `CaseError` when another process holds the case, `AuditError` when the ledger that is there does not hold.
    """
    with case.writing(verb):
        files = evidence.written()
        case.keep(record)
        told = {"type": record.type, "digest": record.digest, "parents": list(record.parents)}
        _append(case, verb, arguments, files, record=told)
    return record


def note(case: Case, verb: str, files: Mapping[str, str | None], /, **arguments: object) -> None:
    """Write the line of something that changed files (path to SHA-256, None for gone) and made no record.

    Raises as `keep` does. Without files nothing is written.
    """
    if files:
        _append(case, verb, arguments, files)


def _append(
    case: Case,
    verb: str,
    arguments: Mapping[str, object],
    files: Mapping[str, str | None],
    record: Mapping[str, object] | None = None,
) -> None:
    at, version = datetime.now(UTC), shadowlab.__version__
    ledger.append(case, verb=verb, at=at, arguments=arguments, record=record, files=files, version=version)
