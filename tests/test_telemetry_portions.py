"""How a file is cut into portions, and each made while the one before is used."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import otlp
import pytest
from asking import asked

from shadowlab import telemetry
from shadowlab.case import Case
from shadowlab.telemetry import connection, readers
from shadowlab.telemetry.ahead import ahead
from shadowlab.telemetry.inputs import Hashed, Piped, Unpacked
from shadowlab.telemetry.readers import base, json_lines, keys, otlp_json, otlp_protobuf, resources
from shadowlab.telemetry.readers.base import MOST_REJECTED, Faults
from shadowlab.telemetry.readers.json_lines import JsonLines, staging
from shadowlab.telemetry.readers.otlp_json import OtlpJson


def nothing() -> None:
    """There is nothing to stop."""


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@contextlib.contextmanager
def _staging() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with what staging takes."""
    with connection.closing(connection.connect()) as con:
        con.execute(connection.statements("macros"))
        readers.prepare(con)
        readers.remember(con)
        con.execute(connection.statements("stage"))
        yield con


def _lines(count: int) -> list[bytes]:
    """Each is shorter than the one before, so that portions shrink."""
    return [json.dumps({"resourceSpans": [], "n": "x" * (count - n)}).encode() + b"\n" for n in range(count)]


def _cut(told: bytes, spool: Path) -> list[tuple[int, bytes]]:
    portions = OtlpJson().portions(Unpacked(Hashed(io.BytesIO(told))), spool, Faults("told"))
    return [(p.first_line, p.path.read_bytes()) for p in portions if isinstance(p, JsonLines)]


@pytest.mark.parametrize("block", [40, 333])
@pytest.mark.parametrize("ending", [b"", b"\n", b'{"resourceSpans": []}'])
def test_portions_hold_every_line_once_and_know_which_is_their_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: bytes, block: int
) -> None:
    monkeypatch.setattr(otlp_json, "PORTION", 1000)
    monkeypatch.setattr(otlp_json, "_BLOCK", block)
    told = b"".join(_lines(200)) + ending
    found = _cut(told, tmp_path)
    assert len(found) > 10
    assert b"".join(text for _, text in found) == told
    before = [b"".join(text for _, text in found[:n]).count(b"\n") for n in range(len(found))]
    assert [first for first, _ in found] == [1 + lines for lines in before]


