"""A runner of one's own: a recording goes out as a file and variables, the outcome comes back as JSON."""

from pathlib import Path
from typing import Any

import orders
import pytest

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.replay import Runner, RunResult
from shadowlab.replay.runners import command, outcomes
from shadowlab.source import Service

TOLD = """\
#!/bin/sh
test -r "$SHADOWLAB_RECORDING" || exit 1
printf '{"status": 200, "headers": [["x-told", "%s"]], "body": "aGk=", "seams": [%s]}' \\
    "$SHADOWLAB_SEED $SHADOWLAB_TIME_NS $SHADOWLAB_ENTRYPOINT $STOCK_KEY" "$SEAMS" >&3
"""
HELD = '{"seam": "clock", "control": "controlled", "how": "it stands"}'


def tree(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "runner.sh").write_text(text)
    (folder / "runner.sh").chmod(0o755)
    return folder


def service(**other: Any) -> Service:
    return Service(name="orders", entrypoint="Main", runner="./runner.sh", **other)


def runs(place: Path, **other: Any) -> list[RunResult]:
    with Runner(place, service(), **other) as runner:
        return runner.run(orders.fixture(orders.passing()), repeats=2)


def test_a_program_of_the_tree_gets_the_recording_and_tells_the_outcome(tmp_path: Path) -> None:
    first, second, twin = runs(tree(tmp_path / "tree", TOLD))
    assert (first.status, first.body) == (200, b"hi")
    assert first.headers == (("x-told", "7 1777888800123456789 Main shadowlab-stand-in-0"),)
    assert first.digest == second.digest != twin.digest
    assert twin.headers[0][1].endswith("stand-in-1")


@pytest.mark.parametrize(("text", "reason"), [
    ("#!/bin/sh\nprintf 'no json' >&3\n", "told nothing that can be read"),
    ("#!/bin/sh\nprintf '{\"status\": \"x\"}' >&3\n", "told nothing that can be read"),
    ("#!/bin/sh\nexit 0\n", "the process died"),
    ("#!/bin/sh\nprintf '{\"failed\": \"no such class\"}' >&3\n", "no such class"),
    ("#!/no/such/interpreter\n", "the runner cannot be started"),
])  # fmt: skip
def test_a_program_that_tells_no_outcome_is_a_crash_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    first = runs(tree(tmp_path / "tree", text))[0]
    assert first.state == "crashed"
    assert reason in first.reason


@pytest.mark.parametrize(("seams", "outcome"), [("", "uncertified"), (HELD, "reproduced")])
def test_a_runner_that_says_of_no_seam_how_it_is_held_proves_nothing(tmp_path: Path, seams: str, outcome: str) -> None:
    text = TOLD.replace("$STOCK_KEY", "").replace("$SEAMS", seams.replace('"', '\\"'))
    toml = '[service]\nname = "orders"\nentrypoint = "Main"\nrunner = "./runner.sh"\n'
    source = orders.repository(tmp_path / "shop", {"shadowlab.toml": toml})
    tree(tmp_path / "made", text)
    (tmp_path / "made" / "runner.sh").rename(source.path / "runner.sh")
    orders.commit(source)
    case = open_case(tmp_path / "case")
    response = {"status": 200, "headers": [], "body": "hi", "body_encoding": "utf-8"}
    told = orders.passing(db_snapshot=None, db_environment=None) | {"response": response, "outbound": []}
    replay.take_in(case, [orders.written(tmp_path / "tapes", told)])
    done = replay.replay(case, [told["id"]], source=source, revision="HEAD")
    assert done.outcome == outcome, done.runs[0].divergence
    assert ("runner" in [effect.seam for effect in done.effects]) == (seams == "")


def test_the_walls_stand_around_a_runner_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    text = f"""\
#!/bin/sh
told=$(
    read -r line < {tmp_path}/secret && echo read
    : > "$SHADOWLAB_TREE/written" && echo wrote
)
printf '{{"status": 200, "headers": [["x", "%s"]]}}' "$told" >&3
"""
    first = runs(tree(tmp_path / "tree", text))[0]
    # The shell may not even fork for its `$(...)`.
    assert first.state == "crashed" or first.headers == (("x", ""),)
    assert not (tmp_path / "tree" / "written").exists()


def test_a_database_that_the_runner_says_nothing_of_is_not_known() -> None:
    assert outcomes.whole({"status": 200}, database=True)["database"]["unknown"]
    assert not outcomes.whole({"status": 200}, database=False)["database"]["unknown"]


def test_a_runner_that_is_not_there_is_said(tmp_path: Path) -> None:
    place = tree(tmp_path / "tree", "")
    with pytest.raises(errors.SourceError, match="is no program of the tree"):
        command.Command("no-such-runner --fast").prepared(place, service(), tmp_path)


def test_a_runtime_that_is_not_known_is_said(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError, match="names the runtime 'cobol'"):
        Runner(tmp_path, Service(name="x", entrypoint="x", runtime="cobol"))


def test_what_cannot_be_mirrored_says_so(tmp_path: Path) -> None:
    with (
        Runner(tree(tmp_path / "tree", TOLD), service()) as runner,
        pytest.raises(errors.SandboxError, match="cannot be mirrored"),
    ):
        runner.mirror([orders.fixture(orders.passing())])
