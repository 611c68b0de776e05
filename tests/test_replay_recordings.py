"""Recordings as files: what is read, what is refused in words, and what is kept of them."""

import gzip
import hashlib
import json
import lzma
import re
import tempfile
import threading
import zipfile
from pathlib import Path

import jsonschema
import msgspec
import orders
import pytest
import rfc8785
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shadowlab import cli, errors, replay, texts
from shadowlab.case import Case, open_case
from shadowlab.investigation import open_investigation
from shadowlab.replay import blobs, fixture, look, recording, spelling, tapes
from shadowlab.replay.inside.clock import Clock
from shadowlab.replay.inside.tape import Tape

PACKAGE = Path(replay.__file__).parent
BARE = {
    "request": {
        "method": "POST",
        "path": "/orders",
        "query": {"a": "b"},
        "headers": {"accept": "*/*"},
        "body": {"n": 1},
    },
    "time": "2026-05-04T10:00:00Z",
    "rand_seed": 3,
}


def test_the_schema_is_the_recorder_s_own() -> None:
    recorder = PACKAGE.parents[1] / "extensions/recorder/shadowlab_recorder/recording.schema.json"
    assert (PACKAGE / "recording.schema.json").read_bytes() == recorder.read_bytes()


def test_what_is_kept_satisfies_the_schema(case: Case, tmp_path: Path) -> None:
    taken = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), orders.passing(2))])
    schema = json.loads((PACKAGE / "recording.schema.json").read_text())
    for one in taken.recordings:
        kept = json.loads((case.recordings / f"{one.id}.json").read_text())
        for call in kept["outbound"]:
            call["request_body_sha256"] = call["request_body_sha256"] or "0" * 64
        jsonschema.validate(kept, schema)


def test_a_recording_is_listed_without_its_body(case: Case, tmp_path: Path) -> None:
    taken = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), orders.passing(2))])
    assert [r.summary for r in taken.recordings] == ["POST /orders -> 500 TypeError", "POST /orders -> 201"]
    assert {r.failed: r.control for r in replay.listed(case)} == {True: False, False: True}
    told = json.dumps(look.shown(replay.load(case, "00000000000000000000000000000001")))
    assert "GET http://stock.internal/items/tea -> 200" in told
    assert "HALF" not in told


def test_taking_the_same_file_in_again_adds_nothing(case: Case, tmp_path: Path) -> None:
    file = orders.written(tmp_path / "tapes", orders.document(1))
    assert len(replay.take_in(case, [file]).recordings) == 1
    again = replay.take_in(case, [file])
    assert (again.recordings, again.files[0].rows, again.refused) == ((), 0, ())


def test_one_document_lines_gzip_and_a_folder_are_read_alike(case: Case, tmp_path: Path) -> None:
    lines = orders.written(tmp_path / "lines", orders.document(1), orders.document(2))
    (tmp_path / "lines" / "one.json").write_text(json.dumps(orders.document(3), indent=2))
    packed = tmp_path / "lines" / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(orders.document(4)).encode()))
    assert all(replay.is_recording(path) for path in (lines, packed, tmp_path / "lines"))
    assert len(replay.take_in(case, [tmp_path / "lines"]).recordings) == 4


def test_a_bare_event_fixture_is_made_whole(case: Case, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(BARE))
    assert replay.is_recording(tmp_path / "event.json")
    kept = replay.take_in(case, [tmp_path / "event.json"]).recordings[0]
    told = replay.load(case, kept.id)
    assert (told.request.query, told.request.content, told.rand_seed) == ("a=b", b'{"n":1}', 3)
    assert told.request.headers == (("accept", "*/*"),)


