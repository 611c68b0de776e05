"""`minimise`, `compare` and `explore` from the shell and from Python: records kept, ledger written, exit codes."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import orders
import pytest
from click.testing import CliRunner, Result

import shadowlab as sl
from shadowlab import replay
from shadowlab.cli import main
from shadowlab.replay.shrinking import fewer_rows, row_count

HALF, WELL = f"{1:032x}", f"{2:032x}"
RACE = """\
import asyncio

log = []


async def step(name, waits):
    for _ in range(waits):
        await asyncio.sleep(0)
    log.append(name)


async def run(event):
    await asyncio.gather(step("load", 1), step("check", 2), step("save", 3))
    if not event and log.index("save") < log.index("load"):
        raise RuntimeError("saved before it was loaded")
    return "ok"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a case of the shop, a failing and a passing recording, and the patch that fixes it."""
    folder = tmp_path_factory.mktemp("verbs")
    source = orders.repository(folder / "shop")
    inv = sl.open(folder / "case", source=source.path)
    noise = {f"key-{n}": "x" * 20 for n in range(20)}
    request = {**orders.document(1)["request"], "body": {"item": "tea", "coupon": "HALF", **noise}}
    replay.take_in(inv.case, [orders.written(folder / "tapes", orders.document(1, request=request), orders.passing(2))])
    (folder / "fix.patch").write_text(orders.FIX)
    return folder


def called(*words: object) -> tuple[Result, dict[str, Any]]:
    shown = CliRunner().invoke(main, [*map(str, words), "--json"])
    return shown, json.loads(shown.stdout) if shown.stdout else {}


def test_minimise_keeps_the_small_request_and_writes_it_as_pytest(place: Path) -> None:
    shown, told = called("minimise", place / "case", "--recording", HALF, "--pytest", place / "out")
    assert (shown.exit_code, told["type"], told["of"], told["spent"]) == (0, "Minimised", HALF, False)
    sizes = {part["name"]: (part["before"], part["after"]) for part in told["parts"]}
    assert sizes["body"][1] == 30
    assert (sizes["outbound calls"], sizes["database"]) == ((1, 1), (1, 1))
    assert {file.suffix for file in (place / "out/tests/replay").iterdir()} == {"", ".json", ".py"}
    inv = sl.open(place / "case")
    assert inv.latest(sl.Minimised).digest == told["digest"]
    assert [entry["verb"] for entry in inv.ledger] == ["minimise", "replay"]
    assert inv.latest(sl.Replay).outcome == "reproduced"
    assert inv.latest(sl.Replay).error.message == orders.DECIMAL


def test_a_small_request_is_not_taken_for_one_of_production(place: Path) -> None:
    inv = sl.open(place / "case")
    small = inv.minimise(HALF, budget=40)
    assert {tape.id: tape.made_from for tape in inv.recordings}[small.recording] == HALF
    compared = inv.compare(place / "shop", "HEAD", patch=place / "fix.patch")
    assert [one.recording for one in compared.exemplars] == [HALF, WELL]
    assert compared.verdict == "pass"


def test_minimise_refuses_a_request_that_passes(place: Path) -> None:
    shown, _ = called("minimise", place / "case", "--recording", WELL)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "does not fail when it is replayed" in shown.stderr


def test_rows_that_are_not_needed_go(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "many.sqlite") as db:
        db.executescript("CREATE TABLE a (n INTEGER); CREATE TABLE b (t TEXT); CREATE TABLE gone (n INTEGER);"
                         "CREATE TRIGGER loud BEFORE DELETE ON b BEGIN SELECT RAISE(ABORT, 'never'); END;")  # fmt: skip
        db.executemany("INSERT INTO a VALUES (?)", [(n,) for n in range(300)])
        db.executemany("INSERT INTO b VALUES (?)", [("x" * n,) for n in range(50)])
        db.execute("INSERT INTO gone VALUES (1)")
    db.close()
    asked = []

    def holds(content: bytes) -> bool:
        asked.append(content)
        copy = sqlite3.connect(":memory:")
        copy.deserialize(content)
        found = copy.execute("SELECT (SELECT count(*) FROM a WHERE n IN (7, 200)), (SELECT count(*) FROM b)").fetchone()
        kept = copy.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('loud', 'gone')").fetchone()
        return bool(found[0] == 2 and found[1] >= 1 and kept == (2,))

    small = fewer_rows((tmp_path / "many.sqlite").read_bytes(), holds)
    assert (row_count(small), holds(small)) == (3, True)
    assert len(asked) < 120


def test_compare_tells_what_a_patch_does_to_each_recording(place: Path) -> None:
    words = ("--base", "HEAD", "--patch", place / "fix.patch", "--recording", HALF, "--recording", WELL)
    shown, told = called("compare", place / "case", *words)
    assert (shown.exit_code, told["verdict"]) == (0, "pass")
    assert told["counts"] == {"fixed": 1, "unchanged": 1}
    fixed = told["exemplars"][0]
    assert (fixed["before"], fixed["after"]) == ("500 TypeError", "201")
    assert set(fixed["differs"]) >= {"status", "body", "error"}


def test_compare_exits_1_when_something_fails_still_and_2_without_a_second_tree(place: Path) -> None:
    shown, told = called("compare", place / "case", "--patched", "HEAD")
    assert (shown.exit_code, told["verdict"], told["base"]) == (1, "fail", told["patched"])
    shown, _ = called("compare", place / "case")
    assert (shown.exit_code, shown.stdout) == (2, "")
    shown, _ = called("compare", place / "case", "--patch", place / "none.patch")
    assert (shown.exit_code, "cannot be read" in shown.stderr) == (2, True)


def test_explore_keeps_the_order_in_which_a_request_fails(tmp_path: Path) -> None:
    toml = '[service]\nname = "it"\nentrypoint = "main:run"\nkind = "function"\n'
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": toml, "main.py": RACE})
    (tmp_path / "event.json").write_text("{}")
    made = sl.open(tmp_path / "case", source=source.path).from_event(tmp_path / "event.json")
    shown, told = called("explore", tmp_path / "case", "--recording", made.id, "--schedules", 100)
    assert (shown.exit_code, told["verdict"]) == (1, "fail")
    assert (told["first"], told["other"]) == ("returned", "RuntimeError")
    inv = sl.open(tmp_path / "case")
    again = inv.replay(recordings=(told["found"],), times=4).raise_for_divergence()
    assert again.error.message == "saved before it was loaded"
    (tmp_path / "event.json").write_text('{"harmless": true}')
    harmless = inv.from_event(tmp_path / "event.json")
    shown, told = called("explore", tmp_path / "case", "--recording", harmless.id, "--schedules", 20)
    assert (shown.exit_code, told["found"], told["outcomes"]) == (0, None, {"returned": 21})


def test_the_records_make_tables_that_need_no_script(place: Path) -> None:
    inv = sl.open(place / "case")
    for kind in (sl.Minimised, sl.Comparison):
        drawn = inv.latest(kind)._repr_html_()
        assert "<table" in drawn
        assert "<script" not in drawn
