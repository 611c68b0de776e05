"""Where in the graph it starts."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest
from story import Story, number_of, triaged

from shadowlab import texts


def chain(story: Story, fault: str, *, seed: int = 1, requests: int = 360) -> None:
    """An hour of front -> shop -> stock; from half time on `stock` is slow, silent or failing, or nothing happens."""
    r = random.Random(seed)
    for n in range(requests):
        at, late, trace = n * 3600 / requests, n >= requests // 2, story.trace()
        slow = 200 if late and fault == "slow" else 0
        silent, failing = (late and fault == word and r.random() < 0.4 for word in ("silent", "failing"))
        broken = silent or failing or r.random() < 0.005
        front = story.span(at, service="front", trace=trace, name="GET /", ms=60 + slow, error=broken)
        shop = story.span(at, trace=trace, parent=number_of(front), name="GET /shop", ms=50 + slow, error=broken)
        call = story.span(at, trace=trace, parent=number_of(shop), kind=3, name="GET", ms=40 + slow, error=broken)
        if not silent:
            noise = r.randrange(8)
            stock = story.span(
                at,
                service="stock",
                trace=trace,
                parent=number_of(call),
                name="GET /stock",
                ms=30 + slow + noise,
                error=failing,
            )
            if failing:
                story.fails(stock, "KeyError", "'sku'")


@pytest.mark.parametrize(
    ("fault", "words"),
    [("failing", "its errors break"), ("slow", "its own time in a request went from"), ("silent", "find no answer")],
)
def test_the_service_where_it_starts_comes_first(tmp_path: Path, fault: str, words: str):
    story = Story()
    chain(story, fault)
    first = triaged(story, tmp_path).services[0]
    assert first.service == "stock"
    assert first.score > 0.8
    assert any(words in said for said in first.evidence)


def test_where_nothing_happened_nobody_is_blamed(tmp_path: Path):
    story = Story()
    chain(story, "nothing")
    found = triaged(story, tmp_path)
    assert all(b.score == 0 for b in found.services)
    assert "where it starts" not in texts.text(found)


def test_a_callee_that_stopped_answering_is_blamed_whichever_span_says_so(tmp_path: Path):
    story = Story()
    for n in range(1800):
        bad = n >= 1200 and n % 3 == 0
        front = story.span(n, service="front", trace=(trace := story.trace()), name="GET /", error=bad)
        call = story.span(n, service="front", trace=trace, kind=3, parent=number_of(front), name="GET stock", error=bad)
        call["status"] = {"code": 2 * bad}
        if bad:
            story.fails(front, "TimeoutError", "timed out")
        else:
            story.span(n, service="stock", trace=trace, parent=number_of(call), name="GET /stock")
    found = triaged(story, tmp_path, window=timedelta(minutes=10))
    assert (found.top.service, found.top.exception_type, found.top.events) == ("front", "TimeoutError", 200)
    assert [(b.service, b.score) for b in found.services] == [("stock", 1.0), ("front", 0.0)]


def test_the_terminal_says_where_it_starts_and_why(tmp_path: Path):
    story = Story()
    chain(story, "failing")
    shown = texts.text(triaged(story, tmp_path)).split("where it starts")[1].splitlines()
    assert shown[3].startswith("stock    1.00   its errors break")


@pytest.mark.parametrize("silent", ["pay", "stock"])
def test_calls_of_one_name_are_told_apart_by_whom_they_ask(tmp_path: Path, silent: str):
    story, r = Story(), random.Random(3)
    for n in range(360):
        at, trace = n * 10, story.trace()
        broken = n >= 180 and r.random() < 0.4
        shop = story.span(at, trace=trace, name="POST /orders", ms=50, error=broken)
        for asked in ("pay", "stock"):
            gone = broken and asked == silent
            call = story.span(at, trace=trace, parent=number_of(shop), kind=3, name="POST", ms=20, error=gone,
                              server__address=asked)  # fmt: skip
            if not gone:
                story.span(at, service=asked, trace=trace, parent=number_of(call), name=f"POST /{asked}", ms=10)
    first = triaged(story, tmp_path).services[0]
    assert first.service == silent
    assert any("find no answer" in said for said in first.evidence)
