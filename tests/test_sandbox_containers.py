"""bwrap, docker and gVisor: the same outcomes behind every wall, and nothing left of a container."""

import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import orders
import pytest
import small_service as small
from docker.models.containers import Container
from test_replay_databases import POSTGRES, ROWS, recorded, replayed
from test_replay_environments import cache, wheels
from test_sandbox import act, hostile, names, world

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.gates import confine_image, suite
from shadowlab.gates.bench import prepared
from shadowlab.replay import Runner
from shadowlab.source import Service

pytestmark = pytest.mark.slow
__all__ = ["cache", "wheels", "world"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A container engine of this test's own when root runs it, else the one that DOCKER_HOST names."""
    if os.getuid() != 0:
        yield
        return
    folder = tmp_path_factory.mktemp("engine")
    words = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid",
             "--host", f"unix://{folder}/socket", "--bridge=none", "--iptables=false"]  # fmt: skip
    with (folder / "log").open("wb") as log, pytest.MonkeyPatch.context() as patch:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not (folder / "socket").exists():
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        patch.setenv("DOCKER_HOST", f"unix://{folder}/socket")
        yield
        process.terminate()
        process.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["docker", "bwrap", "gvisor"])
def walled(request: pytest.FixtureRequest, engine: None) -> Iterator[Runner]:
    with hostile(request.param) as runner:
        yield runner


SAID = {("gvisor", "another run's folder"): "folders of other replays in the same batch: NOT held"}
"""What a sandbox does not hold, and says so."""


@pytest.mark.parametrize("name", names())
def test_a_walled_sandbox_refuses(walled: Runner, world: dict[str, Any], name: str) -> None:
    run = act(walled, world, name)
    assert run.state == "finished", run.reason
    said = SAID.get((walled.sandbox, name))
    if said:
        assert any(line.startswith(said) for line in walled.enforced)
        return
    assert json.loads(run.body).startswith("refused"), run.body


def test_outcomes_are_equal_in_every_sandbox(tmp_path: Path, engine: None) -> None:
    case, source = open_case(tmp_path / "case"), orders.repository(tmp_path / "shop")
    replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1), orders.passing(2))])
    ids = [recording.id for recording in replay.listed(case)]
    done = [
        replay.replay(case, ids, source=source, revision="HEAD", times=4, sandbox=name)
        for name in ("embedded", "docker", "bwrap", "gvisor", "unconfined")
    ]
    assert {one.outcome for one in done} == {"reproduced"}
    assert len({one.outcome_digest for one in done}) == 1
    assert done[1].enforced[0].startswith("container: no network")


def test_no_container_is_left(engine: None) -> None:
    with Runner(orders.TREE, orders.service(), sandbox="docker") as runner:
        runner.run(orders.fixture(orders.passing()), repeats=1, perturb=False)
        assert docker.from_env().containers.list(filters={"label": "shadowlab=replay"})
    assert not docker.from_env().containers.list(all=True, filters={"label": "shadowlab=replay"})


@pytest.mark.parametrize("sandbox", ["docker", "bwrap", "gvisor"])
def test_packages_of_its_own_and_other_languages_run_behind_every_wall(
    tmp_path: Path, engine: None, wheels: None, sandbox: str
) -> None:
    toy = {"lock.txt": "toy==1.0\n", "app.py": "import toy\n\n\ndef run(event):\n    return toy.VERSION\n"}
    locked = Service(name="toys", entrypoint="app:run", kind="function", lock="lock.txt")
    event = {"kind": "function", "request": {"method": "CALL", "path": "app:run", "body": {}}, "time": orders.AT}
    with Runner(orders.repository(tmp_path / "toys", toy).path, locked, sandbox=sandbox) as runner:
        (run,) = runner.run(orders.fixture(event), repeats=1, perturb=False)
    assert run.body == b'"1.0"', run
    tree = orders.repository(tmp_path / "node", {"app.js": "exports.app = (asked, answer) => answer.end(asked.url);\n"})
    with Runner(tree.path, Service(name="node", entrypoint="app:app", runtime="node"), sandbox=sandbox) as runner:
        (run,) = runner.run(orders.fixture({"request": {"path": "/x"}, "time": orders.AT}), repeats=1, perturb=False)
    assert run.body == b"/x", run


