"""Frames, syntax, slices and bisection: what is read off a source tree without running it."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shadowlab.diagnose import locate
from shadowlab.diagnose.bisect import turn
from shadowlab.diagnose.slices import cut
from shadowlab.diagnose.syntax import Tree, parse, source_file
from shadowlab.diagnose.trials import Ending
from shadowlab.records import Commit, Frame

FILES = ("handlers/charges.py", "lib/serializer.py", "app.py", "src/till/app.py")


@pytest.mark.parametrize(
    ("path", "prefixes", "found"),
    [
        ("/srv/pay/lib/serializer.py", ["/srv/pay/"], "lib/serializer.py"),
        ("/srv/pay/till/app.py", ["/srv/pay"], "src/till/app.py"),
        ("/srv/payments/lib/serializer.py", ["/srv/pay"], None),
        ("/srv/pay/.venv/lib/python3.11/site-packages/app.py", ["/srv/pay"], None),
        ("/usr/lib/python3.11/json/encoder.py", [], None),
        ("/anywhere/lib/serializer.py", [], "lib/serializer.py"),
        ("/srv/pay/../../etc/app.py", ["/srv/pay"], None),
        ("<frozen importlib>", [], None),
        ("lib/serializer.py", ["/srv/pay"], "lib/serializer.py"),
    ],
)
def test_production_paths_are_mapped_or_left(path: str, prefixes: list[str], found: str | None):
    assert locate(path, prefixes=prefixes, files=FILES) == found


HOSTILE = {
    "brackets": "(" * 5000 + "1" + ")" * 5000,
    "nots": "not " * 20_000 + "1",
    "minuses": "-" * 20_000 + "1",
    "dots": "a" + ".b" * 50_000,
    "lambdas": "lambda:" * 9000 + "1",
    "blocks": "".join(" " * n + "if 1:\n" for n in range(90)) + " " * 90 + "1" + "+1" * 400,
    "nul": "x\0",
    "half": "def f(:",
    "long": "#" * 1_000_001,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_source_is_left_unread_instead_of_ending_the_process(text: str):
    assert parse(text) is None


@given(st.text(alphabet="()[]{}:\n\t 'abdef\"\\#=,.*", max_size=200))
@example("\\\na")
def test_any_text_is_a_tree_or_none(text: str):
    parsed = source_file("a.py", text)
    assert parsed is None or parsed.module.code == text


def test_functions_are_found_with_their_decorators_and_nesting():
    text = "import x as y\n\n\nclass A:\n    @y.cached\n    def b(self):\n        def c():\n            pass\n"
    parsed = source_file("a.py", text)
    assert parsed is not None
    assert [(f.qualname, f.start_line, f.end_line) for f in parsed.functions] == [
        ("A.b", 5, 8),
        ("A.b.<locals>.c", 7, 8),
    ]
    assert parsed.imports == {"y": "x"}


def tree(**files: str) -> Tree:
    named = {f"{name.replace('__', '/')}.py": text for name, text in files.items()}
    return Tree(tuple(named), lambda file: named[file])


def frame(file: str, function: str, line: int) -> Frame:
    return Frame(file=file, function=function, line=line, in_app=True)


APP = """\
from lib import rates
from lib.log import note


def handle(event):
    note(event)
    fee = rates.fee(event)
    return write(fee)


def write(x):
    return x.y
"""
RATES = """\
def fee(e):
    return scale(e["n"])


def scale(n):
    return n
"""
CART = """\
class Cart:
    def total(self):
        rows = []
        rows.append(self.price())
        return sum(rows)

    def price(self):
        return None
"""


def test_a_slice_follows_the_failing_value_and_leaves_the_rest():
    files = tree(app=APP, lib__rates=RATES, lib__log="def note(e):\n    print(e)\n")
    found = cut(files, [frame("app.py", "handle", 8), frame("app.py", "write", 12)])
    assert [c.function.qualname for c in found] == ["write", "handle", "fee", "scale"]


def test_a_slice_follows_methods_and_what_changes_a_value_in_place():
    found = cut(tree(cart=CART), [frame("cart.py", "Cart.total", 5)])
    assert [c.function.qualname for c in found] == ["Cart.total", "Cart.price"]


def test_a_slice_is_bounded():
    calls = "".join(f"def f{n}(x):\n    return f{n + 1}(x)\n\n\n" for n in range(60)) + "def f60(x):\n    return x\n"
    assert len(cut(tree(a=calls), [frame("a.py", "f0", 2)])) == 4


def chain(length: int) -> tuple[Commit, ...]:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    return tuple(Commit(revision=str(n), subject="", at=at, files=(), parent=str(n - 1)) for n in range(1, length + 1))


@given(st.integers(1, 40), st.data())
def test_bisection_finds_the_turn_wherever_it_is_in_few_replays(length: int, data: st.DataObject):
    guilty = data.draw(st.integers(1, length))
    first = data.draw(st.lists(st.integers(1, length).map(str), max_size=2))
    asked: list[str] = []

    def probe(revision: str) -> Ending:
        asked.append(revision)
        return "same" if int(revision) >= guilty else "passes"

    found = turn(chain(length), probe, first=first)
    assert found is not None
    assert found.culprit is not None
    assert found.culprit.revision == str(guilty)
    assert len(asked) <= length.bit_length() + 2 + 2 * len(first)


@given(st.integers(2, 15), st.data())
def test_bisection_never_names_a_commit_whose_parent_did_not_pass(length: int, data: st.DataObject):
    endings: list[Ending] = [data.draw(st.sampled_from(["same", "passes", "other"])) for _ in range(length)]
    found = turn(chain(length), lambda revision: [*endings, "same"][int(revision)])
    assert found is not None
    if found.culprit is not None:
        n = int(found.culprit.revision)
        assert ([*endings, "same"][n - 1], [*endings, "same"][n]) == ("passes", "same")
