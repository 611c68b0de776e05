"""The changed functions: which they are, how long they take for real, what is said of it."""

from types import SimpleNamespace

import orders
import pytest

from shadowlab.gates import timing
from shadowlab.gates.bench import Limits
from shadowlab.gates.patch import Change
from shadowlab.gates.roles import Part, Role
from shadowlab.records import Verdict
from shadowlab.replay import Calls, Runner

APP = """\
import asyncio
import functools
from lib import outer, Shelf, early

def loud(function):
    @functools.wraps(function)
    def around(*args, **kwargs):
        return function(*args, **kwargs)
    return around

@loud
def wrapped(n, *, by=2):
    return n * by

def fails():
    raise LookupError

def down(n):
    return n and 1 + down(n - 1)

def steps():
    yield from (1, 2, 3)

async def waits(n):
    await asyncio.sleep(60)
    return n

def adder(n):
    def add(m):
        return n + m
    return add

add_two = adder(2)

async def run(event):
    try:
        fails()
    except LookupError:
        pass
    told = [wrapped(4), wrapped(1, by=5), down(3), *steps(), await waits(9), add_two(1), Shelf(3).size()]
    import late
    return [*told, early(1), late.found(1)]
"""
FILES = {
    "app.py": APP,
    "lib.py": "def early(n):\n    return n\n\ndef outer():\n    pass\n\n"
    "class Base:\n    def size(self):\n        return self.n\n\nclass Shelf(Base):\n"
    "    def __init__(self, n):\n        self.n = n\n\n    def size(self):\n        return super().size() + 1\n",
    "late.py": "def found(n):\n    return n\n",
    "shadowlab.toml": '[service]\nname = "orders"\nentrypoint = "app:run"\nkind = "function"\n',
}


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    source = orders.repository(tmp_path_factory.mktemp("tree") / "orders", FILES)
    told = [orders.fixture(orders.passing(n, outbound=[])) for n in (1, 2)]

    def mirror(*names):
        timed = [dict(zip(("file", "function"), name.split(":"), strict=True)) for name in names]
        with Runner(source.path, source.service("HEAD")) as runner:
            return runner.mirror(told, timed=timed)

    return mirror


def test_functions_are_timed_whoever_bound_them_and_answer_the_same(mirrored):
    names = ("app.py:wrapped", "app.py:down", "app.py:steps", "app.py:waits", "app.py:adder.<locals>.add",
             "lib.py:Shelf.size", "lib.py:early", "late.py:found", "app.py:fails", "lib.py:outer")  # fmt: skip
    timed, plain = mirrored(*names), mirrored()
    assert [one.body_sha256 for one in timed] == [one.body_sha256 for one in plain]
    assert {one.error for one in (*timed, *plain)} == {None}
    counts = dict(zip(names, timed[1].timed, strict=True))
    assert counts.pop("app.py:fails") == Calls(returned=0, raised=1, spent_ms=0)
    assert counts.pop("lib.py:outer") == Calls(returned=0, raised=0, spent_ms=0)
    assert counts.pop("app.py:wrapped").returned == 2
    assert {each.returned for each in counts.values()} == {1}
    assert all(0 < each.spent_ms < 1000 for each in counts.values())


@pytest.fixture
def changed(tmp_path):
    def between(before, after):
        for name, text in (("base", before), ("patched", after)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.py").write_text(text)
        parts = (Part(change=Change(path="a.py", kind="edited"), role=Role.CHANGE),)
        bench = SimpleNamespace(
            base=tmp_path / "base", patched=tmp_path / "patched", parts_of=lambda role: parts, limits=Limits(),
            alpha=0.05, seed=0,
        )  # fmt: skip
        return bench, timing.changed(bench)

    return between


def test_the_functions_that_the_diff_changes_are_found(changed):
    method = "class C:\n    def b(self):\n        def c():\n            return 2\n        return c\n"
    before = f"def a():\n    return 1\n\n\n{method}"
    _, found = changed(before, before.replace("2", "3") + "\n\ndef new():\n    pass\n")
    assert found == (timing.Changed(file="a.py", functions=("C.b.<locals>.c", "C.b")),)
    assert [each["function"] for each in timing.named(found)] == ["C.b.<locals>.c", "C.b"]


def test_a_change_outside_of_every_function_may_change_any_of_its_file(changed):
    _, found = changed("X = 1\n\n\ndef a():\n    return X\n", "X = 2\n\n\ndef a():\n    return X\n")
    assert found == (timing.Changed(file="a.py", functions=("a",), certain=False),)


def arms(count, *, control=1.0, candidate=1.0, returned=1, raised=0):
    one = (Calls(returned=returned, raised=0, spent_ms=control),)
    return [(one, (Calls(returned=returned, raised=raised, spent_ms=candidate),))] * count


@pytest.mark.parametrize(
    ("told", "verdict", "observed"),
    [
        (arms(30), Verdict.PASS, "a.py:a: median +0.000 ms a call, 30 calls"),
        (arms(30, returned=2), Verdict.PASS, "a.py:a: median +0.000 ms a request, 60 calls"),
        (arms(30, candidate=7.5), Verdict.FAIL, "a.py:a: median +6.500 ms a call, 30 calls"),
        (arms(19), Verdict.INCONCLUSIVE, "a.py:a: ran too seldom"),
        (arms(30, returned=0), Verdict.INCONCLUSIVE, "a.py:a: never ran"),
        (arms(30, raised=1), Verdict.INCONCLUSIVE, "a.py:a: never ran"),
    ],
)
def test_a_function_is_judged_where_it_ran_often_enough(changed, told, verdict, observed):
    bench, found = changed("def a():\n    return 1\n", "def a():\n    return 2\n")
    gate = timing.speed(bench, found, told)
    assert (gate.verdict, gate.observed, gate.limit) == (verdict, observed, "5 ms")
    assert "both sides can handle" in gate.detail


def test_a_function_that_never_ran_leaves_it_inconclusive_whatever_the_others_did(changed):
    bench, found = changed("def a():\n    return 1\n\n\ndef b():\n    return 1\n",
                           "def a():\n    return 2\n\n\ndef b():\n    return 2\n")  # fmt: skip
    never = Calls(returned=0, raised=0, spent_ms=0.0)
    gate = timing.speed(bench, found, [((*a, never), (*b, never)) for a, b in arms(30)])
    assert gate.verdict is Verdict.INCONCLUSIVE
    assert gate.observed == "a.py:b: never ran; a.py:a: median +0.000 ms a call, 30 calls"
    assert "b ran in 0 requests that both arms answered; 20 are needed" in gate.detail


def test_a_diff_that_changes_no_function_of_both_trees_is_inconclusive(changed):
    bench, found = changed("X = 1\n", "X = 2\n")
    gate = timing.speed(bench, found, [])
    assert (gate.verdict, gate.observed) == (Verdict.INCONCLUSIVE, "did not run")
    assert gate.detail.startswith("the diff changes no function that both trees have")
