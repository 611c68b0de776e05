"""Is what lies in the case what was written there?

The steps, in the order of the proof:

1. every ledger entry is what its digest says, follows the one before it and is signed;
2. the signed head names the last entry and their number;
3. the signers are those whom the reader expects, where the reader named any;
4. every record in the ledger lies in the case, is what its digest says, and its parents are in the ledger too;
   none lies there that the ledger does not know, and the latest of each type is the one that was written last;
5. every file that an entry wrote is there, unchanged, but for segments that a later manifest left out; no recording,
   report, patch, segment that no manifest names, and nothing that a case has not lies beside them;
6. every signed statement holds, and its subjects are unchanged.

What the caller owes: the signers' key ids, by another way than the case. `case.json` holds settings, no evidence:
commits are named by their ids, so another source cannot pass for the one that was run.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from shadowlab import errors
from shadowlab.audit import intent, keys, ledger, statements
from shadowlab.case import FOLDERS, Case, read_json, spelled
from shadowlab.evidence import file_digest
from shadowlab.records import Check, Verdict, Verification, from_json, overall
from shadowlab.records.base import SCHEMA
from shadowlab.records.kept import digest_in, schema_in

_MANIFEST = "telemetry/manifest.json"
_TOP = frozenset({*FOLDERS, "manifests", "case.json", "objectives.yaml", "ledger.jsonl", "ledger.head.json"})


def verify(case: Case, *, signers: Sequence[str] = ()) -> Verification:
    """Check a whole case folder; `signers` are key ids, and when given no other is accepted. Writes nothing."""
    checks = [
        _check("ledger chain", lambda: _chain(case)),
        _check("ledger head", lambda: _head(case)),
        _check("signers", lambda: _signers(case, signers)),
        _check("records", lambda: _records(case)),
        _check("files", lambda: _files(case)),
        *(_check(f"statement {place.name}", _statement_of(place)) for place in _statements(case)),
    ]
    return Verification(verdict=overall(checks), checks=tuple(checks))


def verify_notebook(notebook: Path, *, signers: Sequence[str] = ()) -> Verification:
    """Check an executed notebook (or its page) against the signed statement that lies beside it."""
    beside = notebook.parent / f"{notebook.stem}.statement.json"
    if not beside.exists():
        raise errors.AuditError(
            f"{notebook} has no statement beside it ({beside.name})",
            hint="keep the three files of a report together, or verify the whole case",
        )
    checks = (
        _check(f"statement {beside.name}", _statement_of(beside, must_name=notebook)),
        _check("signers", lambda: _accepted({statements.read(beside)[1]}, signers)),
    )
    return Verification(verdict=overall(checks), checks=checks)


def _check(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name=name, verdict=Verdict.PASS, detail=check())
    except errors.ShadowlabError as exc:
        detail = str(exc.args[0])
    except (ValueError, TypeError, OSError) as exc:  # a path with a NUL, half a character, a number for a list
        if isinstance(exc, OSError) and exc.errno != errno.ENAMETOOLONG:
            raise
        detail = f"something stands there that shadowlab never writes: {exc}"
    return Check(name=name, verdict=Verdict.FAIL, detail=detail)


def _chain(case: Case) -> str:  # (1)
    count = 0
    for entry, problem in ledger.examine(case):
        if problem is not None:
            where = f"entry {entry['seq']} ({entry['verb']}) " if entry else ""
            raise errors.AuditError(f"{where}{problem}")
        count += 1
    if not count:
        raise errors.AuditError("the ledger is missing or empty")
    return f"{count} entries, each signed and following the one before it"


def _head(case: Case) -> str:  # (2)
    head, entries = ledger.head(case), ledger.entries(case)
    # A writer killed between its two files leaves one signed entry that the head does not name yet.
    if len(entries) not in (head.entries, head.entries + 1):
        missing, last = head.entries - len(entries), head.entries
        cut = f"entry {last} was" if missing == 1 else f"entries {len(entries) + 1} to {last} were"
        raise errors.AuditError(
            f"the head was signed over {head.entries} entries, {len(entries)} are there: "
            + (f"{cut} cut off" if missing > 0 else "some were added")
        )
    if not head.entries or entries[head.entries - 1]["digest"] != head.digest:
        raise errors.AuditError(f"entry {head.entries} is not the one that the head was signed over")
    return f"signed over {head.entries} entries, last {head.digest[:12]}"


def _signers(case: Case, wanted: Sequence[str]) -> str:  # (3)
    found = {entry["key"] for entry in ledger.entries(case)} | {ledger.head(case).key}
    return _accepted(found | {statements.read(place)[1] for place in _statements(case)}, wanted)


def _accepted(found: set[str], wanted: Sequence[str]) -> str:
    ids = sorted(keys.key_id(public) for public in found)
    strange = [key for key in ids if wanted and key not in wanted]
    if strange:
        raise errors.AuditError(f"signed by {', '.join(strange)}, which you did not name")
    return f"signed by {', '.join(ids)}" + ("" if wanted else "; compare it with the id that the signer gave you")


def _records(case: Case) -> str:  # (4)
    known = {e["record"]["digest"]: e for e in ledger.entries(case) if isinstance(e.get("record"), dict)}
    there = {place.stem: place for place in case.records.glob("*.json") if place.stem != "latest"}
    newer = 0
    for digest, entry in known.items():
        where = f"record {digest[:12]} of entry {entry['seq']} ({entry['verb']})"
        if digest not in there:
            raise errors.AuditError(f"{where} is missing")
        document = read_json(there[digest])
        content = digest_in(document) if isinstance(document, dict) else None
        if content != digest or document.get("digest") != digest:
            raise errors.AuditError(f"{where} was changed: its content has digest {(content or 'none')[:12]}")
        # Entries of older ledgers do not name the file's own digest: then it is held to the one way to spell it.
        written = entry["record"].get("sha256")
        if not _is_spelled(there[digest], document, written):
            raise errors.AuditError(f"{where} was changed: it is not spelled as it was written")
        if not {str(parent) for parent in document.get("parents") or ()} <= known.keys():
            raise errors.AuditError(f"{where} was made from a record that the ledger does not know")
        newer += schema_in(document) > SCHEMA
    strange = sorted(there.keys() - known.keys())
    meant = intent.announced(case)
    if meant and strange == [meant["record"]["digest"]]:
        raise errors.AuditError(
            f"record {strange[0][:12]} was kept by a writer ({meant['verb']}) that was killed before its ledger line;"
            " the next verb that writes adds the line"
        )
    if strange:
        raise errors.AuditError(f"record {strange[0][:12]} is in the case, the ledger does not know it")
    _latest(case, {entry["record"]["type"]: digest for digest, entry in _in_order(known)})
    beyond = f"; {newer} of a newer shadowlab, beyond record schema {SCHEMA}" if newer else ""
    return f"{len(known)} records, as they were written, parents included{beyond}"


def _is_spelled(place: Path, document: dict[str, Any], sha256: object) -> bool:
    return file_digest(place) == sha256 if sha256 else place.read_bytes() == spelled(from_json(document))


def _in_order(known: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(known.items(), key=lambda item: item[1]["seq"])


def _latest(case: Case, written: dict[str, str]) -> None:
    """A kept record that is made the latest again by hand would be what every verb goes on from."""
    place = case.records / "latest.json"
    pointers = read_json(place) if place.exists() else {}
    if not isinstance(pointers, dict):
        raise errors.AuditError("records/latest.json was changed: it names no records")
    for kind in sorted(written.keys() | pointers.keys()):
        if pointers.get(kind) != written.get(kind):
            raise errors.AuditError(f"records/latest.json was changed: its {kind} is not the one that was written last")


def _files(case: Case) -> str:  # (5)
    written: dict[str, tuple[str | None, int]] = {}
    for entry in ledger.entries(case):
        files = entry["files"] | _listed(case, entry)
        written |= {path: (sha256, entry["seq"]) for path, sha256 in files.items()}
    swept = _swept(case, written)
    kept = {path: (sha256, seq) for path, (sha256, seq) in written.items() if sha256 is not None and path not in swept}
    for path, (sha256, seq) in kept.items():
        place = case.path / path
        if not place.resolve().is_relative_to(case.path.resolve()) or not place.is_file():
            raise errors.AuditError(f"{path}, written by entry {seq}, is missing")
        if file_digest(place) != sha256:
            raise errors.AuditError(f"{path}, written by entry {seq}, was changed")
    strange = sorted({*(set(_unasked(case)) - kept.keys()), *_misplaced(case)})
    if strange:
        raise errors.AuditError(f"{strange[0]} is in the case, the ledger does not know it")
    if unnamed := sorted(set(_unnamed(case)) - kept.keys()):
        raise errors.AuditError(
            f"{unnamed[0]} is named by no manifest, so nobody reads it: a killed writer left it, and the next ingest"
            " sweeps it away, or somebody put it there"
        )
    return f"{len(kept)} files, as they were written"


def _swept(case: Case, written: Mapping[str, tuple[str | None, int]]) -> set[str]:
    """Segments that are gone, and that the manifest of a later entry does not name: nobody reads them any more.

    A writer sweeps them away as it begins. Refused or killed before its own entry, it could not say so.
    """
    _, last = written.get(_MANIFEST, (None, 0))
    named = _named(case)
    return {
        path
        for path, (_, seq) in written.items()
        if seq < last
        and (place := PurePosixPath(path)).parent == PurePosixPath("telemetry")
        and place.suffix == ".duckdb"
        and place.name not in named
        and not (case.path / path).exists()
    }


def _named(case: Case) -> set[object]:
    """The files that the telemetry's manifest names."""
    place = case.path / _MANIFEST
    manifest = read_json(place) if place.exists() else {}
    listed = manifest.get("segments") if isinstance(manifest, dict) else None
    return {segment.get("file") for segment in listed or () if isinstance(segment, dict)}