def test_a_newer_recording_is_refused_and_says_what_to_do(case: Case, tmp_path: Path) -> None:
    newer = {**orders.document(1), "schema": "shadowlab.recording/v2"}
    taken = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(2), newer)])
    assert taken.recordings == ()
    assert "this shadowlab reads 'shadowlab.recording/v1'" in taken.refused[0].reason
    with pytest.raises(errors.RecordingError, match="newer shadowlab"):
        fixture.parse(newer, where="x")


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01", b"[1, 2]", b'{"resourceSpans": []}', b'{"schema": "shadowlab.rec']
)
def test_a_foreign_file_is_no_recording(case: Case, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.json").write_bytes(content)
    assert not replay.is_recording(tmp_path / "foreign.json")
    taken = replay.take_in(case, [tmp_path / "foreign.json"])
    assert (len(taken.refused), taken.recordings) == (1, ())


def test_of_a_truncated_file_the_whole_lines_are_kept(case: Case, tmp_path: Path) -> None:
    many = "".join(json.dumps(orders.document(n, db_snapshot=None)) + "\n" for n in range(1, 400))
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(many.encode())[:-200])
    taken = replay.take_in(case, [file])
    assert 0 < len(taken.recordings) < 400
    assert "cannot be read" in taken.rejected[-1].reason


def test_a_wrong_part_is_rejected_with_its_line(case: Case, tmp_path: Path) -> None:
    wrong = orders.document(2, time="yesterday")
    taken = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), wrong)])
    assert len(taken.recordings) == 1
    assert taken.rejected[0].position == "line 2"
    assert "'yesterday' is no RFC 3339 time" in taken.rejected[0].reason


@pytest.mark.parametrize("name", ["../orders.sqlite", "/etc/passwd", "blobs/../../orders.sqlite", "out"])
def test_a_snapshot_cannot_lead_out_of_the_recording_s_folder(case: Case, tmp_path: Path, name: str) -> None:
    orders.database(tmp_path / "orders.sqlite")
    file = orders.written(tmp_path / "tapes", orders.document(1, db_snapshot=name))
    (tmp_path / "tapes" / "out").symlink_to(tmp_path / "orders.sqlite")
    taken = replay.take_in(case, [file])
    assert "leads out of the recording's folder" in taken.refused[0].reason
    assert not list(case.recordings.rglob("*.xz"))


def test_a_snapshot_must_hold_what_its_name_says(case: Case, tmp_path: Path) -> None:
    file = orders.written(tmp_path / "tapes", orders.document(1, db_snapshot=f"blobs/{'0' * 64}.sqlite.xz"))
    (tmp_path / "tapes/blobs").mkdir()
    blob = tmp_path / "tapes/blobs" / f"{'0' * 64}.sqlite.xz"
    blob.write_bytes(lzma.compress((tmp_path / "tapes/orders.sqlite").read_bytes()))
    assert "does not hold what its name says" in replay.take_in(case, [file]).refused[0].reason


def test_a_snapshot_that_unpacks_to_too_much_is_refused(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "LARGEST", 1 << 20)
    bomb = lzma.compress(b"SQLite format 3\0" + bytes(8 << 20))
    name = f"blobs/{hashlib.sha256(bomb).hexdigest()}.sqlite.xz"
    file = orders.written(tmp_path / "tapes", orders.document(1, db_snapshot=name))
    (tmp_path / "tapes/blobs").mkdir()
    (tmp_path / "tapes" / name).write_bytes(bomb)
    assert "larger than 1 MiB" in replay.take_in(case, [file]).refused[0].reason


def test_a_snapshot_comes_back_as_it_was(case: Case, tmp_path: Path) -> None:
    kept = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1))]).recordings[0]
    content = replay.snapshot(case, replay.load(case, kept.id))
    assert content == (tmp_path / "tapes/orders.sqlite").read_bytes()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_body_comes_back_byte_for_byte(content: bytes) -> None:
    try:
        body, encoding = content.decode(), "utf-8"
    except UnicodeDecodeError:
        import base64

        body, encoding = base64.b64encode(content).decode(), "base64"
    told = {"method": "POST", "path": "/", "body": body, "body_encoding": encoding}
    assert fixture.parse({"request": told, "time": BARE["time"]}, where="x").request.content == content


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_a_recording_or_an_error_of_ours(document: object) -> None:
    for hostile in (document, {"request": document}, {**BARE, "outbound": document}, {**BARE, "environment": document}):
        try:
            fixture.parse(hostile, where="x")
        except errors.RecordingError:
            continue


