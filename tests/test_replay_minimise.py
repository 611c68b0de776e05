"""A failing request is made small within its budget, and two trees are compared by the same recordings."""

import json
from pathlib import Path

import orders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowlab import replay
from shadowlab.case import Case, open_case
from shadowlab.replay.shrinking import fewer, parsed, smaller
from shadowlab.source import Source

ids = [f"{number:032x}" for number in range(4)]


def scene(folder: Path, *documents: dict[str, object]) -> tuple[Case, Source]:
    case = open_case(folder / "case")
    replay.take_in(case, [orders.written(folder / "tapes", *documents)])
    return case, orders.repository(folder / "shop")


def test_a_large_body_becomes_the_few_bytes_that_fail(tmp_path: Path) -> None:
    noise = {f"key-{n}": {"text": "x" * 40, "more": [n, {"deep": [1, 2, 3]}]} for n in range(36)}
    body = {"item": "tea", **noise, "coupon": "HALF", "lines": [{"n": n} for n in range(40)]}
    request = {**orders.document(1)["request"], "body": body, "query": "a=1&b=2"}
    case, source = scene(tmp_path, orders.document(1, request=request))
    small = replay.minimise(case, ids[1], source=source, revision="HEAD")
    assert small.before_bytes > 3500
    assert (small.after_bytes, small.spent) == (30, False)
    assert small.replays <= 200
    kept = replay.load(case, small.recording).request
    assert (json.loads(kept.content), kept.query, kept.headers) == ({"item": "tea", "coupon": "HALF"}, "", ())
    done = replay.replay(case, [small.recording], source=source, revision="HEAD")
    assert done.error is not None
    assert done.error.message == orders.DECIMAL


def test_the_budget_of_replays_is_kept(tmp_path: Path) -> None:
    case, source = scene(tmp_path, orders.document(1))
    small = replay.minimise(case, ids[1], source=source, revision="HEAD", budget=5)
    assert (small.replays, small.spent) == (5, True)


@given(st.sets(st.integers(0, 40)), st.integers(41, 60))
def test_what_is_needed_is_found_and_nothing_else(needed: set[int], size: int) -> None:
    assert fewer(list(range(size)), lambda left: needed <= set(left)) == sorted(needed)


@given(st.lists(st.integers()), st.dictionaries(st.text(), st.text()))
def test_a_value_is_made_as_simple_as_may_be(numbers: list[int], texts: dict[str, str]) -> None:
    value = {"numbers": numbers, "texts": texts, "needed": [1, {"a": 7}]}

    def holds(candidate: object) -> bool:
        return isinstance(candidate, dict) and '{"a": 7}' in json.dumps(candidate.get("needed"))

    assert smaller(value, holds) == {"needed": [{"a": 7}]}


@pytest.mark.parametrize("levels", [150, 900, 100_000])
def test_a_value_that_is_nested_too_deep_is_not_taken_apart(levels: int) -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parsed("[1," * levels + "7" + "]" * levels)
    value = parsed("[1," * 99 + "7" + "]" * 99)
    assert json.dumps(smaller(value, lambda candidate: "7" in json.dumps(candidate))) == "[" * 99 + "7" + "]" * 99


def test_two_trees_are_compared_recording_by_recording(tmp_path: Path) -> None:
    free = orders.document(3, "FREE", error={"type": "ZeroDivisionError", "message": "float division by zero"})
    case, source = scene(tmp_path, orders.document(1), orders.passing(2), free)
    patch = orders.FIX.replace("default=str", 'default=str) + "\\n"').replace('"\\n")', '"\\n"')
    found = replay.compare_trees(case, ids[1:], source=source, base="HEAD", patch=patch)
    assert [one.became for one in found.exemplars] == ["fixed", "changed but passing", "still failing"]
    assert found.exemplars[1].differs == ("headers", "body")
    assert not found.exemplars[1].new_calls


def test_new_and_vanished_calls_are_listed(tmp_path: Path) -> None:
    case, source = scene(tmp_path, orders.passing(2))
    other = "--- a/app.py\n+++ b/app.py\n" + hunk("/items/{asked['item']}", "/stock/{asked['item']}")
    (found,) = replay.compare_trees(case, [ids[2]], source=source, base="HEAD", patch=other).exemplars
    assert found.became == "new failure"
    assert found.new_calls == ("GET stock.internal/stock/tea -> (nothing recorded)",)
    assert found.vanished_calls == ("GET stock.internal/items/tea -> 200",)


def hunk(old: str, new: str) -> str:
    """A hunk that changes one line of the shop's application."""
    lines = (orders.TREE / "app.py").read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if old in line)
    before, after = lines[at - 2 : at], lines[at + 1 : at + 3]
    body = [f" {line}" for line in before] + [f"-{lines[at]}", f"+{lines[at].replace(old, new)}"]
    body += [f" {line}" for line in after]
    return f"@@ -{at - 1},5 +{at - 1},5 @@\n" + "\n".join(body) + "\n"
