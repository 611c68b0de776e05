"""The embedded sandbox against code that wants out, and what each sandbox says of itself."""

import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orders
import pytest

from shadowlab import errors
from shadowlab.replay import Runner, RunResult
from shadowlab.replay.fixture import parse
from shadowlab.replay.inside import bpf
from shadowlab.source import parse_service

HOSTILE = Path(__file__).with_name("assets") / "hostile"
SPECIAL = {"false results"}


def names() -> list[str]:
    """Every hostile act, read without running one."""
    text = (HOSTILE / "acts.py").read_text()
    found = [line.split('"')[1] for line in text.splitlines() if line.startswith('    "') and '":' in line]
    return [name for name in found if name not in SPECIAL]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What hostile code would like to reach: a file, a process, sockets of the host."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "canary").write_text("secret")
    (folder / "canary").chmod(0o644)
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    tcp = socket.create_server(("127.0.0.1", 0))
    path, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    path.bind(str(folder / "u"))
    path.listen()
    abstract.bind(f"\0shadowlab-{os.getpid()}")
    abstract.listen()
    yield {
        "canary": str(folder / "canary"),
        "victim": victim.pid,
        "supervisor": os.getpid(),
        "port": tcp.getsockname()[1],
        "unix": str(folder / "u"),
        "abstract": f"shadowlab-{os.getpid()}",
    }
    assert victim.poll() is None, "the victim was killed"
    assert (folder / "canary").read_text() == "secret"
    victim.kill()
    victim.wait()
    for held in (tcp, path, abstract):
        held.close()


def act(runner: Runner, world: dict[str, Any], name: str) -> RunResult:
    told = {"kind": "function", "request": {"method": "CALL", "path": "acts:run", "body": {**world, "act": name}}}
    return runner.run(parse({**told, "time": "2026-01-01T00:00:00Z"}, where="x"), repeats=1, perturb=False)[0]


def hostile(sandbox: str) -> Runner:
    service = parse_service((HOSTILE / "shadowlab.toml").read_text(), where="hostile")
    return Runner(HOSTILE, service, sandbox=sandbox, timeout_s=20)


@pytest.fixture(scope="module")
def embedded() -> Iterator[Runner]:
    with hostile("embedded") as runner:
        yield runner


@pytest.mark.parametrize("name", names())
def test_embedded_refuses(embedded: Runner, world: dict[str, Any], name: str) -> None:
    run = act(embedded, world, name)
    assert run.state == "finished", run.reason
    assert json.loads(run.body).startswith("refused"), run.body


def test_the_hostile_acts_would_be_allowed_without_walls(world: dict[str, Any]) -> None:
    harmless = ["tcp to the host", "an abstract unix socket", "a file of the host", "a fork", "a folder of the host"]
    with hostile("unconfined") as runner:
        told = {name: json.loads(act(runner, world, name).body) for name in harmless}
    assert all(answer.startswith("ALLOWED") for answer in told.values()), told


def test_a_false_result_stays_the_run_s_own(embedded: Runner, world: dict[str, Any]) -> None:
    forged = act(embedded, world, "false results")
    honest = act(embedded, world, "a fork")
    assert honest.state == "finished"
    assert forged.state in ("finished", "crashed")


def test_a_replay_that_fills_the_disk_is_ended(embedded: Runner, world: dict[str, Any]) -> None:
    run = act(embedded, world, "many large files")
    assert (run.state, run.reason) == ("crashed", "it wrote more than it may")


def test_what_is_enforced_is_said(embedded: Runner, world: dict[str, Any]) -> None:
    act(embedded, world, "a fork")
    told = " | ".join(embedded.enforced)
    for part in ("network: no socket can be made", "Landlock ABI", "calls: seccomp filter", "memory: 4096 MiB"):
        assert part in told
    assert "NOT" not in told


def test_nothing_is_claimed_of_unconfined() -> None:
    with Runner(orders.TREE, orders.service(), sandbox="unconfined") as runner:
        runner.run(orders.fixture(orders.passing()), repeats=1, perturb=False)
        assert runner.enforced[0].startswith("nothing: unconfined was asked for by name")


def test_an_unknown_sandbox_is_said_with_those_there_are() -> None:
    with pytest.raises(errors.SandboxError, match="choose one of embedded, bwrap, docker, gvisor, unconfined"):
        Runner(orders.TREE, orders.service(), sandbox="jail")


def test_docker_without_an_engine_is_a_sandbox_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with (
        pytest.raises(errors.SandboxError, match="no container engine answers") as told,
        Runner(orders.TREE, orders.service(), sandbox="docker") as runner,
    ):
        runner.run(orders.fixture(orders.passing()), repeats=1, perturb=False)
    assert "embedded" in (told.value.hint or "")


def test_gvisor_that_is_not_installed_is_a_sandbox_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(errors.SandboxError, match="runsc is not installed"),
        Runner(orders.TREE, orders.service(), sandbox="gvisor") as runner,
    ):
        runner.run(orders.fixture(orders.passing()), repeats=1, perturb=False)


def test_the_filter_knows_this_machine() -> None:
    assert platform.machine() in bpf._MACHINES
    assert all(len(numbers) > 60 for _, numbers in bpf._MACHINES.values())


def test_code_that_is_hostile_when_imported_is_held_too(tmp_path: Path, world: dict[str, Any]) -> None:
    files = {
        "shadowlab.toml": '[service]\nname = "early"\nentrypoint = "early:run"\nkind = "function"\n',
        "early.py": (
            f"try:\n    told = open({world['canary']!r}).read()\n"
            "except OSError as exc:\n    told = type(exc).__name__\n"
            "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 1))\n    told += ' net'\n"
            "except OSError as exc:\n    told += ' ' + type(exc).__name__\n\n\ndef run(event):\n    return told\n"
        ),
    }
    source = orders.repository(tmp_path / "early", files)
    with Runner(source.path, source.service("HEAD")) as runner:
        run = act(runner, {}, "import")
    assert json.loads(run.body) == "PermissionError PermissionError"
