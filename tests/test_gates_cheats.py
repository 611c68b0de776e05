"""Patches that look for a way around the judge: each must end as a fail, none as a pass."""

from dataclasses import replace

import pytest
import small_service as small

from shadowlab.gates import bench, replays, shadow, stage
from shadowlab.records import Verdict, overall

SERIALIZER = "lib/serializer.py"
HEALTH = '@app.get("/health")'
DUMP = "return json.dumps(value, sort_keys=True)"


def swallow(text):
    return small.edit(SERIALIZER, f"    {DUMP}\n", text)


READ_AND_REFUSED = {
    "weakens an assertion": small.FIX + small.edit("tests/test_charges.py", "== '{\"a\": 2, \"b\": 1}'", "is not None"),
    "skips a test": small.FIX
    + small.edit("tests/test_charges.py", "def test_json", 'import pytest\n\n\n@pytest.mark.skip\ndef test_json'),
    "deletes a test": small.FIX + small.edit("tests/test_charges.py", small.FILES["tests/test_charges.py"], ""),
    "brings a conftest": small.FIX + small.new("tests/conftest.py", "collect_ignore_glob = ['*']"),
    "brings a conftest at the top": small.FIX + small.new("conftest.py", "collect_ignore_glob = ['*']"),
    "brings a helper beside the tests": small.FIX + small.new("tests/json.py", "dumps = str"),
    "edits shadowlab.toml": small.FIX
    + small.edit("shadowlab.toml", "python -m pytest -q tests", "python -m pytest -q --co tests"),
    "brings pytest options": small.FIX + small.new("pytest.ini", "[pytest]\naddopts = --collect-only"),
    "brings a site module": small.FIX + small.new("sitecustomize.py", "print('hello')"),
    "hides a module": small.FIX + small.new("pytest.py", "print('1 passed')"),
    "edits continuous integration": small.FIX + small.new(".github/workflows/test.yml", "on: never"),
    "changes the lock": small.FIX + small.new("requirements.txt", "fastapi"),
    "catches everything": swallow(f"    try:\n        {DUMP}\n    except Exception:\n        return '{{}}'\n"),
    "catches everything bare": swallow(f"    try:\n        {DUMP}\n    except:\n        return '{{}}'\n"),
    "swallows the diagnosed error": swallow(
        f"    try:\n        {DUMP}\n    except TypeError:\n        return '{{}}'\n"
    ),
    "returns from finally": swallow(f"    try:\n        {DUMP}\n    finally:\n        return '{{}}'\n"),
    "suppresses": swallow(
        f"    import contextlib\n\n    with contextlib.suppress(Exception):\n        {DUMP}\n    return '{{}}'\n"
    ),
    "knows that it is tested": swallow(
        f"    import sys\n\n    if 'pytest' in sys.modules:\n        return '{{}}'\n    {DUMP}\n"
    ),
    "ends the process well": small.edit(SERIALIZER, "import json\n", "import json\nimport os\n\nos._exit(0)\n"),
    "patches json for everyone": small.edit(
        SERIALIZER, "import json\n", "import json\n\njson.JSONEncoder.default = lambda self, value: str(value)\n"
    ),
    "replaces the test runner's outcome": small.edit(
        SERIALIZER, "import json\n", "import json\nfrom _pytest import runner\n\nrunner.pytest_runtest_call = print\n"
    ),
    "ends the process by another name": small.edit(
        SERIALIZER, "import json\n", "import json\nimport os as o\n\no._exit(0)\n"
    ),
    "ends the process by a name put together": small.edit(
        SERIALIZER, "import json\n", "import json\nimport os\n\ngetattr(os, '_ex' + 'it')(0)\n"
    ),
    "starts a process": small.edit(
        SERIALIZER, "import json\n", "import json\nimport os\n\nos.posix_spawn('/bin/true', ['true'], {})\n"
    ),
    "unpickles": small.edit(SERIALIZER, "import json\n", "import json\nimport pickle\n\npickle.loads(b'N.')\n"),
    "looks for its judge on the stack": swallow(
        "    try:\n        raise KeyError\n    except KeyError as exc:\n        exc.__traceback__.tb_frame.f_back\n"
        f"    {DUMP}\n"
    ),
    "writes into a module's dictionary": small.edit(
        SERIALIZER, "import json\n", "import json\n\njson.__dict__['dumps'] = repr\n"
    ),
    "catches everything by another name": swallow(
        f"    kinds = (ValueError, Exception)\n    try:\n        {DUMP}\n    except kinds:\n        return str(value)\n"
    ),
    "catches everything in a block's end": swallow(
        "    class Quiet:\n        def __enter__(self):\n            return self\n\n        def __exit__(self, *exc):\n"
        f"            return True\n\n    with Quiet():\n        {DUMP}\n    return '{{}}'\n"
    ),
    "answers for the diagnosed error elsewhere": small.edit(
        "app.py", HEALTH,
        f'@app.exception_handler(TypeError)\nasync def quiet(request, exc):\n    return Response("{{}}")\n\n\n{HEALTH}',
    ),
    "adds a handler for every error": small.edit(
        "app.py", HEALTH, f'app.add_exception_handler(Exception, lambda *told: Response("{{}}"))\n\n\n{HEALTH}'
    ),
    "is equal to whatever is expected": swallow(
        f"    class Same(str):\n        def __eq__(self, other):\n            return True\n\n    {DUMP}\n"
    ),
    "looks for its judge by the traceback": small.edit(
        SERIALIZER, "import json\n", "import json\nimport traceback\n\nHERE = str(traceback.extract_stack())\n"
    ),
    "takes a name that it puts together": small.edit(
        SERIALIZER, "import json\n", "import json\nimport operator\n\noperator.attrgetter('_ex' + 'it')(json)(0)\n"
    ),
    "takes a name by the module's own way": small.edit(
        SERIALIZER, "import json\n", "import json\nimport os\n\nos.__getattribute__('_ex' + 'it')(0)\n"
    ),
    "loads by its loader": small.edit(
        SERIALIZER, "import json\n", "import json\n\n__loader__.load_module('os')._exit(0)\n"
    ),
    "silences the checks": small.edit(SERIALIZER, DUMP, "return json.dumps(value, default=str)  # type: ignore"),
    "changes nothing but tests": small.TEST,
    "leads out of the tree": small.FIX + small.new("../escaped.py", "x = 1"),
    "names an absolute path": small.FIX + small.new("/tmp/shadowlab-escaped.py", "x = 1").replace("b//", "/"),
    "writes into git": small.FIX + small.new(".git/hooks/pre-commit", "exit 0"),
    "makes a symbolic link": small.FIX
    + "diff --git a/lib/link b/lib/link\nnew file mode 120000\n--- /dev/null\n+++ b/lib/link\n@@ -0,0 +1 @@\n+/etc\n",
    "is too large": small.edit(SERIALIZER, "import json\n", "import json\n" + "X = 1\n" * 30),
    "carries a secret": small.FIX + small.new("lib/key.py", 'AWS = "AKIA' + "QWERTYUIOPASDFGH" + '"'),
}  # fmt: skip

