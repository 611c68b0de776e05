"""Burn rates against values computed by hand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from otlp import START
from story import MINUTE, SECOND, Story, busy, number_of, opened, triaged

from shadowlab import triage
from shadowlab.errors import ObjectiveError
from shadowlab.triage import burn, selector, slo


def objective(**more):
    """99 % of the shop's requests, over 30 days."""
    told = {"name": "orders", "service": "shop", "target": 0.99, "total": selector.Selector(service="shop")}
    return slo.ObjectiveSpec(**{**told, **more})


def test_burn_rates_are_the_bad_share_over_the_allowed_one(tmp_path: Path):
    story = Story()
    busy(story, seconds=3600, every=2, fail=[n * 60.0 for n in range(30, 60)])  # one a minute in the second half hour
    found = triaged(story, tmp_path, objectives=[objective()]).objectives[0]
    assert [(w.bad, w.total) for w in found.windows.values()] == [(5, 150), (30, 900), (30, 1800), (30, 1800)]
    assert found.windows["5m"].burn_rate == pytest.approx(5 / 150 / 0.01)
    assert found.windows["30m"].burn_rate == pytest.approx(30 / 900 / 0.01)
    assert found.windows["30m"].budget_spent == pytest.approx(30 / 900 / 0.01 * 0.5 / 720)


def test_windows_longer_than_the_data_are_said(tmp_path: Path):
    story = Story()
    busy(story, seconds=1200)
    found = triaged(story, tmp_path, objectives=[objective()])
    assert any("windows of 30m, 1h, 6h are longer than the data" in note for note in found.notes)
    covered = 1200 / 3600 / 24 / 30
    assert found.objectives[0].windows["6h"].budget_spent <= covered


def test_a_page_needs_the_long_and_the_short_window(tmp_path: Path):
    story = Story()
    busy(story, seconds=3600, every=2, fail=[n * 4.0 for n in range(100, 600)])  # it stopped 20 minutes ago
    found = triaged(story, tmp_path, objectives=[objective()]).objectives[0]
    assert (found.windows["1h"].burn_rate or 0) > 14.4
    assert found.windows["5m"].burn_rate == 0
    assert found.windows["1h"].alert is None


def test_both_windows_over_the_factor_page(tmp_path: Path):
    story = Story()
    busy(story, seconds=3600, every=2, fail=[n * 6.0 for n in range(600)])
    found = triaged(story, tmp_path, objectives=[objective()]).objectives[0]
    assert found.windows["1h"].alert == "page"
    assert found.alert == "page"


def test_the_trigger_raises_an_incident_and_can_be_moved(tmp_path: Path):
    story = Story()
    busy(story, seconds=1800, fail=[n * 5.0 for n in range(360)])  # 20 % of the requests, 20 times the allowed
    with opened(story, tmp_path) as store:
        calm, _ = triage.triage(store, objectives=[objective()])
        raised, _ = triage.triage(store, objectives=[objective(trigger=slo.Trigger(budget=0.01))])
        told, _ = triage.triage(store, objectives=[objective()], trigger=slo.Trigger(budget=0.013))
    assert calm.objectives[0].budget_spent == pytest.approx(0.0139, abs=1e-4)
    assert (calm.incident, raised.incident, told.incident) == (False, True, True)
    assert raised.objectives[0].windows["30m"].alert == "page"


def test_a_moment_before_all_data_is_said_to_be_one(tmp_path: Path):
    story = Story()
    busy(story, seconds=60)
    found = triaged(story, tmp_path, objectives=[objective()], at=datetime(1999, 1, 1, tzinfo=UTC))
    (told,) = (note for note in found.notes if "the data starts at" in note)
    assert told.startswith("no window holds any data: the data starts at 20")
    assert told.endswith("Z, after the moment that was asked for")


def test_a_gap_is_no_request_and_no_failure(tmp_path: Path):
    story = Story()
    busy(story, seconds=600)
    story.span(3600, name="GET /health", service="other")
    found = triaged(story, tmp_path, objectives=[objective()])
    assert found.objectives[0].windows["5m"].burn_rate is None
    assert found.objectives[0].windows["5m"].total == 0
    assert any("no request in the last 30m" in note for note in found.notes)


def test_low_traffic_is_called_low_traffic(tmp_path: Path):
    story = Story()
    busy(story, seconds=1800, every=60)
    assert any("low traffic, 30 requests" in n for n in triaged(story, tmp_path, objectives=[objective()]).notes)


def test_late_data_counts_when_it_happened(tmp_path: Path):
    story = Story()
    busy(story, seconds=1800, fail=[1790.0])
    story.fails(story.span(10, error=True), "ValueError", "late")  # told last, happened first
    found = triaged(story, tmp_path, objectives=[objective()]).objectives[0]
    assert (found.windows["5m"].bad, found.windows["30m"].bad) == (1, 2)


def test_sampled_spans_count_for_what_they_stand_for(tmp_path: Path):
    story = Story()
    for n in range(100):
        told = story.span(n, error=n % 10 == 0)
        told["traceState"] = "ot=th:c"  # rejects 3 of 4
    found = triaged(story, tmp_path, objectives=[objective()]).objectives[0].windows["5m"]
    assert (found.bad, found.total) == (40, 400)
    assert found.burn_rate == pytest.approx(10)


