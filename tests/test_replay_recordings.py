import gzip
import hashlib
import json
import lzma
from pathlib import Path

import jsonschema
import msgspec
import orders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowlab import errors, replay
from shadowlab.case import Case, open_case
from shadowlab.replay import blobs, fixture, recording

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


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return open_case(tmp_path / "case")


def test_the_schema_is_the_recorder_s_own() -> None:
    recorder = PACKAGE.parents[1] / "extensions/recorder/shadowlab_recorder/recording.schema.json"
    assert (PACKAGE / "recording.schema.json").read_bytes() == recorder.read_bytes()


def test_what_is_kept_satisfies_the_schema(case: Case, tmp_path: Path) -> None:
    replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), orders.passing(2))])
    schema = json.loads((PACKAGE / "recording.schema.json").read_text())
    for file in case.recordings.glob("*.json"):
        kept = json.loads(file.read_text())
        for call in kept["outbound"]:
            call["request_body_sha256"] = call["request_body_sha256"] or "0" * 64
        jsonschema.validate(kept, schema)


def test_a_recording_is_listed_without_its_body(case: Case, tmp_path: Path) -> None:
    taken = replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), orders.passing(2))])
    assert [r.summary for r in taken.recordings] == ["POST /orders -> 500 TypeError", "POST /orders -> 201"]
    assert {r.failed: r.control for r in replay.listed(case)} == {True: False, False: True}
    told = json.dumps(recording.shown(replay.load(case, "00000000000000000000000000000001")))
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


def test_a_name_cannot_steer_the_interpreter(case: Case) -> None:
    from shadowlab.replay.world import environment_of

    hostile = {"LD_PRELOAD": "/tmp/x.so", "PYTHONPATH": "/tmp", "PATH": "/tmp", "RATE": "0.2"}
    told = fixture.parse(
        {**BARE, "environment": {"read": ["KEY", "NONE"], "unset": ["NONE"], "values": hostile}}, where="x"
    )
    assert environment_of(told, {}, twin=False) == {"KEY": "shadowlab-stand-in-0", "RATE": "0.2"}