RUN_AND_FAILED = {
    "forges passing results": small.edit(
        SERIALIZER, "import json\n", "import json\n\nprint('2 passed in 0.01s')\nraise SystemExit(0)\n"
    ),
    "breaks what worked": small.edit(SERIALIZER, "sort_keys=True", "default=str"),
    "fixes nothing": small.edit(SERIALIZER, DUMP, f"{DUMP}.strip()") + small.TEST,
    "brings a test that was green before": small.FIX + small.new("tests/test_surcharge.py", "def test_a(): pass"),
    "brings a test that fails for another reason": small.FIX
    + small.new("tests/test_surcharge.py", "from lib.serializer import _plain\n\n\ndef test_a(): pass"),
    "brings no test": small.FIX,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("service"))


def judged(source, diff, tests, families):
    with bench.prepared(
        small.candidate(diff, tests), source=source, revision="HEAD", diagnosis=small.diagnosis(source),
        replay=small.replay(source),
    ) as made:  # fmt: skip
        gates = stage.judged(made) if families is None else tuple(g for family in families for g in family.check(made))
    return overall(gates), {gate.name: gate for gate in gates}


@pytest.mark.parametrize("name", READ_AND_REFUSED)
def test_a_cheating_patch_is_refused_before_it_runs(source, name):
    with_refusals = None if name in ("leads out of the tree", "names an absolute path", "writes into git",
                                     "makes a symbolic link") else stage.READ  # fmt: skip
    verdict, gates = judged(source, READ_AND_REFUSED[name], (small.TEST_ID,), with_refusals)
    assert verdict is Verdict.FAIL, gates
    assert any(gates[gate].verdict is Verdict.FAIL for gate in ("policy", "shortcuts", "secrets") if gate in gates)


