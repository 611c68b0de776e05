"""The plan of a gated patch: files for people, and nothing deployed."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import small_service as small
import yaml

from shadowlab import errors, rollout
from shadowlab.records import (
    BurnWindow,
    Change,
    Gate,
    GateReport,
    Hypothesis,
    Location,
    Objective,
    Proposal,
    Statistic,
    Status,
    Suspect,
    Triage,
    Verdict,
)
from shadowlab.rollout import pullrequest
from shadowlab.rollout.words import code, escaped, fenced

AT = datetime(2026, 5, 4, 10, tzinfo=UTC)
NASTY = "@team see [this](http://evil) <img src=x> | `$(rm)`\n# Approved ![x](y) \u202egnp"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("service"))


@pytest.fixture
def proposal():
    return Proposal(candidates=(small.candidate(),))


@pytest.fixture
def diagnosis(source):
    cause = Hypothesis(
        cause="to_json gets a Decimal", status=Status.CONFIRMED, evidence=("the value replaced by text passes",),
        location=Location(file="lib/serializer.py", line=6, function="to_json"),
    )  # fmt: skip
    return replace(small.diagnosis(source), hypotheses=(cause,), suspect_change=source.commits("HEAD~1", "HEAD")[0])


@pytest.fixture
def triage():
    window = BurnWindow(burn_rate=28.1, budget_spent=0.021, bad=28, total=1000)
    objective = Objective(
        name="charges", service="payments-api", operation="POST /charges", indicator="availability", target=0.9985,
        period=timedelta(days=28), windows={"30m": window}, budget_spent=0.021, alert="page",
    )  # fmt: skip
    return Triage(at=AT, window=timedelta(minutes=30), objectives=(objective,), incident=True)


def report(source, verdict=Verdict.PASS, detail="p = 0.0005"):
    numbers = Statistic(
        method="exact", estimate=-0.028, interval=(-0.042, -0.011), level=0.9, n_control=720, n_candidate=720,
        limit=0.001, p=0.0005, e_value=4601.8, unit="share of requests",
    )  # fmt: skip
    speed = replace(numbers, limit=4.0, unit="ms")
    gates = (
        Gate(name="shadow run: errors", verdict=verdict, limit="not 0.001 worse", detail=detail, statistic=numbers,
             observed="error rate of control 20/720 (2.8%), of candidate 0/720 (0)"),
        Gate(name="speed", verdict=Verdict.PASS, observed="keeps 4 ms", limit="4 ms", statistic=speed),
    )  # fmt: skip
    return GateReport(
        verdict=verdict, gates=gates, candidate=small.candidate(), revision=source.revision(), service="payments-api",
        sandbox="embedded",
    )  # fmt: skip


@pytest.fixture
def plan(case, source, proposal, diagnosis, triage):
    return rollout.plan(case, report(source), proposal, diagnosis, triage, source=source)


def test_a_plan_writes_its_files_into_the_case_and_names_them(case, plan):
    folder = f"patches/{small.candidate().digest[:12]}"
    names = ("change.patch", "pull-request.md", "pull-request.json", "canary.yaml", "rollback.md")
    assert plan.files == tuple(f"{folder}/{name}" for name in names)
    assert all((case.path / file).stat().st_size for file in plan.files)


def test_the_patch_applies_to_the_service(case, plan, source):
    with source.checked_out("HEAD") as tree:
        subprocess.run(["git", "apply", case.path / plan.files[0]], cwd=tree, check=True)
        assert (tree / "tests/test_surcharge.py").exists()


def test_the_approvals_are_the_owners_and_sre(plan):
    assert plan.approvals == ("@payments", "SRE")
    assert "gates:pass" in plan.labels


def test_the_pull_request_carries_the_evidence(case, plan):
    text = (case.path / plan.files[1]).read_text()
    for told in ("2.8%", "Object of type Decimal", "**confirmed**", "(99.85% promised): burn rate 30m 28.1x", "4b" * 16,
                 "p 0.0005", "e 4,602", "✅ pass", "```diff"):  # fmt: skip
        assert told in text
    assert json.loads((case.path / plan.files[2]).read_text())["title"] == "Fix TypeError in lib/serializer.py:to_json"


def test_the_pull_request_asks_for_each_thing_that_must_hold(source, diagnosis):
    told = ("Refunds never exceed their charge", NASTY)
    text = pullrequest.body(report(source), small.candidate(), diagnosis, None, invariants=told)
    asked = [line for line in text.splitlines() if line.startswith("- [ ] it still holds: ")]
    assert asked[0] == "- [ ] it still holds: Refunds never exceed their charge"
    assert len(asked) == 2
    assert "`$(rm)`" not in asked[1]


def test_the_canarys_thresholds_come_from_the_objective_and_the_gates(case, plan):
    template, canary = yaml.safe_load_all((case.path / plan.files[3]).read_text())
    rate, latency = canary["spec"]["analysis"]["metrics"]
    assert (rate["name"], rate["thresholdRange"]) == ("request-success-rate", {"min": 99.85})
    assert latency["thresholdRange"] == {"max": 4.0}
    assert latency["templateRef"]["name"] == template["metadata"]["name"]
    assert canary["spec"]["targetRef"]["name"] == "payments-api"


def test_the_way_back_names_what_ran_before(case, plan, source, proposal, diagnosis, triage):
    assert f"{source.revision('HEAD~1')[:12]}, the last commit before the suspect change" in plan.rollback
    change = Change(
        kind="deploy", service="payments-api", at=AT, before="1.7.0", after="1.8.0", before_revision="8" * 40
    )
    suspect = Suspect(
        fingerprint="f", title="TypeError", service="payments-api", operation="POST /charges", events=1, traces=1,
        first_seen=AT, last_seen=AT, exemplars=(), change=change,
    )  # fmt: skip
    known = replace(triage, suspects=(suspect,))
    made = rollout.plan(case, report(source), proposal, replace(diagnosis, suspect="f"), known, source=source)
    assert "deploy 888888888888 (1.7.0), what ran before" in made.rollback


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_no_plan_without_a_pass(case, source, proposal, diagnosis, verdict):
    with pytest.raises(errors.GateFailed, match="not through its gates"):
        rollout.plan(case, report(source, verdict), proposal, diagnosis, None, source=source)
    assert not list(case.patches.iterdir())


def test_a_plan_that_was_asked_for_all_the_same_says_that_the_gates_did_not_pass(case, source, proposal, diagnosis):
    made = rollout.plan(case, report(source, Verdict.FAIL), proposal, diagnosis, None, source=source, anyway=True)
    assert "**The gates did not pass: fail.**" in (case.path / made.files[1]).read_text()
    assert "nobody wrote an objective" in " ".join(made.steps)


def test_a_plan_for_another_proposal_is_refused(case, source, diagnosis):
    other = Proposal(candidates=(small.candidate(small.TEST),))
    with pytest.raises(errors.UsageError, match="none of the proposal's"):
        rollout.plan(case, report(source), other, diagnosis, None, source=source)


def test_nothing_that_telemetry_says_acts_in_the_pull_request(case, source, proposal, diagnosis, triage):
    nasty = replace(diagnosis, error=replace(diagnosis.error, message=NASTY),
                    hypotheses=(replace(diagnosis.hypotheses[0], cause=NASTY),))  # fmt: skip
    made = rollout.plan(case, report(source, detail=NASTY), proposal, nasty, triage, source=source)
    text = (case.path / made.files[1]).read_text()
    assert "\n# Approved" not in text
    outside = "".join(part for n, part in enumerate(text.split("``")) if n % 2 == 0)
    assert "@team" not in outside
    assert "\u202e" not in text


def test_escaped_words_hold_no_markup():
    assert escaped("a|b <b> [x](y) `c` *d*") == "a\\|b \\<b\\> \\[x\\](y) \\`c\\` \\*d\\*"
    assert escaped("http://evil www.evil") == "http:\\//evil www\\.evil"
    assert [escaped(text) for text in ("1. one", "- two", "= three")] == ["1\\. one", "\\- two", "\\= three"]
    assert escaped("@team") == "@\u2060team"


def test_a_code_span_and_a_code_block_cannot_be_ended_from_within():
    assert code("a `` b") == "```a `` b```"
    assert code("x\ny") == "`x y`"
    assert fenced("```\n# out").startswith("````")


def test_the_same_plan_twice_is_the_same_record(case, source, proposal, diagnosis, triage, plan):
    assert rollout.plan(case, report(source), proposal, diagnosis, triage, source=source) == plan
