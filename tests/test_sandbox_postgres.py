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
from test_sandbox_containers import SAID, engine

from shadowlab.replay import Runner, RunResult
from shadowlab.source import Service

pytestmark = pytest.mark.slow
__all__ = ["engine", "world"]
OPENED = {"a unix socket by its path", "an abstract unix socket"}
"""Whatever these ask for, it is the replay's own server that they are connected to; in gVisor they find nobody."""
LOOKING = """\
import os, socket, stat, sys

SKIPPED = ("/proc", "/usr", sys.prefix, sys.base_prefix)


def tried(act, *words):
    try:
        act(*words)
    except OSError:
        return []
    return [(act.__name__, *words)]


def run(event):
    found, done = [], []
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if not os.path.join(folder, name).startswith(SKIPPED)]
        found += [place for name in names if stat.S_ISSOCK(os.lstat(place := os.path.join(folder, name)).st_mode)]
    for place in event["others"]:
        done += tried(socket.socket(socket.AF_UNIX).connect, place)
    for place in found:
        done += tried(os.unlink, place) + tried(os.rename, place, place + ".old")
        done += tried(socket.socket(socket.AF_UNIX).bind, place + ".new")
    return [found, done]
"""


def through_sql() -> list[str]:
    """Every act of SQL, read without running one."""
    text = (HOSTILE / "sql.py").read_text()
    found = [line.split('"')[1] for line in text.splitlines() if line.startswith('    "') and '":' in line]
    return found[1:]  # the first is what a service does


def ran(runner: Runner, event: dict[str, Any]) -> RunResult:
    """gVisor has no listener: there the server has to be looked for where it is."""
    event = {**event, "host": "/proc/self/cwd"} if runner.sandbox == "gvisor" else event
    (run,) = runner.run(recorded(ROWS, event), repeats=1, perturb=False)
    return run


def act(runner: Runner, event: dict[str, Any]) -> RunResult:
    run = ran(runner, event)
    assert run.state == "finished", run.reason
    return run


@pytest.fixture(scope="module", params=["embedded", "bwrap", "docker", "gvisor"])
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


@pytest.mark.parametrize("name", [name for name in names() if name != "many large files"])  # ended, not refused
def test_an_open_door_lets_no_hostile_act_out(opened: Runner, lonely: dict[str, Any], name: str) -> None:
    run = act(opened, {**lonely, "act": name})
    said = SAID.get((opened.sandbox, name))
    if said:
        assert any(line.startswith(said) for line in opened.enforced)
        return
    told = json.loads(run.body)
    assert told.startswith("refused") or (name in OPENED and told == "ALLOWED: connected"), told


@pytest.mark.parametrize("name", through_sql())
def test_the_server_behind_the_door_refuses(asking: Runner, name: str) -> None:
    told = json.loads(act(asking, {"act": name}).body)
    assert told.startswith("refused"), told
    assert not Path("/tmp/shadowlab-hostile").exists()


def test_a_run_that_fills_its_database_is_ended(asking: Runner) -> None:
    run = ran(asking, {"act": "many tables"})
    assert (run.state, run.reason) == ("crashed", "it wrote more than it may")


def test_the_server_behind_the_door_does_a_service_s_work(asking: Runner) -> None:
    assert json.loads(act(asking, {"act": "the service's own work"}).body) == "ALLOWED"


def test_gvisor_shows_no_other_socket_of_this_machine(lonely: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(LOOKING)
    looking = Service(name="looking", entrypoint="main:run", kind="function")
    with Runner(tmp_path, looking, sandbox="gvisor") as runner:
        run = act(runner, {"others": [lonely["unix"], f"\0{lonely['abstract']}"]})
        (line,) = (line for line in runner.enforced if line.startswith("network: "))
    assert json.loads(run.body) == [["/run/postgresql/.s.PGSQL.5432"], []]
    assert line == "network: none but the replay's own PostgreSQL"