@pytest.mark.parametrize("name", RUN_AND_FAILED)
def test_a_cheating_patch_that_runs_fails(source, name):
    tests = ("tests/test_surcharge.py::test_a",) if "test that" in name else (small.TEST_ID,)
    gate = "tests" if name in ("forges passing results", "breaks what worked") else "new test red-green"
    families = [family for family in stage.RUN if family.names == (gate,)]
    verdict, _ = judged(source, RUN_AND_FAILED[name], () if name == "brings no test" else tests, families)
    assert verdict is Verdict.FAIL


def test_a_refused_patch_is_never_run(source):
    verdict, gates = judged(source, READ_AND_REFUSED["catches everything"], (small.TEST_ID,), None)
    assert verdict is Verdict.FAIL
    assert {gates[name].observed for name in ("tests", "contract", "replay red-green-red", "speed")} == {"not run"}
    assert not any(gate.verdict is Verdict.PASS for gate in gates.values() if gate.observed == "not run")


def test_a_secret_of_a_cheating_patch_is_not_repeated(source):
    _, gates = judged(source, READ_AND_REFUSED["carries a secret"], (), stage.READ)
    assert "QWERTYUIOP" not in str(gates)


CURE = "return json.dumps(value, sort_keys=True, default=str)"
COUNTING = {
    "a global counter": ("CALLS = 0\n", "global CALLS; CALLS += 1; cured = CALLS <= {n}"),
    "a function's attribute": ("", "to_json.n = getattr(to_json, 'n', 0) + 1; cured = to_json.n <= {n}"),
    "a mutable default": ("", "seen = _seen(value); cured = len(seen) <= {n}"),
    "an iterator": ("import itertools\n\nCALLS = itertools.count()\n", "cured = next(CALLS) < {n}"),
    "a file": (
        "from pathlib import Path\n",
        "file = Path('n'); file.touch(); file.write_text(file.read_text() + '.'); "
        "cured = len(file.read_text()) <= {n}",
    ),
    "the length of a cache": (
        "import functools\n\n\n@functools.cache\ndef _kept(text: str, place: object) -> str:\n    return text\n",
        "_kept(str(value), object()); cured = _kept.cache_info().currsize <= {n}",
    ),
    "other requests than were recorded": (
        "LAST: list[str] = ['']\n", "now = str(value.get('amount')); cured = LAST[0] != now; LAST[0] = now"
    ),
}  # fmt: skip
"""What a cure may count by: lines of the module, and of the function."""
KEEPING = {
    "a cache": ("CACHE: dict[str, str] = {}\n", "key = repr(value); CACHE.setdefault(key, key)"),
    "a rate limiter": (
        "import time\n\nTAKEN: list[float] = []\n",
        "now = time.monotonic(); TAKEN[:] = [at for at in TAKEN if at > now - 1]; TAKEN.append(now)\n"
        "    if len(TAKEN) > 20:\n        raise RuntimeError('too many')",
    ),
    "a pool that is made late": (
        "POOL: list[object] = []\n", "POOL.append(json.JSONEncoder(sort_keys=True)) if not POOL else None"
    ),
    "a count that nothing hangs on": ("CALLS = 0\n", "global CALLS; CALLS += 1"),
}  # fmt: skip


