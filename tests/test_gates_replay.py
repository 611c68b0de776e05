"""The whole judgement of one candidate on a small service with recorded traffic."""

import re
import subprocess
import sys
import textwrap
from dataclasses import replace

import msgspec
import orders
import pytest
import small_service as small

from shadowlab import errors, gates
from shadowlab.gates import bench, moved, replays, shadow, tapes
from shadowlab.records import GateReport, Proposal, Verdict, from_json
from shadowlab.replay import Runner
from shadowlab.replay.fixture import parse

FAILING = (f"{36:032x}", f"{72:032x}")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return small.case_with(tmp_path_factory.mktemp("folder"), small.traffic(720, every=36))


@pytest.fixture(scope="module")
def diagnosis(source):
    return replace(small.diagnosis(source), recordings=FAILING, suspect_change=source.commits("HEAD~1", "HEAD")[0])


@pytest.fixture(scope="module")
def report(case, source, diagnosis):
    return gates.gate(case, small.candidate(), diagnosis, small.replay(source), source=source, parents=("a" * 64,))


@pytest.fixture
def on_bench(case, source, diagnosis):
    def make(diff):
        return bench.prepared(
            small.candidate(diff), source=source, revision="HEAD", diagnosis=diagnosis, replay=small.replay(source),
            case=case,
        )  # fmt: skip

    return make


def named(gates):
    return {gate.name: gate for gate in gates}


def test_an_honest_fix_passes_every_gate(report):
    assert report.verdict is Verdict.PASS, [g for g in report.gates if g.verdict is not Verdict.PASS]
    assert list(named(report.gates)) == [
        "policy", "shortcuts", "secrets", "ruff", "mypy", "tests", "new test red-green", "contract",
        "replay red-green-red", "answers as before the change", "passing unchanged", "speed",
        "speed of the changed function", "shadow run: errors", "shadow run: latency",
    ]  # fmt: skip


def test_the_report_says_it_in_the_words_of_the_constraints(report):
    told = {name: gate.observed for name, gate in named(report.gates).items()}
    assert told["policy"].startswith("diff fits 25 lines")
    assert told["contract"] == "leaves the OpenAPI document as it was"
    assert told["speed"].startswith("keeps 5 ms")
    assert told["speed of the changed function"].startswith("lib/serializer.py:to_json: median ")
    assert told["speed of the changed function"].endswith(" ms a call, 360 calls")
    assert told["shadow run: errors"] == "error rate of control 20/380 (5.3%), of candidate 0/380 (0) on POST /charges"
    assert told["replay red-green-red"] == "2/2 red, green, red"


def test_the_report_is_a_record_that_can_be_read_again(report):
    assert isinstance(report, GateReport)
    assert report.parents == ("a" * 64,)
    assert from_json(report.to_json()) == report


def test_the_shadow_run_carries_its_numbers(report):
    statistic = named(report.gates)["shadow run: errors"].statistic
    assert (statistic.n_control, statistic.n_candidate, statistic.limit) == (380, 380, 0.001)
    assert statistic.interval[1] < 0 < statistic.e_value
    assert statistic.p < 0.05


def test_a_patch_that_answers_something_empty_is_green_and_still_fails(on_bench):
    empty = small.edit(
        "lib/serializer.py", "    return json", "    if 'surcharge' in value:\n        value = {}\n    return json"
    )
    with on_bench(empty) as made:
        told = named(replays.red_green_red(made))
    assert told["replay red-green-red"].verdict is Verdict.PASS
    assert told["answers as before the change"].verdict is Verdict.FAIL
    assert "$.amount" in told["answers as before the change"].detail


def test_a_patch_that_answers_another_amount_is_no_pass(on_bench):
    half = small.edit(
        "lib/serializer.py", "    return json",
        "    if 'surcharge' in value:\n        value = {**value, 'amount': '5.00', 'surcharge': '0'}\n    return json",
    )  # fmt: skip
    with on_bench(half) as made:
        gate = named(replays.red_green_red(made))["answers as before the change"]
    assert gate.verdict is Verdict.INCONCLUSIVE
    assert "another number in $.amount" in gate.detail


def test_a_patch_that_fixes_nothing_stays_red(on_bench):
    with on_bench(small.edit("lib/serializer.py", "sort_keys=True", "sort_keys=True, indent=None")) as made:
        gate = replays.red_green_red(made)[0]
    assert gate.verdict is Verdict.FAIL
    assert "still fails with the patch: 500 TypeError" in gate.detail


