"""The line that a verb is about to write, signed and kept beside: a writer killed before its ledger line loses nothing.

The record is kept first, the ledger line follows. Between them lies this file: the next writer finds the record without
its line, and writes the line that was meant. It is signed, and names the entry that it follows, so that nobody who can
merely write the folder has a record of his own taken into the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shadowlab import errors
from shadowlab.audit import keys, ledger, statements
from shadowlab.case import Case, read_json
from shadowlab.records import canonical
from shadowlab.writing import write

TYPE = "application/vnd.shadowlab.ledger-intent+json"


def announce(case: Case, line: Mapping[str, Any]) -> None:
    """Keep the line that will be written when the record is kept: `verb`, `at`, `arguments`, `files`, `record`."""
    payload = canonical({**line, "previous": _last(case)})
    write(case.path / _NAME, json.dumps(statements.seal(payload, TYPE)).encode() + b"\n")


def announced(case: Case) -> dict[str, Any] | None:
    """The line that was not written; None when there is none, or it is not by this person or follows another entry."""
    place = case.path / _NAME
    if not place.exists():
        return None
    try:
        payload, public = statements.unseal(read_json(place), TYPE)
        intent = json.loads(payload)
        ours = public == keys.public_text(keys.private())
        record = case.records / f"{intent['record']['digest']}.json"
        due = intent["previous"] == _last(case) and record.is_file()
    except (errors.ShadowlabError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return intent if ours and due else None


def done(case: Case) -> None:
    """The line is written: nothing is announced any more."""
    (case.path / _NAME).unlink(missing_ok=True)


_NAME = ".ledger.next.json"


def _last(case: Case) -> str:
    entries = ledger.entries(case)
    return str(entries[-1]["digest"]) if entries else ledger.GENESIS
