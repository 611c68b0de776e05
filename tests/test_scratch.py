"""What a killed process was working in goes when the next one works, and what a living one works in stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import otlp
import pytest

import shadowlab as sl
from shadowlab.audit import archive
from shadowlab.case import open_case
from shadowlab.scratch import Scratch

WORKS = """
import sys
from pathlib import Path
from shadowlab.scratch import Scratch
scratch = Scratch(sys.argv[1], Path(sys.argv[2]))
(scratch.path / "half").write_text("of it")
print(scratch.path, flush=True)
sys.stdin.read()
"""


def working(prefix: str, parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that works in a folder of its own, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, prefix, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


@pytest.fixture
def killed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of a process that was killed; the test's parameter names prefix and parent."""
    prefix, parent = request.param
    (tmp_path / parent).mkdir(parents=True, exist_ok=True)
    process, place = working(prefix, tmp_path / parent)
    with process:
        process.send_signal(signal.SIGKILL)
    assert (place / "half").exists()
    return place


def test_the_next_one_sweeps_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    dead, left = working("made-", tmp_path)
    alive, kept = working("made-", tmp_path)
    (tmp_path / "made-by-hand").mkdir()
    with dead, alive:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        with Scratch("made-", tmp_path) as scratch:
            assert sorted(os.listdir(tmp_path)) == sorted([scratch.path.name, kept.name, "made-by-hand"])
            assert not left.exists()
        alive.kill()


@pytest.mark.parametrize("killed", [(".again.", ".")], indirect=True)
def test_a_killed_unpack_leaves_nothing_beside_the_next(killed: Path, tmp_path: Path) -> None:
    archive.unpack(archive.pack(open_case(tmp_path / "case"), tmp_path / "case.tgz"), tmp_path / "again")
    assert sorted(os.listdir(tmp_path)) == ["again", "case", "case.tgz"]


@pytest.mark.parametrize("killed", [(".slice-", "case/telemetry"), (".cut-", "case/telemetry")], indirect=True)
def test_what_a_killed_slice_had_pulled_is_swept_by_the_next_writer(killed: Path, tmp_path: Path) -> None:
    (tmp_path / "case/case.json").write_text('{"format": 1}')
    sl.open(tmp_path / "case").ingest(otlp.lines(tmp_path / "traces.jsonl", otlp.traces([otlp.span()])))
    assert not killed.exists()
