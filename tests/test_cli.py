"""The command line: light, documented, one JSON document or one message."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from story import Story, busy

from shadowlab import texts
from shadowlab.case import Case
from shadowlab.cli import main
from shadowlab.exit_codes import MEANINGS
from shadowlab.records import Ingest
from shadowlab.replay import containers

README = Path(__file__).parent.parent / "README.md"
HEAVY = ("duckdb", "pandas", "pyarrow", "plotly", "libcst", "statsmodels", "scipy", "papermill", "docker", "IPython")


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("code", ["import shadowlab", "import shadowlab.cli", "from shadowlab import Verdict"])
def test_importing_loads_no_heavy_library(code: str) -> None:
    assert loaded_by(code).isdisjoint(HEAVY)


def test_triage_loads_no_library_that_takes_as_long_as_it_does(tmp_path: Path) -> None:
    busy(story := Story(), seconds=20, fail=range(5))
    case = story.case(tmp_path).path
    run = f"from shadowlab.cli import main; main(['triage', {str(case)!r}], standalone_mode=False)"
    assert loaded_by(run).isdisjoint({*HEAVY, "numba"} - {"duckdb", "pyarrow"})


def test_the_command_line_is_the_same_as_python_m() -> None:
    done = subprocess.run([sys.executable, "-m", "shadowlab", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "shadowlab, version 0.1.0\n"


def test_the_list_of_commands_says_whole_sentences() -> None:
    told = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2].partition("Exit codes:")[0]
    assert re.findall(r"^  ([\w-]+)  ", told, re.MULTILINE) == list(main.commands)
    assert "..." not in told


TYPED = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize(
    "words",
    [
        ["show", "CASE", TYPED],
        ["show", "CASE", "https://user:hunter22@host/x"],
        ["sql", "CASE", f"select {TYPED} from traces"],
        ["sql", "CASE", f"select {'a' * 99} from traces where password = '{'hunter22' * 8}' an x"],
        ["triage", "CASE", "--source", "https://user:hunter22@host/x"],
        ["triage", "CASE", "--source=https://user:hunter22@host/x"],
        ["ingest", "CASE", f"/nowhere/{TYPED}"],
        ["replay", "CASE", "--times", TYPED],
        ["show", "CASE", "a", TYPED],
        ["show", "CASE", f"--{TYPED}"],
        [TYPED],
        [f"--{TYPED}"],
    ],
)
def test_no_error_repeats_a_secret_that_was_typed(words: list[str], tmp_path: Path) -> None:
    busy(story := Story(), seconds=2)
    case = story.case(tmp_path).path
    done = CliRunner().invoke(main, [str(case) if word == "CASE" else word for word in words])
    assert done.exit_code == 2, done.output
    assert "<token>" in done.stderr or "<secret>" in done.stderr
    assert "ghp_" not in done.output
    assert "nter22" not in done.output


def test_an_error_names_the_file_that_an_option_for_a_secret_gave(tmp_path: Path) -> None:
    (secret := tmp_path / "secret.txt").write_text("short")
    busy(story := Story(), seconds=2)
    case = story.case(tmp_path).path
    told = CliRunner().invoke(main, ["watch", str(case), "--webhook", "127.0.0.1:0", f"--webhook-secret={secret}"])
    assert told.exit_code == 2
    assert "secret.txt holds fewer than 16 bytes" in told.stderr


def test_help_and_readme_say_what_each_exit_code_means() -> None:
    told = " ".join(CliRunner().invoke(main, ["--help"]).output.partition("Exit codes:")[2].split())
    assert told == " ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items())
    table = README.read_text().partition("| exit code | meaning |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()]


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_teaches_and_is_in_the_readme(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.split("Options:")[0]) > 60
    assert f"`shadowlab {name}" in README.read_text()


def test_the_readme_names_no_command_that_is_not_there() -> None:
    assert set(re.findall(r"`shadowlab ([a-z][a-z-]*)", README.read_text())) <= set(main.commands)


def test_every_option_says_what_it_is_for() -> None:
    silent = [
        f"{name} {option.name}"
        for name, command in main.commands.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


@pytest.mark.parametrize("text", ["7", "7/", "a/b", "8/7", "-1/7"])
def test_judge_refuses_what_is_no_count(text: str) -> None:
    shown = CliRunner().invoke(main, ["judge", "--control", text, "--candidate", "0/10", "--json"])
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "write failures/requests" in shown.stderr


@pytest.mark.parametrize(
    ("control", "candidate", "verdict", "code"),
    [("30/1000", "0/1000", "pass", 0), ("0/1000", "30/1000", "fail", 1), ("0/10", "0/10", "inconclusive", 1)],
)
def test_judge_exits_by_its_verdict_and_prints_one_document(
    control: str, candidate: str, verdict: str, code: int
) -> None:
    shown = CliRunner().invoke(main, ["judge", "--control", control, "--candidate", candidate, "--json"])
    told = json.loads(shown.stdout)
    assert {"type", "digest", "parents", "verdict", "samples_needed", "interval", "method"} <= told.keys()
    assert (told["verdict"], shown.exit_code) == (verdict, code)


@pytest.mark.parametrize(
    "name", ["triage", "replay", "diagnose", "propose", "gate", "rollout", "report", "sql", "show"]
)
def test_commands_refuse_a_case_that_is_not_there(tmp_path: Path, name: str) -> None:
    words = [name, str(tmp_path / "none"), *(["SELECT 1"] if name == "sql" else [])]
    shown = CliRunner().invoke(main, words)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "is no case" in shown.stderr
    assert not (tmp_path / "none").exists()


def test_a_fault_of_our_own_does_not_look_like_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    from shadowlab import standalone

    monkeypatch.setattr(standalone, "judge", lambda *_, **__: 1 / 0)
    shown = CliRunner().invoke(main, ["judge", "--control", "0/1", "--candidate", "0/1"])
    assert shown.exit_code == 70
    assert "ZeroDivisionError in" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("verb", ["ingest", "sql"])
def test_a_standard_input_that_is_closed_is_said(
    case: Case, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # what Python makes of `<&-`
    with pytest.raises(SystemExit) as ended:
        main([verb, str(case.path), "-"])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert "is closed\nhint: " in told.err


def test_an_ingest_without_files_shows_no_empty_table() -> None:
    assert texts.text(Ingest(spans=428)) == repr(Ingest(spans=428))


def test_a_container_engine_that_is_not_there_is_told_in_the_words_of_the_system() -> None:
    told = "Error while fetching: ('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"
    assert containers.reason(Exception(told)) == "No such file or directory"
    assert containers.reason(Exception("no such image: x\nmore")) == "no such image: x"
