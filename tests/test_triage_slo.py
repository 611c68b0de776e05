"""Objectives: what can be read, and what is said of what cannot."""

from datetime import timedelta
from pathlib import Path

import pytest
from story import Story, triaged

from shadowlab.errors import ObjectiveError
from shadowlab.triage import slo

DOCUMENT = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: orders
  annotations: {shadowlab/trigger-window: 1h, shadowlab/trigger-budget: "0.05"}
spec:
  service: shop
  indicator:
    spec:
      ratioMetric:
        total: {metricSource: {type: traces, spec: {operation: POST /orders}}}
        bad: {metricSource: {type: traces, spec: {http.response.status_code: ">=500"}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "objective.yaml"
    path.write_text(text)
    return path


def test_an_openslo_document_is_read(tmp_path: Path):
    (spec,) = slo.load(written(tmp_path, DOCUMENT))
    assert (spec.name, spec.service, spec.operation, spec.target) == ("orders", "shop", "POST /orders", 0.99)
    assert spec.period == timedelta(days=28)
    assert spec.trigger == slo.Trigger(window=timedelta(hours=1), budget=0.05)


@pytest.mark.parametrize("window", ["duration: 28d, isRolling: false", "duration: 28d, calendar: {timeZone: UTC}"])
def test_a_calendar_window_is_measured_as_a_rolling_one_and_a_note_says_so(tmp_path: Path, window: str):
    story = Story()
    story.span(1.0)
    specs = slo.load(written(tmp_path, DOCUMENT.replace("duration: 28d, isRolling: true", window)))
    found = triaged(story, tmp_path, objectives=specs)
    assert (specs[0].period, found.objectives[0].period) == (timedelta(days=28), timedelta(days=28))
    (note,) = [note for note in found.notes if "calendar window" in note]
    assert note.startswith(
        "orders: its budget is that of a calendar window (isRolling: false); it is measured as one of"
    )


def test_a_rolling_window_needs_no_note(tmp_path: Path):
    assert slo.notes(slo.load(written(tmp_path, DOCUMENT))) == []


def test_several_documents_and_targets_become_several_objectives(tmp_path: Path):
    twice = DOCUMENT.replace("[{target: 0.99}]", "[{target: 0.99}, {target: 0.999}]")
    specs = slo.load(written(tmp_path, twice + "---" + DOCUMENT.replace("name: orders", "name: other")))
    assert [spec.name for spec in specs] == ["orders-1", "orders-2", "other"]


def test_an_indicator_may_stand_in_a_document_of_its_own(tmp_path: Path):
    sli = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: fast}
spec: {thresholdMetric: {metricSource: {type: traces, spec: {name: GET /orders}}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: latency}
spec:
  service: shop
  indicatorRef: fast
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.95, op: lte, value: 0.25}]
"""
    (spec,) = slo.load(written(tmp_path, sli))
    assert spec.indicator == "latency"
    assert spec.good is not None
    assert spec.good.max_duration_ns == 250_000_000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("type: traces", "type: prometheus"), "shadowlab measures `traces`"),
        (("target: 0.99", "target: 99"), "a target lies between 0 and 1; percent go into `targetPercent`"),
        (("target: 0.99", "name: x"), "`objectives.target` is missing"),
        (("28d", "a month"), "write a duration such as 28d"),
        (("operation: POST", "operatoin: POST"), "key 'operatoin' is unknown"),
        (("kind: SLO", "kind: Service"), "no document of `kind: SLO`"),
        (("openslo/v1", "openslo/v2alpha"), "is no OpenSLO v1 document"),
        (("Occurrences", "Sometimes"), "known are Occurrences and Timeslices"),
        (("spec:\n", "spec: [\n"), "is no YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], told: str):
    with pytest.raises(ObjectiveError) as caught:
        slo.load(written(tmp_path, DOCUMENT.replace(*change)))
    assert told in str(caught.value)
    assert "hint:" in str(caught.value)


def test_a_slices_target_is_a_share(tmp_path: Path):
    text = DOCUMENT.replace("Occurrences", "Timeslices").replace("target: 0.99", "target: 0.99, timeSliceTarget: 95")
    with pytest.raises(ObjectiveError, match="timeSliceTarget` is 95; it is a share"):
        slo.load(written(tmp_path, text))


def test_two_objectives_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(ObjectiveError, match="two objectives that are named"):
        slo.load(written(tmp_path, f"{DOCUMENT}---\n{DOCUMENT}"))


def test_a_missing_file_is_an_objective_error(tmp_path: Path):
    with pytest.raises(ObjectiveError, match="cannot be read"):
        slo.load(tmp_path / "nothing.yaml")


def test_a_query_may_not_read_anything_else(tmp_path: Path):
    for query in ("1=1) OR (SELECT true", "kind = 'server'; DROP TABLE x", "name IN (SELECT name FROM logs)"):
        text = DOCUMENT.replace("{operation: POST /orders}", f'{{query: "{query}"}}')
        with pytest.raises(ObjectiveError, match="query"):
            slo.load(written(tmp_path, text))


def test_a_query_is_a_condition_over_spans(tmp_path: Path):
    (spec,) = slo.load(written(tmp_path, DOCUMENT.replace("{operation: POST /orders}", "{query: duration_ns > 5}")))
    assert "duration_ns > 5" in spec.total.condition(entry=True)[0]


def test_documents_in_a_list_are_read_and_a_percentage_is_exact(tmp_path: Path):
    document = DOCUMENT.replace("target: 0.99}", "targetPercent: 99.9}").strip("\n").replace("\n", "\n  ")
    (spec,) = slo.load(written(tmp_path, f"- {document}\n"))
    assert (spec.name, spec.target) == ("orders", 0.999)
