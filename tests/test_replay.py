"""A failing request runs again, alone: the same outcome every time, or words that say why not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orders
import psutil
import pytest

from shadowlab import errors, replay
from shadowlab.case import Case, open_case
from shadowlab.records import Control, Outcome, from_json
from shadowlab.replay import Hooks, Runner
from shadowlab.source import Source


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Source]:
    """A case with two failing recordings and one that passed, and the shop's repository."""
    folder = tmp_path_factory.mktemp("replay")
    case = open_case(folder / "case")
    half, free = orders.document(1), orders.document(3, "FREE", error={"type": "ZeroDivisionError", "message": ZERO})
    taken = replay.take_in(case, [orders.written(folder / "tapes", half, orders.passing(2), free)])
    assert not taken.refused
    return case, orders.repository(folder / "shop")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """The shop, ready to be asked."""
    snapshot = orders.database(tmp_path_factory.mktemp("db") / "orders.sqlite").read_bytes()
    with Runner(orders.TREE, orders.service(), snapshots=lambda fixture: snapshot) as made:
        yield made


ZERO = "float division by zero"


def id_of(number: int) -> str:
    return f"{number:032x}"


def test_a_failing_request_is_reproduced_every_time(scene: tuple[Case, Source]) -> None:
    case, source = scene
    done = replay.replay(case, [id_of(1)], source=source, revision="HEAD", times=6)
    assert (done.outcome, done.attempts, done.reproduced) == (Outcome.REPRODUCED, 6, 6)
    assert done.error is not None
    assert (done.error.type, done.error.message) == ("TypeError", orders.DECIMAL)
    assert [frame.file for frame in done.error.frames] == ["app.py", "lib/wire.py"]
    assert done.revision == source.revision("HEAD")
    assert from_json(done.to_json()) == done


def test_twenty_replays_are_spread_over_the_recordings(scene: tuple[Case, Source]) -> None:
    case, source = scene
    done = replay.replay(case, [id_of(1), id_of(2), id_of(3)], source=source, revision="HEAD", times=20)
    assert [run.repeats for run in done.runs] == [7, 7, 6]
    assert (done.reproduced, done.attempts) == (20, 20)
    again = replay.replay(case, [id_of(1), id_of(2), id_of(3)], source=source, revision="HEAD", times=6)
    assert again.outcome_digest == done.outcome_digest


def test_ids_and_times_of_a_passing_request_may_be_the_replay_s_own(scene: tuple[Case, Source]) -> None:
    case, source = scene
    done = replay.replay(case, [id_of(2)], source=source, revision="HEAD")
    assert done.outcome is Outcome.REPRODUCED
    assert "2 ids or times in bodies are the replay's own" in done.notes[0]


def test_the_ledger_names_every_seam(scene: tuple[Case, Source]) -> None:
    case, source = scene
    effects = {
        effect.seam: effect for effect in replay.replay(case, [id_of(1)], source=source, revision="HEAD").effects
    }
    assert {"clock", "randomness", "hash order", "environment", "network", "database", "files", "threads"} <= set(
        effects
    )
    assert effects["clock"].control is Control.CONTROLLED
    assert effects["native code"].control is Control.UNKNOWN
    assert effects["network"].events == 3


def test_a_patch_that_cures_diverges_from_the_recording(scene: tuple[Case, Source]) -> None:
    case, source = scene
    done = replay.replay(case, [id_of(1)], source=source, revision="HEAD", patch=orders.FIX)
    assert done.outcome is Outcome.DIVERGED
    assert done.runs[0].status == 201
    with pytest.raises(
        errors.Diverged, match=r"recorded: POST /orders -> 500 TypeError\n  replayed: POST /orders -> 201"
    ):
        done.raise_for_divergence()
    assert source.read("lib/wire.py", "HEAD") == (orders.TREE / "lib/wire.py").read_text()


