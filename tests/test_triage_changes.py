"""Which change a suspect follows, and that none is an answer."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from otlp import START, attributes, lines, log, logs
from story import SECOND, Story, number_of, opened, triaged

from shadowlab import telemetry, triage
from shadowlab.case import open_case
from shadowlab.errors import TelemetryError
from shadowlab.triage import burn, changes, configured, fact_cache
from shadowlab.triage.clocks import Clock
from shadowlab.triage.onset import onset

HOUR = timedelta(hours=1)


def at(seconds: float):
    return burn.moment(START + round(seconds * SECOND))


def requests(story: Story, version, *, seed: int = 1, seconds: int = 3600, bad=("2.0",), rate: float = 0.1) -> None:
    """A request a second whose version `version(second, random)` says; those of versions `bad` fail at a rate."""
    r = random.Random(seed)
    for n in range(seconds):
        told = story.span(n, version=(running := version(n, r)), error=(fails := running in bad and r.random() < rate))
        if fails:
            story.fails(told, "ValueError", "no price")


def test_a_rise_is_found_with_an_interval_that_holds_it():
    r = np.random.default_rng(4)
    held = 0
    for _ in range(50):
        failing = np.concatenate([r.random(600) < 0.002, r.random(400) < 0.05])
        found = onset(np.arange(1000), failing)
        held += found is not None and found.low_ns <= 600 <= found.high_ns
    assert held >= 47


def test_a_steady_rate_has_no_onset():
    r = np.random.default_rng(5)
    assert sum(onset(np.arange(800), r.random(800) < 0.05) is not None for _ in range(100)) <= 2


def test_a_deploy_whose_new_version_fails_is_linked(tmp_path: Path):
    story = Story()
    requests(story, lambda n, r: "2.0" if n >= 2400 else "1.0")
    change = triaged(story, tmp_path, window=HOUR).top.change
    assert change is not None
    assert (change.kind, change.before, change.after, change.at) == ("deploy", "1.0", "2.0", at(2400))
    assert change.evidence[1] == "1.0: 0 of 2,400"


@pytest.mark.parametrize("asked", [True, False])
def test_a_deploy_of_another_service_is_linked_when_the_requests_pass_through_it(tmp_path: Path, asked: bool):
    story, r = Story(), random.Random(7)
    for n in range(1800):
        new = n >= 1000
        told = story.span(n, error=(fails := new and r.random() < 0.1))
        trace, parent = (told["traceId"], number_of(told)) if asked else (None, None)
        story.span(n, service="catalog", version="5.2" if new else "5.1", trace=trace, parent=parent)
        if fails:
            story.fails(told, "TypeError", "no size")
    change = triaged(story, tmp_path, window=HOUR).top.change
    assert (change and (change.service, change.after)) == (("catalog", "5.2") if asked else None)


def test_a_rolling_deploy_is_linked_while_both_run(tmp_path: Path):
    story = Story()
    requests(story, lambda n, r: "2.0" if r.random() < (n - 1200) / 1200 else "1.0", rate=0.3)
    change = triaged(story, tmp_path, window=HOUR).top.change
    assert change is not None
    assert change.after == "2.0"


def test_after_a_rollback_the_deploy_is_linked_and_the_rollback_shown(tmp_path: Path):
    story = Story()
    requests(story, lambda n, r: "2.0" if 1200 <= n < 2400 else "1.0")
    found = triaged(story, tmp_path, window=HOUR)
    assert found.top.change is not None
    assert found.top.change.after == "2.0"
    assert [(c.kind, c.after) for c in found.changes] == [("deploy", "2.0"), ("rollback", "1.0")]


def test_a_decoy_deploy_of_an_innocent_service_is_not_linked(tmp_path: Path):
    story, r = Story(), random.Random(2)
    for n in range(3600):
        trace = story.trace()
        front = story.span(n, service="front", version="9" if n >= 1800 else "8", trace=trace, name="GET /")
        told = story.span(n, trace=trace, parent=number_of(front), version="1.0")
        if n >= 2400 and r.random() < 0.1:
            story.fails(told, "ValueError", "no price")
    found = triaged(story, tmp_path, window=HOUR)
    assert found.top.onset is not None
    assert found.top.change is None
    assert [c.service for c in found.changes] == ["front"]


def test_a_deploy_that_the_old_version_fails_with_too_is_not_linked(tmp_path: Path):
    story, r = Story(), random.Random(3)
    for n in range(3600):  # a dependency breaks at 2400, a rolling deploy happens at the same time
        version = "2.0" if n >= 2300 and r.random() < 0.5 else "1.0"
        told = story.span(n, version=version)
        if n >= 2400 and r.random() < 0.1:
            story.fails(told, "ValueError", "no price")
    assert triaged(story, tmp_path, window=HOUR).top.change is None


def test_a_flag_flipped_without_a_deploy_is_linked(tmp_path: Path):
    story, r = Story(), random.Random(6)
    for n in range(3600):
        told = story.span(n)
        on = n >= 2000 and r.random() < 0.5
        flag = {"feature_flag.key": "surcharge", "feature_flag.result.variant": "on" if on else "off"}
        if on and r.random() < 0.2:
            story.fails(told, "ValueError", "no price")
        event = {
            "timeUnixNano": told["startTimeUnixNano"],
            "name": "feature_flag.evaluation",
            "attributes": attributes(flag),
        }
        told["events"] = [*told.get("events", []), event]
    change = triaged(story, tmp_path, window=HOUR).top.change
    assert change is not None
    assert (change.kind, change.before, change.after) == ("flag", "surcharge=off", "surcharge=on")


def test_a_flag_that_is_told_in_log_records_is_linked_too(tmp_path: Path):
    story, r, records = Story(), random.Random(6), []
    for n in range(3600):
        told = story.span(n)
        on = n >= 2000 and r.random() < 0.5
        if on and r.random() < 0.2:
            story.fails(told, "ValueError", "no price")
        flag = {"feature_flag__key": "surcharge", "feature_flag__result__variant": "on" if on else "off"}
        said = log("", at=int(told["startTimeUnixNano"]), trace=told["traceId"], **flag)
        records.append({**said, "eventName": "feature_flag.evaluation"})
    case = story.case(tmp_path)
    telemetry.ingest(case, [lines(tmp_path / "flags.jsonl", logs(records))])
    with telemetry.store(case) as store:
        top = triage.triage(store, window=HOUR)[0].top
    assert top.change is not None
    assert (top.change.kind, top.change.before, top.change.after) == ("flag", "surcharge=off", "surcharge=on")
    assert (top.contrast[0].attribute, top.contrast[0].value) == ("feature_flag.surcharge", "on")


def test_a_change_that_somebody_told_is_linked_by_time_alone_and_says_so(tmp_path: Path):
    story, r = Story(), random.Random(7)
    for n in range(3600):
        told = story.span(n)
        if n >= 2400 and r.random() < 0.1:
            story.fails(told, "ValueError", "no price")
    path = tmp_path / "changes.jsonl"
    path.write_text(
        json.dumps({"kind": "config", "service": "shop", "at": at(2399).isoformat(), "after": "pool=5"}) + "\n"
    )
    with opened(story, tmp_path) as store:
        found, _ = triage.triage(store, window=HOUR, told_changes=changes.load(path))
    assert found.top.change is not None
    assert found.top.change.after == "pool=5"
    assert "by time alone" in found.top.change.evidence[-1]


def test_a_configuration_that_the_log_tells_of_is_linked_by_time_alone(tmp_path: Path):
    story, r = Story(), random.Random(8)
    for n in range(3600):
        told = story.span(n)
        if n >= 2400 and r.random() < 0.1:
            story.fails(told, "ValueError", "no price")
    records = [
        {**log("", at=START + second * SECOND, config__key=key, config__value="s3cret"), "eventName": event}
        for second, key, event in ((900, "tax.mode", "config.changed"), (2398, "pool.size", "configuration.reloaded"),
                                   (2399, "pool.size", "configuration.reloaded"), (2399, "x", "cart.changed"))
    ]  # fmt: skip
    case = story.case(tmp_path)
    telemetry.ingest(case, [lines(tmp_path / "config.jsonl", logs(records))])
    with telemetry.store(case) as store:
        found = triage.triage(store, window=HOUR)[0]
    assert [(c.kind, c.after) for c in found.changes] == [("config", "tax.mode"), ("config", "pool.size")]
    assert found.top.change is not None
    assert found.top.change.after == "pool.size"
    assert found.top.change.evidence[0] == "its log tells of configuration.reloaded"
    assert "by time alone" in found.top.change.evidence[1]


def test_instances_that_tell_the_same_within_ten_minutes_of_each_other_tell_of_one_change(tmp_path: Path):
    case = open_case(tmp_path / "case")
    told = [(60 * n, "pool.size", "1") for n in range(30)]  # one rolls out after the other, for half an hour
    told += [(900, "pool.size", "2"), (1740 + 601, "pool.size", "1"), (100, "", None), (100, "tax", None)]
    events = [
        {**log("", at=START + second * SECOND, config__key=key, **({"config__version": version} if version else {})),
         "eventName": "config.changed"}
        for second, key, version in told
    ]  # fmt: skip
    paths = [lines(tmp_path / "shop.jsonl", logs(events)), lines(tmp_path / "stock.jsonl", logs(events[:2], "stock"))]
    telemetry.ingest(case, paths)
    with telemetry.store(case) as store:
        found = configured.configured(
            store, fact_cache.of(store), {"stock": Clock(60 * SECOND, 0, 99)}, first_ns=0, last_ns=2**62
        )
    assert [((c.at - at(0)).seconds, c.service, c.after) for c in sorted(found, key=lambda c: c.at)[1:]] == [
        (0, "shop", "pool.size 1"), (100, "shop", "config.changed"), (100, "shop", "tax"), (900, "shop", "pool.size 2"),
        (2341, "shop", "pool.size 1"),
    ]  # fmt: skip
    assert [at(0) - c.at for c in found if c.service == "stock"] == [timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"kind": "config"}', "`at` is missing"),
        ('["config"]', r'it is \["config"\], no object'),
        ('{"kind": "config", "at": "soon", "after": "x"}', "'soon' is no time"),
        ("{", "Expecting property name"),
    ],
)
def test_a_changes_file_that_cannot_be_read_names_its_line(tmp_path: Path, line: str, why: str):
    path = tmp_path / "changes.jsonl"
    path.write_text(f'{{"kind": "config", "at": "2026-11-18T12:00:00Z", "after": "x"}}\n{line}\n')
    with pytest.raises(TelemetryError, match=f"line 2 is no change: {why}") as caught:
        changes.load(path)
    assert str(caught.value).count("hint:") == 1
