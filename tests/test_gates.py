"""Gates that need no replay: the patch, its size, its style, its secrets."""

import subprocess
import sys

import pytest
import small_service as small

from shadowlab import errors
from shadowlab.gates import bench, confine, leaks, patch, policy, shortcuts, static, suite
from shadowlab.gates.roles import Role
from shadowlab.records import Verdict


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("service"))


@pytest.fixture
def on_bench(source):
    """A factory of benches for a diff."""

    def make(diff=small.FIX + small.TEST, **more):
        return bench.prepared(
            small.candidate(diff), source=source, revision="HEAD", diagnosis=small.diagnosis(source),
            replay=small.replay(source), **more,
        )  # fmt: skip

    return make


def test_a_small_fix_fits_and_its_test_is_not_counted(on_bench):
    with on_bench() as made:
        (gate,) = policy.policy(made)
    assert gate.verdict is Verdict.PASS
    assert gate.observed == "diff fits 25 lines: 9 in 1 file"
    assert "brings tests/test_surcharge.py" in gate.detail


def test_a_change_larger_than_the_constraint_fails(on_bench):
    with on_bench(limits=bench.Limits(max_diff_lines=8)) as made:
        (gate,) = policy.policy(made)
    assert (gate.verdict, gate.observed) == (Verdict.FAIL, "diff does not fit 8 lines: 9 in 1 file")


def test_limits_come_from_the_proposals_constraints():
    limits = bench.Limits.of({"max_diff_lines": 5, "perf_regression_budget_ms": 2, "something_else": 1})
    assert (limits.max_diff_lines, limits.perf_regression_budget_ms, limits.no_api_contract_change) == (5, 2, True)


def test_the_judges_tree_never_holds_the_candidates_test(on_bench):
    with on_bench() as made:
        assert not (made.patched / "tests/test_surcharge.py").exists()
        assert (made.tested / "tests/test_surcharge.py").exists()
        assert "_plain" in (made.patched / "lib/serializer.py").read_text()
        assert "_plain" not in (made.base / "lib/serializer.py").read_text()


def test_a_write_to_a_clean_tree_is_noticed_before_the_next_run(on_bench):
    with on_bench() as made:
        (made.base / "lib/serializer.py").write_text("def to_json(value): return 'ok'\n")
        with pytest.raises(errors.SandboxError, match="base tree was changed"), made.copy(made.base):
            pass


def test_what_is_judged_is_what_git_apply_makes(on_bench, source, tmp_path):
    with on_bench() as made, source.checked_out("HEAD") as tree:
        subprocess.run(["git", "apply"], cwd=tree, input=made.candidate.diff.encode(), check=True)
        assert bench.digest(tree) == bench.digest(made.tested)


def test_ruff_counts_only_what_the_patch_adds(on_bench):
    unused = small.edit("lib/serializer.py", "import json\n", "import json\nimport decimal  # noqa: F401\n")
    with on_bench(unused) as made:
        (gate,) = static.ruff(made)
    assert gate.verdict is Verdict.FAIL
    assert "F401" in gate.detail
    with on_bench() as made:
        assert static.ruff(made)[0].verdict is Verdict.PASS


def test_mypy_counts_only_what_the_patch_adds(on_bench):
    wrong = small.edit("lib/serializer.py", "return json", "number: int = 'one'\n    return json")
    with on_bench(wrong) as made:
        (gate,) = static.mypy(made)
    assert gate.verdict is Verdict.FAIL
    assert "Incompatible types" in gate.detail
    with on_bench() as made:
        assert static.mypy(made)[0].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('KEY = "AKIA' + "Q" * 16 + '"', "AWS access key"),
        ('password = "' + "correct-horse-battery" + '"', "assigned secret"),
        ('URL = "postgres://app:' + "hunter22@db/x" + '"', "password in a URL"),
        ('"-----BEGIN RSA ' + 'PRIVATE KEY-----"', "private key"),
    ],
)
def test_a_secret_is_named_by_kind_and_place_and_never_shown(on_bench, line, kind):
    with on_bench(small.edit("lib/serializer.py", "import json\n", f"import json\n{line}\n")) as made:
        (gate,) = leaks.secrets(made)
    assert gate.verdict is Verdict.FAIL
    assert f"lib/serializer.py:2: {kind}" in gate.detail
    assert not any(word in str(gate) for word in ("Q" * 16, "horse", "hunter22"))


