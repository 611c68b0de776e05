"""Triage as a whole: what it raises, how it ranks, what it shows."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from otlp import START
from story import SECOND, SHOP, Story, busy, number_of, opened, python_stack, triaged

from shadowlab import telemetry, texts, triage
from shadowlab.case import open_case
from shadowlab.errors import TelemetryError
from shadowlab.records import Triage, from_json
from shadowlab.triage import burn


def incident(seed: int = 1) -> Story:
    """An hour of a shop: a deploy at half time after which surcharges fail, with a handled timeout now and then."""
    story, r = Story(), random.Random(seed)
    for n in range(1800):
        at, deployed, surcharge = n * 2.0, n >= 900, r.random() < 0.06
        trace, version = story.trace(), "1.4.0" if deployed else "1.3.2"
        attrs = {"http__request__method": "POST", "http__route": "/orders", "shop__surcharge": str(surcharge).lower(),
                 "shop__currency": r.choice(["EUR", "USD", "CHF"]), "http__response__status_code": 201}  # fmt: skip
        if bad := deployed and surcharge:
            attrs["http__response__status_code"] = 500
        server = story.span(at, trace=trace, version=version, ms=30, error=bad, **attrs)
        if bad:
            story.fails(server, "TypeError", "Object of type Decimal is not JSON serializable")
        if r.random() < 0.12:
            call = story.span(
                at, trace=trace, version=version, kind=3, parent=number_of(server), name="POST", error=True
            )
            story.fails(call, "httpx.ReadTimeout", "timed out", python_stack(("/srv/shop/gateway.py", "call")))
        if r.random() < 0.05:
            story.span(at, version=version, name="PATCH /orders", http__response__status_code=422)
    return story


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Triage:
    return triaged(incident(), tmp_path_factory.mktemp("incident"), source_frames=("/srv/shop/",))


def test_the_fault_outranks_handled_noise_that_is_more_common(found: Triage):
    first, second = found.suspects
    assert first.title == "TypeError: Object of type Decimal is not JSON serializable"
    assert second.exception_type == "httpx.ReadTimeout"
    assert second.events > first.events
    assert (first.budget_burned > 10, second.budget_burned) == (True, 0)


def test_a_suspect_says_what_where_since_when_and_why(found: Triage):
    top = found.top
    assert (top.service, top.operation, top.events == top.traces) == ("shop", "POST /orders", True)
    assert [(f.file, f.function) for f in top.frames if f.in_app] == [("app.py", "create"), ("lib/price.py", "price")]
    assert burn.moment(START + 1800 * SECOND) <= top.first_seen < top.last_seen <= found.at
    assert "function price:price" in top.why
    assert "deploy of 1.4.0" in top.why


def test_the_deploy_and_the_attribute_are_found(found: Triage):
    assert found.top.change is not None
    assert (found.top.change.before, found.top.change.after) == ("1.3.2", "1.4.0")
    assert (found.top.contrast[0].attribute, found.top.contrast[0].value) == ("shop.surcharge", "true")


def test_exemplars_show_different_shapes_and_their_passing_neighbours(found: Triage, tmp_path: Path):
    case = incident().case(tmp_path)
    with telemetry.store(case) as store:
        rows = store.sql(
            "SELECT trace_id, attributes['shop.currency'] AS currency, status FROM spans WHERE kind = 'server'"
        )
        seen = {row["trace_id"]: (row["currency"], row["status"]) for row in rows.rows()}
    assert {seen[trace][0] for trace in found.top.exemplars[:3]} == {"EUR", "USD", "CHF"}
    assert {seen[trace][1] for trace in found.top.exemplars} == {"error"}
    assert {seen[trace][1] for trace in found.top.controls} == {"unset"}


def test_recorded_traces_come_first(tmp_path: Path):
    story = incident()
    with opened(story, tmp_path) as store:
        before, _ = triage.triage(store)
        rows = store.sql("SELECT trace_id FROM errors WHERE exception_type = 'TypeError' ORDER BY at_ns").rows()
        recorded = {rows[0]["trace_id"]: ("f" * 32,)}
        after, _ = triage.triage(store, recorded=recorded)
    assert rows[0]["trace_id"] not in before.top.exemplars
    assert after.top.exemplars[0] == rows[0]["trace_id"]
    assert after.top.recordings == ("f" * 32,)


def test_the_timeline_reaches_back_before_the_deploy(found: Triage):
    assert found.top.change is not None
    assert found.timeline[0].at < found.top.change.at
    before = [s for s in found.timeline if s.at < found.top.change.at - timedelta(minutes=1)]
    assert before
    assert sum(s.bad for s in before) == 0
    assert sum(s.bad for s in found.timeline) == found.objectives[0].windows["1h"].bad


def test_the_window_decides_what_is_counted_and_first_seen_does_not_care(tmp_path: Path):
    story = Story()
    busy(story, seconds=3600, every=10, fail=[0.0, 600.0, 3500.0])
    with opened(story, tmp_path) as store:
        short, _ = triage.triage(store, window=timedelta(minutes=5))
        early, _ = triage.triage(store, at=burn.moment(START + 700 * SECOND))
    assert (short.top.events, short.top.first_seen) == (1, burn.moment(START + 10_000_000))
    assert "2 more before the window" in short.top.why
    assert (early.top.events, early.at) == (2, burn.moment(START + 700 * SECOND))


def test_the_terminal_says_what_the_first_suspect_follows_and_what_sets_it_apart(found: Triage, tmp_path: Path):
    shown = texts.text(found)
    for line in (
        "  follows       deploy of shop 1.3.2 -> 1.4.0 at ",
        "  set apart by  ",
        "  raised in     ",
        "  replay        ",
    ):
        assert line in shown
    story = Story()
    busy(story, seconds=60)
    story.fails(story.span(61, error=True), "KeyError", "'x'")
    alone = texts.text(triaged(story, tmp_path))
    assert (
        "  follows       no change that explains it\n  set apart by  no attribute\n  replay        not recorded;"
        in alone
    )
    assert "the first suspect" not in texts.text(replace(found, suspects=()))


def test_top_limits_the_suspects_and_not_the_fingerprints(tmp_path: Path):
    story = Story()
    for n in range(6):
        story.fails(story.span(n, error=True), f"Error{'ABCDEF'[n]}", "no")
    with opened(story, tmp_path) as store:
        record, table = triage.triage(store, top=2)
    assert (len(record.suspects), len(table)) == (2, 6)


def test_a_quiet_case_has_no_suspect_and_is_no_incident(tmp_path: Path):
    story = Story()
    busy(story, seconds=600)
    quiet = triaged(story, tmp_path)
    assert (quiet.suspects, quiet.services, quiet.incident) == ((), (), False)
    assert "no service calls another" in triage.plots.plot_services(quiet).layout.annotations[0].text


def test_an_empty_case_says_what_to_do(tmp_path: Path):
    with telemetry.store(open_case(tmp_path / "case")) as store, pytest.raises(TelemetryError, match="ingest"):
        triage.triage(store)


def test_an_error_of_a_request_that_failed_below_is_charged_to_the_deepest(tmp_path: Path):
    story = Story()
    for n in range(40):
        trace = story.trace()
        front = story.span(n * 10, service="front", trace=trace, name="GET /", error=True)
        mid = story.span(n * 10, service="mid", trace=trace, parent=number_of(front), name="GET /mid", error=True)
        story.fails(story.span(n * 10, trace=trace, parent=number_of(mid), error=True), "KeyError", "'x'")
    record = triaged(story, tmp_path)
    assert [(s.service, s.events) for s in record.suspects] == [("shop", 40)]
    assert [(b.service, b.score) for b in record.services] == [("shop", 1.0), ("front", 0.0), ("mid", 0.0)]


def test_a_record_survives_json(found: Triage):
    assert from_json(found.to_json()) == found


def test_the_page_is_static_and_escapes_what_telemetry_says(tmp_path: Path):
    story = Story()
    busy(story, seconds=60)
    evil = "<script>alert(1)</script>"
    story.fails(story.span(61, error=True, name=evil), evil, evil, python_stack(*SHOP, error=evil))
    page = triage.html(triaged(story, tmp_path))
    assert "<script" not in page
    assert "&lt;script" in page


def test_every_figure_can_be_drawn(found: Triage):
    plots = triage.plots
    for figure in (plots.plot_burn(found), plots.plot_timeline(found), plots.plot_contrast(found.top),
                   plots.plot_services(found)):  # fmt: skip
        assert figure.to_json()
    assert [note.text for note in plots.plot_timeline(found).layout.annotations] == ["deploy shop 1.4.0"]
    assert "surcharge" in triage.suspect_html(found.top)


def test_triage_twice_gives_the_same_record(found: Triage, tmp_path: Path):
    assert triaged(incident(), tmp_path, source_frames=("/srv/shop/",)).digest == found.digest
