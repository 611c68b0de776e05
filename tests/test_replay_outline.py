"""A plan from telemetry alone: what the spans say of a request, and every input that is missing."""

import json
from pathlib import Path
from typing import Any

import orders
import pytest
from click.testing import CliRunner

from shadowlab import cli, errors, views
from shadowlab.investigation import Investigation, open_investigation
from shadowlab.records import Ingest, Outcome, Replay

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(number: int, parent: int | None, name: str, kind: int, **attributes: Any) -> dict[str, Any]:
    told = [{"key": key.replace("__", "."), "value": {"stringValue": str(value)}} for key, value in attributes.items()]
    start = 1_777_888_000_000_000_000
    made = {"traceId": TRACE, "spanId": f"{number:016x}", "name": name, "kind": kind, "attributes": told,
            "startTimeUnixNano": str(start + number), "endTimeUnixNano": str(start + 10**8)}  # fmt: skip
    return made if parent is None else {**made, "parentSpanId": f"{parent:016x}"}


def ingested(folder: Path, spans: list[dict[str, Any]], service: str = "orders") -> Investigation:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    (folder / "spans.jsonl").write_text(json.dumps(document))
    inv = open_investigation(folder / "case")
    inv.ingest(folder / "spans.jsonl")
    return inv


@pytest.fixture
def inv(tmp_path: Path) -> Investigation:
    entry = span(1, None, "POST /orders", 2, http__request__method="POST", http__route="/orders", url__path="/orders",
                 http__request__header__user_agent='["shop/1"]')  # fmt: skip
    raised = [{"key": "exception.type", "value": {"stringValue": "KeyError"}}]
    event = {"name": "exception", "timeUnixNano": "1777888000000000009", "attributes": raised}
    entry |= {"status": {"code": 2}, "events": [event]}
    select = 'SELECT price FROM items JOIN "rates" ON 1=1 WHERE name = ?'
    return ingested(tmp_path, [
        entry,
        span(2, 1, "GET", 3, http__request__method="GET", url__full="http://stock.internal/items/tea?key=1",
             http__response__status_code=200),
        span(3, 1, "SELECT", 3, db__system__name="postgresql", db__query__text=select),
        span(4, 1, "UPDATE", 3, db__system__name="postgresql", db__query__text="UPDATE stock SET n = n - 1"),
        span(5, 1, "GET", 3, db__system__name="redis", db__query__text="GET cart:?"),
    ])  # fmt: skip


def test_every_missing_input_is_named_with_the_line_that_records_it(inv: Investigation) -> None:
    done = inv.replay(trace=TRACE)
    assert (done.outcome, done.attempts, done.runs) == (Outcome.UNAVAILABLE, 0, ())
    assert done.outline is not None
    needs = {need.what: need.line for need in done.outline.needs}
    statement = 'SELECT price FROM items JOIN "rates" ON 1=1 WHERE name = ?'
    wrap = 'app = shadowlab_recorder.record(app, directory="recordings"'
    assert needs == {
        "request headers of POST /orders other than user-agent": f"{wrap})",
        "request body of POST /orders": f"{wrap})",
        f"rows of table items read by `{statement}`": f'{wrap}, database="DATABASE_URL")',
        f"rows of table rates read by `{statement}`": f'{wrap}, database="DATABASE_URL")',
        "rows of table stock before `UPDATE stock SET n = n - 1`": f'{wrap}, database="DATABASE_URL")',
        "reply of redis to `GET cart:?`": f"{wrap})",
        "response of call 1: GET stock.internal/items/tea -> 200": f"{wrap})",
        "random draws (ids, tokens)": f"{wrap}, seed_random=True)",
    }
    assert done.missing == tuple(needs)
    assert (done.outline.headers, done.outline.calls) == (
        (("user-agent", '["shop/1"]'),), ("GET stock.internal/items/tea -> 200",))  # fmt: skip


def test_the_command_answers_unavailable_with_the_list(inv: Investigation) -> None:
    ran = CliRunner().invoke(cli.main, ["replay", str(inv.case.path), "--trace", TRACE])
    assert ran.exit_code == 1
    assert "unavailable 0/0" in ran.output
    assert "request body of POST /orders" in ran.output
    assert 'database="DATABASE_URL")' in ran.output
    ran = CliRunner().invoke(cli.main, ["replay", str(inv.case.path), "--trace", TRACE, "--json"])
    told = json.loads(ran.stdout)
    assert (told["outcome"], len(told["outline"]["needs"])) == ("unavailable", 8)
    assert ran.exit_code == 1


def test_a_suspect_without_a_recording_is_outlined_by_its_exemplar(inv: Investigation) -> None:
    found = inv.triage()
    done = inv.replay()
    assert done.outline is not None
    assert done.outline.trace_id == TRACE
    assert done.suspect == found.suspects[0].fingerprint
    assert done.parents == (found.digest,)
    kept = inv.latest(Replay)
    assert kept is not None
    assert kept.digest == done.digest
    assert inv.verify().verdict == "pass"


def test_the_names_that_the_source_needs_are_asked_for(inv: Investigation, tmp_path: Path) -> None:
    toml = '[service]\nname = "orders"\nentrypoint = "app:app"\nenvironment = ["ORDERS_DB", "RATE"]\n'
    inv.remember_source(orders.repository(tmp_path / "source", {"shadowlab.toml": toml}).path)
    told = inv.replay(trace=TRACE).outline
    assert told is not None
    lines = "\n".join(need.line for need in told.needs)
    assert 'environment=("ORDERS_DB", "RATE"))' in lines
    assert 'database="ORDERS_DB")' in lines


def test_a_recording_of_the_trace_is_replayed_instead(inv: Investigation, tmp_path: Path) -> None:
    inv.remember_source(orders.repository(tmp_path / "source").path)
    assert inv.ingest(orders.written(tmp_path / "tapes", orders.document(1, trace_id=TRACE))).linked == 1
    done = inv.replay(trace=TRACE)
    assert done.outline is None
    assert done.runs[0].recording == f"{1:032x}"


def test_a_consumer_lacks_its_message(tmp_path: Path) -> None:
    entry = span(1, None, "receive", 5, messaging__destination__name="orders", messaging__system="kafka")
    told = ingested(tmp_path, [entry]).replay(trace=TRACE).outline
    assert told is not None
    assert told.needs[0].what == "payload and headers of the message from orders"
    assert told.needs[0].line == '@shadowlab_recorder.record(directory="recordings")'


def test_what_is_missing_is_drawn_for_paper(inv: Investigation) -> None:
    done = inv.replay(trace=TRACE)
    page = views.attempts(done)._repr_html_()
    for told in (page, done._repr_html_()):
        assert "request body of POST /orders" in told
        assert "seed_random=True" in told.replace("<wbr>", "")
        assert "recorded next time by" in told


def test_a_trace_that_is_not_there_is_said(inv: Investigation) -> None:
    with pytest.raises(errors.QueryError, match="no trace starts"):
        inv.replay(trace="f" * 32)
    assert inv.latest(Ingest) is not None


def test_addresses_that_are_none_are_taken_as_they_stand(tmp_path: Path) -> None:
    entry = span(1, None, "POST /orders", 2, http__target="http://[orders/x?a=1")
    inv = ingested(tmp_path, [entry, span(2, 1, "GET", 3, http__request__method="GET", url__full="http://a:b/c")])
    outline = inv.replay(trace=TRACE).outline
    assert outline is not None
    assert (outline.path, outline.query) == ("http://[orders/x", "a=1")
    assert outline.calls == ("GET http://a:b/c -> no answer",)