@pytest.mark.parametrize("remembered", [2, 1000])
def test_a_resource_is_that_of_its_rows_in_every_portion(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(resources, "_MOST", remembered)
    monkeypatch.setattr(otlp_json, "PORTION", 2000)
    monkeypatch.setattr(otlp_json, "_BLOCK", 100)
    told = [json.dumps(otlp.traces([otlp.span(n, at=otlp.START + n)], f"shop-{n % 5}")) for n in range(1, 61)]
    packed = tmp_path / "told.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(f"{line}\n" for line in told).encode()))
    logs = otlp.lines(tmp_path / "logs.jsonl", *(otlp.logs([otlp.log("paid")], f"shop-{n}") for n in range(5)))
    assert telemetry.ingest(case, [packed, logs]).spans == 60
    assert [row["service"] for row in asked(case, "SELECT service FROM spans ORDER BY start_ns")] == [
        f"shop-{n % 5}" for n in range(1, 61)
    ]
    assert [row["service"] for row in asked(case, "SELECT service FROM logs ORDER BY service")] == [
        f"shop-{n}" for n in range(5)
    ]


@pytest.mark.parametrize("remembered", [0, 2, 64])
def test_a_record_has_its_keys_in_every_portion_whether_they_are_remembered_or_not(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(keys, "_MOST", remembered)
    monkeypatch.setattr(otlp_json, "PORTION", 2000)
    monkeypatch.setattr(otlp_json, "_BLOCK", 100)
    shapes: list[dict[str, Any]] = [
        {}, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"mail": "ann@example.org"}, {"password": "short"},
        {"http.route": "/x"},
    ]  # fmt: skip
    spans = [otlp.span(n, at=otlp.START + n) for n in range(1, 61)]
    for n, span in enumerate(spans):
        span["attributes"] = otlp.attributes(shapes[n % 6]) + otlp.attributes({"a": str(n)}) * 2 * (n % 7 == 0)
    packed = tmp_path / "told.jsonl.gz"
    packed.write_bytes(gzip.compress("".join(f"{json.dumps(otlp.traces([span]))}\n" for span in spans).encode()))
    logs = otlp.lines(tmp_path / "logs.jsonl", *(otlp.logs([otlp.log(str(n), **shapes[n])]) for n in (1, 3, 4)))
    found = telemetry.ingest(case, [packed, logs])
    assert found.spans == 60
    assert found.redacted == 22
    rows = [row["attributes"] for row in asked(case, "SELECT attributes FROM spans ORDER BY start_ns")]
    for n, row in enumerate(rows):
        told = ({"a": str(n)} if n % 7 == 0 else {}) | shapes[n % 6]
        assert sorted(row) == sorted(told)
        for key, value in row.items():
            rule = {"mail": "<email:", "password": "<secret:"}.get(key)
            assert value.startswith(rule) if rule else value == told[key]
    kept = [row["attributes"] for row in asked(case, "SELECT attributes FROM logs ORDER BY body")]
    assert kept[0] == shapes[1]
    assert kept[1]["mail"] == rows[3]["mail"]


@pytest.mark.parametrize("remembered", [0, 2, 64])
@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_records_with_the_same_keys_keep_the_types_of_their_own_values_in_every_portion(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, remembered: int
) -> None:
    monkeypatch.setattr(keys, "_MOST", remembered)
    monkeypatch.setattr(otlp_json, "PORTION", 2000)
    monkeypatch.setattr(otlp_json, "_BLOCK", 100)
    monkeypatch.setattr(otlp_protobuf, "_FIRST", 100)
    monkeypatch.setattr(otlp_protobuf, "_PORTION", 300)
    kinds: list[tuple[Any, str]] = [("7", "s"), (7, "i"), (0.5, "d"), (True, "b"), ([1], "a"), ({"k": 1}, "k")]
    spans = [otlp.span(n, at=otlp.START + n, a=kinds[n % 6][0], b=kinds[n % 4][0]) for n in range(1, 61)]
    if form == "json":
        place = otlp.lines(tmp_path / "told.jsonl", *(otlp.traces([span]) for span in spans))
        monkeypatch.setattr(base, "LONGEST", 100)  # a file that is no longer than a line may be is one portion
    else:
        parts = [otlp.protobuf(otlp.traces([span])) for span in spans]
        place = tmp_path / "told"
        place.write_bytes(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
    assert telemetry.ingest(case, [place]).spans == 60
    rows = asked(case, "SELECT attribute_types FROM spans ORDER BY start_ns")
    assert [row["attribute_types"] for row in rows] == [kinds[n % 6][1] + kinds[n % 4][1] for n in range(1, 61)]


def test_staging_joins_nothing_when_resources_are_known_since_a_join_may_lose_the_order(tmp_path: Path) -> None:
    place = otlp.lines(tmp_path / "told.jsonl", *(otlp.traces([otlp.span(n)], f"shop-{n}") for n in range(1, 30)))
    with _staging() as con:
        assert JsonLines(place, Faults("told"), tmp_path).stage(con)
        resources.remind(con)
        assert con.execute("SELECT len(getvariable('known_resources'))").fetchall() == [(29,)]
        columns = {"resourceSpans": f"STRUCT({json_lines._block('resourceSpans', json_lines._USUAL)})[]"}
        script = staging("json_spans", json_lines._source(place, columns, 1 << 20), usual=True)
        plan = con.execute(f"EXPLAIN {script}").fetchall()[0][1].lower()
    assert "unnest" in plan
    assert "join" not in plan


_UNUSUAL: dict[str, tuple[Any, str | None, str]] = {
    "array": ({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}, '["a",1]', "a"),
    "kvlist": ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}, '{"k":true}', "k"),
    "bytes": ({"bytesValue": "AAE="}, "AAE=", "y"),
    "empty": ({}, None, "n"),
    "no number": ({"doubleValue": "much"}, "much", "d"),
}
"""Values that the usual kinds do not hold, with the text and the type that are kept."""


