"""What cannot be used: one message, exit code 2, an empty standard output, and a case that is as it was."""

import contextlib
import errno
import fcntl
import gzip
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import orders
import otlp
import pytest
from click.testing import CliRunner

from shadowlab.audit import ledger
from shadowlab.case import as_it_was, open_case
from shadowlab.cli import main
from shadowlab.cli.commands import Commands
from shadowlab.incidents import bundled
from shadowlab.records import Proposal
from tests.conftest import Told

INCIDENT = bundled("payments-decimal")
HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>\n"
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
FOREIGN = b'{"level": "info", "msg": "hello"}\n{"level": "info", "msg": "again"}\n'
CUT = (INCIDENT / "traces.otlp.jsonl.gz").read_bytes()[:2000]
MANIFEST = '[service]\nname = "shop"\nentrypoint = "app:handle"\n'
ALONE = {**orders.document(1), "db_environment": None, "db_snapshot": None}
BAD = {"empty": b"", "html": HTML, "image": IMAGE, "foreign": FOREIGN, "cut": CUT}


def contents(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, the lock and kept facts left out, as a report leaves them out."""
    files = (place for place in folder.rglob("*") if place.is_file() and not {".lock", ".facts"} & {*place.parts})
    return {str(place.relative_to(folder)): hashlib.sha256(place.read_bytes()).hexdigest() for place in files}


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def refused(case: Path, *words: str | Path, says: str) -> str:
    """Run a command that must be refused, with and without `--json`; gives its message."""
    before = contents(case)
    err = ""
    for more in ((), ("--json",)):
        code, out, err = run(*words, *more)
        assert (code, out) == (2, ""), err
        assert says in err
        assert (err.count("error: "), err.count("hint: ")) == (1, 1), err
        assert "Traceback" not in err
        assert contents(case) == before
    return err


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a case of one failing request, and the file that it was made from."""
    folder = tmp_path_factory.mktemp("made")
    failing = otlp.span(1, error=True)
    failing.update(otlp.raising(failing))
    assert run("ingest", folder / "small", otlp.lines(folder / "good.jsonl", otlp.traces([failing])))[0] == 0
    return folder


@pytest.fixture
def small(made: Path, tmp_path: Path) -> Path:
    """A copy of that case."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "small"


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Path]:
    """Makes a git repository that holds these files."""

    def make(**files: str) -> Path:
        folder = tmp_path / "repository"
        folder.mkdir()
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
            subprocess.run([*git, *words], check=True)
        return folder

    return make


@pytest.mark.parametrize("kind", BAD)
def test_ingest_refuses_a_file_that_is_no_telemetry(small: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(BAD[kind])
    refused(small, "ingest", small, tmp_path / "bad.jsonl", says=str(tmp_path / "bad.jsonl"))


def test_ingest_refuses_a_file_that_is_not_there(small: Path, tmp_path: Path) -> None:
    refused(small, "ingest", small, tmp_path / "none.jsonl", says="No such file")


@pytest.mark.parametrize("kind", BAD)
def test_a_refused_first_ingest_makes_no_case(tmp_path: Path, kind: str) -> None:
    (tmp_path / "bad.jsonl").write_bytes(BAD[kind])
    refused(tmp_path, "ingest", tmp_path / "case", tmp_path / "bad.jsonl", says="bad.jsonl")
    assert not (tmp_path / "case").exists()


def test_the_good_files_beside_a_bad_one_are_kept_and_it_is_named(tmp_path: Path) -> None:
    good = otlp.lines(tmp_path / "good.jsonl", otlp.traces([otlp.span(1)]))
    (tmp_path / "bad.html").write_bytes(HTML)
    code, out, err = run("ingest", tmp_path / "case", good, tmp_path / "bad.html", "--json")
    assert (code, out) == (2, "")
    assert "bad.html" in err
    assert "1 spans" in err
    assert json.loads(run("show", tmp_path / "case", "--json")[1])["spans"] == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(json.dumps(orders.document(1)).encode())[:-40], "bad.json"),
        (json.dumps(orders.document(1)).encode()[:-40], "bad.json"),
        (json.dumps({**ALONE, "schema": "shadowlab.recording/v99"}).encode(), "shadowlab.recording/v99"),
        (json.dumps({**ALONE, "id": "../../../escaped"}).encode(), "id"),
        (json.dumps({**orders.document(1), "db_snapshot": "../../../../etc/passwd"}).encode(), "leads out"),
        (json.dumps({**ALONE, "request": {"path": "/\ud800"}}).encode(), "bad.json"),
    ],
    ids=["cut gzip", "cut", "newer", "path in id", "path in snapshot", "lone surrogate"],
)
def test_ingest_refuses_a_recording_that_cannot_be_kept(small: Path, tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    refused(small, "ingest", small, tmp_path / "bad.json", says=says)
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_file_that_turns_newer_in_the_middle_leaves_none_of_its_recordings(small: Path, tmp_path: Path) -> None:
    newer = {**orders.document(2), "schema": "shadowlab.recording/v99"}
    tape = orders.written(tmp_path / "tapes", orders.document(1), newer)
    refused(small, "ingest", small, tape, says="takes a newer shadowlab")


def test_a_recording_of_a_known_id_does_not_replace_the_evidence(small: Path, tmp_path: Path) -> None:
    assert run("ingest", small, orders.written(tmp_path / "a", orders.document(1)))[0] == 0
    other = {**orders.document(1), "rand_seed": 99}
    refused(small, "ingest", small, orders.written(tmp_path / "b", other), says="with other content")


@pytest.mark.parametrize("kind", [*BAD, "missing"])
def test_objectives_that_cannot_be_read_are_refused(small: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "objectives.yaml"
    if kind in BAD:
        place.write_bytes(BAD[kind])
    refused(small, "triage", small, "--slo", place, says=str(place))


def test_an_objective_that_matches_nothing_is_refused(small: Path, tmp_path: Path) -> None:
    text = (INCIDENT / "objective.openslo.yaml").read_text().replace("payments-api", "no-such-service")
    (tmp_path / "objectives.yaml").write_text(text)
    refused(small, "triage", small, "--slo", tmp_path / "objectives.yaml", says="no-such-service")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("triage", "--at", "yesterday"), "yesterday"),
        (("triage", "--at", "2026-13-01T00:00:00Z"), "2026-13-01"),
        (("triage", "--window", "7"), "is no window"),
        (("triage", "--window", "0m"), "is empty"),
        (("show", "../../etc/passwd"), "names nothing"),
        (("show", "00000000"), "has nothing named"),
        (("replay", "--suspect", "ffff"), "start with 'ffff'"),
        (("replay", "--recording", "../../etc/passwd"), "does not know the service's source"),
        (("report", "--template", "../../x"), "there is no template"),
        (("report", "--template", "../../x.ipynb"), "cannot be read"),
        (("report", "-p", "nothing", "1"), "no parameter"),
        (("diagnose",), "no Replay yet"),
        (("gate",), "no Proposal yet"),
        (("rollout",), "no GateReport yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_words_that_name_nothing_are_refused(small: Path, words: tuple[str, ...], says: str) -> None:
    refused(small, words[0], small, *words[1:], says=says)


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (("triage", "--changes"), "16,000,000 characters"),
        (("triage", "--slo"), "4,000,000 characters"),
        (("receive", "--token-file"), "4,096 characters"),
        (("watch", "--once", "--webhook", "127.0.0.1:0", "--webhook-secret"), "4,096 bytes"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_a_file_without_an_end_is_refused_before_it_fills_the_memory(
    small: Path, words: tuple[str, ...], most: str
) -> None:
    verb, *more = words
    refused(small, verb, small, *more, "/dev/zero", says=f"/dev/zero cannot be read: it is longer than {most}\nhint: ")


@pytest.mark.parametrize(("device", "says"), [("zero", "longer than 1,000,000 characters"), ("urandom", "is no text")])
def test_a_query_without_an_end_is_refused_before_it_fills_the_memory(small: Path, device: str, says: str) -> None:
    with open(f"/dev/{device}", "rb") as endless:
        done = CliRunner().invoke(main, ["sql", str(small), "-"], input=endless)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{says}\nhint: " in done.stderr


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW spans",
        "COPY spans TO '{out}'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "ATTACH '{out}' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list; SELECT 1",
        "SET enable_external_access = true",
        "EXPORT DATABASE '{out}'",
        "SELECT getenv('HOME')",
        "EXPLAIN ANALYZE COPY spans TO '{out}'",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "@../../secrets",
        "",
    ],
)
def test_sql_that_writes_or_looks_outside_is_refused(small: Path, tmp_path: Path, query: str) -> None:
    refused(small, "sql", small, query.format(out=tmp_path / "out"), says="hint: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "limit", [("--memory", "much"), ("--memory", "-1GB"), ("--timeout", "0"), ("--timeout", "nan")]
)
def test_sql_refuses_what_is_no_limit(small: Path, limit: tuple[str, str]) -> None:
    refused(small, "sql", small, "SELECT 1", *limit, says="is no limit of ")


@pytest.mark.parametrize("name", ["case.json", "records/latest.json", "telemetry/manifest.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{"])
def test_a_case_whose_own_files_are_damaged_is_refused(small: Path, name: str, content: bytes) -> None:
    (small / name).write_bytes(content)
    refused(small, "show", small, says=name)


def test_a_case_of_a_newer_format_is_refused_by_every_verb(small: Path) -> None:
    (small / "case.json").write_text('{"format": 99}')
    for words in (("triage", small), ("show", small), ("ingest", small, small), ("verify", small), ("report", small)):
        refused(small, *words, says="is of format 99")


def test_a_second_writer_gives_up_after_its_lock_timeout(small: Path) -> None:
    with open_case(small).writing("a long ingest"):
        says = f"being written by process {os.getpid()} (a long ingest)"
        refused(small, "triage", small, "--lock-timeout", "0.2", says=says)


@pytest.mark.parametrize("kind", ["missing", "file", "folder", "no manifest", "no entrypoint"])
def test_a_source_that_cannot_be_used_is_refused(
    small: Path, tmp_path: Path, repository: Callable[..., Path], kind: str
) -> None:
    assert run("ingest", small, orders.written(tmp_path / "tapes", ALONE))[0] == 0
    folder = tmp_path / "source"
    match kind:
        case "file":
            folder.write_text("no folder")
        case "folder":
            folder.mkdir()
        case "no manifest":
            folder = repository(a__py="")
        case "no entrypoint":
            folder = repository(
                shadowlab__toml='[service]\nname = "shop"\nentrypoint = "app:gone"\n', app__py="a = 1\n"
            )
    recording = f"{1:032x}"
    says = {"missing": "is no folder", "file": "is no folder", "folder": "git repository",
            "no manifest": "shadowlab.toml", "no entrypoint": "gone"}[kind]  # fmt: skip
    refused(small, "replay", small, "--source", folder, "--recording", recording, "--revision", "HEAD", says=says)


@pytest.mark.parametrize("kind", [*BAD, "missing", "endless"])
def test_an_event_that_cannot_be_read_makes_no_case(tmp_path: Path, repository: Callable[..., Path], kind: str) -> None:
    source = repository(shadowlab__toml=MANIFEST, app__py="")
    event = Path("/dev/zero") if kind == "endless" else tmp_path / "event.json"
    if kind in BAD:
        event.write_bytes(BAD[kind])
    refused(tmp_path, "from-event", tmp_path / "case", event, "--source", source, says=str(event))
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize("kind", [*BAD, "missing"])
def test_a_file_that_is_no_packed_case_is_not_unpacked(tmp_path: Path, kind: str) -> None:
    if kind in BAD:
        (tmp_path / "case.tgz").write_bytes(BAD[kind])
    code, out, err = run("unpack", tmp_path / "case.tgz", tmp_path / "case")
    assert (code, out) == (2, "")
    assert "is no packed case" in err
    assert "Traceback" not in err
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize("place", ["/proc/case", "a-file/case"])
def test_a_packed_case_is_not_unpacked_where_nothing_can_be_written(told: Told, tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("")
    assert run("pack", told.copy(tmp_path), tmp_path / "case.tgz")[0] == 0
    code, out, err = run("unpack", tmp_path / "case.tgz", tmp_path / place)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: cannot make a case in {tmp_path / place}: ")


def test_a_replay_is_not_written_as_pytest_where_nothing_can_be_written(told: Told, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    case = told.copy(tmp_path)
    before = contents(case)
    code, _, err = run("replay", case, "--pytest", tmp_path / "a-file")
    assert (code, "a-file' is a file" in err) == (2, True), err
    assert contents(case) == before


def test_a_case_is_not_packed_into_itself(small: Path) -> None:
    refused(small, "pack", small, small / "case.tgz", says="lies in the case that it would hold")


def test_a_file_that_is_not_there_and_one_of_another_kind_have_hints_of_their_own(small: Path, tmp_path: Path) -> None:
    assert "hint: check its name" in refused(small, "ingest", small, tmp_path / "gone.json", says="cannot be read")
    (tmp_path / "words.txt").write_text("nothing but words\n")
    assert "hint: OTLP, Jaeger" in refused(small, "ingest", small, tmp_path / "words.txt", says="no telemetry")


def test_an_archive_is_called_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "traces.zip", "w") as file:
        file.writestr("traces.json", "{}")
    with tarfile.open(tmp_path / "traces.tgz", "w:gz") as file:
        file.add(tmp_path / "traces.zip", "traces.zip")
    for name, kind in (("traces.zip", "a zip archive"), ("traces.tgz", "a tar archive")):
        refused(tmp_path, "ingest", tmp_path / "case", tmp_path / name, says=f"it is {kind}, so unpack it first")


def test_a_case_cannot_lie_where_no_database_can(small: Path, tmp_path: Path) -> None:
    """DuckDB takes no path of other bytes; a case that was half made there was no case."""
    place = tmp_path / os.fsdecode(b"caf\xe9")
    telemetry = otlp.lines(tmp_path / "t.jsonl", otlp.traces([otlp.span()]))
    told = refused(tmp_path, "ingest", place / "case", telemetry, says=r"caf\udce9/case' is no path in UTF-8")
    assert "hint: name a folder whose name is UTF-8" in told
    shutil.copytree(small, place)
    refused(tmp_path, "triage", place, says="is no path in UTF-8")


@pytest.mark.parametrize("name", ["what?", "back\\slash", "a?b/case"])
def test_a_case_cannot_lie_where_duckdb_misreads_the_path(small: Path, tmp_path: Path, name: str) -> None:
    """It puts `.wal` before a question mark, and takes a backslash for a slash."""
    refused(tmp_path, "ingest", tmp_path / name, tmp_path / "good.jsonl", says="which DuckDB reads as something else")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    refused(tmp_path, "triage", small.rename(tmp_path / name), says="which DuckDB reads as something else")


@pytest.mark.parametrize(
    "name", ["with space", "quo'te\"d", "ünï 東京", "new\nline", "$(touch x)", "*[a]", "50%#;&", "-dash"]
)
def test_a_case_lies_under_any_other_name(small: Path, name: str) -> None:
    case = small.rename(small.parent / name)
    assert [run(verb, case)[0] for verb in ("triage", "show", "verify")] == [0, 0, 0]


def test_a_merge_of_one_is_said_in_the_words_of_the_command(small: Path) -> None:
    refused(small, "triage", small, "--merge", "a" * 16, says=f"merging '{'a' * 16}' alone merges nothing")


def test_nobody_waits_a_negative_time_for_the_lock(small: Path) -> None:
    code, out, err = run("triage", small, "--lock-timeout", "-3")
    assert (code, out, "-3.0 is not in the range" in err) == (2, "", True), err


def test_an_event_is_not_recorded_for_a_service_that_takes_requests(told: Told, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text("[1, 2]")
    case = told.copy(tmp_path)
    refused(case, "from-event", case, tmp_path / "event.json", says="it is called with requests, not with events")


def test_the_hint_for_a_damaged_case_leads_out_of_it(small: Path) -> None:
    (small / "case.json").write_text('{"format": 1, ')
    _, _, err = run("verify", small)
    assert err.endswith("hint: restore it from a copy of the case\n")


def test_a_patch_that_holds_no_change_is_said(told: Told, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("use a Decimal encoder\n")
    case = told.copy(tmp_path)
    refused(case, "compare", case, "--patch", tmp_path / "notes.txt", says="the patch holds no change")


def test_a_patch_that_does_not_apply_is_refused_by_gate(told: Told, tmp_path: Path) -> None:
    case = open_case(told.copy(tmp_path))
    fix = case.latest("Proposal")
    assert isinstance(fix, Proposal)
    diff = fix.top.diff.replace("separators=COMPACT", "separators=(',', ':')")
    case.keep(replace(fix, candidates=(replace(fix.top, diff=diff),)))
    refused(case.path, "gate", case.path, says="does not apply")


@pytest.mark.parametrize(("sandbox", "says"), [("moon", "there is no sandbox"), ("docker", "no container engine")])
def test_a_sandbox_that_is_not_there_is_refused(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: str, says: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    case = told.copy(tmp_path)
    refused(case, "replay", case, "--sandbox", sandbox, says=says)
    refused(case, "replay", case, "--recording", "../../etc/passwd", says="0 recordings")


def started(*words: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "shadowlab", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def running_now() -> dict[tuple[int, int], int]:
    """Every process, by its id and the moment of its start, with its parent's id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *told = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if state != "Z":
            found[int(place.parent.name), int(told[17])] = int(parent)
    return found


def started_by(process: int) -> set[tuple[int, int]]:
    """A process's children, their children, and so on."""
    now = running_now()
    found: set[tuple[int, int]] = set()
    left = [process]
    while left:
        of = left.pop()
        found |= (children := {each for each, parent in now.items() if parent == of})
        left += [number for number, _ in children]
    return found


def test_an_interrupted_replay_leaves_no_process_and_no_trace(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    before = contents(case)
    running = started("replay", case, "--times", "4000")
    while len(seen := started_by(running.pid)) < 3:  # a fork server, its twin, and a request in one of them
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (130, ""), err
    assert "interrupted" in err
    while seen & running_now().keys():  # they are being killed
        time.sleep(0.05)
    assert contents(case) == before


def test_an_interrupted_ingest_does_not_wait_for_who_feeds_it(tmp_path: Path) -> None:
    case = tmp_path / "case"
    running = started("ingest", case, "-")
    assert running.stdin
    line = json.dumps(otlp.traces([otlp.span(1)])) + "\n"
    running.stdin.write(line * (1 + (1 << 20) // len(line)))  # more than a pipe holds: it is being read
    running.stdin.flush()
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=120) == 130
    assert running.stderr
    assert "interrupted" in running.stderr.read()
    running.stdin.close()


@pytest.mark.parametrize(
    "told_as",
    [RuntimeError("Query interrupted"), ImportError("initialization failed")],
    ids=["a statement", "an import"],
)
def test_ctrl_c_in_the_middle_of_duckdb_is_no_fault_of_shadowlab(told_as: Exception) -> None:
    def stopped() -> None:
        raise told_as from KeyboardInterrupt() if isinstance(told_as, ImportError) else None

    told = CliRunner().invoke(Commands(commands=[click.Command("wait", callback=stopped)]), ["wait"])
    assert (told.exit_code, told.stdout) == (130, "")
    assert told.stderr == "interrupted; the case holds what was kept before\n"


def written(case: Path, what: str) -> set[tuple[Path, int]]:
    """Files of a case with the time of their last change."""
    found = set()
    for place in case.glob(what):
        with contextlib.suppress(OSError):
            found.add((place, place.stat().st_mtime_ns))
    return found


@pytest.mark.parametrize(
    ("verb", "first"),
    [("ingest", "telemetry/*"), ("ingest", "recordings/*.json"), ("triage", "*"), ("triage", "records/*")],
)
def test_a_verb_that_is_killed_while_it_writes_leaves_a_case_that_opens_and_can_go_on(
    told: Told, tmp_path: Path, verb: str, first: str
) -> None:
    case = told.copy(tmp_path) if verb == "triage" else tmp_path / "case"
    files = [INCIDENT / "recordings.jsonl.gz", INCIDENT / "logs.otlp.jsonl.gz"] if verb == "ingest" else []
    before = written(case, first)
    running = started(verb, case, *files)
    while written(case, first) == before and running.poll() is None:
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert run(verb, case, *files)[0] == 0
    assert run("show", case)[0] == 0
    checks = {check["name"]: check["detail"] for check in json.loads(run("verify", case, "--json")[1])["checks"]
              if check["verdict"] != "pass"}  # fmt: skip
    assert checks == {}
    assert all(problem is None for _, problem in ledger.examine(open_case(case)))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EFBIG, errno.EMFILE])
def test_what_the_machine_refuses_is_no_fault_of_shadowlab(
    small: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code), "case/ledger.jsonl")

    monkeypatch.setattr(ledger, "append", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)
    says = f"error: case/ledger.jsonl: {os.strerror(code)}\nhint: "
    refused(small, "triage", small, says=says)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("show {case} > /dev/full", 2),
        ("--version > /dev/full", 2),
        ("--help > /dev/full", 2),
        ("show {case}/none 2> /dev/full", 2),
        ("judge --control 0/1 2> /dev/full", 2),
        ("judge --control 1/9 --candidate 1/9 2> /dev/full", 1),
        ("show {case} >&-", 0),
        ("show {case}/none 2>&-", 2),
        ("show {case} <&- >&- 2>&-", 0),
    ],
)
def test_the_exit_code_is_the_same_where_nothing_can_be_printed(small: Path, command: str, code: int) -> None:
    words = f"{shlex.quote(sys.executable)} -m shadowlab {command.format(case=shlex.quote(str(small)))}"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_no_file_takes_the_place_of_a_standard_stream_that_is_closed(tmp_path: Path) -> None:
    asked = "import os; from shadowlab import __main__; __main__._hold_standard_streams(); f = open('file', 'w'); "
    words = f"{asked}os.write(1, b'printed'); os.system('echo child >&2'); os._exit(f.fileno())"
    done = subprocess.run(["sh", "-c", f'exec {shlex.quote(sys.executable)} -c "{words}" <&- >&- 2>&-'], cwd=tmp_path)
    assert done.returncode > 2
    assert (tmp_path / "file").read_text() == ""


def test_a_triage_that_the_disk_has_no_room_for_keeps_nothing(small: Path) -> None:
    """No file may grow beyond 200 kB: what a full disk looks like to a process, without being root."""
    before = contents(small)
    words = ["prlimit", "--fsize=200000", sys.executable, "-m", "shadowlab", "triage", small]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "small/telemetry cannot take the fingerprints in: IO Error" in done.stderr
    assert {name: sha256 for name, sha256 in contents(small).items() if "/.0" not in name} == before
    assert run("triage", small)[0] == 0
    assert not [name for name in contents(small) if "/.0" in name]


def test_a_case_that_the_disk_has_no_room_for_is_not_there_afterwards(tmp_path: Path) -> None:
    with contextlib.suppress(OSError), as_it_was(tmp_path / "case"):
        open_case(tmp_path / "case")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not (tmp_path / "case").exists()