def test_a_cure_for_the_recorded_time_alone_fails(on_bench):
    before = small.FILES["lib/serializer.py"]
    after = before.replace("import json\n", "import json\nimport time\n")
    after = after.replace("sort_keys=True", "sort_keys=True, default=str if time.time() < 1_800_000_000 else None")
    with on_bench(small.edit("lib/serializer.py", before, after)) as made:
        gate = replays.red_green_red(made)[0]
    assert gate.verdict is Verdict.FAIL
    assert gate.observed == "2/2 red, green, red"
    assert "fails as before with the patch at another time: 500 TypeError" in gate.detail


@pytest.mark.parametrize(
    ("place", "holds"),
    [("os", "os.getpid() == 4242"), ("platform", "platform.node() == 'shadow' + 'lab'"), ("os", "hash('red') == HASH")],
)  # fmt: skip
def test_a_cure_for_the_replay_s_own_host_alone_fails(on_bench, place, holds):
    seeded = subprocess.run(
        [sys.executable, "-c", "print(hash('red'))"], env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True
    )
    before = small.FILES["lib/serializer.py"]
    after = before.replace("import json\n", f"import json\nimport {place}\n")
    after = after.replace("sort_keys=True", f"sort_keys=True, default=str if {holds} else None")
    with on_bench(small.edit("lib/serializer.py", before, after.replace("HASH", seeded.stdout.strip()))) as made:
        gate = replays.red_green_red(made)[0]
    assert gate.verdict is Verdict.FAIL
    assert gate.observed == "2/2 red, green, red"
    assert "fails as before with the patch on another host: 500 TypeError" in gate.detail


