import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orders
import pytest
from test_sandbox import act, hostile, names, world

from shadowlab import replay
from shadowlab.case import open_case
from shadowlab.replay import Runner

pytestmark = pytest.mark.slow
__all__ = ["world"]


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
    import docker

    with Runner(orders.TREE, orders.service(), sandbox="docker") as runner:
        runner.run(orders.fixture(orders.passing()), repeats=1, perturb=False)
        assert docker.from_env().containers.list(filters={"label": "shadowlab=replay"})
    assert not docker.from_env().containers.list(all=True, filters={"label": "shadowlab=replay"})
