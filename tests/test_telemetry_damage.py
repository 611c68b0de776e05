"""Awkward truths are kept, damage is named, and nothing takes more memory than it should."""

import gzip
import json
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import otlp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowlab import telemetry, texts
from shadowlab.case import Case, open_case


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return open_case(tmp_path / "case")


def _rows(case: Case, query: str) -> list[dict[str, object]]:
    with telemetry.store(case) as store:
        return store.sql(query).rows()


def test_awkward_truths_are_kept(case, tmp_path):
    early, lost, long = otlp.span(1, ms=-5), otlp.span(2, parent=99), otlp.span(3, parent=1, ms=90)
    zero = {**otlp.span(4), "startTimeUnixNano": "0", "endTimeUnixNano": 0, "droppedAttributesCount": 3}
    beyond = {**otlp.span(5), "startTimeUnixNano": str(2**64 - 1)}
    bare = {"traceId": otlp.TRACE, "spanId": f"{6:016x}"}
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([early, lost, long, zero, beyond, bare]))
    assert telemetry.ingest(case, [path]).rejected == ()
    rows = {str(row["span_id"])[-1]: row for row in _rows(case, "SELECT * FROM spans")}
    assert rows["1"]["duration_ns"] == -5_000_000
    assert rows["2"]["parent_span_id"] == f"{99:016x}"
    assert (rows["4"]["start_ns"], rows["4"]["dropped_attributes"]) == (0, 3)
    assert (rows["5"]["start_ns"], rows["5"]["attributes"]["otlp.startTimeUnixNano"]) == (None, str(2**64 - 1))
    assert rows["5"]["end_ns"] == otlp.START + 10_000_000
    assert (rows["6"]["name"], rows["6"]["kind"], rows["6"]["status"]) == ("", "unspecified", "unset")


def test_a_record_that_cannot_be_kept_is_named_and_the_rest_is_loaded(case, tmp_path):
    faulty = [
        {**otlp.span(1), "traceId": ""}, {**otlp.span(2), "startTimeUnixNano": "soon"}, otlp.span(3),
        {**otlp.span(4), "attributes": {"a": 1}}, {**otlp.span(5), "attributes": [{"value": {}}]},
        {**otlp.span(6), "attributes": [{"key": "n", "value": {"intValue": {"deep": 1}}}]},
    ]  # fmt: skip
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(9)]), otlp.traces(faulty))])
    assert done.spans == 2
    assert [(r.position, r.reason) for r in done.rejected] == [
        ("line 2, span 1", "its traceId is missing or all zeros"),
        ("line 2, span 2", "its startTimeUnixNano 'soon' is no number"),
        ("line 2, span 4", "its attributes are no list"),
        ("line 2, span 5", "one of its attributes has no key"),
        ("line 2, span 6", "one of its values is a intValue of another type"),
    ]


def test_a_key_that_comes_twice_keeps_its_first_value_and_both_records_stay(case, tmp_path):
    told = [{**otlp.span(1), "attributes": otlp.attributes({"k": "a"}) + otlp.attributes({"k": b})} for b in "bc"]
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces(told))]).spans == 2
    assert _rows(case, "SELECT attributes['k'] AS k FROM spans") == [{"k": "a"}, {"k": "a"}]


def test_keys_that_only_differ_by_case_and_strange_keys_are_kept(case, tmp_path):
    strange = {"Key": "1", "key": "2", "": "3", "it's": "4", "a\nb": "5", "ключ": "6"}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1, **strange)]))])
    assert _rows(case, "SELECT attributes FROM spans") == [{"attributes": strange}]


def test_nanoseconds_and_extreme_numbers_survive(case, tmp_path):
    numbers = {"least": -(2**63), "most": 2**63 - 1, "tiny": 5e-324, "nan": float("nan"), "empty": ""}
    told = otlp.span(1, at=otlp.START + 1, **numbers)
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))])
    row = _rows(case, "SELECT start_ns, attributes AS a FROM spans")[0]
    assert row["start_ns"] == otlp.START + 1
    assert (row["a"]["least"], row["a"]["most"], row["a"]["empty"]) == (str(-(2**63)), str(2**63 - 1), "")
    assert float(row["a"]["tiny"]) == 5e-324
    assert row["a"]["nan"].lower() == "nan"


def _measured(code: str, *words: str) -> tuple[str, int]:
    """What a process printed, and the most memory it held, in MiB."""
    # not ru_maxrss: a process inherits that of the one that started it
    peak = "print(next(int(line.split()[1]) for line in open('/proc/self/status') if line[:5] == 'VmHWM') // 1024)"
    script = f"import sys\n{code}\n{peak}"
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    *told, most = done.stdout.strip().splitlines()
    return "\n".join(told), int(most)


