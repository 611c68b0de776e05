"""What is derived from spans: the service map over segments, whole traces, views that are made when asked for."""

import random

import otlp
import pytest
from asking import asked

from shadowlab import telemetry
from shadowlab.case import open_case
from shadowlab.investigation import open_investigation

EDGES = "SELECT caller, callee, calls, errors FROM edges ORDER BY ALL"


def _family() -> list[dict[str, object]]:
    """Requests of single spans: a shop that calls its stock, which calls a database, in four traces."""
    requests = []
    for trace in (f"{number:032x}" for number in range(1, 5)):
        for number, service in enumerate(("shop", "stock", "stock", "database"), 1):
            told = otlp.span(number, trace=trace, parent=number - 1 or None, error=number == 4)
            requests.append(otlp.traces([told], service=service))
    return requests


@pytest.mark.parametrize("seed", range(3))
def test_the_service_map_is_the_same_however_spans_are_spread_over_segments(case, tmp_path, seed):
    requests = _family()
    random.Random(seed).shuffle(requests)
    for number in range(5):
        telemetry.ingest(case, [otlp.lines(tmp_path / f"{number}.jsonl", *requests[number::5])])
    assert asked(case, EDGES) == [
        {"caller": "shop", "callee": "stock", "calls": 4, "errors": 0},
        {"caller": "stock", "callee": "database", "calls": 4, "errors": 4},
    ]


def _twice_sent() -> list[dict[str, object]]:
    """A shop calls its stock in a span that was sent twice, not the same; the stock has a step of its own."""
    shop = [otlp.span(1), otlp.span(2, parent=1), otlp.span(2, parent=1, sent="again")]
    stock = [otlp.span(3, parent=2), otlp.span(4, parent=3)]
    return [otlp.traces([told]) for told in shop] + [otlp.traces([told], service="stock") for told in stock]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("parts", [1, 3])
def test_a_span_that_was_sent_twice_calls_once_however_it_is_spread(case, tmp_path, seed, parts):
    requests = _twice_sent()
    random.Random(seed).shuffle(requests)
    for number in range(parts):
        telemetry.ingest(case, [otlp.lines(tmp_path / f"{number}.jsonl", *requests[number::parts])])
    assert asked(case, EDGES) == [{"caller": "shop", "callee": "stock", "calls": 1, "errors": 0}]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_spans_that_client_and_server_share_call_onward_from_the_server(case, tmp_path, order):
    client = {**otlp.span(2, parent=1), "kind": 3}
    requests = (
        otlp.traces([otlp.span(1), client]),
        otlp.traces([otlp.span(2, parent=1)], service="stock"),
        otlp.traces([otlp.span(3, parent=2)], service="database"),
    )
    for number in order:
        telemetry.ingest(case, [otlp.lines(tmp_path / f"{number}.jsonl", requests[number])])
    assert asked(case, EDGES) == [
        {"caller": "shop", "callee": "stock", "calls": 1, "errors": 0},
        {"caller": "stock", "callee": "database", "calls": 1, "errors": 0},
    ]


def test_a_span_that_ends_before_it_starts_is_in_its_trace(case, tmp_path):
    skewed = {**otlp.span(1), "endTimeUnixNano": str(otlp.START - 5)}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([skewed]))])
    with telemetry.store(case) as store:
        assert [span.duration_ns for span in telemetry.trace(store, otlp.TRACE).spans] == [-5]
    assert asked(case, "SELECT duration_ns FROM traces") == [{"duration_ns": 0}]


def test_a_parent_without_times_in_another_segment_is_found(case, tmp_path):
    bare = {"traceId": otlp.TRACE, "spanId": f"{1:016x}"}
    child = otlp.traces([otlp.span(2, parent=1)], service="stock")
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", child)])
    telemetry.ingest(case, [otlp.lines(tmp_path / "b.jsonl", otlp.traces([bare, otlp.span(3)]))])
    assert asked(case, EDGES) == [{"caller": "shop", "callee": "stock", "calls": 1, "errors": 0}]


def test_durations_on_the_map_are_right_to_a_hundredth(case, tmp_path):
    durations = random.Random(1).sample(range(1, 10_000), 999)
    called = [otlp.span(n, parent=1, ms=ms) for n, ms in enumerate(durations, 2)]
    requests = otlp.traces([otlp.span(1)]), otlp.traces(called, service="stock")
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", *requests)])
    found = asked(case, "SELECT p50_ns, p95_ns FROM edges")[0]
    ordered = sorted(durations)
    assert found["p50_ns"] == pytest.approx(ordered[499] * 1_000_000, rel=0.01)
    assert found["p95_ns"] == pytest.approx(ordered[948] * 1_000_000, rel=0.012)