def test_a_patch_that_does_not_apply_is_said(scene: tuple[Case, Source]) -> None:
    case, source = scene
    with pytest.raises(errors.PatchError, match="the patch does not apply"):
        replay.replay(case, [id_of(1)], source=source, revision="HEAD", patch=orders.FIX.replace("value", "thing"))


def test_a_patch_cannot_write_outside_of_the_copy(scene: tuple[Case, Source]) -> None:
    case, source = scene
    escape = "--- /dev/null\n+++ b/../escaped\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(errors.PatchError, match=r"invalid path '\.\./escaped'"):
        replay.replay(case, [id_of(1)], source=source, revision="HEAD", patch=escape)


def test_a_missing_database_makes_a_recording_unavailable(tmp_path: Path, scene: tuple[Case, Source]) -> None:
    case = open_case(tmp_path / "case")
    replay.take_in(case, [orders.written(tmp_path / "tapes", orders.document(1, db_snapshot=None))])
    done = replay.replay(case, [id_of(1)], source=scene[1], revision="HEAD")
    assert (done.outcome, done.attempts) == (Outcome.UNAVAILABLE, 0)
    assert done.missing == ("00000000: the database behind ORDERS_DB as the request found it",)


def test_a_source_without_the_entrypoint_is_a_source_error(tmp_path: Path, scene: tuple[Case, Source]) -> None:
    toml = '[service]\nname = "orders"\nentrypoint = "{}"\n'
    for entrypoint, message in (("gone:app", "there is no module 'gone'"), ("here:gone", "here has no 'gone'")):
        source = orders.repository(
            tmp_path / entrypoint.replace(":", "-"), {"here.py": "", "shadowlab.toml": toml.format(entrypoint)}
        )
        with pytest.raises(errors.SourceError, match=message):
            replay.replay(scene[0], [id_of(1)], source=source, revision="HEAD")


def test_an_unrecorded_call_lists_the_nearest_recorded_ones(runner: Runner) -> None:
    other = orders.stock(url="http://stock.internal/items/coffee")
    run = runner.run(orders.fixture(orders.document(1, outbound=[other])), repeats=1, perturb=False)[0]
    assert run.unrecorded == (
        "nothing was recorded for GET http://stock.internal/items/tea; "
        "nearest: GET http://stock.internal/items/coffee (path differ)",
    )
    assert run.error is not None
    assert run.error.type == "httpx.ConnectError"
    assert run.unused == ("GET http://stock.internal/items/coffee",)


def test_a_recorded_timeout_is_raised_again(runner: Runner) -> None:
    broken = orders.stock(status=None, error={"type": "httpx.ReadTimeout", "message": "too slow"})
    run = runner.run(orders.fixture(orders.document(1, outbound=[broken])), repeats=1, perturb=False)[0]
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("httpx.ReadTimeout", "too slow")


def test_sleeps_pass_in_no_time(runner: Runner) -> None:
    slow = orders.document(4, outbound=[], request={"method": "GET", "path": "/slow"})
    run = runner.run(orders.fixture(slow), repeats=1, perturb=False)[0]
    assert (run.status, run.body) == (200, b'{"took":30.0}')


def test_the_database_change_is_part_of_the_outcome(runner: Runner) -> None:
    run = runner.run(orders.fixture(orders.document(1)), repeats=1, perturb=False)[0]
    assert run.database == {"orders": (1, 0)}
    free = runner.run(orders.fixture(orders.document(3, "FREE")), repeats=1, perturb=False)[0]
    assert free.database == {}


def test_another_seed_changes_the_outcome_and_not_its_key(runner: Runner) -> None:
    told = orders.fixture(orders.passing())
    one, same, other = (
        runner.run(told, repeats=1, perturb=False, hooks=Hooks(seed=seed))[0] for seed in (None, None, 8)
    )
    assert one.digest == same.digest != other.digest
    assert one.key == other.key


