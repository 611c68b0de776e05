"""A receiver that runs for weeks: whole old segments go, the newest stay, and the case still verifies."""

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import otlp
import pytest

import shadowlab as sl
from shadowlab import errors
from shadowlab.case import Case, open_case
from shadowlab.telemetry import compaction
from shadowlab.telemetry.receiver import drain, log
from shadowlab.telemetry.receiver.window import Dropping, Window

HOUR = 3_600_000_000_000


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with a segment an hour, five of them, as a receiver makes them."""
    case = open_case(tmp_path_factory.mktemp("made") / "case")
    folder = case.telemetry / "incoming"
    folder.mkdir()
    for hour in range(5):
        body = otlp.traces([otlp.span(hour + 1, at=otlp.START + hour * HOUR)], service="shop")
        written = log.Log(folder, log.Header(redaction="default"))
        written.append([log.packed(log.Kind.TRACES_JSON, json.dumps(body).encode())])
        written.seal()
        drain.drain(case, log.files(folder))
    return case.path


@pytest.fixture
def case(hours: Path, tmp_path: Path) -> Case:
    shutil.copytree(hours, tmp_path / "case")
    return open_case(tmp_path / "case")


def _hours(case: Case) -> list[int]:
    with sl.telemetry.store(case) as store:
        rows = store.sql("SELECT start_ns FROM spans ORDER BY start_ns").rows()
    return [(row["start_ns"] - otlp.START) // HOUR for row in rows]


def test_what_is_older_than_the_window_goes(case):
    assert len(Dropping(case, Window(keep=timedelta(hours=2, minutes=30)), None).drop()) == 2
    assert _hours(case) == [2, 3, 4]
    compaction.forget(case, compaction.retired(case))
    assert len(list(case.telemetry.glob("*.duckdb"))) == 3


def test_what_is_more_than_the_size_goes_oldest_first(case):
    each = max(path.stat().st_size for path in case.telemetry.glob("*.duckdb"))
    Dropping(case, Window(max_bytes=2 * each), None).drop()
    assert _hours(case) == [3, 4]


def test_the_newest_stays_whatever_its_size(case):
    Dropping(case, Window(max_bytes=1), None).drop()
    assert _hours(case) == [4]


def test_without_a_window_nothing_goes(case):
    assert Dropping(case, Window(), None).drop() == ()


def test_files_that_were_ingested_are_left_alone(case, tmp_path):
    place = tmp_path / "old.json"
    place.write_text(json.dumps(otlp.traces([otlp.span(99, at=otlp.START - 1000 * HOUR)], service="shop")))
    sl.open(case.path).ingest(place)
    Dropping(case, Window(keep=timedelta(minutes=1)), None).drop()
    assert _hours(case) == [-1000, 4]


def test_what_the_ledger_named_goes_with_an_entry_and_the_case_verifies(case):
    inv = sl.open(case.path)
    inv.triage()
    stop, looks = threading.Event(), []

    def tell(told):
        looks.append(told.status.dropped)
        if told.status.dropped or len(looks) > 60:
            stop.set()

    inv.receive(http="127.0.0.1:0", keep="90m", stop=stop, tell=tell)
    assert looks[-1] == 3
    assert _hours(case) == [3, 4]
    assert inv.verify().verdict.value == "pass"


@pytest.mark.parametrize("text", ["2", "GB", "-1GB", "2 parsecs", "0GB"])
def test_words_that_are_no_size_are_refused(text):
    with pytest.raises(errors.UsageError, match="no size"):
        Window.read(None, text)


@pytest.mark.parametrize(("text", "size"), [("2GB", 2_000_000_000), ("500 MiB", 500 << 20), ("1.5kB", 1500)])
def test_sizes_are_read(text, size):
    assert Window.read(None, text).max_bytes == size