_INGEST = """
from shadowlab import telemetry
from shadowlab.case import open_case
done = telemetry.ingest(open_case(sys.argv[1]), sys.argv[2:])
print(done.spans, [r.reason for r in done.refused], [r.position + ': ' + r.reason for r in done.rejected])
"""


def test_a_bomb_is_stopped_with_words_and_little_memory(tmp_path):
    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb", compresslevel=9) as out:
        out.write(json.dumps(otlp.traces([otlp.span(1)])).encode() + b"\n")
        for _ in range(512):
            out.write(b" " * (1 << 20))
    told, peak = _measured(_INGEST, str(tmp_path / "case"), str(bomb))
    assert told.startswith("1 []")
    assert "longer than 64 MiB" in told or "unpacks to more than 400 times its size" in told
    assert peak < 900


def test_a_line_of_a_hundred_megabytes_is_left_out_with_words(tmp_path):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))
    with path.open("ab") as out:
        out.write(b'{"resourceSpans": [], "x": "' + b"x" * 100_000_000 + b'"}\n')
        out.write(json.dumps(otlp.traces([otlp.span(2)])).encode())
    told, peak = _measured(_INGEST, str(tmp_path / "case"), str(path))
    assert told == "2 [] ['line 2: longer than 64 MiB']"
    assert peak < 900


def test_ten_thousand_attributes_and_deep_values_are_bounded(case, tmp_path):
    many = otlp.span(1, **{f"key.{n}": n for n in range(10_000)})
    deep = {"stringValue": "bottom"}
    for _ in range(300):
        deep = {"arrayValue": {"values": [deep]}}
    buried = {**otlp.span(2), "attributes": [{"key": "deep", "value": deep}]}
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([many, buried]))])
    assert done.spans == 1
    assert [r.reason for r in done.rejected] == ["one of its values is nested more than 64 deep"]
    assert _rows(case, "SELECT attributes['key.9999'] AS v FROM spans") == [{"v": "9999"}]


def test_truncated_files_give_what_was_whole(case, tmp_path):
    lines = b"".join(json.dumps(otlp.traces([otlp.span(n)])).encode() + b"\n" for n in range(1, 2001))
    packed = gzip.compress(lines)
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    done = telemetry.ingest(case, [tmp_path / "cut.gz"])
    assert 0 < done.spans < 2000
    assert any(r.position == "end of file" or r.reason.startswith("not JSON") for r in done.rejected)


def test_a_small_packed_file_that_was_cut_off_gives_what_was_whole(case, tmp_path):
    drawn = random.Random(7)
    spans = (otlp.span(n, noise=drawn.randbytes(200).hex()) for n in range(1, 61))
    packed = gzip.compress(b"".join(json.dumps(otlp.traces([span])).encode() + b"\n" for span in spans))
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    done = telemetry.ingest(case, [tmp_path / "cut.gz"])
    assert 10 < done.spans < 50
    assert "end of file" in [one.position for one in done.rejected]
    assert "2 rejected" in repr(done)
    assert "cut.gz, end of file: the rest cannot be unpacked" in texts.text(done)


@pytest.mark.parametrize("where", ["segment", "manifest"])
def test_what_a_kill_leaves_behind_is_swept_away_and_done_again(case, tmp_path, monkeypatch, where):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))
    from shadowlab.telemetry import segments

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segments, "put_in_place" if where == "segment" else "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            telemetry.ingest(case, [path])
    assert _rows(case, "SELECT count(*) AS n FROM spans") == [{"n": 0}]
    (case.telemetry / ".spool-killed").mkdir()
    (case.telemetry / ".spool-killed" / "portion.jsonl").write_text("ann@example.org")
    assert telemetry.ingest(case, [path]).spans == 1
    assert not list(case.telemetry.glob(".*"))
    assert len(list(case.telemetry.glob("*.duckdb"))) == 1


@pytest.mark.slow
def test_killed_at_any_moment_the_case_opens_and_a_second_run_completes_it(tmp_path):
    spans = [otlp.span(n, trace=f"{n // 9 + 1:032x}", route=f"/{n % 7}") for n in range(1, 20_001)]
    path = otlp.lines(tmp_path / "a.jsonl", *(otlp.traces(spans[at : at + 500]) for at in range(0, 20_000, 500)))
    code = f"import sys\n{_INGEST}"
    for number in range(8):
        folder = tmp_path / f"case-{number}"
        running = subprocess.Popen([sys.executable, "-c", code, str(folder), str(path)], stdout=subprocess.DEVNULL)
        time.sleep(0.15 + 0.4 * number)
        running.send_signal(signal.SIGKILL)
        running.wait()
        case = open_case(folder)
        with telemetry.store(case) as store:
            assert store.sql("SELECT count(*) AS n FROM spans").rows()[0]["n"] in (0, 20_000)
        telemetry.ingest(case, [path])
        assert _rows(case, "SELECT count(*) AS n FROM spans") == [{"n": 20_000}]


