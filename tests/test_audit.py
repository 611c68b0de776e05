"""Any edit of the ledger breaks it, and verification says where."""

import gzip
import json
import os
import shutil
import tarfile
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadowlab import errors
from shadowlab.audit import archive, keys, ledger, statements, verify
from shadowlab.case import Case, open_case
from shadowlab.evidence import file_digest
from shadowlab.records import Plan, Verdict, digest_of

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A case with four entries in its ledger, each with a record, the last with a file."""
    made = open_case(tmp_path / "case")
    parent: tuple[str, ...] = ()
    for number in range(4):
        plan = Plan(files=(), steps=(f"step {number}",), approvals=(), rollback="", parents=parent)
        made.keep(plan)
        add(made, plan)
        parent = (plan.digest,)
    (made.patches / "a.patch").write_text("+1\n")
    digest = file_digest(made.patches / "a.patch")
    ledger.append(made, verb="rollout", at=NOON, arguments={}, files={"patches/a.patch": digest}, version="1")
    return made


def add(case: Case, plan: Plan) -> None:
    record = {"type": plan.type, "digest": plan.digest, "parents": list(plan.parents)}
    ledger.append(case, verb="rollout", at=NOON, arguments={"n": 1}, record=record, version="1")


def lines(case: Case) -> list[str]:
    return (case.path / "ledger.jsonl").read_text().splitlines()


def rewrite(case: Case, changed: list[str]) -> None:
    (case.path / "ledger.jsonl").write_text("".join(f"{line}\n" for line in changed))


def failed(case: Case) -> dict[str, str]:
    return {c.name: c.detail for c in verify.verify(case).checks if c.verdict is not Verdict.PASS}


def test_an_untouched_case_passes(case: Case) -> None:
    assert verify.verify(case).verdict is Verdict.PASS


def test_an_empty_case_does_not_pass(tmp_path: Path) -> None:
    assert verify.verify(open_case(tmp_path / "empty")).verdict is Verdict.FAIL


def test_an_edited_entry_is_named(case: Case) -> None:
    rewrite(case, [line.replace('"n": 1', '"n": 2') if n == 1 else line for n, line in enumerate(lines(case))])
    assert "entry 2 (rollout) was changed" in failed(case)["ledger chain"]


@pytest.mark.parametrize("order", [(0, 2, 3, 4), (0, 2, 1, 3, 4), (0, 1, 1, 2, 3, 4), (1, 2, 3, 4)])
def test_removed_moved_and_repeated_entries_break_the_chain(case: Case, order: tuple[int, ...]) -> None:
    before = lines(case)
    rewrite(case, [before[n] for n in order])
    assert "removed, inserted or moved" in failed(case)["ledger chain"]


@pytest.mark.parametrize(("left", "said"), [(3, "entries 4 to 5 were cut off"), (4, "entry 5 was cut off")])
def test_a_truncated_ledger_contradicts_its_head(case: Case, left: int, said: str) -> None:
    rewrite(case, lines(case)[:left])
    assert said in failed(case)["ledger head"]


def test_of_many_that_need_a_key_at_once_one_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SHADOWLAB_KEYS", str(tmp_path / "keys"))
    began = threading.Barrier(8, timeout=60)

    def sign(_: int) -> str:
        began.wait()
        return keys.public_text(keys.private())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(sign, range(8)))) == 1


def test_a_rechained_forgery_needs_the_key(case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    owner = keys.key_id(ledger.head(case).key)
    monkeypatch.setenv("SHADOWLAB_KEYS", str(tmp_path / "other"))
    (case.path / "ledger.jsonl").unlink()
    add(case, Plan(files=(), steps=("forged",), approvals=(), rollback=""))
    checks = {c.name: c for c in verify.verify(case, signers=[owner]).checks}
    assert "which you did not name" in checks["signers"].detail


def test_a_changed_record_a_strange_record_and_a_missing_one_are_told_apart(case: Case) -> None:
    place = next(p for p in case.records.glob("*.json") if p.stem != "latest")
    kept = place.read_text()
    place.write_text(kept.replace('"step ', '"leap '))
    assert "content has" in failed(case)["records"]
    place.unlink()
    assert "is missing" in failed(case)["records"]
    place.write_text(kept)
    case.keep(Plan(files=(), steps=("unheard",), approvals=(), rollback=""))
    assert "the ledger does not know it" in failed(case)["records"]


def test_a_changed_file_is_named(case: Case) -> None:
    (case.patches / "a.patch").write_text("+2\n")
    assert "patches/a.patch, written by entry 5, was changed" in failed(case)["files"]


def test_a_broken_ledger_is_not_built_upon(case: Case) -> None:
    rewrite(case, lines(case)[1:])
    with pytest.raises(errors.AuditError, match="the ledger does not hold: entry 2"):
        add(case, Plan(files=(), steps=(), approvals=(), rollback=""))


def test_a_writer_killed_between_its_two_files_leaves_a_case_that_verifies(case: Case) -> None:
    head = (case.path / "ledger.head.json").read_bytes()
    plan = Plan(files=(), steps=("late",), approvals=(), rollback="")
    case.keep(plan)
    add(case, plan)
    (case.path / "ledger.head.json").write_bytes(head)
    assert verify.verify(case).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("key", "other"), [('"record"', '"recorb"'), ('"type"', '"tYpe"'), ('"digest": "', '"dIgest": "')]
)
def test_an_entry_whose_parts_lost_their_names_is_a_finding_and_no_fault(case: Case, key: str, other: str) -> None:
    first, *rest = lines(case)
    rewrite(case, [first.replace(key, other, 1), *rest])
    assert failed(case)["ledger chain"] == "line 1 is no entry"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('{"', '{"verb": "approved", "'),
        ("}\n", " }\n"),
        ("}\n", "}\r\n"),
        ("rollout", "r\\u006fllout"),
    ],
    ids=["a key twice", "a blank", "CRLF", "an escape"],
)
def test_what_two_readers_may_understand_differently_is_a_finding(case: Case, was: str, now: str) -> None:
    place = case.path / "ledger.jsonl"
    place.write_bytes(place.read_bytes().replace(was.encode(), now.encode(), 1))
    assert "entry 1 (rollout) is not spelled as it was written" in failed(case)["ledger chain"]


def test_a_head_that_says_two_things_is_a_finding(case: Case) -> None:
    place = case.path / "ledger.head.json"
    place.write_bytes(place.read_bytes().replace(b"{", b'{"payload": "",', 1))
    assert failed(case)["ledger head"].startswith("the ledger's head is not spelled as it was written")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_any_changed_byte_of_the_ledger_is_found(case: Case, place: float, byte: int) -> None:
    ledger_file = case.path / "ledger.jsonl"
    before = ledger_file.read_bytes()
    at = int(place * len(before))
    after = before[:at] + bytes([byte]) + before[at + 1 :]
    try:
        ledger_file.write_bytes(after)
        assert (verify.verify(case).verdict is Verdict.PASS) == (after == before)
    finally:
        ledger_file.write_bytes(before)


def says(case: Case, **odd: Any) -> None:
    """Let an entry of the ledger say something else, whoever signed it."""
    place = case.path / "ledger.jsonl"
    *before, last = place.read_text().splitlines()
    place.write_text("\n".join([*before, json.dumps({**json.loads(last), **odd})]) + "\n")


def holds(case: Case, **odd: Any) -> None:
    """Keep what is no record under the digest that it has, and let the ledger name it."""
    document = {"type": "Plan", "schema": 3, "parents": [], **odd}
    content = json.dumps({**document, "digest": digest_of(document)}).encode()
    (case.records / f"{digest_of(document)}.json").write_bytes(content)
    named = {"type": "Plan", "digest": digest_of(document), "parents": [], "sha256": sha256(content).hexdigest()}
    ledger.append(case, verb="rollout", at=NOON, arguments={}, record=named, version="1")


ODD: dict[str, tuple[str, Callable[[Case], object]]] = {
    "a path with a NUL": ("files", lambda case: says(case, files={"a\0b": "00"})),
    "a path of half a character": ("files", lambda case: says(case, files={"\ud800": "00"})),
    "a path that is too long": ("files", lambda case: says(case, files={"a" * 300: "00"})),
    "a key of half a character": ("signers", lambda case: says(case, key="\ud800")),
    "parents that are no list": ("records", lambda case: holds(case, parents=5)),
    "a subject that is too long": (
        "statement odd.statement.json",
        lambda case: statements.sign(
            case, subjects=[("a" * 300, "00")], predicate_type="urn:test", predicate={}, name="odd"
        ),
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_what_shadowlab_never_writes_is_a_finding(case: Case, what: str) -> None:
    check, put = ODD[what]
    put(case)
    assert failed(case)[check].startswith("something stands there that shadowlab never writes: ")


def test_a_statement_is_broken_by_a_change_of_its_subject(case: Case) -> None:
    page = case.reports / "incident.html"
    page.write_text("all is well")
    subjects = [("incident.html", file_digest(page))]
    statements.sign(case, subjects=subjects, predicate_type="urn:test", predicate={}, name="incident")
    assert verify.verify_notebook(page).verdict is Verdict.PASS
    page.write_text("all is very well")
    assert "was changed after it was signed" in verify.verify_notebook(page).checks[0].detail


def test_a_statement_with_another_payload_is_refused(case: Case) -> None:
    place = statements.sign(case, subjects=[], predicate_type="urn:test", predicate={"n": 1}, name="s")
    sealed = json.loads(place.read_text())
    sealed["payload"] = sealed["payload"][:-8] + "AAAAAAA="
    place.write_text(json.dumps(sealed))
    with pytest.raises(errors.AuditError, match="signature does not hold"):
        statements.read(place)


def test_packing_twice_gives_the_same_bytes_and_no_key(case: Case, tmp_path: Path) -> None:
    case.key("redaction")
    first, second = archive.pack(case, tmp_path / "1.tgz"), archive.pack(case, tmp_path / "2.tgz")
    assert first.read_bytes() == second.read_bytes()
    again = archive.unpack(first, tmp_path / "again")
    assert verify.verify(again).verdict is Verdict.PASS
    assert not list(again.keys.iterdir())
    assert archive.pack(again, tmp_path / "3.tgz").read_bytes() == first.read_bytes()


def test_packing_again_replaces_the_case_as_it_was(case: Case, tmp_path: Path) -> None:
    before = archive.pack(case, tmp_path / "case.tgz").read_bytes()
    ledger.append(case, verb="rollout", at=NOON, arguments={}, version="1")
    assert archive.pack(case, tmp_path / "case.tgz").read_bytes() != before
    assert verify.verify(archive.unpack(tmp_path / "case.tgz", tmp_path / "again")).verdict is Verdict.PASS


def test_packing_that_is_interrupted_leaves_nothing(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive, "_add", interrupted)
    out = tmp_path / "packed" / "case.tgz"
    out.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        archive.pack(case, out)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("what", ["other case", "newer", "text", "folder", "link to nothing"])
def test_packing_replaces_nothing_else(case: Case, tmp_path: Path, what: str) -> None:
    place = tmp_path / "case.tgz"
    match what:
        case "text":
            place.write_text("precious")
        case "folder":
            place.mkdir()
        case "link to nothing":
            place.symlink_to(tmp_path / "gone")
        case _:
            if what == "newer":
                shutil.copytree(case.path, tmp_path / "other")
            other = open_case(tmp_path / "other")
            ledger.append(other, verb="rollout", at=NOON, arguments={}, version="1")
            archive.pack(other, place)
    before = place.read_bytes() if place.is_file() else None
    with pytest.raises(errors.CaseError, match=r"case.tgz is there already and is no older pack of .*/case"):
        archive.pack(case, place)
    assert (place.read_bytes() if place.is_file() else None) == before


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "records/../../evil", "unheard/of",
                                  "telemetry/.facts/forged", "telemetry/.handed-1/x", "keys/redaction"])  # fmt: skip
def test_an_archive_cannot_write_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    import tarfile

    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(errors.CaseError, match="no place in a case"):
        archive.unpack(tmp_path / "evil.tgz", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.tgz"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("case.json", "case.json"), "holds 'case.json' twice"),
        (("reports", "reports/a.html"), "holds 'reports/a.html' twice, or as a file and as a folder"),
        (("ledger.jsonl",), "it holds no case.json"),
    ],
)
def test_an_archive_that_contradicts_itself_is_refused_in_its_own_words(
    tmp_path: Path, names: tuple[str, ...], says: str
) -> None:
    hostile = tmp_path / "case.tar.gz"
    with tarfile.open(hostile, "w:gz") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(errors.CaseError, match=says):
        archive.unpack(hostile, tmp_path / "out")
    assert [place.name for place in tmp_path.iterdir()] == ["case.tar.gz"]


def test_a_truncated_archive_leaves_nothing(case: Case, tmp_path: Path) -> None:
    packed = archive.pack(case, tmp_path / "case.tgz")
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(errors.CaseError, match="no packed case"):
        archive.unpack(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_that_grows_too_large_is_refused(case: Case, tmp_path: Path) -> None:
    packed = archive.pack(case, tmp_path / "case.tgz")
    with pytest.raises(errors.CaseError, match="more than 100 bytes"):
        archive.unpack(packed, tmp_path / "out", limit=100)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_in_an_archive_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    """tarfile reads such an entry whole before it hands anything out: three GiB of one letter pack into 3 MB."""
    entry = tarfile.TarInfo("case.json")
    entry.type, entry.size = kind, 2**21
    hostile = tmp_path / "case.tgz"
    hostile.write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + b"a" * 2**21))
    with pytest.raises(errors.CaseError, match="tells more than 65,536 bytes of one entry"):
        archive.unpack(hostile, tmp_path / "out")
    assert os.listdir(tmp_path) == ["case.tgz"]


def header(kind: bytes, size: int = 0, name: str = "records/a") -> bytes:
    """A header of an archive's entry, as tar writes it."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def sparse(*, map_goes_on: bool) -> bytes:
    """A header of a file with holes, as GNU tar writes it, whose map goes on behind it."""
    told = bytearray(header(tarfile.GNUTYPE_SPARSE))
    told[482] = map_goes_on
    told[148:156] = b" " * 8
    told[148:156] = b"%06o\0 " % sum(told)
    return bytes(told)


