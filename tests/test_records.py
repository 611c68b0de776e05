"""Records are values with a digest, and their JSON is the record."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from shadowlab import errors
from shadowlab.records import (
    BurnWindow,
    Check,
    GateReport,
    Objective,
    Outcome,
    Record,
    Replay,
    Statistic,
    Triage,
    Verdict,
    from_json,
    overall,
    table,
)
from shadowlab.records.base import percent

AT = datetime(2026, 11, 18, 12, tzinfo=UTC)
BURN = BurnWindow(burn_rate=28.4, budget_spent=0.021, bad=9, total=317)
OBJECTIVE = Objective(
    name="charges", service="payments-api", operation="POST /charges", indicator="availability", target=0.999,
    period=timedelta(days=28), windows={"30m": BURN}, budget_spent=0.021, alert="page",
)  # fmt: skip
TRIAGE = Triage(at=AT, window=timedelta(minutes=30), objectives=(OBJECTIVE,), parents=("ab" * 32,))
REPLAY = Replay(
    outcome=Outcome.DIVERGED, attempts=4, reproduced=1, outcome_digest="", outcome_key="", sandbox="embedded",
    notes=("status 200 instead of 500",),
)  # fmt: skip


@pytest.mark.parametrize("record", [TRIAGE, REPLAY, GateReport(verdict=Verdict.FAIL)])
def test_a_record_survives_its_json(record: Record) -> None:
    again = from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    assert again.digest == record.digest


def test_the_json_of_a_record_names_type_digest_and_parents() -> None:
    document = TRIAGE.to_json()
    assert (document["type"], document["digest"], document["parents"]) == ("Triage", TRIAGE.digest, ["ab" * 32])
    assert document["window"] == "PT1800S"


@pytest.mark.parametrize(
    "document", [None, [], {}, {"type": "Nope"}, {"type": "Triage"}, {"type": "Replay", "outcome": "perhaps"}]
)
def test_what_is_no_record_is_refused(document: object) -> None:
    with pytest.raises(errors.CaseError, match="not a"):
        from_json(document)


def test_a_changed_field_contradicts_the_digest() -> None:
    with pytest.raises(errors.CaseError, match="its content has"):
        from_json({**REPLAY.to_json(), "reproduced": 4})


def test_nothing_judged_is_inconclusive() -> None:
    assert overall([]) is Verdict.INCONCLUSIVE
    ok, no = (Check(name="x", verdict=v, detail="") for v in (Verdict.PASS, Verdict.INCONCLUSIVE))
    assert overall([ok, no]) is Verdict.INCONCLUSIVE
    assert overall([ok]) is Verdict.PASS


def test_a_negative_outcome_is_raised_only_on_request() -> None:
    with pytest.raises(errors.Diverged, match="status 200 instead of 500"):
        REPLAY.raise_for_divergence()
    with pytest.raises(errors.GateFailed, match="no gate ran"):
        GateReport(verdict=Verdict.INCONCLUSIVE).raise_for_verdict()


def test_a_table_escapes_what_it_shows_and_says_what_it_cut() -> None:
    shown = table([{"value": "<script>"}] * 60)
    assert "<script>" not in shown
    assert "10 more rows are not shown" in shown


def test_one_line_says_what_a_record_is() -> None:
    assert repr(REPLAY) == f"<Replay {REPLAY.digest[:8]} diverged 1/4>"
    assert "burning: charges" in repr(TRIAGE)


@pytest.mark.parametrize(
    ("share", "told"), [(0.999, "99.9%"), (0.99995, "99.995%"), (0.9999999, "99.99999%"), (1, "100%")]
)
def test_what_was_promised_is_told_whole(share: float, told: str) -> None:
    assert percent(share) == told


@pytest.mark.parametrize(
    ("p", "e", "told"),
    [(None, None, ("", "")), (6.4e-171, 9e303, ("< 1e-15", "9e+303")), (0.00123, 4601.8, ("0.0012", "4,602"))],
)
def test_what_speaks_for_a_number_is_never_told_as_nothing_or_as_certain(
    p: float, e: float, told: tuple[str, str]
) -> None:
    numbers = Statistic(method="", estimate=0, interval=(0, 0), level=0.9, n_control=1, n_candidate=1, p=p, e_value=e)
    assert (numbers.chance, numbers.evidence) == told
