"""No patch runs behind weaker walls than the policy asks for."""

import os
import sys
from pathlib import Path

import pytest
import small_service as small

from shadowlab import errors, gates, propose
from shadowlab.gates import bench, confine, suite
from shadowlab.records import GateReport, Verdict
from shadowlab.replay.inside import landlock
from shadowlab.replay.sandboxes import levels


def judged(folder: Path, *, sandbox: str, least: str | None = None) -> GateReport:
    source = small.build(folder / "service")
    case = small.case_with(folder, [small.fixture(1, {})])
    if least:
        case.remember(policy={"least_sandbox": least})
    return gates.gate(
        case, small.candidate(), small.diagnosis(source), small.replay(source), source=source, sandbox=sandbox
    )


def test_a_patch_is_refused_and_not_run_below_the_level_that_the_policy_names(tmp_path: Path) -> None:
    report = judged(tmp_path, sandbox="embedded", least="docker")
    first, *rest = report.gates
    assert (report.verdict, first.name, first.verdict) == (Verdict.FAIL, "policy", Verdict.FAIL)
    assert "the policy asks for the sandbox docker or a stronger one; this is embedded" in first.detail
    assert "sandbox docker or stronger" in first.limit
    assert {gate.observed for gate in rest if gate.name not in ("shortcuts", "secrets")} == {"not run"}


def test_without_a_policy_no_patch_runs_unconfined(tmp_path: Path) -> None:
    report = judged(tmp_path, sandbox="unconfined")
    assert "asks for the sandbox embedded" in report.gates[0].detail
    assert report.verdict is Verdict.FAIL


def test_embedded_walls_that_this_kernel_has_not_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels.refusal("embedded", "embedded") is None
    monkeypatch.setattr(landlock, "abi", lambda libc: 0)
    told = levels.refusal("embedded", "embedded") or ""
    assert "counts as unconfined here: this kernel has no Landlock" in told
    assert levels.refusal("embedded", "unconfined") is None
    assert levels.refusal("bwrap", "embedded") is None


def test_a_proposal_may_ask_for_more_than_the_policy_never_for_less(tmp_path: Path) -> None:
    source = small.build(tmp_path / "service")
    case = small.case_with(tmp_path, [small.fixture(1, {})])
    case.remember(policy={"least_sandbox": "bwrap"})
    words = (case, small.candidate(), small.diagnosis(source), small.replay(source))
    for asked, expected in (("docker", "docker"), ("unconfined", "bwrap")):
        report = gates.gate(*words, source=source, constraints={"least_sandbox": asked})
        assert f"asks for the sandbox {expected}" in report.gates[0].detail


def test_patches_are_not_tried_below_it_either(tmp_path: Path) -> None:
    source = small.build(tmp_path / "service")
    case = small.case_with(tmp_path, [small.fixture(1, {})])
    case.remember(policy={"least_sandbox": "docker"})
    with pytest.raises(errors.SandboxError, match="asks for the sandbox docker"):
        propose.propose(case, small.diagnosis(source), small.replay(source), source=source)


def test_a_level_that_there_is_not_is_said(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="no sandbox level 'jail'"):
        judged(tmp_path, sandbox="embedded", least="jail")


def test_the_services_tests_pass_behind_landlock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = small.build(tmp_path / "service")
    monkeypatch.setattr(confine, "walls", lambda: "landlock")
    with bench.prepared(
        small.candidate(),
        source=source,
        revision="HEAD",
        diagnosis=small.diagnosis(source),
        replay=small.replay(source),
    ) as made:
        (gate,) = suite.tests(made)
    assert gate.verdict is Verdict.PASS, gate.detail


PROBES = {
    "open('{beside}', 'w')": "PermissionError",
    "__import__('socket').socket()": "PermissionError",
    "__import__('os').kill({victim}, 0)": "PermissionError",
    "__import__('os').mkdir('made') or open('made/file', 'w').write('x')": "",
    "__import__('subprocess').run(['true'], check=True)": "",
    "__import__('asyncio').run(__import__('asyncio').sleep(0))": "",
}


@pytest.mark.parametrize("probe", PROBES)
def test_without_namespaces_landlock_and_seccomp_hold_what_tests_may_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: str
) -> None:
    assert confine._holds(confine._landlocked)
    monkeypatch.setattr(confine, "walls", lambda: "landlock")
    tree = tmp_path / "run" / "tree"
    tree.mkdir(parents=True)
    code = probe.format(beside=tmp_path / "beside", victim=os.getppid())
    ran = confine.run([sys.executable, "-I", "-c", code], tree, timeout_s=20)
    assert (PROBES[probe] in ran.output, ran.code == 0) == (True, not PROBES[probe]), ran.output
    assert "held by Landlock and seccomp: no namespaces are to be had here" in ran.held
