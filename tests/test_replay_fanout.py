"""Replays on the workers of a Dask scheduler come out as they do here."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orders
import pytest

from shadowlab import errors, replay
from shadowlab.case import Case, open_case
from shadowlab.replay import Runner, fanout
from shadowlab.source import Source


def test_without_distributed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(errors.UsageError, match="need the package distributed") as told:
        fanout._client("tcp://127.0.0.1:1")
    assert "shadowlab[dask]" in (told.value.hint or "")


def test_a_share_runs_as_the_whole_would() -> None:
    wanted = ((orders.fixture(orders.passing()), 1),)
    share = fanout.Share(
        tree=fanout._packed(orders.TREE), service=orders.service(), sandbox="embedded", hooks=None, perturb=False,
        wanted=wanted, snapshots=(None,),
    )  # fmt: skip
    done = fanout._run(share)
    with Runner(orders.TREE, orders.service()) as runner:
        (here,) = runner.run_many(wanted, perturb=False)
        assert done.environment == runner.environment
    assert [run.digest for run in done.runs[0]] == [run.digest for run in here]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and two workers, each a process of its own."""
    folder = tmp_path_factory.mktemp("dask")
    place = folder / "scheduler.json"
    run = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    work = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    words = [[*run, "--scheduler-file", str(place)], *[[*work, "--scheduler-file", str(place)]] * 2]
    log = (folder / "log").open("wb")
    started = [subprocess.Popen(each, cwd=folder, stdout=log, stderr=log) for each in words]
    import distributed

    deadline = time.monotonic() + 60
    while not place.exists():
        assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
        time.sleep(0.2)
    with distributed.Client(scheduler_file=str(place), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client.scheduler.address
    for process in started:
        process.terminate()
        process.wait(30)
    log.close()


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Case, Source, list[str]]:
    case, source = open_case(tmp_path / "case"), orders.repository(tmp_path / "shop")
    told = [orders.document(1), orders.document(2, rand_seed=9), orders.passing(3), orders.passing(4, rand_seed=11)]
    replay.take_in(case, [orders.written(tmp_path / "tapes", *told)])
    return case, source, [f"{n:032x}" for n in range(1, 5)]


@pytest.mark.slow
def test_digests_are_equal_here_and_on_two_workers(scheduler: str, shop: tuple[Case, Source, list[str]]) -> None:
    case, source, ids = shop
    here, there = (
        replay.replay(case, ids, source=source, revision="HEAD", times=8, workers=workers)
        for workers in (None, scheduler)
    )
    assert here.outcome == there.outcome == "reproduced"
    assert here.outcome_digest == there.outcome_digest
    assert [run.outcome_digest for run in here.runs] == [run.outcome_digest for run in there.runs]
    assert here.environment == there.environment
    assert not any(line.startswith("on some workers only") for line in there.enforced)


@pytest.mark.slow
def test_what_is_wrong_on_a_worker_is_said_here(scheduler: str, shop: tuple[Case, Source, list[str]]) -> None:
    case, _, ids = shop
    broken = orders.repository(
        case.path.with_name("broken"),
        {"shadowlab.toml": '[service]\nname = "orders"\nentrypoint = "gone:app"\n', "app.py": ""},
    )
    with pytest.raises(errors.SourceError, match="there is no module 'gone'"):
        replay.replay(case, ids, source=broken, revision="HEAD", workers=scheduler)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "somewhere"])
def test_a_scheduler_that_is_not_there_is_said_at_once(address: str) -> None:
    with pytest.raises(errors.SandboxError, match=f"no scheduler answers at {address}\n"):
        fanout._client(address)