def test_one_argument_replaced_makes_the_request_pass(runner: Runner) -> None:
    substitute = {"file": "lib/wire.py", "function": "to_json", "argument": "value", "rule": "decimal-to-str"}
    run = runner.run(orders.fixture(orders.document(1)), hooks=Hooks(substitute=substitute))[0]
    assert (run.status, run.error, run.substituted) == (201, None, 1)
    elsewhere = {**substitute, "function": "discount"}
    assert runner.run(orders.fixture(orders.document(1)), hooks=Hooks(substitute=elsewhere))[0].substituted == 0


def test_mirrored_requests_carry_their_state_along(runner: Runner, tmp_path: Path) -> None:
    told = [orders.fixture(orders.passing()), orders.fixture(orders.document(1))] * 10
    snapshot = orders.database(tmp_path / "orders.sqlite").read_bytes()
    results = runner.mirror(told, snapshot)
    assert [result.status for result in results] == [201, 500] * 10
    assert {result.error for result in results} == {None, "TypeError"}
    assert all(result.latency_ms > 0 for result in results)
    assert len({result.body_sha256 for result in results if result.status == 201}) == 1


def test_a_replay_that_never_ends_is_ended(tmp_path: Path) -> None:
    files = {
        "app.py": "async def app(scope, receive, send):\n    while True:\n        pass\n",
        "shadowlab.toml": '[service]\nname = "loop"\nentrypoint = "app:app"\nkind = "asgi"\n',
    }
    source = orders.repository(tmp_path / "loop", files)
    with Runner(source.path, source.service("HEAD"), timeout_s=0.5) as stuck:
        run = stuck.run(orders.fixture(orders.passing()), repeats=1, perturb=False)[0]
    assert (run.state, run.reason) == ("timeout", "it had not ended after 0.5 s")


def test_what_hangs_on_hash_order_is_uncertified_and_named(tmp_path: Path) -> None:
    files = {
        "app.py": "def run(event):\n    return list({'alpha', 'beta', 'gamma', 'delta'})\n",
        "shadowlab.toml": '[service]\nname = "sets"\nentrypoint = "app:run"\n',
    }
    source, case = orders.repository(tmp_path / "sets", files), open_case(tmp_path / "case")
    (tmp_path / "event.json").write_text("{}")
    made = replay.from_event(case, tmp_path / "event.json", source=source)
    done = replay.replay(case, [made.id], source=source, revision="HEAD", times=3)
    assert (done.outcome, done.reproduced, done.attempts) == (Outcome.UNCERTIFIED, 0, 3)
    assert done.runs[0].divergence == "  the perturbed twin differs in body"
    assert done.effects[0].seam == "perturbation"
    with pytest.raises(errors.Diverged, match=r"is uncertified \(0/3\)"):
        done.raise_for_divergence()


def test_a_request_that_waits_for_nothing_is_stuck(tmp_path: Path) -> None:
    files = {
        "app.py": "import asyncio\n\nasync def app(scope, receive, send):\n    await asyncio.Event().wait()\n",
        "shadowlab.toml": '[service]\nname = "stuck"\nentrypoint = "app:app"\nkind = "asgi"\n',
    }
    source = orders.repository(tmp_path / "stuck", files)
    with Runner(source.path, source.service("HEAD")) as made:
        run = made.run(orders.fixture(orders.passing()), repeats=1, perturb=False)[0]
    assert run.state == "stuck"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_supervisor_is_killed(how: signal.Signals) -> None:
    script = (
        "import sys, time, orders\nfrom shadowlab.replay import Runner\n"
        "with Runner(orders.TREE, orders.service()) as r:\n"
        "    r.run(orders.fixture(orders.passing(outbound=[])), repeats=1, perturb=False)\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    tests = Path(orders.__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(tests)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    servers = psutil.Process(process.pid).children(recursive=True)
    assert servers
    process.send_signal(how)
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(servers, timeout=5)
    assert not alive
