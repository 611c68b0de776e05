"""What is staged is moved in turns, the last one in halves: the rows are those of one turn, and lie by their time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import otlp
import pytest
from asking import asked

from shadowlab import telemetry
from shadowlab.case import Case, open_case
from shadowlab.telemetry import appending, segment, turns
from shadowlab.telemetry.readers import otlp_json

SPANS = 16_000
GROUP = 2048


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
def moved(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each turn was moved in halves; turns and row groups are as small as DuckDB can have them."""
    for module in (appending, segment, turns):
        monkeypatch.setattr(module, "ROW_GROUP", GROUP)
    _size(monkeypatch, 2 * GROUP)
    monkeypatch.setattr(otlp_json, "PORTION", 1_000_000)
    told: list[bool] = []
    append = appending.append

    def watched(con: Any, staged: Any, known: Any, *, beside: Any) -> appending.Added:
        told.append(bool(beside) and max(staged.rows.values()) >= 2 * GROUP)
        return append(con, staged, known, beside=beside)

    monkeypatch.setattr(appending, "append", watched)
    return told


def _size(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(turns, "_USUAL", rows)
    monkeypatch.setattr(turns, "_MOST_ROWS", rows)


def _in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    _size(monkeypatch, 10 * SPANS)
    monkeypatch.setattr(turns, "ROW_GROUP", 10 * SPANS)


def test_rows_are_the_same_in_many_turns_and_in_one_that_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: list[bool]
) -> None:
    files, in_turns, at_once = _told(tmp_path), open_case(tmp_path / "in-turns"), open_case(tmp_path / "at-once")
    told = telemetry.ingest(in_turns, files, redact=None)
    assert (told.spans, told.logs) == (SPANS, SPANS)
    assert len(moved) > 4
    assert not any(moved[:-1])
    _in_one_turn(monkeypatch)
    moved.clear()
    telemetry.ingest(at_once, files, redact=None)
    assert moved == [True]
    assert _identities(in_turns) == _identities(at_once)


@pytest.mark.parametrize(("table", "time"), [("spans", "start_ns"), ("logs", "at_ns")])
def test_rows_that_came_in_order_lie_in_order_when_halves_are_moved_at_once(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: list[bool], table: str, time: str
) -> None:
    _in_one_turn(monkeypatch)
    telemetry.ingest(case, [dict(zip(("spans", "logs"), _told(tmp_path), strict=True))[table]], redact=None)
    assert moved == [True]
    assert _spread(case, table, time) < 2.1  # one row group may hold the end of a half and the start of the other