def test_a_recording_survives_being_written_and_read(case: Case, tmp_path: Path) -> None:
    kept = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1))]).recordings[0]
    once = replay.load(case, kept.id)
    assert fixture.parse(msgspec.to_builtins(once), where="x") == once


def test_what_is_kept_is_canonical_json(case: Case, tmp_path: Path) -> None:
    taken = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), orders.passing(2))])
    for kept in taken.recordings:
        content = (case.recordings / f"{kept.id}.json").read_bytes()
        assert content == rfc8785.dumps(json.loads(content))
        assert hashlib.sha256(content).hexdigest() == kept.sha256


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x) | st.lists(x)
    )
)
def test_a_json_body_survives_the_sorting_of_its_keys(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, separators=(",", ":"), ensure_ascii=False)):
        content = text.encode("utf-8", "surrogatepass")
        body, encoding = spelling.encoded(content)
        assert fixture.content_of(body, encoding) == content
        told = {
            "request": {"method": "POST", "path": "/", "body": body, "body_encoding": encoding},
            "time": BARE["time"],
        }
        kept = spelling.normal(fixture.parse({**told, "id": "0" * 32}, where="x"))
        again = fixture.parse(json.loads(spelling.spelling(kept)), where="x")
        assert again.request.content == content
        assert spelling.normal(again) == kept


def test_keys_keep_their_order_in_an_older_recording(case: Case, tmp_path: Path) -> None:
    request = {"method": "POST", "path": "/orders", "body": {"b": 1, "a": 2}, "body_encoding": "json"}
    file = orders.written(tmp_path / "tapes", orders.document(1, request=request))
    kept = replay.load(case, replay.take_in(case, [file]).recordings[0].id)
    assert kept.request.content == b'{"b":1,"a":2}'
    assert kept.request.body_encoding == "utf-8"
    assert replay.take_in(case, [file]).recordings == ()


def test_a_number_too_large_for_json_is_kept_as_digits(case: Case, tmp_path: Path) -> None:
    file = orders.written(tmp_path / "tapes", orders.document(1, monotonic_ns=2**60, rand_seed=2**53))
    kept = replay.load(case, replay.take_in(case, [file]).recordings[0].id)
    assert (kept.monotonic_ns, kept.rand_seed) == (2**60, 2**53)
    taken = replay.take_in(case, [orders.written(tmp_path / "more", orders.document(2, flags={"n": 2**60}))])
    assert "cannot be kept as canonical JSON" in taken.refused[0].reason


def zip_of(place: Path, *members: tuple[str, bytes], mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return place


def test_a_recording_in_a_zip_is_the_recording(case: Case, tmp_path: Path) -> None:
    kept = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1))]).recordings[0]
    for name in ("once.zip", "twice.zip"):
        replay.export(case, kept.id, zip=tmp_path / name)
    assert (tmp_path / "once.zip").read_bytes() == (tmp_path / "twice.zip").read_bytes()
    other = open_case(tmp_path / "other")
    assert replay.is_recording(tmp_path / "once.zip")
    again = replay.take_in(other, [tmp_path / "once.zip"]).recordings[0]
    assert again == kept
    assert replay.snapshot(other, replay.load(other, kept.id)) == replay.snapshot(case, replay.load(case, kept.id))