@pytest.mark.parametrize("unusual", _UNUSUAL)
@pytest.mark.parametrize("at", [0, 7])
def test_a_value_of_any_kind_is_kept_among_the_usual_ones(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unusual: str, at: int
) -> None:
    monkeypatch.setattr(otlp_json, "PORTION", 2000)
    monkeypatch.setattr(otlp_json, "_BLOCK", 100)
    monkeypatch.setattr(base, "LONGEST", 100)
    value, text, kind = _UNUSUAL[unusual]
    told = [otlp.traces([otlp.span(n, at=otlp.START + n, s="t", i=1, d=0.5, b=True)]) for n in range(1, 20)]
    other = otlp.traces([otlp.span(99, at=otlp.START)])
    other["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = [{"key": "other", "value": value}]
    place = otlp.lines(tmp_path / "told.jsonl", *told[:at], other, *told[at:])
    assert telemetry.ingest(case, [place]).spans == 20
    rows = asked(case, "SELECT attributes, attribute_types FROM spans ORDER BY start_ns")
    assert rows[0] == {"attributes": {"other": text}, "attribute_types": kind}
    usual = {"attributes": {"s": "t", "i": "1", "d": "0.5", "b": "true"}, "attribute_types": "sidb"}
    assert rows[1:] == [usual] * 19


@pytest.mark.parametrize("told", [True, 3, "NaN", "-Infinity", "1e3", " 2", 1e300, 12345678901234567890])
def test_a_double_is_the_same_whether_it_is_read_as_a_number_or_as_a_text(tmp_path: Path, told: Any) -> None:
    request = otlp.traces([otlp.span(1)])
    values = [{"key": "d", "value": {"doubleValue": told}}]
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = values
    place = otlp.lines(tmp_path / "told.jsonl", request)
    kept = []
    for every_kind in ("false", "true"):
        with _staging() as con:
            con.execute(f"SET VARIABLE every_kind = {every_kind}")
            assert JsonLines(place, Faults("told"), tmp_path).stage(con) == 1
            assert con.execute("SELECT getvariable('every_kind')").fetchall() == [(every_kind == "true",)]
            kept.append(con.execute("SELECT vals, types FROM stage_spans").fetchall())
    assert kept[0] == kept[1]


@pytest.mark.parametrize("block", [1, 16, 100])
def test_requests_are_whole_however_much_is_read_at_once(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(otlp_protobuf, "_BLOCK", block)
    told = [b"\x0a" + bytes([size]) + b"\x0a" + bytes([size - 2]) + bytes(size - 2) for size in range(2, 90)]
    stream = Unpacked(Hashed(io.BytesIO(b"".join(len(one).to_bytes(4, "big") + one for one in told))))
    assert list(otlp_protobuf._messages(stream, Faults("told"))) == told


def test_no_more_than_one_is_made_ahead() -> None:
    made: list[int] = []
    third = threading.Event()

    def making() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    with ahead(making(), nothing) as items:
        assert next(items) == 0
        assert next(items) == 1
        assert third.wait(timeout=600)
        assert 3 not in made
        assert list(items) == [2, 3]


def test_what_fails_while_it_is_made_fails_where_it_is_asked_for() -> None:
    def making() -> Iterator[str]:
        yield "good"
        raise OSError("no disk")

    with ahead(making(), nothing) as items:
        assert next(items) == "good"
        with pytest.raises(OSError, match="no disk"):
            next(items)


def test_who_leaves_early_leaves_no_thread_behind() -> None:
    with ahead(iter(range(100)), nothing) as items:
        next(items)
    assert not threads()


def test_what_waits_for_a_producer_is_stopped_by_who_leaves_with_an_error() -> None:
    source, producer = os.pipe()
    piped = Piped(source)

    def making() -> Iterator[bytes]:
        while block := piped.read(4):
            yield block

    os.write(producer, b"told")  # and no more, and the other end stays open

    def leave() -> None:
        with ahead(making(), piped.stop) as items:
            assert next(items) == b"told"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert not threads()
    piped.close()
    os.close(source)
    os.close(producer)


@pytest.mark.parametrize("size", [-1, 3, 5 << 20])
def test_a_pipe_is_read_whole_in_whatever_pieces_it_comes(size: int) -> None:
    told = os.urandom(3 << 20)
    source, producer = os.pipe()
    piped = Piped(source)
    feeding = threading.Thread(target=lambda: (os.write(producer, b"--"), _write_all(producer, told)))
    feeding.start()
    first = piped.read(size)
    assert first == (b"--" + told)[: size if size > 0 else None]
    assert first + piped.read() == b"--" + told
    assert piped.read(1) == b""
    feeding.join()
    piped.close()
    os.close(source)


def _write_all(descriptor: int, told: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(told)


def test_what_is_rejected_is_listed_in_the_order_of_the_file_whoever_finds_it_first() -> None:
    faults = Faults("told")
    for position in ("line 900", "end of file", "line 31, span 2", "line 31, span 1", "line 4"):
        faults.add(position, "not kept")
    assert [one.position for one in faults.rejected()] == [
        "line 4", "line 31, span 2", "line 31, span 1", "line 900", "end of file",
    ]  # fmt: skip


@pytest.mark.parametrize("step", [1, -1])
def test_the_first_records_of_a_file_are_listed_and_the_rest_is_counted(step: int) -> None:
    faults = Faults("told")
    for line in range(1, MOST_REJECTED + 8)[::step]:
        faults.add(f"line {line}", "not kept")
    *listed, last = faults.rejected()
    assert [one.position for one in listed] == [f"line {n}" for n in range(1, MOST_REJECTED + 1)]
    assert last.reason == "7 more records"
