"""What triage learned of segments outlives the process, changes nothing, and is believed from nobody else."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from otlp import lines, traces
from story import Story, busy
from test_triage_incremental import at_once, shop, taken

from shadowlab import telemetry, triage
from shadowlab.case import Case, open_case
from shadowlab.cli import main
from shadowlab.records import Triage
from shadowlab.telemetry import sealed
from shadowlab.triage import fact_cache, fact_files, facts

SECRET = b"of the person's"
FACTS = "telemetry/.facts"


def looked(case: Case, *, secret: bytes = SECRET) -> Triage:
    """What a fresh process says."""
    fact_cache.KEPT = fact_cache.Kept()
    with telemetry.store(case, secret=secret) as store:
        found, table = triage.triage(store, known=partial(telemetry.known_fingerprints, store))
    telemetry.set_fingerprints(case, table)
    return found


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fact_cache, "KEPT", fact_cache.Kept())


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Case:
    made = open_case(tmp_path_factory.mktemp("fact_files") / "case")
    taken(made, [span for request in shop(33)[:60] for span in request])
    return made


@pytest.fixture
def case(untouched: Case, tmp_path: Path) -> Case:
    """One that was triaged, with facts of its segment."""
    shutil.copytree(untouched.path, tmp_path / "case")
    looked(made := open_case(tmp_path / "case"))
    return made


def file_of(case: Case) -> Path:
    [found] = (path for path in (case.path / FACTS).iterdir() if path.suffix != ".asked")
    return found


def asked_of(case: Case) -> Path:
    return file_of(case).with_suffix(".asked")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Names of the segments whose spans were read again."""
    names: list[str | None] = []
    real = fact_cache._read

    def noted(store: telemetry.Store, name: str | None, *more: object) -> object:
        names.append(name)
        return real(store, name, *more)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(fact_cache, "_read", noted)
    return names


def test_a_fresh_process_reads_new_segments_alone_and_says_the_same(case: Case, read: list[str | None]):
    assert looked(case) == at_once(case)
    assert len(read) == 1  # by `at_once`, which knows nothing
    taken(case, [span for request in shop(33)[60:] for span in request])
    read.clear()
    found = looked(case)
    assert len(read) == 1
    assert read != ["segment_000001_telemetry"]
    assert found == at_once(case)
    read.clear()
    assert looked(case) == found
    assert not read


def test_operations_keep_their_names_whatever_was_read_before(case: Case, tmp_path: Path):
    story = Story()
    busy(story, seconds=20, fail=range(5))
    story.span(3, service="another", name="of its own", kind=3)
    (tmp_path / "other").mkdir()
    other = story.case(tmp_path / "other")
    fact_cache.KEPT = kept = fact_cache.Kept()
    for each in (other, case, other):
        with telemetry.store(each, secret=SECRET) as store:
            found = triage.triage(store)[0]
        assert fact_cache.KEPT is kept
        assert found == at_once(each)
        fact_cache.KEPT = kept
    kept._parts.clear()  # the operations stay, in their order
    with telemetry.store(case, secret=SECRET) as store:
        assert triage.triage(store)[0] == at_once(case)


@pytest.mark.parametrize("weight", ["th:8", None])
def test_weights_stamps_that_are_missing_and_logs_alone_are_facts_too(tmp_path: Path, weight: str | None):
    story = Story()
    busy(story, seconds=60, fail=range(9))
    for n, told in enumerate(told for spans in story.told.values() for told in spans):
        if weight:
            told["traceState"] = f"ot={weight}"
        if n % 7 == 0:
            told.pop("endTimeUnixNano", None)
    made = story.case(tmp_path)
    first = looked(made)
    assert looked(made) == first == at_once(made)


def flipped(at: int, path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1
    path.write_bytes(content)


def swapped(path: Path) -> None:
    """By one of another segment, sealed with the same secret."""
    folder = path.parent.parent / "elsewhere"
    folder.mkdir()
    shutil.copy(path.parent.parent / f"{path.name}.duckdb", folder)
    sealed.beside(folder / f"{path.name}.duckdb", SECRET).write(fact_files._rules(), 1, lambda file: None)
    shutil.copy(folder / ".facts" / path.name, path)


def linked(path: Path) -> None:
    path.rename(path.parent.parent / "real")
    path.symlink_to(path.parent.parent / "real")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BROKEN: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: os.truncate(path, path.stat().st_size - 100),
    "a first byte": partial(flipped, 0),
    "a byte of what it says": partial(flipped, 20_000),
    "a byte of its seal": partial(flipped, -1),
    "another segment's": swapped,
    "of a segment that was touched since": lambda path: os.utime(path.parent.parent / f"{path.name}.duckdb"),
    "written by others": lambda path: path.chmod(0o660),
    "a link": linked,
    "a pipe": piped,
}


FIRST = ("torn", "a byte of what it says", "another segment's", "of a segment that was touched since", "a link")


