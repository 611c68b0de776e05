"""Staged in two threads and moved in turns, the rows are those of one turn, and lie by their time."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from pathlib import Path
from typing import Any

import duckdb
import otlp
import pytest
from asking import asked

from shadowlab import errors, telemetry
from shadowlab.case import Case, open_case
from shadowlab.telemetry import appending, segment, turns
from shadowlab.telemetry.readers import Portion, base, otlp_json
from shadowlab.telemetry.readers.json_lines import JsonLines

SPANS = 16_000
GROUP = 2048
PORTION = 1_000_000


def _packed(place: Path, requests: list[dict[str, Any]]) -> Path:
    place.write_bytes(gzip.compress("".join(f"{json.dumps(one)}\n" for one in requests).encode(), 1))
    return place


def _told(folder: Path) -> tuple[Path, Path]:
    """Spans in the order of their time, of which each tenth raises and each hundredth comes twice; and as many logs."""
    listed = [
        otlp.span(n, trace=f"{n // 7 + 1:032x}", at=otlp.START + n, url__path=f"/{n}") for n in range(1, SPANS + 1)
    ]
    spans = [otlp.raising(one) if n % 10 == 0 else one for n, one in enumerate(listed)]
    records = [otlp.log(f"order {n}", at=otlp.START + n) for n in range(SPANS)]
    starts = range(0, SPANS, 100)
    return (
        _packed(folder / "spans.jsonl.gz", [otlp.traces([*spans[at : at + 100], spans[at]]) for at in starts]),
        _packed(folder / "logs.jsonl.gz", [otlp.logs(records[at : at + 100]) for at in starts]),
    )


def _identities(case: Case) -> list[list[dict[str, Any]]]:
    return [asked(case, f"SELECT row_id FROM {table} ORDER BY row_id") for table in ("spans", "logs", "events")]


def _spread(case: Case, table: str, time: str) -> float:
    """What share of the time a row group covers, times their number: 1 when they lie one after the other."""
    (file,) = case.telemetry.glob("*.duckdb")
    with duckdb.connect(str(file), read_only=True) as con:
        told = con.execute(f"""SELECT sum(last - first) / (max(last) - min(first)) FROM (
            SELECT min({time})::DOUBLE AS first, max({time})::DOUBLE AS last FROM {table} GROUP BY rowid // {GROUP})""")
        return float(told.fetchall()[0][0])


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each turn moved; turns, portions and row groups are small."""
    for module in (appending, segment, turns):
        monkeypatch.setattr(module, "ROW_GROUP", GROUP)
    for reading in (base, otlp_json):
        monkeypatch.setattr(reading, "PORTION", PORTION)
    told: list[int] = []
    append = appending.append

    def watched(con: Any, staged: Any, known: Any) -> appending.Added:
        told.append(sum(staged.rows.values()))
        return append(con, staged, known)

    monkeypatch.setattr(appending, "append", watched)
    return told


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the portions start that the other thread staged."""
    told: list[str] = []
    stage = turns.Turns.stage_beside

    def watched(self: turns.Turns, portion: Portion) -> turns.Beside:
        told.append(portion.position)
        return stage(self, portion)

    monkeypatch.setattr(turns.Turns, "stage_beside", watched)
    return told


def _in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ROW_GROUP", 10 * SPANS)
    monkeypatch.setattr(base, "PORTION", 1 << 30)


def test_rows_are_the_same_in_many_turns_and_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: list[int], beside: list[str]
) -> None:
    files, in_turns, at_once = _told(tmp_path), open_case(tmp_path / "in-turns"), open_case(tmp_path / "at-once")
    told = telemetry.ingest(in_turns, files, redact=None)
    assert (told.spans, told.logs) == (SPANS, SPANS)
    assert len(moved) > 4
    assert beside == ["from line 1"]
    _in_one_turn(monkeypatch)
    moved.clear()
    telemetry.ingest(at_once, files, redact=None)
    assert len(moved) == len(beside) == 1
    assert _identities(in_turns) == _identities(at_once)


@pytest.mark.parametrize(("table", "time"), [("spans", "start_ns"), ("logs", "at_ns")])
def test_rows_that_came_in_order_lie_in_order(
    case: Case, tmp_path: Path, moved: list[int], table: str, time: str
) -> None:
    telemetry.ingest(case, [dict(zip(("spans", "logs"), _told(tmp_path), strict=True))[table]], redact=None)
    assert len(moved) > 2
    assert _spread(case, table, time) < 1.1


def test_what_two_threads_read_at_once_is_refused_where_it_stands(
    case: Case, tmp_path: Path, moved: list[int], beside: list[str]
) -> None:
    lines = gzip.decompress(_told(tmp_path)[0].read_bytes()).decode().splitlines()
    sizes = itertools.accumulate(map(len, lines))
    first, second = 2, next(n for n, size in enumerate(sizes) if size > 0.8 * PORTION)  # a portion starts at the half
    lines[first], lines[second] = '{"resourceSpans": 1', '{"resourceSpans": 2'
    place = tmp_path / "broken.jsonl.gz"
    place.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    told = telemetry.ingest(case, [place], redact=None)
    assert told.spans == SPANS - 200
    assert [one.position for one in told.rejected] == [f"line {first + 1}", f"line {second + 1}"]
    assert beside == ["from line 1"]
    assert sum(moved) > SPANS - 200


def test_a_disk_that_fills_up_in_the_other_thread_ends_the_ingest(
    case: Case, tmp_path: Path, moved: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = JsonLines.stage

    def full(self: JsonLines, con: duckdb.DuckDBPyConnection) -> int:
        if threading.current_thread() is not threading.main_thread():
            raise duckdb.IOException("No space left on device")
        return stage(self, con)

    monkeypatch.setattr(JsonLines, "stage", full)
    with pytest.raises(errors.CaseError, match="No space left"):
        telemetry.ingest(case, _told(tmp_path)[:1], redact=None)
    assert not moved
    assert not list(case.telemetry.glob("*.duckdb"))
