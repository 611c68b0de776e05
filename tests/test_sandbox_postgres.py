"""The hostile acts with PostgreSQL's door open, and those that go through it: only the database is there."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_replay_databases import ROWS, recorded
from test_sandbox import HOSTILE, names, world
from test_sandbox_containers import engine

from shadowlab.replay import Runner, RunResult
from shadowlab.source import Service

pytestmark = pytest.mark.slow
__all__ = ["engine", "world"]
OPENED = {"a unix socket by its path", "an abstract unix socket"}
"""Whatever these ask for, it is the replay's own server that they are connected to."""


def through_sql() -> list[str]:
    """Every act of SQL, read without running one."""
    text = (HOSTILE / "sql.py").read_text()
    found = [line.split('"')[1] for line in text.splitlines() if line.startswith('    "') and '":' in line]
    return found[1:]  # the first is what a service does


def act(runner: Runner, event: dict[str, Any]) -> RunResult:
    (run,) = runner.run(recorded(ROWS, event), repeats=1, perturb=False)
    assert run.state == "finished", run.reason
    return run


@pytest.fixture(scope="module", params=["embedded", "bwrap", "docker"])
def sandbox(request: pytest.FixtureRequest, engine: None) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def opened(sandbox: str) -> Iterator[Runner]:
    with Runner(HOSTILE, Service(name="hostile", entrypoint="acts:run", kind="function"), sandbox=sandbox) as runner:
        yield runner


@pytest.fixture(scope="module")
def asking(sandbox: str) -> Iterator[Runner]:
    with Runner(HOSTILE, Service(name="hostile", entrypoint="sql:run", kind="function"), sandbox=sandbox) as runner:
        yield runner


@pytest.fixture
def lonely(world: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The world with sockets of its own, to which nobody may have come."""
    path, name = str(tmp_path_factory.mktemp("s") / "s"), f"shadowlab-lonely-{os.getpid()}"
    sockets = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    for each, address in zip(sockets, (path, f"\0{name}"), strict=True):
        each.bind(address)
        each.listen()
        each.setblocking(False)
    yield {**world, "unix": path, "abstract": name}
    for each in sockets:
        with pytest.raises(BlockingIOError):
            each.accept()
        each.close()


@pytest.mark.parametrize("name", names())
def test_an_open_door_lets_no_hostile_act_out(opened: Runner, lonely: dict[str, Any], name: str) -> None:
    if name == "many large files":  # it is ended, not refused
        return
    told = json.loads(act(opened, {**lonely, "act": name}).body)
    assert told.startswith("refused") or (name in OPENED and told == "ALLOWED: connected"), told


@pytest.mark.parametrize("name", through_sql())
def test_the_server_behind_the_door_refuses(asking: Runner, name: str) -> None:
    told = json.loads(act(asking, {"act": name}).body)
    assert told.startswith("refused"), told
    assert not Path("/tmp/shadowlab-hostile").exists()


def test_a_run_that_fills_its_database_is_ended(asking: Runner) -> None:
    (run,) = asking.run(recorded(ROWS, {"act": "many tables"}), repeats=1, perturb=False)
    assert (run.state, run.reason) == ("crashed", "it wrote more than it may")


def test_the_server_behind_the_door_does_a_service_s_work(asking: Runner) -> None:
    assert json.loads(act(asking, {"act": "the service's own work"}).body) == "ALLOWED"