def test_a_folder_of_its_own_is_a_recording_too(case: Case, tmp_path: Path) -> None:
    kept = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1))]).recordings[0]
    replay.export(case, kept.id, zip=tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        archive.extractall(tmp_path / "one")
    assert replay.take_in(open_case(tmp_path / "other"), [tmp_path / "one"]).recordings == (kept,)


HOSTILE = {
    "has no place in a recording": [("../recording.json", b"{}"), ("recording.json", b"{}")],
    "a zip of 0 recordings": [("blobs/" + "0" * 64 + ".sqlite.xz", b""), ("blobs/" + "1" * 64 + ".x", b"")],
    "a zip of 2 recordings": [("recording.json", b"{}"), ("0" * 32 + ".json", b"{}")],
    "unpacks to more than 16 MiB": [("recording.json", b" " * (17 << 20))],
    "more than 1,000 members": [("recording.json", b"{}"), *((f"blobs/{n:064x}.x", b"") for n in range(1001))],
    "is not JSON": [("recording.json", b"{")],
}


@pytest.mark.parametrize("why", HOSTILE)
def test_a_hostile_zip_is_refused_and_leaves_nothing(case: Case, tmp_path: Path, why: str) -> None:
    taken = replay.take_in(case, [zip_of(tmp_path / "x.zip", *HOSTILE[why])])
    assert why in taken.refused[0].reason
    assert not list(case.recordings.rglob("*.*"))


def test_a_link_in_a_zip_is_refused(case: Case, tmp_path: Path) -> None:
    linked = zip_of(tmp_path / "x.zip", ("recording.json", b"/etc/passwd"), mode=0o120777)
    assert replay.is_recording(linked)
    assert "is no plain file" in replay.take_in(case, [linked]).refused[0].reason


@given(st.binary(max_size=300))
def test_no_zip_breaks_the_reader(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "x.zip")
        place.write_bytes(b"PK\x03\x04" + content)
        assert not replay.is_recording(place)


@pytest.mark.parametrize(
    "named", ["s3://backups/orders.sqlite?sig=secret", "orders.sqlite", "https://u:p@h/d/orders.sqlite"]
)
def test_a_snapshot_s_address_means_the_file_of_its_name_beside(case: Case, tmp_path: Path, named: str) -> None:
    (tmp_path / "event.json").write_text(json.dumps({**BARE, "db_snapshot": named}))
    absent = replay.take_in(case, [tmp_path / "event.json"]).recordings[0]
    assert "which was not beside the recording" in absent.missing[0]
    assert not {"secret", "u:p"} & set(re.split(r"[?@=/]", absent.missing[0]))
    orders.database(tmp_path / "orders.sqlite")
    there = replay.take_in(case, [tmp_path / "event.json"]).recordings[0]
    assert there.missing == ()
    assert replay.snapshot(case, replay.load(case, there.id)) == (tmp_path / "orders.sqlite").read_bytes()


def test_two_who_take_the_same_in_at_once_tear_nothing(tmp_path: Path) -> None:
    file = orders.written(tmp_path / "tapes", *(orders.document(n) for n in range(1, 40)))
    case = open_case(tmp_path / "case")
    takers = [threading.Thread(target=replay.take_in, args=(case, [file])) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(replay.listed(case)) == 39
    assert not [place for place in case.recordings.rglob(".*") if place.is_file()]


def test_answers_of_others_are_given_to_a_bare_event(case: Case, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(BARE))
    tape = tapes.read(Path(__file__).with_name("assets") / "tapes/fixtures")
    kept = replay.take_in(case, [tmp_path / "event.json"], tape=tape).recordings[0]
    assert [call.url for call in replay.load(case, kept.id).outbound] == ["/items/tea?size=2", "/charges"]


def test_an_ingest_says_what_is_linked_and_what_cannot_be_replayed(tmp_path: Path) -> None:
    cut = orders.document(2, truncated=["outbound[3].body", "request.body"], trace_id="b" * 32)
    file = orders.written(tmp_path / "tapes", orders.document(1, trace_id="a" * 32), cut, orders.document(3))
    span = {"traceId": "a" * 32, "spanId": "1" * 16, "name": "x", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    other = {**span, "traceId": "c" * 32, "attributes": [
        {"key": "shadowlab.recording.id", "value": {"stringValue": f"{3:032x}"}}]}  # fmt: skip
    (tmp_path / "t.jsonl").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span, other]}]}]}))
    inv = open_investigation(tmp_path / "case")
    done = inv.ingest(file, tmp_path / "t.jsonl")
    assert (done.recordings, done.linked) == (3, 2)
    assert [(u.recordings, u.reason) for u in done.unreplayable] == [
        (1, "outbound[…].body was cut when it was recorded"),
        (1, "request.body was cut when it was recorded"),
    ]
    told = texts.text(done)
    assert "3 recordings, 2 linked to traces of this case" in told
    assert "cannot be replayed: 1 recording: request.body was cut" in told


