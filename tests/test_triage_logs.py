"""Log records without an exception as groups, and what metrics say of services that run full."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from otlp import START, lines, log, logs, metrics
from story import MINUTE, SECOND, Story, busy
from test_triage_services import chain

from shadowlab import telemetry, triage
from shadowlab.records import Triage
from shadowlab.triage.mask import templates
from shadowlab.triage.words import one_each


def looked_at(story: Story, folder: Path, *more: dict[str, Any]) -> Triage:
    case = story.case(folder)
    telemetry.ingest(case, [lines(folder / "more.jsonl", *more)])
    with telemetry.store(case) as store:
        return triage.triage(store)[0]


def records(shuffled: int = 0) -> list[dict[str, Any]]:
    told = [log(f"served item {n} in {n % 7} ms", at=START + n * 3 * SECOND, trace=None) for n in range(1, 1200)]
    told += [
        log(f"pool exhausted, waited {n} ms for key={n:x}", at=START + (3000 + n) * SECOND, trace=None, number=17)
        for n in range(60)
    ]
    told.append(log("boom", at=START + 3100 * SECOND, exception__type="KeyError"))
    random.Random(shuffled).shuffle(told)
    return told


def test_what_came_up_leads_and_what_was_always_there_follows(tmp_path: Path):
    story = Story()
    busy(story, seconds=3600, every=10)
    found = looked_at(story, tmp_path, logs(records()))
    first, second = found.logs
    assert (first.template, first.severity, first.events, first.before) == (
        "pool exhausted, waited <amount> for key=<v>", "error", 60, 0)  # fmt: skip
    assert second.template == "served item <n> in <amount>"
    assert abs(second.events - second.before) < 20


def test_any_order_of_records_gives_the_same_groups(tmp_path: Path):
    digests = set()
    for seed in (1, 2):
        story = Story()
        busy(story, seconds=3600, every=10)
        (tmp_path / str(seed)).mkdir()
        digests.add(looked_at(story, tmp_path / str(seed), logs(records(seed))).digest)
    assert len(digests) == 1


def test_values_behind_keys_and_in_braces_are_no_words():
    assert templates(["opened fd=7 {'a': 1} [x y]", "code 503 of /a/b/c"], logs=True) == [
        "opened fd=<v> {<v>} [<v>]", "code <n> of <path>"]  # fmt: skip


def test_paths_and_names_of_resources_are_the_same_parameters_in_errors_and_in_records():
    texts = ["cannot read src/app/x.py", "in ./tmp/a1b2/part:42, ~/x", "no node_modules/@a/b/c", "copy /a/b /c/d ../e",
             "arn:aws:s3:::my_bucket/a-b may not", "and/or read/write n/a TCP/IP 3/4 text/html"]  # fmt: skip
    assert templates(texts) == templates(texts, logs=True)


@pytest.mark.parametrize("of_logs", [False, True])
def test_control_characters_and_colours_change_no_template(of_logs: bool):
    plain, *told = templates(
        ["refused {a: [1]} of GET k=5", "refused {a: [1]} of \x1b[31mGET\x1b[0m k=5"]
        + [f"refu{chr(n)}sed {{a: [1]}} of GET k={chr(n)}5" for n in (*range(9), *range(14, 32))],
        logs=of_logs,
    )
    assert set(told) == {plain}


def test_braces_and_brackets_are_values_however_deep_and_only_where_they_close():
    deep = ["at {a} end", "at {a {b {c {d}}}} end", "at {a {b} {c {}}} end", "at {} end", "at [a [b] [c]] end"]
    assert set(templates(deep, logs=True)) == {"at {<v>} end", "at [<v>] end"}
    assert templates(["at {a {b} end", "at {a} b} end"], logs=True) == ["at {a {<v>} end", "at {<v>} b} end"]


def test_records_of_one_word_are_not_one_parameter():
    words = [f"word{chr(97 + n)}" for n in range(20)]
    assert one_each(words) == {word: word for word in words}


def full(service: str, values: list[float], name: str = "db.client.connections.utilization") -> dict[str, Any]:
    points = [{"timeUnixNano": str(START + n * MINUTE), "asDouble": value} for n, value in enumerate(values)]
    return metrics([{"name": name, "unit": "1", "gauge": {"dataPoints": points}}], service)


def test_a_service_that_ran_full_is_a_candidate_and_a_calm_one_is_not(tmp_path: Path):
    story, r = Story(), random.Random(5)
    chain(story, "failing")
    calm, high = ([r.gauss(0.5, 0.05) for _ in range(30)] for _ in range(2))
    found = looked_at(
        story, tmp_path, full("shop", calm + [r.gauss(0.97, 0.01) for _ in range(30)]), full("front", calm + high),
        full("stock", [3.0, 4.0, 2.0] * 10 + [40.0, 44.0, 39.0] * 10, "worker.queue.length"),
    )  # fmt: skip
    scores = {b.service: b for b in found.services}
    assert found.services[0].service == "stock"
    assert any("worker.queue.length grew from 3 to 44" in words for words in scores["stock"].evidence)
    assert any("utilization reached 9" in words for words in scores["shop"].evidence)
    assert 0 < scores["shop"].score < scores["stock"].score
    assert scores["front"].score == 0


def test_a_full_service_is_shown_and_not_blamed_while_nothing_breaks(tmp_path: Path):
    story = Story()
    chain(story, "nothing")
    found = looked_at(story, tmp_path, full("stock", [0.5, 0.52] * 15 + [0.99, 0.98] * 15))
    assert {b.service: b.score for b in found.services}["stock"] == 0
    assert found.blamed_path == ()