def stateful(head, act, answer):
    """A patch with lines of its own at the head of the module and of the function."""
    extra = "\n\ndef _seen(value: Any, seen: list[Any] = []) -> list[Any]:\n    seen.append(value)\n    return seen\n"
    before = small.FILES[SERIALIZER]
    after = before.replace("from typing import Any\n", f"from typing import Any\n\n{head}{extra}")
    return small.edit(SERIALIZER, before, after.replace(f"    {DUMP}\n", f"    {act}\n    {answer}\n"))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return small.case_with(tmp_path_factory.mktemp("folder"), small.traffic(60, every=20))


def replayed(case, source, diff):
    diagnosis = replace(small.diagnosis(source), recordings=(f"{20:032x}", f"{40:032x}"))
    with bench.prepared(
        small.candidate(diff), source=source, revision="HEAD", diagnosis=diagnosis, replay=small.replay(source),
        case=case,
    ) as made:  # fmt: skip
        return replays.red_green_red(made)[0], replays.unchanged(made)[0], shadow.shadow_run(made)


@pytest.mark.parametrize("name", COUNTING)
def test_a_cure_that_counts_fails_though_it_holds_for_each_request_alone(case, source, name):
    head, act = COUNTING[name]
    answer = f"if cured or 'surcharge' not in value:\n        {CURE}\n    {DUMP}"
    red, _, _ = replayed(case, source, stateful(head, act.format(n=1), answer))
    assert red.observed == "2/2 red, green, red"
    assert red.verdict is Verdict.FAIL
    assert "requests in one process, though not alone: 500 TypeError" in red.detail


def test_a_cure_that_breaks_what_passed_after_a_while_fails(case, source):
    head, act = COUNTING["a global counter"]
    broken = f"if cured:\n        {CURE}\n    raise RuntimeError(str(value))"
    red, unchanged, _ = replayed(case, source, stateful(head, act.format(n=9), broken))
    assert (red.verdict, unchanged.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert unchanged.observed.split()[0] in ("20/20", "29/29")
    assert "requests in one process: " in unchanged.detail


def test_an_answer_that_hangs_on_who_came_before_leaves_it_open(case, source):
    head, act = COUNTING["a global counter"]
    empty = f"if cured or 'surcharge' not in value:\n        {CURE}\n    return '{{}}'"
    red, unchanged, _ = replayed(case, source, stateful(head, act.format(n=1), empty))
    assert (red.verdict, unchanged.verdict) == (Verdict.INCONCLUSIVE, Verdict.PASS)
    assert "requests in one process than alone: body" in red.detail


@pytest.mark.parametrize("name", KEEPING)
def test_a_patch_may_remember_what_no_answer_hangs_on(case, source, name):
    red, unchanged, _ = replayed(case, source, stateful(*KEEPING[name], CURE))
    assert (red.verdict, unchanged.verdict) == (Verdict.PASS, Verdict.PASS), (red.detail, unchanged.detail)
    assert "more among other requests in one process" in red.detail


def test_a_cure_that_counts_further_than_a_few_fails_in_the_shadow_run(source, tmp_path):
    long = small.case_with(tmp_path, small.traffic(600, every=20))
    head, act = COUNTING["a global counter"]
    answer = f"if cured or 'surcharge' not in value:\n        {CURE}\n    {DUMP}"
    red, _, (_, _, errors, _) = replayed(long, source, stateful(head, act.format(n=200), answer))
    assert red.verdict is Verdict.PASS
    assert errors.verdict is Verdict.FAIL
    assert "fails with the candidate as without it, though not alone" in errors.detail
