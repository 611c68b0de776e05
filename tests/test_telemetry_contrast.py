"""What sets spans apart: exact over everything, or from a sample that says how far it may be off."""

import random

import otlp
import pytest

import shadowlab as sl
from shadowlab import errors, telemetry
from shadowlab.case import Case, open_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """60,000 spans in two segments: spans with the new price fail ten times as often, so does one of two hosts."""
    folder = tmp_path_factory.mktemp("contrast")
    made, chance = open_case(folder / "case"), random.Random(3)
    for part in range(2):
        requests = []
        for host in ("a", "b"):
            spans = []
            for n in range(15_000):
                price = chance.choice(("old", "new"))
                failed = chance.random() < (0.1 if price == "new" else 0.01) * (2 if host == "b" else 1)
                told = otlp.span(n + 1, trace=f"{part}{host}{n:030x}", at=otlp.START + n, error=failed, price=price)
                spans.append(told)
            requests += [otlp.traces(spans[at : at + 1000], host__name=host) for at in range(0, 15_000, 1000)]
        telemetry.ingest(made, [otlp.lines(folder / f"{part}.jsonl", *requests)])
    return made


def _of(rows: telemetry.Rows, attribute: str, value: str) -> dict[str, object]:
    return next(row for row in rows.rows() if (row["attribute"], row["value"]) == (attribute, value))


def test_every_value_is_counted_and_the_culprits_come_first(case):
    rows = telemetry.contrast(case)
    counts = "count_if(status = 'error') AS f, count(*) AS n"
    truth = telemetry.user_sql(case, f"SELECT {counts} FROM spans WHERE attributes['price'] = 'new'").rows()[0]
    found = _of(rows, "price", "new")
    assert (found["selected_spans"], found["spans"], found["margin"]) == (truth["f"], truth["n"], 0)
    assert [row["attribute"] for row in rows.rows()[:4]] == ["price", "price", "host.name", "host.name"]
    assert (_of(rows, "host.name", "b")["of"], found["of"]) == ("resource", "span")
    assert found["effect"] == pytest.approx(found["selected"] - found["others"])


def test_a_sample_says_how_far_it_may_be_off(case):
    truth = telemetry.contrast(case)
    for attribute, value in (("price", "new"), ("host.name", "b")):
        whole = _of(truth, attribute, value)
        for sample in (0.2, 0.4, 0.7):
            found = _of(telemetry.contrast(case, sample=sample), attribute, value)
            assert found["spans"] < whole["spans"]
            assert 0 < found["margin"] < 0.8
            assert abs(found["effect"] - whole["effect"]) <= found["margin"]


def test_the_same_sample_gives_the_same_digest(case):
    assert len({telemetry.contrast(case, sample=0.2).digest for _ in range(3)}) == 1


def test_a_sample_can_be_named_again_in_one_store(case):
    with telemetry.store(case) as store:
        counts = [store.sql("SELECT count(*) AS n FROM sampled_104857").rows() for _ in range(2)]
    assert counts[0] == counts[1]


def test_one_block_tells_no_error(case, tmp_path):
    small = open_case(tmp_path / "small")
    spans = [otlp.span(n, error=n % 2 == 0, price="new") for n in range(1, 9)]
    telemetry.ingest(small, [otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans))])
    assert {row["margin"] for row in telemetry.contrast(small, sample=0.5).rows()} == {None}
    assert telemetry.contrast(open_case(tmp_path / "empty")).rows() == []


def test_a_selection_and_a_scope_are_conditions_over_spans(case):
    inv = sl.open(case.path)
    rows = inv.contrast("duration_ns > 0 AND attributes['price'] = 'new'", within="status = 'error'", top=3)
    assert len(rows) <= 3
    assert _of(rows, "price", "new")["selected"] == 1


def test_shares_and_conditions_that_cannot_be_are_refused(case):
    with pytest.raises(errors.UsageError, match="sample=2"):
        telemetry.contrast(case, sample=2)
    with pytest.raises(errors.QueryError, match="nonsense"):
        telemetry.contrast(case, "nonsense = 1")
    with pytest.raises(errors.QueryError):
        telemetry.contrast(case, "true)); DROP VIEW spans; --")