def test_a_comment_cannot_allow_its_own_secret(on_bench):
    line = 'token = "' + "dGhpcyBpcyBub3QgYSByZWFsIHRva2VuIQ9x" + '"  # pragma: allowlist secret'
    with on_bench(small.edit("lib/serializer.py", "import json\n", f"import json\n{line}\n")) as made:
        assert leaks.secrets(made)[0].verdict is Verdict.FAIL


def test_an_id_of_the_evidence_is_no_secret(on_bench, source):
    cites = small.new("tests/test_x.py", f'TRACE = "{small.diagnosis(source).trace_id}"\n')
    with on_bench(small.FIX + cites) as made:
        assert leaks.secrets(made)[0].verdict is Verdict.PASS
    with on_bench(small.FIX) as made:
        assert leaks.secrets(made)[0].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("diff", "told"),
    [
        ("", "names no file"),
        ("hello\n", "no part of a unified diff"),
        ("--- a/lib/serializer.py\n+++ b/lib/serializer.py\n@@ -1,9 +1,9 @@\n import json\n", "ends inside a hunk"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n?bad\n", "does not belong in its hunk"),
        ("diff --git a/x b/x\nGIT binary patch\n", "is binary"),
        ('--- "a/\\303\\266"\n+++ b/x\n', "quotes a path"),
        ("--- a/lib/serializer.py\n+++ b/lib/serializer.py\n@@ -1 +1 @@\n-not there\n+never\n", "does not apply"),
        ("--- a/none.py\n+++ b/none.py\n@@ -1 +1 @@\n-a\n+b\n", "does not apply"),
    ],
)
def test_a_diff_that_cannot_be_read_or_does_not_apply_is_a_patch_error(on_bench, diff, told):
    with pytest.raises(errors.PatchError, match=told), on_bench(diff):
        pass


def test_a_diff_without_prefixes_is_read_too(on_bench):
    bare = small.FIX.replace("a/lib", "lib").replace("b/lib", "lib")
    with on_bench(bare) as made:
        assert [part.role for part in made.parts] == [Role.CHANGE]


def test_changes_are_read_from_the_trees_not_from_the_text(on_bench):
    with on_bench() as made:
        (change,) = (part.change for part in made.parts_of(Role.CHANGE))
    assert (len(change.added), len(change.removed)) == (8, 1)
    assert change.added[0] == (2, "from decimal import Decimal")


def test_a_rename_is_seen_as_removal_and_addition(on_bench):
    rename = "diff --git a/lib/prices.py b/lib/cost.py\nrename from lib/prices.py\nrename to lib/cost.py\n"
    assert patch.paths(rename) == ("lib/prices.py", "lib/cost.py")
    with on_bench(rename) as made:
        assert {part.change.kind for part in made.parts} == {"added", "removed"}


def test_an_honest_fix_takes_no_shortcut(on_bench):
    with on_bench() as made:
        assert shortcuts.shortcuts(made)[0].verdict is Verdict.PASS


def test_the_services_tests_pass_before_and_after(on_bench):
    with on_bench() as made:
        (gate,) = suite.tests(made)
    assert (gate.verdict, gate.observed) == (Verdict.PASS, "2 of 2 pass, 2 passed before")


def test_the_new_test_is_red_before_for_the_diagnosed_reason_and_green_after(on_bench):
    with on_bench() as made:
        (gate,) = suite.new_test(made)
    assert (gate.verdict, gate.observed) == (Verdict.PASS, "1 red before, 1 green after, of 1")
    assert "TypeError: Object of type Decimal" in gate.detail


def test_confined_code_reaches_neither_network_nor_neighbours_where_that_is_said(tmp_path):
    tree = tmp_path / "run" / "tree"
    tree.mkdir(parents=True)
    beside = tmp_path / "beside"
    ran = confine.run([sys.executable, "-I", "-c", f"open({str(beside)!r}, 'w')"], tree, timeout_s=20)
    assert ("no write outside of the copy" in ran.held) is (ran.code == 1) is not beside.exists()
    words = [sys.executable, "-I", "-c", "import socket; socket.create_connection(('192.0.2.1', 9), 1)"]
    told = confine.run(words, tree, timeout_s=20).output
    assert "Network is unreachable" in told or "not permitted" in told or "no network" not in ran.held


def test_confined_code_is_stopped_when_its_time_is_up(tmp_path):
    (tmp_path / "tree").mkdir()
    ran = confine.run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "tree", timeout_s=0.5)
    assert ran.code is None
    assert ran.seconds < 10