_EVERYTHING = "SELECT * EXCLUDE (resource_attributes), resource_attributes::VARCHAR AS r FROM spans ORDER BY ALL"


@settings(max_examples=settings.default.max_examples // 12, deadline=None)
@given(seed=st.integers(0, 2**32), parts=st.integers(1, 4))
def test_any_split_and_order_of_the_input_gives_the_same_rows(tmp_path_factory, seed, parts):
    chance = random.Random(seed)
    shapes = [{"user.email": "ann@example.org"}, {"b": 1, "a": [1, 2]}, {"http.route": "/x", "http.method": "GET"}, {}]
    spans = [otlp.span(chance.randrange(1, 30), ms=chance.randrange(3), **chance.choice(shapes)) for _ in range(30)]
    spans = [otlp.raising(told) if chance.random() < 0.3 else told for told in spans]
    folder = tmp_path_factory.mktemp("split")
    whole, split = open_case(folder / "whole"), open_case(folder / "split")
    (split.keys / "redaction").write_bytes(whole.key("redaction"))
    telemetry.ingest(whole, [otlp.lines(folder / "whole.jsonl", otlp.traces(spans))])
    chance.shuffle(spans)
    for number in range(parts):
        path = otlp.lines(folder / f"{number}.jsonl", *(otlp.traces([told]) for told in spans[number::parts]))
        telemetry.ingest(split, [path])
    assert _rows(whole, _EVERYTHING) == _rows(split, _EVERYTHING)
    events = "SELECT * FROM events ORDER BY ALL"
    assert _rows(whole, events) == _rows(split, events)


_SEEDS = (
    json.dumps(otlp.traces([otlp.raising(otlp.span(1))])).encode() + b"\n",
    struct.pack(">I", 40) + b"\x0a\x26" + b"\x12\x24" * 19,
    b'{"data": [{"spans": [{"traceID": "1", "spanID": "2"}]}]}',
    b'[{"traceId": "1", "id": "2"}]',
    gzip.compress(json.dumps(otlp.traces([otlp.span(1)])).encode()),
)


@st.composite
def _damaged(draw):
    told = bytearray(draw(st.sampled_from(_SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(told) - 1))
        told[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        told = told or bytearray(b"x")
    return bytes(told)


@settings(max_examples=settings.default.max_examples // 4, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), _damaged()))
def test_arbitrary_bytes_are_loaded_or_refused_and_never_half(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("fuzz")
    case = open_case(folder / "case")
    (folder / "told").write_bytes(content)
    done = telemetry.ingest(case, [folder / "told"])
    assert len(done.files) + len(done.refused) == 1
    assert _rows(case, "SELECT count(*) AS n FROM spans") == [{"n": done.spans}]


def _with_limit(limit: str, size: int, case: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """`shadowlab ingest` in a process that may not go beyond a limit."""
    limited = f"import resource; resource.setrlimit(resource.{limit}, ({size}, {size}))"
    code = f"{limited}; from shadowlab.__main__ import main; main()"
    words = [sys.executable, "-c", code, "ingest", str(case), *map(str, files)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_full_disk_is_an_error_of_the_machine_and_nothing_is_half_written(tmp_path):
    spans = [otlp.span(n, trace=f"{n:032x}", noise=random.Random(n).randbytes(200).hex()) for n in range(1, 4000)]
    file = otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans))
    telemetry.ingest(open_case(tmp_path / "case"), [otlp.lines(tmp_path / "b.jsonl", otlp.traces([otlp.span(1)]))])
    before = sorted(path.name for path in (tmp_path / "case" / "telemetry").iterdir())
    full = _with_limit("RLIMIT_FSIZE", 400_000, tmp_path / "case", file)
    assert (full.returncode, full.stdout) == (2, "")
    assert "cannot take the telemetry in" in full.stderr
    assert "make room on its disk" in full.stderr
    assert "rejected" not in full.stderr
    assert sorted(path.name for path in (tmp_path / "case" / "telemetry").iterdir()) == before
    assert telemetry.ingest(open_case(tmp_path / "case"), [file]).spans == 3999


def test_a_full_disk_while_unpacking_is_not_blamed_on_the_file(tmp_path):
    spans = [otlp.span(n, trace=f"{n:032x}", noise="x" * 500) for n in range(1, 2000)]
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans)).read_bytes()))
    full = _with_limit("RLIMIT_FSIZE", 400_000, tmp_path / "case", file)
    assert (full.returncode, full.stdout) == (2, "")
    assert "cannot take the telemetry in" in full.stderr
    assert "refused" not in full.stderr