def test_a_trace_has_events_and_logs_that_lie_outside_of_its_time(case, tmp_path):
    late = otlp.raising(otlp.span(1, **{"request.id": "r-1"}))
    late["events"][0]["timeUnixNano"] = str(otlp.START + 10**12)
    logs = [
        otlp.log("before", at=otlp.START - 10**12), otlp.log("by request", trace=None, **{"request.id": "r-1"}),
        otlp.log("another's", trace="f" * 32), {**otlp.log("timeless"), "timeUnixNano": ""},
    ]  # fmt: skip
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([late]), otlp.logs(logs))])
    with telemetry.store(case) as store:
        found = telemetry.trace(store, otlp.TRACE)
    assert [event["name"] for event in found.spans[0].events] == ["exception"]
    assert [log.body for log in found.logs] == ["before", "by request", "timeless"]


def test_a_trace_is_found_among_others(case, tmp_path):
    spans = [otlp.span(n, trace=f"{n:032x}", at=otlp.START + n * 1000) for n in range(1, 300)]
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans))])
    with telemetry.store(case) as store:
        assert [span.span_id for span in telemetry.trace(store, f"{7:032x}").spans] == [f"{7:016x}"]


@pytest.mark.parametrize(
    "query",
    [
        'SELECT count(*) AS n FROM "SPANS"', "FROM (SELECT count(*) AS n FROM Main.Spans)",
        "SELECT count(*) AS n FROM query_table('sp' || 'ans')",
        "WITH traces AS (FROM spans) SELECT count(*) AS n FROM traces",
    ],
)  # fmt: skip
def test_a_view_is_there_however_it_is_named(case, tmp_path, query):
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))])
    assert telemetry.user_sql(case, query).rows() == [{"n": 1}]


def test_every_view_is_listed(case):
    assert set(telemetry.VIEWS) <= {row["name"] for row in telemetry.user_sql(case, "SHOW TABLES").rows()}
    listed = telemetry.user_sql(case, "SELECT table_name AS t FROM information_schema.tables").rows()
    assert set(telemetry.VIEWS) <= {row["t"] for row in listed}


def test_attributes_of_the_resource_come_with_every_span(case, tmp_path):
    for number in (1, 2):
        told = otlp.traces([otlp.span(number)], host__name=f"h-{number}")
        telemetry.ingest(case, [otlp.lines(tmp_path / f"{number}.jsonl", told)])
    found = asked(case, "SELECT resource_attributes['host.name'] AS h FROM spans ORDER BY span_id")
    assert found == [{"h": "h-1"}, {"h": "h-2"}]
    assert asked(case, "SELECT DISTINCT service FROM spans") == [{"service": "shop"}]


def _twice() -> list[dict[str, object]]:
    """A caller that was sent twice, under two names; a client and a server of one id, at the root and below."""
    kinds = {"client": 3, "server": 2}

    def one(service: str, number: int, kind: str, **told: object) -> dict[str, object]:
        span = {**otlp.span(number, trace=str(told.pop("trace", "1")).rjust(32, "0"), **told), "kind": kinds[kind]}
        return otlp.traces([span], service=service)

    return [
        one("shop", 1, "server"), one("shop", 1, "server", name="again"), one("stock", 2, "server", parent=1),
        one("web", 1, "client", trace="2"), one("shop", 1, "server", trace="2", error=True),
        one("database", 3, "server", trace="2", parent=1), one("shop", 4, "client", trace="2", parent=1),
        one("mail", 4, "server", trace="2", parent=1),
    ]  # fmt: skip


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_view_of_the_service_map_and_the_question_count_alike(case, tmp_path, parts):
    requests = _twice()
    for number in range(parts):
        telemetry.ingest(case, [otlp.lines(tmp_path / f"{number}.jsonl", *requests[number::parts])])
    found = asked(case, EDGES)
    assert [tuple(row.values()) for row in found] == [
        ("shop", "database", 1, 0), ("shop", "mail", 1, 0), ("shop", "stock", 1, 0), ("web", "shop", 1, 1)]  # fmt: skip
    told = open_investigation(case.path).ask("@edges", window="1h").rows()
    assert sorted((row["caller"], row["callee"], row["calls"], row["errors"]) for row in told) == [
        tuple(row.values()) for row in found
    ]


def test_of_roots_that_start_at_once_the_same_one_is_told_in_any_order(tmp_path):
    roots = [otlp.traces([otlp.span(n + 1, name=f"root {n}")], service=f"service {n % 3}") for n in range(6)]
    orders = [[roots], [roots[::-1]], [roots[:2], roots[2:]], [[one] for one in roots[::-1]]]
    told = []
    for number, files in enumerate(orders):
        case = open_case(tmp_path / str(number))
        for place, documents in enumerate(files):
            telemetry.ingest(case, [otlp.lines(tmp_path / f"{number}-{place}.jsonl", *documents)])
        told.append(asked(case, "SELECT * FROM traces"))
    assert told == [told[0]] * len(orders)
    assert told[0][0]["root_name"][-1] in "012345"
