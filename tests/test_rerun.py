"""Evidence that is executed again: the same verdicts, or a check that says what moved. The demo's is in `test_demo`."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import small_service as small

import shadowlab as sl
from shadowlab.records import Diagnosis, Gate, GateReport, Replay, Verdict, Verification
from shadowlab.rerun import rerun

UNTOLD = Verification(verdict=Verdict.PASS, checks=())
PASSED = Gate(name="tests", verdict=Verdict.PASS, observed="2 of 2 pass", limit="all", detail="")


@pytest.fixture(scope="module")
def inv(tmp_path_factory: pytest.TempPathFactory) -> sl.Investigation:
    """A case with a recording that was replayed."""
    folder = tmp_path_factory.mktemp("rerun")
    made = small.case_with(folder, small.traffic(6, every=6))
    inv = sl.open(made.path, source=small.build(folder / "service").path)
    inv.replay(recordings=[f"{6:032x}"])
    return inv


class Gated(NamedTuple):
    """Gates that passed, and would pass again."""

    kept: dict[type, Any]
    """The records of the case."""
    asked: list[dict[str, Any]]
    """What the gates are asked."""


@pytest.fixture
def gated(inv: sl.Investigation, monkeypatch: pytest.MonkeyPatch) -> Gated:
    report = GateReport(
        verdict=Verdict.PASS, gates=(PASSED,), candidate=small.candidate(), service="payments-api", alpha=0.01, seed=7,
        sandbox="bubblewrap", parents=("a" * 64,),
    )  # fmt: skip
    asked: list[dict[str, Any]] = []

    def gate(*_: Any, **more: Any) -> GateReport:
        asked.append(more)
        return report

    kept = {GateReport: report, Diagnosis: small.diagnosis(inv.source), Replay: inv.latest(Replay)}
    monkeypatch.setattr("shadowlab.gates.gate", gate)
    monkeypatch.setattr(inv, "latest", kept.get)
    return Gated(kept, asked)


def checks(inv: sl.Investigation) -> dict[str, tuple[Verdict, str]]:
    told = rerun(inv, UNTOLD)
    return {check.name.partition(" ")[0]: (check.verdict, check.detail) for check in told.checks}


def test_a_replay_is_executed_again_and_nothing_is_written(inv: sl.Investigation) -> None:
    before = {place: place.stat().st_mtime_ns for place in inv.case.path.rglob("*")}
    verdict, detail = checks(inv)["replay"]
    kept = inv.latest(Replay)
    assert verdict is Verdict.PASS
    assert detail == f"{kept.outcome} {kept.reproduced}/{kept.attempts}, outcome {kept.outcome_digest[:12]}"
    assert {place: place.stat().st_mtime_ns for place in inv.case.path.rglob("*")} == before


def test_a_replay_that_comes_out_otherwise_fails(inv: sl.Investigation, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(inv.latest(Replay), outcome_digest="0" * 64)
    monkeypatch.setattr(inv, "latest", {Replay: other}.get)
    verdict, detail = checks(inv)["replay"]
    assert verdict is Verdict.FAIL
    assert "recorded: " in detail
    assert "0" * 12 in detail


def test_gates_are_asked_as_they_were_and_their_verdicts_compared(inv: sl.Investigation, gated: Gated) -> None:
    assert checks(inv)["gates"] == (Verdict.PASS, "1 gate, the same verdicts: pass")
    (asked,) = gated.asked
    assert (asked["alpha"], asked["seed"], asked["sandbox"], asked["parents"]) == (0.01, 7, "bubblewrap", ("a" * 64,))
    gated.kept[GateReport] = replace(gated.kept[GateReport], gates=(replace(PASSED, verdict=Verdict.FAIL),))
    assert checks(inv)["gates"] == (Verdict.FAIL, "tests: fail before, pass now")


def test_gates_of_no_candidate_cannot_be_executed_again(inv: sl.Investigation, gated: Gated) -> None:
    gated.kept[GateReport] = replace(gated.kept[GateReport], candidate=None)
    assert checks(inv)["gates"] == (Verdict.INCONCLUSIVE, "the report names no candidate")
    assert gated.asked == []