@pytest.fixture(scope="module")
def image(engine: None) -> str:
    """A small image of this machine's own Python with its standard library, by its id; no registry is asked."""
    base = Path(sys.base_prefix)
    program = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    packages = Path(sysconfig.get_path("platlib"))
    modules = [
        program,
        *packages.glob("_time_machine*.so"),
        *(library / "lib-dynload").glob("*.so"),
        *base.glob("lib/libpython*.so*"),
    ]
    told = subprocess.run(["ldd", *map(str, modules)], capture_output=True, text=True).stdout
    needed = {word for word in told.split() if word.startswith("/") and not word.endswith(":")}
    content = io.BytesIO()
    skipped = ("test", "site-packages", "dist-packages", "__pycache__", "idlelib", "ensurepip")
    with tarfile.open(fileobj=content, mode="w", dereference=True) as tar:
        for place in {*needed, *map(str, base.glob("lib/libpython*.so*")), str(program)}:
            tar.add(place, arcname=place.lstrip("/"))
        tar.add(library, arcname=str(library).lstrip("/"),
                filter=lambda one: None if Path(one.name).name in skipped else one)  # fmt: skip
        tar.add(program, arcname="usr/bin/python3")
        tar.add("/usr/lib/locale/C.utf8", arcname="usr/lib/locale/C.utf8")
        for name in ("tmp", "proc", "sys", "dev", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
    client = docker.from_env()
    client.api.import_image_from_data(content.getvalue(), repository="shadowlab-test-python", tag="one",
                                      changes=[f"ENV PYTHONHOME={base}"])  # fmt: skip
    return str(client.images.get("shadowlab-test-python:one").id)


def test_a_service_runs_in_the_image_that_it_names_by_digest(tmp_path: Path, image: str) -> None:
    app = "import os, sys\n\n\ndef run(event):\n    return [sys.executable, os.path.exists('/usr/bin/git')]\n"
    tree = orders.repository(tmp_path / "imaged", {"app.py": app}).path
    service = Service(name="imaged", entrypoint="app:run", kind="function", image=image)
    told = {"kind": "function", "request": {"method": "CALL", "path": "app:run", "body": {}}, "time": orders.AT}
    with Runner(tree, service, sandbox="docker") as runner:
        runs = runner.run(orders.fixture(told), repeats=2)
        assert runner.environment.digest == image.removeprefix("sha256:")
        assert all("NOT" not in line for line in runner.enforced)
    assert {run.body for run in runs} == {b'["/usr/bin/python3", false]'}, runs[0]
    with pytest.raises(errors.SandboxError, match="has no use for"):
        Runner(tree, service, sandbox="embedded")


def test_the_gates_run_the_service_s_tests_in_the_image_that_it_names(tmp_path: Path, image: str) -> None:
    """The image has no pytest, no network and no file of this machine; a write beside the copy is refused."""
    toml = f'[service]\nname = "imaged"\nentrypoint = "app:run"\ntests = "pytest tests"\nimage = "{image}"\n'
    app = "def run(event):\n    return 1\n"
    told = "import os, sys\nimport pytest\nfrom app import run\n\n\ndef test_place():\n"
    told += "    assert (sys.executable, os.path.exists('/usr/bin/git')) == ('/usr/bin/python3', False)\n"
    told += "    assert run({}) in (1, 2)\n    with pytest.raises(OSError):\n        open('/usr/lib/written', 'w')\n"
    source = orders.repository(tmp_path / "imaged", {"app.py": app, "tests/test_app.py": told, "shadowlab.toml": toml})
    diff = small.edit("app.py", "return 1", "return 2", text=app)
    more = {"diagnosis": small.diagnosis(source), "replay": small.replay(source)}
    with prepared(small.candidate(diff, ()), source=source, revision="HEAD", sandbox="docker", **more) as made:
        (gate,) = suite.tests(made)
        assert made.runtime().digest == image.removeprefix("sha256:")
    assert gate.verdict == "pass", gate.detail
    assert "the container of its image" in gate.detail
    assert not docker_containers()
    with (
        prepared(small.candidate(diff, ()), source=source, revision="HEAD", **more) as made,
        pytest.raises(errors.SandboxError, match="has no use for"),
    ):
        suite.tests(made)


def test_a_test_in_an_image_is_stopped_when_its_time_is_up(tmp_path: Path, image: str) -> None:
    (tmp_path / "run/tree").mkdir(parents=True)
    words = ["/usr/bin/python3", "-c", "import time; time.sleep(600)"]
    ran = confine_image.run(image, words, tmp_path / "run/tree", timeout_s=2, environment={}, reads=())
    assert ran.code is None
    assert not docker_containers()


def test_nothing_is_left_of_a_container_that_does_not_start(tmp_path: Path, image: str) -> None:
    (tmp_path / "run/tree").mkdir(parents=True)
    with pytest.raises(errors.SandboxError, match="the service's image cannot be run: 400 Client Error"):
        confine_image.run(image, ["/usr/bin/nothing"], tmp_path / "run/tree", timeout_s=60, environment={}, reads=())
    assert not docker_containers()


@pytest.mark.parametrize(
    ("what", "told"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (docker.errors.APIError("the engine is busy"), errors.SandboxError)],
)
def test_nothing_is_left_of_a_container_that_is_given_up(
    tmp_path: Path, image: str, monkeypatch: pytest.MonkeyPatch, what: BaseException, told: type[BaseException]
) -> None:
    def wait(*_: Any, **__: Any) -> None:
        raise what

    (tmp_path / "run/tree").mkdir(parents=True)
    monkeypatch.setattr(Container, "wait", wait)
    words = ["/usr/bin/python3", "-c", "import time; time.sleep(600)"]
    with pytest.raises(told):
        confine_image.run(image, words, tmp_path / "run/tree", timeout_s=60, environment={}, reads=())
    assert not docker_containers()


def docker_containers() -> list[Any]:
    return docker.from_env().containers.list(all=True, filters={"label": "shadowlab=gate"})


def test_what_a_test_in_an_image_prints_without_end_is_cut(tmp_path: Path, image: str) -> None:
    (tmp_path / "run/tree").mkdir(parents=True)
    words = ["/usr/bin/python3", "-c", "for _ in range(50): print('x' * 1_000_000, end='')\nprint('the end')"]
    client = docker.from_env()
    made = client.containers.create(image, words, **confine_image._options(tmp_path / "run/tree", {}, (), 60))
    made.start()
    assert made.wait(timeout=60)["StatusCode"] == 0
    told = made.logs()
    made.remove(force=True)
    assert told.endswith(b"the end\n")
    assert len(told) < 20_000_000


def test_an_image_without_a_digest_is_refused(tmp_path: Path) -> None:
    service = Service(name="imaged", entrypoint="app:run", image="python:3.12")
    with pytest.raises(errors.SourceError, match="is not named by a digest"):
        Runner(tmp_path, service, sandbox="docker")


def test_postgresql_is_reached_from_within_a_container(tmp_path: Path, engine: None) -> None:
    done = replayed(tmp_path, POSTGRES, recorded(ROWS), sandbox="docker")
    assert done.outcome == "reproduced", done.runs[0].divergence
    assert any(line == "network: none but the replay's own PostgreSQL" for line in done.enforced)