MAP = b"00000000001\0" * 42 + b"\1" + b"\0" * 7
DAMAGED = "is no packed case, or a damaged one"
TOLD_OF_ONE = "tells more than 65,536 bytes of one entry"
HOSTILE = {
    "headers of headers": (header(tarfile.XHDTYPE) * 3_000, TOLD_OF_ONE),
    "names of names": (header(tarfile.GNUTYPE_LONGNAME) * 3_000, TOLD_OF_ONE),
    "a map of holes without end": (sparse(map_goes_on=True) + MAP * 3_000, TOLD_OF_ONE),
    "half a map of holes": (sparse(map_goes_on=True) + MAP, DAMAGED),
    "a name with a NUL": (header(tarfile.XHDTYPE, 21) + b"21 path=records/a\0b\n".ljust(512, b"\0")
                          + header(tarfile.REGTYPE) + b"\0" * 1024, DAMAGED),
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
def test_an_archive_that_would_exhaust_its_reader_is_refused(case: Case, tmp_path: Path, how: str) -> None:
    content, says = HOSTILE[how]
    (hostile := tmp_path / "case.tgz").write_bytes(gzip.compress(content))
    with pytest.raises(errors.CaseError, match=says):
        archive.unpack(hostile, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(errors.CaseError, match="is no older pack"):
        archive.pack(case, hostile)


def test_what_an_archive_says_of_all_its_entries_does_not_pile_up(tmp_path: Path) -> None:
    content = b""
    for n in range(200):
        record = (b"60000 %07d=" % n).ljust(59_999, b"v") + b"\n"
        content += header(tarfile.XGLTYPE, 60_000) + record.ljust(60_416, b"\0")
        content += header(tarfile.REGTYPE, name=f"records/{n}")
    (tmp_path / "case.tgz").write_bytes(gzip.compress(content + b"\0" * 1024))
    tracemalloc.start()
    with pytest.raises(errors.CaseError, match=r"it holds no case.json"):
        archive.unpack(tmp_path / "case.tgz", tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_a_size_below_nothing_does_not_make_room_in_an_archive(tmp_path: Path) -> None:
    less, case = tarfile.TarInfo("records/a"), tarfile.TarInfo("case.json")
    less.size = -(2**40)
    hostile = tmp_path / "case.tgz"
    hostile.write_bytes(gzip.compress(b"".join(e.tobuf(tarfile.GNU_FORMAT) for e in (case, less)) + b"\0" * 1024))
    with pytest.raises(errors.CaseError, match="holds 'records/a', which has no place in a case"):
        archive.unpack(hostile, tmp_path / "out")


def test_a_copied_case_still_verifies(case: Case, tmp_path: Path) -> None:
    shutil.copytree(case.path, tmp_path / "copy")
    assert verify.verify(open_case(tmp_path / "copy")).verdict is Verdict.PASS
