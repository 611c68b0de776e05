"""What was done to a case, hash-chained and signed, one line an entry.

Each entry names the SHA-256 of the one before it (over canonical JSON, RFC 8785) and is signed; the head, number of
entries and last digest, is signed too. So an edit, a removal, an insertion and a swap break the chain at the entry, and
a truncation contradicts the head. The file is rewritten whole: a killed writer leaves either the old ledger or the new.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.audit import keys, statements
from shadowlab.case import Case, read_json
from shadowlab.records import canonical
from shadowlab.writing import write

HEAD_TYPE = "application/vnd.shadowlab.ledger-head+json"
GENESIS = "0" * 64
_SPELLED = "is not spelled as it was written: a key stands twice, or blanks were put in"
"""What two readers of JSON may understand differently is not as it was written, though one of them sees no change."""


def append(
    case: Case,
    *,
    verb: str,
    at: datetime,
    arguments: Mapping[str, object],
    record: Mapping[str, Any] | None = None,
    files: Mapping[str, str | None] | None = None,
    version: str,
) -> dict[str, Any]:
    """Add one entry and sign the new head.

    `record` is the kept record's `{type, digest, parents, sha256}`, the last that of its file; `files` maps paths in
    the case to the SHA-256 of what was written there, None for what is gone. Raises `AuditError` when the ledger that
    is there does not hold: nothing is built on a broken one.
    """
    with case.writing("ledger"):
        entries = [_sound(entry, problem) for entry, problem in examine(case)]
        key = keys.private()
        entry: dict[str, Any] = {
            "seq": len(entries) + 1,
            "at": at.isoformat().replace("+00:00", "Z"),
            "verb": verb,
            "arguments": dict(arguments),
            "record": dict(record) if record else None,
            "files": dict(files or {}),
            "version": version,
            "previous": entries[-1]["digest"] if entries else GENESIS,
            "key": keys.public_text(key),
        }
        entry["digest"] = hashlib.sha256(canonical(entry)).hexdigest()
        entry["signature"] = base64.b64encode(key.sign(entry["digest"].encode())).decode()
        entries.append(entry)
        write(_place(case), b"".join(_line(one) + b"\n" for one in entries))
        head = canonical({"entries": len(entries), "head": entry["digest"]})
        write(_head(case), _spelled(statements.seal(head, HEAD_TYPE)))
        return entry


def entries(case: Case) -> list[dict[str, Any]]:
    """Every entry that can be read, oldest first, checked or not."""
    return [entry for entry, _ in examine(case) if entry is not None]


def examine(case: Case) -> Iterator[tuple[dict[str, Any] | None, str | None]]:
    """Each entry with what is wrong with it, if anything; `(None, problem)` for a line that is no entry."""
    previous, seq = GENESIS, 0
    for number, line in enumerate(_lines(case), 1):
        entry, seq = _entry(line), seq + 1
        if entry is None:
            yield None, f"line {number} is no entry"
            continue
        yield entry, _problem(entry, seq, previous) or (None if _line(entry) == line else _SPELLED)
        previous = entry["digest"]


@dataclass(frozen=True, slots=True)
class Head:
    """What the signed head says."""

    entries: int
    digest: str
    key: str


def head(case: Case) -> Head:
    """The signed head; raises `AuditError` when it is missing or does not hold."""
    if not _head(case).exists():
        raise errors.AuditError("the ledger has no signed head")
    envelope = read_json(_head(case))
    payload, public = statements.unseal(envelope, HEAD_TYPE)
    if _head(case).read_bytes() != _spelled(envelope):
        raise errors.AuditError(f"the ledger's head {_SPELLED}")
    try:
        document = json.loads(payload)
        return Head(int(document["entries"]), str(document["head"]), public)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise errors.AuditError("the ledger's head cannot be read") from exc


def _problem(entry: dict[str, Any], seq: int, previous: str) -> str | None:
    signed = {key: value for key, value in entry.items() if key not in ("digest", "signature")}
    # (1) the content is what its digest says; (2) it stands where it was written; (3) it was signed by its key.
    if _digest(signed) != entry["digest"]:
        return "was changed: its content does not fit its digest"
    if entry["previous"] != previous:
        return "does not follow the entry before it: something was removed, inserted or moved here"
    if entry["seq"] != seq:
        return f"says it is number {entry['seq']}: something was removed, inserted or moved here"
    if not keys.signed_by(entry["key"], entry["signature"], entry["digest"].encode()):
        return "is not signed by the key that it names"
    return None


def _digest(document: dict[str, Any]) -> str | None:
    try:
        return hashlib.sha256(canonical(document)).hexdigest()
    except (ValueError, TypeError, RecursionError):  # not what this file ever wrote: NaN, huge numbers
        return None


def _sound(entry: dict[str, Any] | None, problem: str | None) -> dict[str, Any]:
    if entry is not None and problem is None:
        return entry
    where = f"entry {entry['seq']} {problem}" if entry else problem
    raise errors.AuditError(
        f"the ledger does not hold: {where}",
        hint="`shadowlab verify CASE` shows all of it; keep the case as evidence and go on in a new one",
    )


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
        texts = ("at", "verb", "previous", "key", "digest", "signature")
        whole = isinstance(entry["seq"], int) and all(isinstance(entry[name], str) for name in texts)
        return entry if whole and isinstance(entry["files"], dict) and _names_record(entry["record"]) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False).encode(errors="surrogatepass")


def _spelled(envelope: Mapping[str, Any]) -> bytes:
    return json.dumps(envelope, indent=1).encode() + b"\n"


def _names_record(record: object) -> bool:
    """Whether it is None or names a record: verification looks records up by what stands here."""
    return record is None or (isinstance(record, dict) and all(isinstance(record[n], str) for n in ("type", "digest")))


def _lines(case: Case) -> list[bytes]:
    place = _place(case)
    return place.read_bytes().removesuffix(b"\n").split(b"\n") if place.exists() and place.stat().st_size else []


def _place(case: Case) -> Path:
    return case.path / "ledger.jsonl"


def _head(case: Case) -> Path:
    return case.path / "ledger.head.json"