@pytest.mark.parametrize("how", [pytest.param(how, marks=[] if how in FIRST else [pytest.mark.slow]) for how in BROKEN])
def test_a_file_that_is_not_ours_to_the_last_byte_is_read_anew_and_written_anew(
    case: Case, read: list[str | None], how: str
):
    found = at_once(case)
    read.clear()
    BROKEN[how](file_of(case))
    assert looked(case) == found
    assert read == ["segment_000001_telemetry"]
    read.clear()
    assert looked(case) == found
    assert not read


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of single traces."""
    queries: list[str] = []
    real = facts.Facts.ask

    def noted(seen: facts.Facts, part: int, query: str, params: Mapping[str, Any] = MappingProxyType({})) -> Any:
        if "traces" in params:
            queries.append(query)
        return real(seen, part, query, params)

    monkeypatch.setattr(facts.Facts, "ask", noted)
    return queries


def test_a_fresh_process_asks_nothing_of_traces_that_was_asked_before(case: Case, asked: list[str]):
    found = at_once(case)
    assert asked
    asked.clear()
    assert looked(case) == found
    assert not asked


@pytest.mark.parametrize("how", [pytest.param(how, marks=[] if how in FIRST else [pytest.mark.slow])
                                 for how in BROKEN if how not in ("another segment's", "a link")])  # fmt: skip
def test_what_was_asked_is_asked_anew_where_its_file_is_not_ours_to_the_last_byte(
    case: Case, asked: list[str], how: str
):
    found, path = at_once(case), asked_of(case)
    asked.clear()
    BROKEN[how](file_of(case) if how.startswith("of a segment") else path)
    assert looked(case) == found
    assert asked
    asked.clear()
    assert looked(case) == found
    assert not asked


def test_the_files_of_a_segment_cannot_stand_for_each_other(case: Case, asked: list[str]):
    found = at_once(case)
    asked.clear()
    shutil.copy(file_of(case), asked_of(case))
    assert looked(case) == found
    assert asked


def test_what_was_asked_of_a_window_holds_for_the_next(case: Case):
    for more in (0, 1, 2):
        taken(case, [span for request in shop(33)[60 + 20 * more : 80 + 20 * more] for span in request])
        assert looked(case) == at_once(case)
        assert looked(case) == at_once(case)


def test_nobody_elses_facts_count_and_other_rules_neither(case: Case, read: list[str | None]):
    looked(case, secret=b"of another")
    assert len(read) == 1
    looked(case)
    assert len(read) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_files, "_rules", lambda: b"of a later version")
        looked(case)
    assert len(read) == 3


def test_what_the_case_tells_of_its_errors_is_never_sealed_as_learned(case: Case):
    """Whoever packed a case may have written its fingerprints; they count for as long as they are in it."""
    shutil.rmtree(case.path / FACTS)
    honest = looked(case).suspects[0].title
    shutil.rmtree(case.path / FACTS)
    with telemetry.store(case) as store:
        table = telemetry.known_fingerprints(store)
    forged = pa.array(["forged"] * len(table)).dictionary_encode()
    for name in ("root_type", "template", "root_template", "own"):
        table = table.set_column(table.column_names.index(name), name, forged)
    telemetry.set_fingerprints(case, table)
    assert "forged" in looked(case).suspects[0].title
    fact_cache.KEPT = fact_cache.Kept()
    with telemetry.store(case, secret=SECRET) as store:
        found, _ = triage.triage(store)
    assert found.suspects[0].title == honest


def test_without_a_place_for_them_it_is_done_without(case: Case, read: list[str | None]):
    found, path = at_once(case), file_of(case)
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    assert looked(case) == looked(case) == found
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.asked"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "written", read_only)
        shutil.rmtree(path)
        assert looked(case) == found


def alone(code: str, *told: Path, within: Path) -> None:
    """Run it in a process of its own, which may change what it is allowed."""
    code = f"import os, resource, sys; from pathlib import Path; from shadowlab.telemetry import sealed\n{code}"
    subprocess.run([sys.executable, "-c", code, *told], cwd=within, check=True)


def test_facts_of_another_person_are_in_nobodys_way(case: Case):
    case.telemetry.chmod(0o755)
    if os.getuid():
        (case.path / FACTS).chmod(0)
    alone("os.getuid() or os.setuid(65534); sealed.sweep(Path(), frozenset())", within=case.telemetry)


def test_facts_that_memory_does_not_hold_are_read_anew(tmp_path: Path):
    (path := tmp_path / "facts").touch(0o600)
    os.truncate(path, 1 << 29)  # a hole, which takes no room on the disk
    alone(
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "sys.exit(sealed.Sealed(Path(sys.argv[1]), b'key').read(b'rules') is not None)",
        path,
        within=tmp_path,
    )


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "read-only file system")


def test_a_link_in_the_place_of_the_folder_is_not_followed(case: Case, tmp_path: Path):
    (precious := tmp_path / "precious").mkdir()
    (precious / "file").write_text("kept")
    shutil.rmtree(case.path / FACTS)
    (case.path / FACTS).symlink_to(precious)
    looked(case)
    looked(case)
    assert [path.name for path in precious.iterdir()] == ["file"]
    assert not (case.path / FACTS).is_symlink()


def test_what_is_too_much_is_not_kept(case: Case, monkeypatch: pytest.MonkeyPatch):
    shutil.rmtree(case.path / FACTS)
    monkeypatch.setattr(sealed, "_MOST", 10_000)
    looked(case)
    assert not (case.path / FACTS).exists()


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_ones_and_the_next_writer_sweeps(case: Case):
    before = file_of(case).read_bytes()
    dying = (
        "import os, sys; from pathlib import Path; from shadowlab.telemetry import sealed\n"
        "def fill(file): file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
        "sealed.beside(Path(sys.argv[1]), b'of the person\\'s').write(b'rules', 1, fill)"
    )
    segment = case.telemetry / "000001-telemetry.duckdb"
    assert subprocess.run([sys.executable, "-c", dying, str(segment)], check=False).returncode == -9
    assert len(list((case.path / FACTS).iterdir())) == 3
    assert (case.path / FACTS / "000001-telemetry").read_bytes() == before
    looked(case)
    assert file_of(case).read_bytes() == before


def test_a_segment_without_errors_is_read_from_its_file_without_a_library_that_nothing_needs(tmp_path: Path):
    calm = open_case(tmp_path / "calm")
    taken(calm, [span for request in shop(33)[:20] for span in request if "error" not in str(span)])
    looked(calm)
    look = (
        "import sys; from shadowlab import telemetry, triage; from shadowlab.case import open_case\n"
        "with telemetry.store(open_case(sys.argv[1]), secret=b'of the person\\'s') as store:\n"
        "    triage.triage(store)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", look, str(calm.path)], capture_output=True, text=True, check=True)
    assert {"pandas", "numpy.ma", "shadowlab.triage.page"}.isdisjoint(done.stdout.split())
    assert "pyarrow" in done.stdout.split()


def test_facts_go_when_their_segment_does(case: Case):
    for name in ("000099-telemetry", "000099-telemetry.asked", ".000001-telemetry.half"):
        (case.path / FACTS / name).touch()
    taken(case, [span for request in shop(33)[60:61] for span in request])
    assert sorted(path.name for path in (case.path / FACTS).iterdir()) == ["000001-telemetry", "000001-telemetry.asked"]


def test_processes_that_learn_and_keep_the_same_at_once_say_the_same(case: Case, read: list[str | None]):
    found = json.dumps(at_once(case).to_json(), sort_keys=True)
    file_of(case).unlink()
    look = (
        "import json, sys; from shadowlab import telemetry, triage; from shadowlab.case import open_case\n"
        "with telemetry.store(open_case(sys.argv[1]), secret=b'of the person\\'s') as store:\n"
        "    print(json.dumps(triage.triage(store)[0].to_json(), sort_keys=True))"
    )
    command = [sys.executable, "-c", look, str(case.path)]
    looking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [each.communicate()[0].strip() for each in looking] == [found] * 3
    read.clear()
    assert json.dumps(looked(case).to_json(), sort_keys=True) == found
    assert not read
    assert file_of(case).name == "000001-telemetry"


def test_the_command_keeps_them_for_the_next_and_they_stay_out_of_archive_and_ledger(tmp_path: Path):
    busy(story := Story(), seconds=20, fail=range(5))
    place, source = tmp_path / "case", lines(tmp_path / "in.jsonl", *map(traces, story.told.values()))
    run = partial(CliRunner().invoke, main, catch_exceptions=False)
    assert run(["ingest", str(place), str(source)]).exit_code == 0
    first = json.loads(run(["triage", str(place), "--json"]).stdout)
    fact_cache.KEPT = fact_cache.Kept()
    assert file_of(open_case(place)).stat().st_mode & 0o777 == 0o600
    again = json.loads(run(["triage", str(place), "--json"]).stdout)
    assert again["digest"] == first["digest"]
    assert run(["verify", str(place)]).exit_code == 0
    assert ".facts" not in (place / "ledger.jsonl").read_text()
    assert run(["pack", str(place), str(tmp_path / "packed")]).exit_code == 0
    with tarfile.open(tmp_path / "packed") as tar:
        assert not any(".facts" in name for name in tar.getnames())


def test_they_hold_no_message_and_of_attributes_what_was_asked_of_the_segment(tmp_path: Path):
    story = Story()
    for n in range(5):
        told = story.span(n, error=True, user__name="ann-of-the-attributes")
        story.fails(told, "ValueError", "no price for 'ann-of-the-message'")
    made = story.case(tmp_path)
    looked(made)
    content = file_of(made).read_bytes()
    assert b"ValueError" in content
    assert b"ann-of" not in content
    assert b"ann-of-the-message" not in asked_of(made).read_bytes()
