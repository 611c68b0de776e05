"""Fixtures for every test: no test reads or writes the person's own keys, settings or cases."""

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from shadowlab.case import Case, open_case

# The same examples on every run: a change that breaks a property fails, an unlucky draw elsewhere does not.
# `make fuzz` draws new ones, more of them.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell has what it starts in the background ignore Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run's own, the same for each of its workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def own_keys(common: Path) -> Iterator[Path]:
    """A signing key of this test run's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHADOWLAB_KEYS", str(common / "keys"))
        yield common / "keys"


@dataclass(frozen=True)
class Told:
    """One run of `shadowlab demo`, shared by the tests that look at what it left. Copy the case before changing it."""

    case: Path
    source: Path
    document: dict[str, Any]
    story: str
    cpu_seconds: float
    """Of all its processes; two cores that have nothing else to do give 120 in a minute."""

    def copy(self, folder: Path) -> Path:
        """A case of the test's own."""
        shutil.copytree(self.case, folder / "case")
        open_case(folder / "case").remember(source=os.path.relpath(self.source, folder / "case"))
        return folder / "case"


@pytest.fixture(scope="session")
def told(common: Path, own_keys: Path) -> Told:
    """The demo, run once as a person runs it; a worker that comes later waits for it."""
    place = common / "demo.json"
    with (common / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            place.write_text(json.dumps(_demo(common / "demo" / "case")))
    case = common / "demo" / "case"
    return Told(case, case.with_name("case-source"), **json.loads(place.read_text()))


def _demo(case: Path) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "shadowlab", "demo", "--json", "--out", str(case)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"document": json.loads(done.stdout), "story": done.stderr, "cpu_seconds": cpu_seconds}


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """The address of a peer that echoes, redirects, streams or hangs up."""
    from paying import Gateway
    from peers import serving

    with serving(Gateway) as address:
        yield address


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    """The address of a peer that answers plain, compressed or in chunks, echoes, redirects or hangs up."""
    from peers import Peer, serving

    with serving(Peer) as address:
        yield address


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A case with nothing in it."""
    return open_case(tmp_path / "case")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A SQLite file with an empty table of charges."""
    path = tmp_path / "payments.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table charges (id integer primary key, amount text)")
    return path


@pytest.fixture
def recorded(tmp_path: Path, database: Path, gateway: str) -> Iterator[Any]:
    """A factory: the payments service recorded with these settings, served; gives client, recordings(), app."""
    from paying import recording

    with recording(tmp_path / "recordings", database, gateway) as make:
        yield make


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], dict[str, Any]]:
    """Runs a function or coroutine function as a recorded job; gives its recording."""
    import shadowlab_recorder
    from recorded import kept

    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    recorder = shadowlab_recorder.configure(tmp_path, share=1.0)

    def run(work: Callable[[], Any]) -> dict[str, Any]:
        made = shadowlab_recorder.record(work)()
        if asyncio.iscoroutine(made):
            asyncio.run(made)
        return kept(recorder, tmp_path)[-1]

    return run
