"""A case folder is written whole or not at all, by one writer at a time."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from shadowlab import case, errors
from shadowlab.case import as_it_was, open_case
from shadowlab.records import Ingest, Plan
from shadowlab.telemetry.receiver.place import held
from shadowlab.writing import write

PLAN = Plan(files=("a",), steps=("merge",), approvals=("sre",), rollback="git revert")


def test_a_kept_record_comes_back_as_the_latest_of_its_type(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    case.keep(PLAN)
    case.keep(Ingest(spans=3))
    assert open_case(tmp_path / "case").latest("Plan") == PLAN
    assert case.record(PLAN.digest[:10]) == PLAN


def test_a_record_whose_file_was_edited_is_refused(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    case.keep(PLAN)
    place = case.records / f"{PLAN.digest}.json"
    place.write_text(place.read_text().replace("merge", "purge"))
    with pytest.raises(errors.CaseError, match="its content has"):
        case.latest("Plan")


@pytest.mark.parametrize("content", ["[" * 100_000, "", "[]", '{"type": "Plan", "a": NaN}', "9" * 5_000])
def test_a_record_that_was_replaced_by_something_else_is_refused(tmp_path: Path, content: str) -> None:
    case = open_case(tmp_path / "case")
    case.keep(PLAN)
    (case.records / f"{PLAN.digest}.json").write_text(content)
    with pytest.raises(errors.CaseError):
        case.latest("Plan")


def test_a_folder_of_which_a_case_is_being_made_is_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "case" / "recordings").mkdir(parents=True)
    (tmp_path / "case" / ".case.json.abc").touch()
    assert open_case(tmp_path / "case").path == tmp_path / "case"
    (tmp_path / "other" / "recordings").mkdir(parents=True)
    (tmp_path / "other" / "recordings" / "one.json").touch()
    with pytest.raises(errors.CaseError, match="is there already and is no case"):
        open_case(tmp_path / "other")


def test_a_case_that_somebody_else_made_meanwhile_keeps_what_it_remembers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, folder = case._may_become_one, tmp_path / "case"

    def outrun(place: Path) -> bool:
        may = look(place)
        monkeypatch.setattr(case, "_may_become_one", look)
        open_case(place).remember(source="services/shop")
        return may

    folder.mkdir()
    monkeypatch.setattr(case, "_may_become_one", outrun)
    assert open_case(folder).settings()["source"] == "services/shop"


@pytest.mark.parametrize("others", ["writing", "receiving", "received"])
def test_who_is_refused_takes_no_case_from_others_that_are_at_it(tmp_path: Path, others: str) -> None:
    folder, log = tmp_path / "case", tmp_path / "case" / "telemetry" / "incoming" / ".000001.log"
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(errors.TelemetryError), as_it_was(folder):
            made = open_case(folder)
            stack.enter_context(made.writing("ingest") if others == "writing" else held(made, "receive"))
            if others == "received":
                log.write_bytes(b"acknowledged")
                stack.close()
            raise errors.TelemetryError("is empty")
        assert open_case(folder, create=False).telemetry.is_dir()
    assert log.exists() == (others == "received")


def test_who_waits_for_a_case_that_is_taken_away_is_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    made, refused = open_case(folder), []

    def wait() -> None:
        try:
            with open_case(folder).writing("waiting"):
                refused.append("nothing")
        except errors.CaseError as exc:
            refused.append(str(exc))

    waiting = threading.Thread(target=wait)
    with made.writing("ingest"):
        waiting.start()
        time.sleep(0.3)
        shutil.rmtree(folder)
    waiting.join()
    assert refused == [f"{folder} was removed meanwhile\nhint: run the same again"]
    assert not folder.exists()


def test_who_is_refused_undoes_the_own_settings_alone(tmp_path: Path) -> None:
    open_case(folder := tmp_path / "case").remember(source="services/shop")
    with contextlib.suppress(errors.TelemetryError), as_it_was(folder):
        for source in ("services/typo", "services/other"):
            open_case(folder).remember(source=source, policy={"least_sandbox": "docker"})
        told = "import sys; from shadowlab.case import open_case; open_case(sys.argv[1]).remember(incidents=['one'])"
        subprocess.run([sys.executable, "-c", told, folder], check=True)
        raise errors.TelemetryError("is empty")
    assert open_case(folder).settings() == {"format": 1, "incidents": ["one"], "source": "services/shop"}


def test_who_is_refused_as_the_case_is_gone_is_told_why_it_was_refused(tmp_path: Path) -> None:
    open_case(folder := tmp_path / "case")

    def refused() -> None:
        with as_it_was(folder):
            open_case(folder).remember(source="services/shop")
            shutil.rmtree(folder)
            raise errors.CaseError("was removed meanwhile")

    with pytest.raises(errors.CaseError, match="was removed meanwhile"):
        refused()
    assert not folder.exists()


def test_a_newer_format_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    (case.path / "case.json").write_text('{"format": 99}')
    with pytest.raises(errors.CaseError, match="format 99, this shadowlab reads up to 1"):
        open_case(case.path)
    assert (case.path / "case.json").read_text() == '{"format": 99}'


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": "1"}'])
def test_a_damaged_case_json_is_named(tmp_path: Path, content: str) -> None:
    case = open_case(tmp_path / "case")
    (case.path / "case.json").write_text(content)
    with pytest.raises(errors.CaseError, match=r"case\.json"):
        open_case(case.path)


def test_a_folder_with_something_else_in_it_is_not_made_a_case(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(errors.CaseError, match="is no case"):
        open_case(tmp_path)
    with pytest.raises(errors.CaseError, match=r"it has no case\.json"):
        open_case(tmp_path, create=False)


def test_a_second_writer_waits_and_then_names_the_holder(tmp_path: Path) -> None:
    open_case(tmp_path / "case")
    other = _writer(tmp_path / "case")
    try:
        with (
            pytest.raises(errors.CaseError, match=rf"being written by process {other.pid} \(holding\)"),
            open_case(tmp_path / "case", lock_timeout=0.2).writing("test"),
        ):
            pass
    finally:
        other.kill()
        other.wait()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    open_case(tmp_path / "case")
    other = _writer(tmp_path / "case")
    other.send_signal(signal.SIGKILL)
    other.wait()
    with open_case(tmp_path / "case", lock_timeout=0.2).writing("test"):
        pass


def _writer(case: Path) -> subprocess.Popen[str]:
    code = f"""
        import time
        from shadowlab.case import open_case
        with open_case({os.fspath(case)!r}).writing("holding"):
            print("held", flush=True)
            time.sleep(60)
    """
    other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_a_file_is_there_whole_however_often_its_writer_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "file.json"
    write(place, b"[]")
    code = f"""
        from pathlib import Path
        from shadowlab.writing import write
        n = 0
        while True:
            n += 1
            write(Path({os.fspath(place)!r}), b"[" + b",".join([b"%d" % n] * 20000) + b"]")
            if n == 1:
                print("begun", flush=True)
    """
    for delay in (0.01, 0.025, 0.04):
        other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        time.sleep(delay)
        other.kill()
        other.wait()
        found = json.loads(place.read_bytes())
        assert (len(found), len(set(found))) == (20000, 1)


def test_a_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    assert case.key("redaction") == open_case(tmp_path / "case").key("redaction")
    assert (case.keys / "redaction").stat().st_mode & 0o077 == 0


def test_two_threads_of_one_case_exclude_each_other(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case", lock_timeout=0.2)
    told: list[BaseException] = []

    def write_too() -> None:
        try:
            with case.writing("second"):
                pass
        except errors.CaseError as exc:
            told.append(exc)

    with case.writing("first"), case.writing("first, again"):
        other = threading.Thread(target=write_too)
        other.start()
        other.join()
    assert "(first)" in str(told[0])
