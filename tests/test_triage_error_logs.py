"""What services say in their log records of where it starts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from otlp import START, lines, log, logs, metrics
from story import MINUTE, SECOND, Story, number_of

from shadowlab import telemetry, triage
from shadowlab.records import Blamed

Records = dict[str, list[dict[str, Any]]]
"""By service."""
STALE = "price list {} is stale, answering with it anyway"


def hour(story: Story, *, broken: str = "", slower: int = 0, requests: int = 240) -> tuple[list[dict[str, Any]], ...]:
    """Front, shop and stock, an hour; from half time on `broken` fails in every third request, stock is `slower`."""
    r = random.Random(7)
    told: tuple[list[dict[str, Any]], ...] = ([], [], [])
    for n in range(requests):
        at, trace, struck = n * 3600 / requests, story.trace(), n >= requests // 2 and n % 3 == 0
        more = slower if n >= requests // 2 and n % 6 == 0 else 0
        front = story.span(at, service="front", trace=trace, ms=80 + more, name="GET /", error=struck and bool(broken))
        shop = story.span(at, trace=trace, parent=number_of(front), ms=60 + more, name="GET /shop")
        own = 10 + more + r.randrange(4)
        stock = story.span(at, service="stock", trace=trace, parent=number_of(shop), ms=own, name="GET /stock")
        for span, named in ((shop, "shop"), (stock, "stock")):
            if struck and broken == named:
                story.fails(span, "ValueError", "cannot use it")
        if struck:
            for kept, span in zip(told, (front, shop, stock), strict=True):
                kept.append(span)
    return told


def record(body: str, span: dict[str, Any], number: int = 17) -> dict[str, Any]:
    at = int(span["startTimeUnixNano"]) + SECOND // 100
    return {**log(body, at=at, trace=span["traceId"], number=number), "spanId": span["spanId"]}


def blamed(story: Story, folder: Path, records: Records, *more: dict[str, Any]) -> dict[str, Blamed]:
    case = story.case(folder)
    telemetry.ingest(case, [lines(folder / "more.jsonl", *(logs(told, name) for name, told in records.items()), *more)])
    with telemetry.store(case) as store:
        return {told.service: told for told in triage.triage(store, top=1)[0].services}


def test_a_service_that_answers_wrongly_and_says_so_comes_before_the_one_that_fails_with_it(tmp_path: Path):
    story = Story()
    _, _, stocks = hour(story, broken="shop")
    found = blamed(story, tmp_path, {"stock": [record(STALE.format(n), span) for n, span in enumerate(stocks)]})
    assert next(iter(found)) == "stock"
    assert found["stock"].score > 0.9
    assert "hold its error records" in found["stock"].evidence[0]


def test_without_records_the_one_that_fails_is_where_it_starts(tmp_path: Path):
    story = Story()
    hour(story, broken="shop")
    assert next(iter(blamed(story, tmp_path, {}))) == "shop"


def test_error_records_alone_tell_of_requests_that_seem_fine(tmp_path: Path):
    story = Story()
    _, _, stocks = hour(story)
    found = blamed(story, tmp_path, {"stock": [record(STALE.format(n), span) for n, span in enumerate(stocks)]})
    assert found["stock"].score == 1.0
    words = "40 requests hold its error records that came up: “price list <n> is stale, answering with it anyway”"
    assert found["stock"].evidence[0] == words


def test_what_callers_write_down_of_a_failure_below_blames_nobody_but_its_origin(tmp_path: Path):
    story = Story()
    fronts, shops, stocks = hour(story, broken="stock")
    said = {"front": fronts, "shop": shops, "stock": stocks}
    found = blamed(
        story, tmp_path, {name: [record(f"{name} gave up", s) for s in spans] for name, spans in said.items()}
    )
    assert {name: told.score for name, told in found.items() if told.score} == {"stock": 1.0}


def test_records_that_were_always_there_and_those_below_an_error_blame_nobody(tmp_path: Path):
    story, always = Story(), []
    hour(story)
    for spans in story.told.values():
        always += [record("cannot write to the cache", span) for span in spans[::5] if span["name"] == "GET /shop"]
    _, _, stocks = hour(story)
    noted = [record(STALE.format(n), span, number=13) for n, span in enumerate(stocks)]
    found = blamed(story, tmp_path, {"shop": always, "stock": noted})
    assert all(told.score == 0 for told in found.values())


def test_records_that_name_no_request_are_a_sign_and_no_proof(tmp_path: Path):
    story = Story()
    hour(story)
    came_up = [log(f"disk {n} full", at=START + (2000 + n) * SECOND, trace=None, number=17) for n in range(60)]
    found = blamed(story, tmp_path, {"stock": came_up})
    assert found["stock"].score == 0
    assert found["stock"].evidence == ("its error records “disk <n> full” came up: 0 to 60",)


def test_a_full_service_is_blamed_for_a_little_slowness_and_an_idle_one_is_not(tmp_path: Path):
    gauge = [0.5 + n % 5 / 50 for n in range(30)] + [0.97 + n % 3 / 100 for n in range(30)]
    points = [{"timeUnixNano": str(START + n * MINUTE), "asDouble": value} for n, value in enumerate(gauge)]
    full = metrics([{"name": "pool.utilization", "unit": "1", "gauge": {"dataPoints": points}}], "stock")
    for name, more, score in (("idle", (), 0.0), ("full", (full,), 1.0)):
        story = Story()
        hour(story, slower=9)
        (tmp_path / name).mkdir()
        found = blamed(story, tmp_path / name, {}, *more)
        assert found["stock"].score == score if score else not any(told.score for told in found.values())