@pytest.mark.parametrize(
    ("told", "counted"),
    [(0.25, 400), ("0.25", 400), (1, 100), *((none, 100) for none in (0, -0.5, 4.0, "inf", "nan", ""))],
)
def test_a_probability_that_is_none_leaves_a_span_to_stand_for_itself(tmp_path: Path, told: float | str, counted: int):
    story = Story()
    for n in range(100):
        story.span(n, error=n % 10 == 0, sampling__probability=told)
    found = triaged(story, tmp_path, objectives=[objective()]).objectives[0].windows["5m"]
    assert (found.bad, found.total) == (counted // 10, counted)


def test_sampling_weights_adjust_every_count(tmp_path: Path):
    story = Story()
    for n in range(40):  # one trace in ten was kept
        told = story.span(n * 10, error=n % 4 == 0)
        told["traceState"] = "ot=th:e666666666666"
        if n % 4 == 0:
            story.fails(told, "ValueError", "no price")
    found = triaged(story, tmp_path)
    assert found.objectives[0].windows["30m"].total == 400
    assert (found.top.events, found.top.traces) == (100, 10)
    assert sum(n for slice in found.timeline for n in slice.by_fingerprint.values()) == 100
    assert "100 errors start here" in found.services[0].evidence
    assert any("spans are sampled" in note for note in found.notes)


def test_the_series_of_a_window_shows_how_it_came_about(tmp_path: Path):
    story = Story()
    busy(story, seconds=1801, fail=range(900, 1800, 2))
    series = triaged(story, tmp_path).objectives[0].windows["30m"].series
    assert len(series) == 24
    assert set(series[:11]) == {0.0}
    assert all(rate == pytest.approx(500, rel=0.06) for rate in series[13:])


def test_time_slices_are_good_or_bad_as_a_whole(tmp_path: Path):
    story = Story()
    shift = (-START % MINUTE) / SECOND
    for n in range(600):  # ten whole minutes; in three of them every second request fails
        story.span(shift + n, ms=1, error=n // 60 in (2, 5, 8) and n % 2 == 0)
    spec = objective(target=0.9, slices=slo.Slices(window=timedelta(minutes=1), target=0.95))
    found = triaged(story, tmp_path, objectives=[spec]).objectives[0].windows["30m"]
    assert (found.bad, found.total) == (3, 10)
    assert found.burn_rate == pytest.approx(3 / 10 / 0.1)


def test_slices_are_not_called_requests(tmp_path: Path):
    story = Story()
    busy(story, seconds=1800, every=10)
    spec = objective(target=0.99, slices=slo.Slices(window=timedelta(minutes=1), target=0.95))
    notes = " ".join(triaged(story, tmp_path, objectives=[spec]).notes)
    assert "slices of 1m are counted, 30 in 30m: a bad one alone burns 3.3x" in notes
    assert "low traffic" not in notes


def test_a_rate_of_exactly_the_factor_alerts(tmp_path: Path):
    story = Story()
    for n in range(2500):  # 36 of 2,500 is 14.4 times what 99.9 % allows; in binary 14.399999…
        story.span(n, error=n >= 2464)
    found = triaged(story, tmp_path, objectives=[objective(target=0.999)], at=burn.moment(START + 2500 * SECOND))
    assert (found.objectives[0].windows["1h"].bad, found.objectives[0].windows["1h"].total) == (36, 2500)
    assert found.objectives[0].windows["1h"].alert == "page"


def test_latency_objectives_count_slow_requests(tmp_path: Path):
    story = Story()
    for n in range(100):
        story.span(n, ms=500 if n < 20 else 50)
    spec = objective(indicator="latency", good=selector.Selector(max_duration_ns=250_000_000))
    assert triaged(story, tmp_path, objectives=[spec]).objectives[0].windows["5m"].bad == 20


def test_an_objective_whose_condition_names_no_column_is_named(tmp_path: Path):
    story = Story()
    busy(story, seconds=10)
    wrong = objective(name="checkout", total=selector.Selector(service="shop", query="statuss = 'error'"))
    with pytest.raises(ObjectiveError, match=r"objective 'checkout': .*statuss") as caught:
        triaged(story, tmp_path, objectives=[objective(), wrong])
    assert "the view `spans`" in str(caught.value)


def test_an_objective_that_matches_nothing_says_what_is_there(tmp_path: Path):
    story = Story()
    busy(story, seconds=10)
    spec = objective(total=selector.Selector(service="shop", operation="POST /order"), operation="POST /order")
    with pytest.raises(ObjectiveError, match=r"matches no span.*'POST /order'") as caught:
        triaged(story, tmp_path, objectives=[spec])
    assert "POST /orders" in str(caught.value)


def test_without_objectives_each_service_gets_a_default_and_that_is_said(tmp_path: Path):
    story = Story()
    busy(story, seconds=10)
    story.span(1, service="mail")
    found = triaged(story, tmp_path)
    assert [(o.service, o.source) for o in found.objectives] == [("mail", "default"), ("shop", "default")]
    assert any("no objective was given" in note for note in found.notes)


def test_moments_keep_their_microseconds():
    assert burn.moment(START + 1_000).microsecond == 1


def test_a_clock_that_is_ahead_is_said_and_does_not_move_blame(tmp_path: Path):
    story = Story()
    for n in range(100):
        trace = story.trace()
        front = story.span(n * 5, service="front", trace=trace, name="GET /", error=True)
        shop = story.span(n * 5 + 600, trace=trace, parent=number_of(front), error=True)  # ten minutes ahead
        story.fails(shop, "KeyError", "'x'")
    found = triaged(story, tmp_path)
    assert [(s.service, s.events) for s in found.suspects] == [("shop", 100)]
    assert any("of shop ends 0:10:00 after every other service's" in note for note in found.notes)