def _unnamed(case: Case) -> Iterator[str]:
    """Files where segments lie that the telemetry's manifest does not name."""
    named = _named(case) | {PurePosixPath(_MANIFEST).name}
    for file in case.telemetry.iterdir() if case.telemetry.is_dir() else ():
        if file.is_file() and file.name not in named and not file.name.startswith("."):
            yield f"telemetry/{file.name}"


def _misplaced(case: Case) -> Iterator[str]:
    """Files and folders at the case's top that no part of a case has."""
    for place in case.path.iterdir():
        if place.name not in _TOP and not place.name.startswith("."):
            yield place.name


def _unasked(case: Case) -> Iterator[str]:
    """Files where people and verbs look by themselves; telemetry is only what its manifest names."""
    if case.objectives.is_file():
        yield case.objectives.name
    for folder in (case.recordings, case.reports, case.patches, case.path / "manifests", case.records):
        for place in folder.rglob("*"):
            inside = place.relative_to(case.path)
            hidden = any(part.startswith(".") for part in inside.parts)
            record = place.parent == case.records and place.suffix == ".json"  # (4) has looked at it
            if place.is_file() and not hidden and not record:
                yield inside.as_posix()


def _listed(case: Case, entry: dict[str, Any]) -> dict[str, str | None]:
    listed: dict[str, str | None] = {}
    for path in entry["files"]:
        place = case.path / path
        if path.startswith("manifests/") and place.is_file():
            document = read_json(place)
            if not isinstance(document, dict):
                raise errors.AuditError(f"{path}, written by entry {entry['seq']}, was changed")
            listed |= document
    return listed


def _statement_of(place: Path, must_name: Path | None = None) -> Callable[[], str]:  # (6)
    def check() -> str:
        statement, public = statements.read(place)
        if must_name is not None and must_name.name not in statement["subject"]:
            raise errors.AuditError(f"{place.name} does not speak of {must_name.name}")
        for name, sha256 in statement["subject"].items():
            subject = place.parent / Path(name).name
            if not subject.is_file():
                raise errors.AuditError(f"{name} is missing")
            if file_digest(subject) != sha256:
                raise errors.AuditError(f"{name} was changed after it was signed")
        return f"{len(statement['subject'])} files unchanged, signed by {keys.key_id(public)}"

    return check


def _statements(case: Case) -> Iterator[Path]:
    yield from sorted(case.reports.glob("*.statement.json"))
