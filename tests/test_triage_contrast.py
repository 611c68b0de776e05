"""What sets failing requests apart, and that nothing does when nothing does."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from otlp import attributes
from story import Story, busy, triaged

from shadowlab.triage.contrast import contrast

Attributes = Mapping[str, str]


def apart(
    requests: int,
    tell: Callable[[random.Random], tuple[bool, Attributes]],
    *,
    seed: int = 1,
    weight: Callable[[bool, Attributes], float] = lambda bad, has: 1.0,
):
    """The contrast of so many requests, each with its outcome and attributes; one of weight 8 is one of 8 told."""
    r = random.Random(seed)
    drawn = [(tell(r), r.random()) for _ in range(requests)]
    told = [one for one, chance in drawn if chance < 1 / weight(*one)]
    chosen = pd.DataFrame([{"rid": n, "failing": bad, "weight": weight(bad, has)} for n, (bad, has) in enumerate(told)])
    pairs = pd.DataFrame([(n, k, v) for n, (_, has) in enumerate(told) for k, v in has.items()],
                         columns=["rid", "key", "value"])  # fmt: skip
    with duckdb.connect() as con:
        con.register("c", chosen)
        con.register("p", pairs)
        con.execute("CREATE TABLE chosen AS SELECT * FROM c; CREATE TABLE pairs AS SELECT * FROM p")
        return contrast(con)


def surroundings(r: random.Random) -> dict[str, str]:
    """Attributes that have nothing to do with anything."""
    return {"region": r.choice("abc"), "host.name": f"h{r.randrange(20)}", "size": str(r.randrange(10_000)),
            "user.id": f"u{r.randrange(5_000)}", "plan": r.choice(["free", "pro"])}  # fmt: skip


def test_the_attribute_of_the_failing_requests_is_found():
    def tell(r: random.Random) -> tuple[bool, Attributes]:
        surcharge = r.random() < 0.05
        return surcharge and r.random() < 0.9, {**surroundings(r), "surcharge": str(surcharge).lower()}

    first, *rest = apart(2_000, tell)
    assert (first.attribute, first.value, first.selection) == ("surcharge", "true", 1.0)
    assert first.baseline < 0.02
    assert first.q < 1e-9
    assert first.interval is not None
    assert first.interval[0] < first.effect < first.interval[1]
    assert all(other.effect < first.effect / 4 for other in rest)


def test_shuffled_labels_find_something_no_more_often_than_promised():
    findings = sum(bool(apart(150, lambda r: (r.random() < 0.2, surroundings(r)), seed=seed)) for seed in range(40))
    assert findings <= 6  # 5 % of 40 are 2; 7 and more have a chance of 1 in 300


def test_attributes_that_select_the_same_requests_are_one_entry_led_by_the_most_general():
    def tell(r: random.Random) -> tuple[bool, Attributes]:
        host = r.randrange(10)
        place = {"host.name": f"h{host}", "cloud.region": "west" if host == 0 else f"east{host % 3}"}
        return host == 0 and r.random() < 0.8, {**place, "k8s.pod.name": f"pod{host}"}

    (found,) = apart(1_500, tell)
    assert (found.attribute, found.value) == ("cloud.region", "west")
    assert found.same_as == ("host.name=h0", "k8s.pod.name=pod0")


def test_a_number_is_compared_by_rank():
    def tell(r: random.Random) -> tuple[bool, Attributes]:
        amount = r.random() * 100
        return amount > 90 and r.random() < 0.9, {**surroundings(r), "amount": f"{amount:.2f}"}

    found = apart(1_500, tell)[0]
    assert (found.attribute, found.kind) == ("amount", "number")
    assert found.value.startswith(">= 9")
    assert found.said == f"amount {found.value}"


def test_two_attributes_that_only_together_explain_are_found_together():
    def tell(r: random.Random) -> tuple[bool, Attributes]:
        currency, method = r.choice(["EUR", "USD", "JPY"]), r.choice(["card", "debit", "wallet"])
        return (currency, method) == ("JPY", "wallet"), {**surroundings(r), "currency": currency, "method": method}

    found = apart(1_500, tell)[0]
    assert (found.attribute, found.value, found.kind) == ("currency & method", "JPY & wallet", "pair")
    assert (found.selection, found.baseline) == (1.0, 0.0)
    assert found.said == "currency & method = JPY & wallet"


@pytest.mark.parametrize("seed", range(3))
def test_what_was_sampled_more_rarely_is_not_taken_to_fail_less(seed: int):
    def tell(r: random.Random) -> tuple[bool, Attributes]:
        return r.random() < 0.1, {"color": r.choice(("red", "blue")), "size": str(r.randrange(100))}

    assert (
        apart(4_000, tell, seed=seed, weight=lambda bad, has: 8.0 if has["color"] == "red" and not bad else 1.0) == ()
    )


def test_what_weights_hide_is_found():
    def tell(r: random.Random) -> tuple[bool, Attributes]:
        red = r.random() < 0.5
        return r.random() < (0.16 if red else 0.02), {"color": "red" if red else "blue"}

    found = apart(8_000, tell, weight=lambda bad, has: 8.0 if has["color"] == "red" and bad else 1.0)[0]
    assert (found.attribute, found.value) == ("color", "red")
    assert found.interval is not None
    assert found.interval[0] < found.effect < found.interval[1]
    assert found.selection == pytest.approx(8 / 9, abs=0.08)


def test_too_few_requests_say_nothing():
    assert apart(4, lambda r: (r.random() < 0.5, {"a": "b"})) == ()


def test_what_merely_restates_the_failure_is_set_aside(tmp_path: Path):
    story = Story()
    for n in range(300):
        bad = n % 10 == 0
        attrs: dict[str, Any] = {
            "charge__method": "amex" if bad or n % 17 == 0 else "visa",
            "error__type": "x" if bad else "",
        }
        told = story.span(n * 5, error=bad, http__response__status_code=500 if bad else 200, **attrs)
        if bad:
            story.fails(told, "ValueError", "no price")
    found = triaged(story, tmp_path).top.contrast
    assert [(c.attribute, c.value) for c in found] == [("charge.method", "amex")]


def test_nothing_separates_requests_that_fail_at_random(tmp_path: Path):
    story, r = Story(), random.Random(5)
    fail = sorted(r.sample(range(1800), 50))
    busy(story, fail=[float(n) for n in fail])
    top = triaged(story, tmp_path).top
    assert top.contrast == ()
    assert "no attribute sets its requests apart" in top.why


def test_a_flag_written_on_the_span_restates_no_result(tmp_path: Path):
    story = Story()
    for n in range(200):
        bad = n % 8 == 0
        told = story.span(n * 5, error=bad, feature_flag__result__variant="on" if bad else "off")
        if bad:
            story.fails(told, "ValueError", "no price")
    top = triaged(story, tmp_path).top
    assert (top.contrast[0].attribute, top.contrast[0].value) == ("feature_flag.result.variant", "on")


def test_flags_quiet_logs_and_users_of_failing_requests_are_looked_at(tmp_path: Path):
    story = Story()
    for n in range(200):
        bad, trace = n % 8 == 0, story.trace()
        told = story.span(n * 5, trace=trace, error=bad, user__id=f"u{n % 40}")
        if bad:
            story.fails(told, "ValueError", "no price")
        flag = {"feature_flag.key": "surcharge", "feature_flag.result.variant": "on" if bad else "off"}
        event = {"timeUnixNano": told["startTimeUnixNano"], "name": "feature_flag", "attributes": attributes(flag)}
        told["events"] = [*told.get("events", []), event]
    top = triaged(story, tmp_path).top
    assert (top.contrast[0].attribute, top.contrast[0].value) == ("feature_flag.surcharge", "on")
    assert top.users == 5
    assert "those of 5 users" in top.why