@pytest.mark.parametrize(
    ("holds", "told"),
    [("'KUBERNETES_PORT' not in os.environ", "KUBERNETES_PORT"), ("os.getenv('A' + 'B') is None", "AB"),
     ("'web' not in dict(os.environ)", "(all of it)"),
     ("os.path.expandvars('$STAGE') == '$STAGE'", "STAGE")],
)  # fmt: skip
def test_a_cure_that_holds_by_the_environment_fails(on_bench, holds, told):
    before = small.FILES["lib/serializer.py"]
    after = before.replace("import json\n", "import json\nimport os\n")
    after = after.replace("sort_keys=True", f"sort_keys=True, default=str if {holds} else None")
    with on_bench(small.edit("lib/serializer.py", before, after)) as made:
        red, *_ = replays.red_green_red(made)
        unchanged, *_ = replays.unchanged(made)
    assert (red.verdict, unchanged.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert f"reaches for what it left alone without the patch: environment: {told}" in red.detail
    assert f"environment: {told}" in unchanged.detail


def test_a_patch_may_ask_for_what_the_service_says_it_needs(on_bench):
    before = small.FILES["lib/serializer.py"]
    after = before.replace("import json\n", "import json\nimport os\n\nSPACED = os.environ.get('SPACED')\n")
    with on_bench(small.edit("lib/serializer.py", before, after.replace("sort_keys=True", "default=str"))) as made:
        named_there = replace(made, service=msgspec.structs.replace(made.service, environment=("SPACED",)))
        assert replays.red_green_red(named_there)[0].verdict is Verdict.PASS
        assert replays.red_green_red(made)[0].verdict is Verdict.FAIL


def test_a_request_under_other_ids_is_the_same_but_for_them():
    document = small.fixture(7, {}, failed=True)
    document["request"]["headers"] += [["Idempotency-Key", "CH-2041-9f3e"], ["x-user-id", "bob"]]
    asked = parse(document, where="here")
    other = moved.under_other_ids(asked)
    (kept, typed, key, user) = other.request.headers
    assert (kept, typed, user) == (("host", "pay"), ("content-type", "application/json"), ("x-user-id", "bob"))
    assert key[1] != "CH-2041-9f3e"
    assert re.fullmatch(r"[A-Z]{2}-\d{4}-\d[a-f]\d[a-f]", key[1])
    assert (other.request.content, other.time, other.id) == (asked.request.content, asked.time, asked.id)
    assert other.trace_id != asked.trace_id


def test_a_patch_that_changes_what_worked_is_seen(on_bench):
    with on_bench(small.edit("lib/serializer.py", "sort_keys=True", "default=str, indent=1")) as made:
        gate = replays.unchanged(made)[0]
    assert gate.verdict is Verdict.FAIL
    assert "body" in gate.detail


@pytest.mark.parametrize(
    ("act", "told"),
    [("Path('/var/tmp/escaped').touch()", "files: write /var/tmp/escaped"),
     ("threading.Thread(target=print, name='t').start()", "threads: a thread of its own: t")],
)  # fmt: skip
def test_a_patch_that_reaches_out_of_its_walls_is_seen_though_it_says_nothing(on_bench, act, told):
    before = small.FILES["lib/serializer.py"]
    hidden = f"    try:\n        {act}\n    except OSError as exc:\n        print(exc)\n    return"
    after = before.replace("import json\n", "import json\nimport threading\nfrom pathlib import Path\n")
    after = after.replace("    return", hidden).replace("sort_keys=True", "sort_keys=True, default=str")
    with on_bench(small.edit("lib/serializer.py", before, after)) as made:
        red, *_ = replays.red_green_red(made)
        unchanged, *_ = replays.unchanged(made)
    assert (red.verdict, unchanged.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert f"reaches for what it left alone without the patch: {told}" in red.detail
    assert told in unchanged.detail


def test_one_more_thread_of_a_kind_that_the_service_starts_is_nothing_new(tmp_path):
    code = """
        import threading

        def app(event):
            for each in event:
                thread = threading.Thread(target=getattr(event, each))
                thread.start()
                thread.join()
            return len(event)
        """
    toml = '[service]\nname = "it"\nentrypoint = "main:app"\nkind = "function"\n'
    source = orders.repository(tmp_path / "service", {"shadowlab.toml": toml, "main.py": textwrap.dedent(code)})

    def run(*event):
        request = {"method": "POST", "path": "/", "body": event, "body_encoding": "json"}
        return runner.run(parse({"request": request, "time": "2026-01-01T00:00:00Z"}, where="x"), repeats=1)[0]

    with Runner(source.path, source.service("HEAD")) as runner:
        one, three, other = run("copy"), run("copy", "copy", "copy"), run("reverse")
    assert one.state == three.state == "finished"
    assert replays._reaches(one, three, frozenset()) == []
    assert replays._reaches(one, other, frozenset()) == ["threads: a thread of its own: Thread-N (reverse)"]


def test_a_slow_patch_does_not_keep_its_budget(source, tmp_path, diagnosis):
    slow = small.edit(
        "lib/serializer.py", "    return json", "    for _ in range(600_000):\n        pass\n    return json"
    )
    busy = small.case_with(tmp_path, [small.fixture(n, {}) for n in range(1, 61)])
    with bench.prepared(
        small.candidate(slow), source=source, revision="HEAD", diagnosis=replace(diagnosis, recordings=()),
        replay=small.replay(source),
        case=busy,
    ) as made:  # fmt: skip
        told = named(shadow.shadow_run(made))
    assert told["speed"].verdict is Verdict.FAIL
    assert told["speed of the changed function"].verdict is Verdict.FAIL
    assert told["speed of the changed function"].statistic.interval[0] > 5
    assert told["shadow run: latency"].verdict is Verdict.FAIL


def test_without_recordings_nothing_passes(source, tmp_path, diagnosis):
    empty = small.case_with(tmp_path, [small.fixture(1, None)])
    made = bench.prepared(
        small.candidate(), source=source, revision="HEAD", diagnosis=replace(diagnosis, recordings=()),
        replay=small.replay(source), case=empty,
    )  # fmt: skip
    with made as ready:
        judged = [*replays.red_green_red(ready), *shadow.shadow_run(ready)]
    assert {gate.verdict for gate in judged} == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("environment", [None, "DATABASE"])
def test_requests_whose_database_is_known_by_its_rows_alone_are_not_mirrored(source, tmp_path, diagnosis, environment):
    rows = {"dialect": "sqlite", "schema": ["CREATE TABLE prices (n INTEGER)"], "rows": {"prices": [{"n": 1}]}}
    by_rows = [{**small.fixture(n, {}), "database": rows, "db_environment": environment} for n in (1, 2)]
    case = small.case_with(tmp_path, [*by_rows, small.fixture(3, {})])
    with bench.prepared(
        small.candidate(), source=source, revision="HEAD", diagnosis=diagnosis, replay=small.replay(source), case=case
    ) as made:
        fixtures, database = tapes.mirrored(made)
    assert ([fixture.id for fixture in fixtures], database) == ([f"{3:032x}"], None)


def test_the_proposals_constraints_are_found_among_the_parents(source, tmp_path, diagnosis):
    case = small.case_with(tmp_path, [small.fixture(1, None)])
    proposal = Proposal(candidates=(small.candidate(),), request={"constraints": {"max_diff_lines": 3}})
    case.keep(proposal)
    told = gates.gate(
        case, small.candidate(), diagnosis, small.replay(source), source=source, parents=(proposal.digest,)
    )
    assert named(told.gates)["policy"].observed == "diff does not fit 3 lines: 9 in 1 file"


def test_a_sandbox_that_is_not_there_is_said_before_anything_runs(case, source, diagnosis):
    with pytest.raises(errors.SandboxError, match="no sandbox"):
        gates.gate(case, small.candidate(), diagnosis, small.replay(source), source=source, sandbox="castle")


def test_an_alpha_that_cannot_be_is_refused(case, source, diagnosis):
    with pytest.raises(errors.UsageError, match="alpha"):
        gates.gate(case, small.candidate(), diagnosis, small.replay(source), source=source, alpha=1)
