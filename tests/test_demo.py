"""The main job on the bundled incident, end to end, and what an auditor does with what it leaves."""

import json
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

import shadowlab as sl
from shadowlab.cli import main
from shadowlab.incidents import bundled
from shadowlab.records import Status, Verdict
from tests.conftest import Told

EXPECTED = json.loads((bundled("payments-decimal") / "expected.json").read_text())


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def test_the_demo_passes_and_names_what_it_made(told: Told) -> None:
    assert told.document["verdict"] == "pass"
    for name in ("notebook", "html", "case"):
        assert Path(told.document[name]).exists()
        assert told.document[name] in told.story
    assert "reproduced 20/20" in told.story


def test_the_demo_needs_less_than_a_minute_of_two_cores(told: Told) -> None:
    assert told.cpu_seconds < 120, told.document["seconds"]


def test_triage_points_at_what_happened(told: Told) -> None:
    found = sl.open(told.case).latest(sl.Triage)
    assert found.incident
    assert found.top.exception_type == "TypeError"
    assert found.top.title.startswith(EXPECTED["error"]["title"])
    assert [f.function for f in found.top.frames if f.in_app] == [f["function"] for f in EXPECTED["error"]["frames"]]
    assert found.top.change.after_revision == EXPECTED["deploy"]["bad"]["revision"]
    assert found.objectives[0].budget_spent == pytest.approx(
        EXPECTED["requests"]["last_30_minutes"]["budget_spent"], abs=1e-4
    )


def test_the_cause_is_confirmed_by_intervention_and_is_the_offending_commit(told: Told) -> None:
    why = sl.open(told.case).latest(sl.Diagnosis)
    assert why.suspect_change.revision == EXPECTED["offence"]["commit"]
    assert why.confirmed.interventions
    assert all(h.interventions for h in why.hypotheses if h.status is Status.CONFIRMED)


def test_the_patch_is_small_and_every_gate_gives_its_numbers(told: Told) -> None:
    report = sl.open(told.case).latest(sl.GateReport)
    assert report.verdict is Verdict.PASS
    assert all(gate.observed and gate.limit for gate in report.gates)
    assert "diff fits 25 lines" in report.gates[0].observed
    assert any("error rate of control" in gate.observed and "of candidate 0/" in gate.observed for gate in report.gates)
    assert any("leaves the OpenAPI document as it was" in gate.observed for gate in report.gates)


@pytest.mark.slow
def test_an_auditor_verifies_the_case_and_executes_it_again(told: Told, tmp_path: Path) -> None:
    code, out, _ = run("verify", told.copy(tmp_path), "--rerun", "--json")
    checks = {check["name"]: check["verdict"] for check in json.loads(out)["checks"]}
    assert (code, checks["replay executed again"], checks["gates executed again"]) == (0, "pass", "pass")


def test_an_edited_report_no_longer_verifies(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    page = next((case / "reports").glob("*.html"))
    page.write_text(page.read_text().replace("fail", "pass"))
    code, out, _ = run("verify", page)
    assert code == 1
    assert "was changed after it was signed" in out
    assert run("verify", case)[0] == 1


def test_the_executed_notebook_alone_tells_the_whole_story(told: Told) -> None:
    notebook = nbformat.read(told.document["notebook"], as_version=4)
    shown = json.dumps(notebook)
    for said in ("reproduced", "confirmed", "Decimal is not JSON serializable", "diff --git", "ledger"):
        assert said in shown
    assert all(len(cell.source.splitlines()) <= 5 for cell in notebook.cells if cell.cell_type == "code")


def test_no_secret_and_no_path_of_this_machine_is_in_what_is_handed_out(told: Told) -> None:
    inv = sl.open(told.case)
    key = inv.case.key("redaction").hex()
    for place in [*(told.case / "reports").iterdir(), told.case / "ledger.jsonl"]:
        text = place.read_text()
        assert str(Path.home()) + "/" not in text
        assert str(told.case.parent) not in text
        assert key not in text


def test_a_packed_case_opens_and_verifies_elsewhere(told: Told, tmp_path: Path) -> None:
    assert run("pack", told.case, tmp_path / "case.tgz")[0] == 0
    assert run("unpack", tmp_path / "case.tgz", tmp_path / "again")[0] == 0
    code, out, _ = run("verify", tmp_path / "again", "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "pass")


def test_every_verb_prints_one_document_with_its_contracts_keys(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    promised = {
        "triage": {"objectives", "suspects", "services"},
        "diagnose": {"hypotheses", "slice", "suspect_change"},
        "propose": {"candidates"},
        "rollout": {"files", "steps", "approvals", "rollback"},
    }
    for verb, keys in promised.items():
        code, out, err = run(verb, case, "--json")
        assert code == 0, err
        assert {"type", "digest", "parents"} | keys <= json.loads(out).keys()


def test_the_shipped_query_names_the_dominant_error(told: Told) -> None:
    code, out, _ = run("sql", told.case, "@dominant_errors", "--format", "json")
    first = json.loads(out)[0]
    assert code == 0
    assert list(first) == ["service_name", "span_name", "top_frame", "errors", "top_paths"]
    assert "serializer" in first["top_frame"]


def test_looking_changes_nothing(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in case.rglob("*") if p.is_file()}
    trace = sl.open(case).latest(sl.Triage).top.exemplars[0]
    for words in (("show", case), ("show", case, trace), ("sql", case, "SELECT 1"), ("verify", case)):
        assert run(*words)[0] == 0
    assert {p: p.stat().st_mtime_ns for p in case.rglob("*") if p.is_file()} == before


def test_the_demo_replaces_its_own_case_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.doc").touch()
    code, out, err = run("demo", "--out", tmp_path / "precious")
    assert (code, out) == (2, "")
    assert "no demo made it" in err
    assert (tmp_path / "precious" / "thesis.doc").exists()


def test_what_would_lie_below_a_file_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    case, below = sl.open(tmp_path / "case").case.path, tmp_path / "file" / "below"
    for words, problem in ((("demo", "--out"), "make a case in"), (("pack", case), "write")):
        code, out, err = run(*words, below)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: cannot {problem} {below}: ")


def test_the_demo_leaves_a_source_beside_its_case_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "new-source").mkdir()
    (tmp_path / "new-source" / "thesis.doc").touch()
    code, out, err = run("demo", "--out", tmp_path / "new")
    assert (code, out) == (2, "")
    assert "new-source is there already, and no demo made it" in err
    assert (tmp_path / "new-source" / "thesis.doc").exists()
    assert not (tmp_path / "new").exists()


def test_a_sandbox_that_is_not_there_is_said_before_the_demo_begins(tmp_path: Path) -> None:
    assert run("demo", "--out", tmp_path / "new", "--sandbox", "moon")[:2] == (2, "")
    assert not list(tmp_path.iterdir())


def test_ingesting_the_same_files_again_adds_nothing(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    code, out, _ = run("ingest", case, bundled("payments-decimal") / "traces.otlp.jsonl.gz", "--json")
    assert (code, json.loads(out)["spans"]) == (0, 0)