def test_what_runs_one_recording_says_all_that_it_lacks(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    cut = orders.document(2, truncated=["outbound[3].body", "request.body"])
    replay.take_in(case, [orders.written(tmp_path / "tapes", cut)])
    with pytest.raises(errors.RecordingError, match=r"alone: outbound\[3\].body was cut .*; request.body was cut"):
        recording.load_whole(case, cut["id"])


@pytest.mark.parametrize("values", [{"A": "x\0y"}, {"A": "x" * 200_000}, {"A\n": "x"}, {"A=B": "x"}])
def test_what_no_environment_can_hold_is_no_recording(values: dict[str, str]) -> None:
    document = {"schema": "shadowlab.recording/v1", "id": "0" * 32, "time": "2026-05-04T10:00:00Z", "request": {}}
    with pytest.raises(errors.RecordingError, match=r"environment\.values"):
        fixture.parse({**document, "environment": {"values": values}}, where="a test")


def test_a_name_cannot_steer_the_interpreter(case: Case) -> None:
    from shadowlab.replay.world import environment_of

    hostile = {"LD_PRELOAD": "/tmp/x.so", "PYTHONPATH": "/tmp", "PATH": "/tmp", "RATE": "0.2"}
    told = fixture.parse(
        {**BARE, "environment": {"read": ["KEY", "NONE"], "unset": ["NONE"], "values": hostile}}, where="x"
    )
    assert environment_of(told, {}, twin=False) == {"KEY": "shadowlab-stand-in-0", "RATE": "0.2"}


def test_the_command_writes_a_recording_for_others(case: Case, tmp_path: Path) -> None:
    kept = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1))]).recordings[0]
    to = [str(tmp_path / "one.zip"), "--vcr", str(tmp_path / "tape.yaml")]
    ran = CliRunner().invoke(cli.main, ["export", str(case.path), kept.id, "--zip", *to, "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["files"] == [str(tmp_path / "one.zip"), str(tmp_path / "tape.yaml")]
    assert tapes.recognised(tmp_path / "tape.yaml") == "vcr"
    (tmp_path / "tape.yaml").unlink()
    again = CliRunner().invoke(cli.main, ["export", str(case.path), kept.id, "--zip", *to])
    assert (again.exit_code, again.stdout) == (2, "")
    assert "one.zip is there already" in again.stderr
    assert not (tmp_path / "tape.yaml").exists()
    assert CliRunner().invoke(cli.main, ["export", str(case.path), kept.id]).exit_code == 2
    assert CliRunner().invoke(cli.main, ["export", str(case.path)]).exit_code == 2


def test_a_tape_alone_is_refused_and_says_where_it_belongs(tmp_path: Path) -> None:
    nock = Path(__file__).with_name("assets") / "tapes/nock.json"
    ran = CliRunner().invoke(cli.main, ["ingest", str(tmp_path / "case"), str(nock)])
    assert ran.exit_code == 2
    assert "recorded answers (nock), which belong to a request: give them with --tape" in ran.stderr


@pytest.mark.parametrize(("started_ms", "now_ms", "left_ms"), [(10, 2, 13), (10, 12, 5), (None, 2, 5)])
def test_an_answer_comes_at_its_recorded_moment_or_takes_its_recorded_time(
    started_ms: float | None, now_ms: int, left_ms: int
) -> None:
    clock = Clock()
    tape = Tape(clock)
    tape.insert([])
    clock.monotonic_ns += now_ms * 10**6
    assert tape.left_ns({"started_ms": started_ms, "elapsed_ms": 5.0}) == left_ms * 10**6
