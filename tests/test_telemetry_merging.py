"""Many ingests leave few segments, whoever reads meanwhile and whenever one is killed."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import otlp
import pytest

import shadowlab as sl
from shadowlab import errors, standalone, telemetry
from shadowlab.audit import verify
from shadowlab.case import open_case
from shadowlab.telemetry import segments

COUNT = "SELECT count(*) AS n FROM spans"


def _file(folder: Path, number: int) -> Path:
    told = otlp.span(number, parent=number - 1 or None, at=otlp.START + number, name=f"GET /{number}")
    request = otlp.traces([told], service=f"shop-{number % 3}")
    return otlp.lines(folder / f"{number}.jsonl", request, otlp.logs([otlp.log(f"line {number}")]))


def _ingest(case: Path, folder: Path, numbers: range) -> None:
    inv = sl.open(case, progress=None)
    for number in numbers:
        assert inv.ingest(_file(folder, number)).spans == 1


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of twelve ingests, with someone who reads all the time."""
    folder = tmp_path_factory.mktemp("twelve")
    case, over, seen = folder / "case", threading.Event(), [0]
    _ingest(case, folder, range(1, 2))

    def read() -> None:
        while not over.wait(0.05):
            with telemetry.store(open_case(case)) as store:
                seen.append(store.sql(COUNT).rows()[0]["n"])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        _ingest(case, folder, range(2, 13))
    finally:
        over.set()
        reader.join()
    assert seen == sorted(seen)
    assert len(seen) > 2
    return case


def test_segments_stay_few_and_nothing_is_lost(twelve):
    listed = segments.manifest(open_case(twelve)).segments
    assert len(listed) < 8
    assert {one.kind for one in listed} == {"telemetry"}
    inv = sl.open(twelve)
    assert inv.sql("SELECT count(*) AS n, count(DISTINCT name) AS d FROM spans").rows() == [{"n": 12, "d": 12}]
    assert inv.sql("SELECT count(*) AS n FROM logs").rows() == [{"n": 12}]
    assert inv.sql("SELECT sum(calls) AS n FROM edges").rows() == [{"n": 11}]
    assert {entry["verb"] for entry in inv.ledger} == {"ingest", "merge"}
    assert str(verify.verify(inv.case).verdict) == "pass"
    assert not list(inv.case.telemetry.glob(".*"))


def test_packed_twice_it_has_the_same_bytes(twelve, tmp_path):
    first, second = (standalone.pack(twelve, tmp_path / name) for name in ("a", "b"))
    assert Path(first).read_bytes() == Path(second).read_bytes()
    assert str(verify.verify(standalone.unpack(tmp_path / "a", tmp_path / "again")).verdict) == "pass"


def test_files_of_merged_segments_are_still_known(twelve):
    again = sl.open(twelve).ingest(*(_file(twelve.parent, number) for number in (1, 9, 12)))
    assert [file.rows for file in again.files] == [0, 0, 0]


_KILLED = """
import os, sys
import shadowlab as sl
from shadowlab.telemetry import segments
from shadowlab.telemetry import compaction

def killed(*_words, **_more):
    os.kill(os.getpid(), 9)

class Dying:
    def __getattr__(self, name):
        return killed if name == sys.argv[3] else getattr(segments, name)

compaction.segments = Dying()
if sys.argv[3] == "forget":
    compaction.forget = killed
if sys.argv[3] == "build":
    compaction.segment.finish_merged = killed
sl.open(sys.argv[1], progress=None).ingest(sys.argv[2])
"""


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seven")
    _ingest(folder / "case", folder, range(1, 8))
    return folder / "case"


@pytest.mark.parametrize("where", ["build", "put_in_place", "publish", "forget"])
def test_killed_while_merging_the_case_opens_and_the_next_ingest_goes_on(seven, tmp_path, where):
    case = Path(shutil.copytree(seven, tmp_path / "case"))
    command = [sys.executable, "-c", _KILLED, str(case), str(_file(tmp_path, 8)), where]
    assert subprocess.run(command, check=False).returncode == -9
    inv = sl.open(case)
    assert inv.sql(COUNT).rows() == [{"n": 8}]
    _ingest(case, tmp_path, range(9, 10))
    assert inv.sql(COUNT).rows() == [{"n": 9}]
    assert len(segments.manifest(inv.case).segments) < 8
    assert str(verify.verify(inv.case).verdict) == "pass"
    assert not list(inv.case.telemetry.glob(".*"))


def test_a_segment_that_is_gone_for_good_is_named(tmp_path):
    case = tmp_path / "case"
    _ingest(case, tmp_path, range(1, 2))
    (case / "telemetry" / "000001-telemetry.duckdb").unlink()
    with pytest.raises(errors.CaseError, match=r"lacks 000001-telemetry\.duckdb, which its manifest names"):
        sl.open(case).sql(COUNT)
