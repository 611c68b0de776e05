"""Every bundled incident: its files are sound, and the whole way says of it what its `expected.json` says."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_sandbox_containers import engine

from shadowlab import replay
from shadowlab.case import open_case
from shadowlab.incidents import build_source, bundled
from shadowlab.investigation import Investigation, open_investigation
from shadowlab.records import Diagnosis, Hypothesis, Proposal, Replay, Status, Triage

__all__ = ["engine"]

DATA = bundled("payments-decimal").parent
INCIDENTS = sorted(path.parent.name for path in DATA.glob("*/expected.json") if path.parent.name != "payments-decimal")
KEYS = {"incident", "service", "operation", "cause", "error", "deploy", "offence", "history", "requests", "recordings",
        "triage", "replay", "diagnose", "propose", "files"}  # fmt: skip


def expected(name: str) -> dict[str, Any]:
    return dict(json.loads((DATA / name / "expected.json").read_text()))


@pytest.mark.parametrize("name", INCIDENTS)
def test_what_ships_is_small_and_says_what_expected_json_says(name: str) -> None:
    done = subprocess.run([sys.executable, DATA / "make.py", name, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{name}: all files say what expected.json says\n"), done.stderr
    assert sum(file.stat().st_size for file in (DATA / name).rglob("*") if file.is_file()) < 3_000_000
    assert set(expected(name)) == KEYS
    assert expected(name)["recordings"]["failing"] >= 3


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_history_has_the_offence_and_a_description_of_the_service(name: str, tmp_path: Path) -> None:
    told, source = expected(name), build_source(DATA / name, tmp_path / "source")
    assert source.revision() == told["history"][-1]
    assert len(told["history"]) >= 4  # the very first commit is not among them
    assert source.service("HEAD").name == told["service"]
    assert source.service("HEAD").frames == (f"/srv/{told['service']}/",)
    assert told["offence"] is None or told["offence"]["commit"] in told["history"]


@pytest.mark.slow
@pytest.mark.parametrize("name", INCIDENTS)
def test_the_service_passes_its_own_tests(name: str, tmp_path: Path) -> None:
    source = build_source(DATA / name, tmp_path / "source")
    words = [sys.executable, *(source.service("HEAD").tests or "").split()[1:], "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=source.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def investigated(name: str, folder: Path) -> Investigation:
    """A case with everything of an incident that is shipped."""
    inv = open_investigation(folder / "case", source=build_source(DATA / name, folder / "source").path)
    assert not inv.ingest(*sorted((DATA / name).glob("*.gz"))).rejected
    return inv


@pytest.mark.slow
@pytest.mark.parametrize("name", INCIDENTS)
def test_the_whole_way_says_what_expected_json_says(name: str, tmp_path: Path) -> None:
    told, inv = expected(name), investigated(name, tmp_path)
    found = inv.triage(slo=DATA / name / "objective.openslo.yaml")
    right_suspect(told, found)
    again = inv.replay(found.top, times=6)
    right_replay(told, again)
    why = inv.diagnose(again)
    right_cause(told, why)
    right_patch(told, inv.propose(why))


def right_suspect(told: dict[str, Any], found: Triage) -> None:
    top = found.top
    assert found.incident
    assert (top.service, top.operation) == (told["service"], told["operation"])
    # An error of a span below, of the database's driver say, may have words and no type.
    named = (top.exception_type or "").rpartition(".")[2] == told["error"]["type"]
    assert named or (top.exception_type is None and top.title.partition(": ")[2] in told["error"]["message"])
    assert len(top.recordings) == told["recordings"]["failing"]
    change = top.change and {"service": top.change.service, "after": top.change.after}
    assert change == told["triage"]["change"]


def right_replay(told: dict[str, Any], again: Replay) -> None:
    assert str(again.outcome) == told["replay"]["outcome"], again.runs
    assert told["replay"].get("why", "") in " ".join([*(run.divergence or "" for run in again.runs), *again.missing])
    if "finding" in told["replay"]:
        assert any(told["replay"]["finding"] in each.what for each in again.findings)


def right_cause(told: dict[str, Any], why: Diagnosis) -> None:
    best: Hypothesis = why.hypotheses[0]
    assert str(best.status) == told["diagnose"]["status"], best
    if told["diagnose"]["culprit"] == "offence":
        assert why.suspect_change is not None
        assert why.suspect_change.revision == told["offence"]["commit"]
    else:
        assert best.kind == told["diagnose"].get("kind", best.kind)
        assert not [h for h in why.hypotheses if h.kind == "commit" and h.status is Status.CONFIRMED]
    for words in told["diagnose"].get("says", ()):
        assert words in f"{best.cause} {' '.join(best.evidence)}"


def right_patch(told: dict[str, Any], fix: Proposal) -> None:
    assert len(fix.candidates) == told["propose"]["candidates"]


@pytest.mark.slow
@pytest.mark.parametrize("name", INCIDENTS)
def test_what_passed_is_reproduced_too(name: str, tmp_path: Path) -> None:
    case, source = open_case(tmp_path / "case"), build_source(DATA / name, tmp_path / "source")
    replay.take_in(case, [DATA / name / "recordings.jsonl.gz"])
    at: dict[str, list[str]] = {}
    for tape in replay.listed(case):
        if not tape.failed:
            at.setdefault(replay.load(case, tape.id).commit or "", []).append(tape.id)
    assert sum(map(len, at.values())) == expected(name)["recordings"]["controls"]
    for revision, ids in at.items():
        done = replay.replay(case, ids, source=source, revision=revision, times=2 * len(ids))
        assert str(done.outcome) == "reproduced", [run.divergence for run in done.runs]


Again = Callable[[str], Replay]
"""Replays all failing requests of an incident in a sandbox, twice each."""


@pytest.fixture(scope="module")
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Again, Replay]:
    """How to replay an incident, and what came of that in the sandbox that needs nothing."""
    name, folder = str(request.param), tmp_path_factory.mktemp("replayed")
    case, source = open_case(folder / "case"), build_source(DATA / name, folder / "source")
    replay.take_in(case, [DATA / name / "recordings.jsonl.gz"])
    failed = [tape.id for tape in replay.listed(case) if tape.failed]
    revision = replay.load(case, failed[0]).commit or ""

    def again(sandbox: str) -> Replay:
        return replay.replay(case, failed, source=source, revision=revision, times=2 * len(failed), sandbox=sandbox)

    return again, again("embedded")


@pytest.mark.slow
@pytest.mark.parametrize("replayed", ["payments-decimal", *INCIDENTS], indirect=True)
@pytest.mark.parametrize("sandbox", ["bwrap", "docker", "gvisor", "unconfined"])
def test_an_incident_comes_out_equal_in_every_sandbox(
    replayed: tuple[Again, Replay], sandbox: str, engine: None
) -> None:
    again, here = replayed
    assert str(here.outcome) == "reproduced"
    there = again(sandbox)
    assert there.sandbox == sandbox
    assert there.outcome_digest == here.outcome_digest


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_says_what_it_is_in_the_readme(name: str) -> None:
    assert f"| `{name}` |" in (DATA / "README.md").read_text()
