"""What came from outside: odd parts of answers, found against recordings that passed."""

from typing import Any

from shadowlab.diagnose import outside
from shadowlab.replay.fixture import Fixture, parse


def asked(number: int, answer: Any, *, url: str = "http://catalog/products?page=1") -> Fixture:
    call = {"seq": 0, "method": "POST", "url": url, "status": 200, "body": answer, "body_encoding": "json"}
    document = {"id": f"{number:032x}", "request": {}, "time": "2026-05-04T10:00:00Z", "outbound": [call]}
    return parse(document, where="test")


WHOLE = {"products": [{"sku": "B-1", "size": {"g": 4}}, {"sku": "V-1"}]}
NULL = {"products": [{"sku": "B-1", "size": {"g": 4}}, {"sku": "V-1", "size": None}]}


def test_a_null_where_others_met_an_object_is_odd_and_is_replaced() -> None:
    [odd] = outside._odd([asked(1, NULL)], [asked(2, WHOLE), asked(3, WHOLE)])
    assert odd.words == "null at products[].size in the answer to POST http://catalog/products"
    assert (odd.usual, odd.stand_in, odd.seen) == (("an object",), {"g": 4}, 2)
    [call] = outside._mended(asked(1, NULL), odd).outbound
    assert [product["size"] for product in call.body["products"]] == [{"g": 4}, {"g": 4}]


def test_what_only_some_of_the_failing_met_is_not_odd() -> None:
    assert outside._odd([asked(1, NULL), asked(2, WHOLE)], [asked(3, WHOLE)]) == []


def test_a_place_that_nobody_met_before_is_not_odd() -> None:
    assert outside._odd([asked(1, {"new": None})], [asked(2, {"old": 1})]) == []
    assert outside._odd([asked(1, NULL)], []) == []


def test_a_list_in_place_of_an_object_is_odd_at_the_top() -> None:
    [odd, *_] = outside._odd([asked(1, [])], [asked(2, {"a": 1})])
    assert odd.words == "a list at the top in the answer to POST http://catalog/products"


def test_an_answer_without_end_is_looked_at_only_so_deep() -> None:
    deep: Any = None
    for _ in range(200):
        deep = [deep]
    assert len(list(outside._walk(deep, ()))) == outside.MAX_DEPTH + 2
