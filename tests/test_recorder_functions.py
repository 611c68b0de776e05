"""Plain functions, jobs and queue consumers, recorded."""

import asyncio
from types import SimpleNamespace

import pytest
import shadowlab_recorder
from recorded import kept

from shadowlab.replay.fixture import parse


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """The process-wide recorder; every call that fails or passes is written."""
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    return shadowlab_recorder.configure(tmp_path, service="worker", share=1.0)


@shadowlab_recorder.record
def settle(event, rate=1.0):
    event["lines"].append("changed")
    return {"paid": event["amount"] / rate}


def test_a_function_that_fails_is_kept_with_its_event_as_it_was_before(recorder, tmp_path):
    with pytest.raises(KeyError):
        settle({"lines": []})
    [one] = kept(recorder, tmp_path)
    assert (one["kind"], one["request"]["method"]) == ("function", "CALL")
    assert one["request"]["path"] == one["call"]["target"] == f"{__name__}:settle"
    assert one["request"]["body"] == one["call"]["arguments"][0] == {"lines": []}
    assert (one["error"]["type"], one["response"], one["truncated"]) == ("KeyError", None, [])
    assert [frame["function"] for frame in one["error"]["frames"]] == ["settle"]
    assert parse(one, where="here").missing == ()


def test_a_function_that_passes_is_a_control_with_what_it_returned(recorder, tmp_path):
    assert settle({"lines": [], "amount": 3}, rate=2.0) == {"paid": 1.5}
    [one] = kept(recorder, tmp_path)
    assert (one["control"], one["response"]["body"], one["request"]["body"]) == (True, {"paid": 1.5}, None)
    assert one["call"]["keywords"] == {"rate": 2.0}


def test_coroutines_methods_and_jobs_are_recorded(recorder, tmp_path):
    class Ledger:
        @shadowlab_recorder.record
        async def close(self, month):
            await asyncio.sleep(0)
            raise ValueError(month)

    @shadowlab_recorder.record
    def nightly():
        return "done"

    with pytest.raises(ValueError, match="2026-02"):
        asyncio.run(Ledger().close("2026-02"))
    assert nightly() == "done"
    first, second = kept(recorder, tmp_path)
    assert (first["call"]["arguments"], second["call"]["arguments"]) == (["2026-02"], [])
    assert (first["request"]["body"], second["request"]["body_encoding"]) == ("2026-02", "none")


def test_a_call_inside_of_a_recorded_call_belongs_to_it(recorder, tmp_path):
    @shadowlab_recorder.record
    def outer():
        return settle({"lines": [], "amount": 1})

    outer()
    [one] = kept(recorder, tmp_path)
    assert one["call"]["target"].endswith("outer")


def test_an_argument_that_json_cannot_hold_is_named_and_cannot_be_replayed(recorder, tmp_path):
    @shadowlab_recorder.record
    def takes(thing):
        return None

    takes(object)
    [one] = kept(recorder, tmp_path)
    assert (one["call"]["lossy"], one["truncated"]) == (["arguments[0]"], ["call"])


def test_a_function_without_any_recorder_is_simply_called(tmp_path, monkeypatch):
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    monkeypatch.delenv("SHADOWLAB_RECORDINGS", raising=False)
    assert settle({"lines": [], "amount": 4}) == {"paid": 4.0}
    monkeypatch.setenv("SHADOWLAB_RECORDINGS", str(tmp_path))
    with pytest.raises(KeyError):
        settle({"lines": []})
    assert len(kept(shadowlab_recorder.front.default(), tmp_path)) == 1


def test_a_process_that_is_told_to_record_nothing_hands_the_function_back(tmp_path, monkeypatch):
    monkeypatch.setenv("SHADOWLAB_RECORDER", "off")

    def plain(event):
        return event

    assert shadowlab_recorder.record(plain) is plain
    app = shadowlab_recorder.record(lambda environ, start_response: [b"x"], directory=tmp_path, share=1.0)
    assert app({}, None) == [b"x"]
    assert kept(app.recorder, tmp_path) == []


def test_generators_are_refused_when_they_are_decorated():
    with pytest.raises(TypeError, match="cannot record the generator"):

        @shadowlab_recorder.record
        def pieces():
            yield 1


def kafka(value, **more):
    told = {"topic": "orders", "partition": 3, "offset": 41, "key": b"k7", "value": value, "timestamp": 1767225600000}
    return told | {"headers": [("idempotency-key", b"abc"), ("x", b"y")]} | more


def confluent(value):
    fields = kafka(value, timestamp=(1, 1767225600000))
    return SimpleNamespace(**{name: lambda v=v: v for name, v in fields.items()})


@pytest.mark.parametrize(
    "message", [SimpleNamespace(**kafka(b'{"id":7}')), confluent(b'{"id":7}')], ids=["plain", "methods"]
)
def test_a_kafka_record_is_kept_with_its_place_in_the_log(recorder, tmp_path, message):
    @shadowlab_recorder.record
    def handle(consumer, record):
        raise LookupError("no such order")

    with pytest.raises(LookupError):
        handle("consumer", message)
    [one] = kept(recorder, tmp_path)
    told = one["message"]
    assert (told["system"], told["topic"], told["partition"], told["offset"]) == ("kafka", "orders", 3, 41)
    assert (told["key"], told["timestamp_ms"], told["idempotency_key"]) == ("k7", 1767225600000, "abc")
    assert (told["argument"], told["methods"]) == (1, callable(message.topic))
    assert told["body"] == one["request"]["body"] == {"id": 7}
    assert (one["call"]["arguments"], one["truncated"]) == (["consumer", None], [])


def test_an_entry_of_a_redis_stream_is_kept_with_its_id_and_fields(recorder, tmp_path):
    @shadowlab_recorder.record
    def handle(stream, entry, fields):
        return None

    handle(b"orders", b"1767225600000-2", {b"sku": b"7", b"message_id": b"m-1"})
    told = kept(recorder, tmp_path)[0]["message"]
    assert (told["system"], told["shape"], told["topic"], told["offset"]) == (
        "redis",
        "id_fields",
        "orders",
        "1767225600000-2",
    )
    assert (told["body"], told["argument"]) == ({"sku": "7", "message_id": "m-1"}, 1)
    assert (told["idempotency_key"], told["timestamp_ms"], told["text"]) == ("m-1", 1767225600000, False)


@pytest.mark.parametrize("stream", [(), (b"orders",)])
def test_an_entry_of_a_redis_stream_may_come_as_the_pair_that_xread_gives(recorder, tmp_path, stream):
    @shadowlab_recorder.record
    def handle(*args):
        return None

    handle(*stream, (b"1767225600000-2", {b"sku": b"7", b"password": b"planted-in-a-pair"}))
    told = kept(recorder, tmp_path)[0]
    shape = ("entry", "orders" if stream else None, len(stream))
    assert (told["message"]["shape"], told["message"]["topic"], told["message"]["argument"]) == shape
    assert (told["message"]["body"]["sku"], told["truncated"]) == ("7", [])
    assert "planted-in-a-pair" not in str(told)


def test_a_secret_under_a_name_of_bytes_is_found_in_what_is_no_message_too(recorder, tmp_path):
    @shadowlab_recorder.record
    def handle(fields):
        raise ValueError(f"cannot use {fields}")

    with pytest.raises(ValueError, match="cannot use"):
        handle({b"password": b"planted-by-bytes", 7: "x", "note": "db_password=planted-by-name"})
    told = kept(recorder, tmp_path)[0]
    assert told["truncated"] == ["call"]
    assert "planted-by" not in str(told)


def test_amqp_messages_are_kept_as_aio_pika_and_as_pika_hand_them_over(recorder, tmp_path):
    @shadowlab_recorder.record
    async def aio(message):
        return None

    @shadowlab_recorder.record
    def blocking(channel, method, properties, body):
        return None

    delivery = {"routing_key": "orders.new", "exchange": "shop", "delivery_tag": 5, "redelivered": True}
    asyncio.run(aio(SimpleNamespace(body=b"\xff\x00", headers={"tenant": "a"}, message_id="m-1", **delivery)))
    blocking(object(), SimpleNamespace(**delivery), SimpleNamespace(headers=None, message_id="m-2"), b"plain")
    first, second = (each["message"] for each in kept(recorder, tmp_path))
    for told, shape, key in ((first, "object", "m-1"), (second, "pika", "m-2")):
        assert (told["system"], told["shape"], told["topic"], told["exchange"]) == ("amqp", shape, "orders.new", "shop")
        assert (told["offset"], told["redelivered"], told["idempotency_key"]) == (5, True, key)
    assert (first["headers"], first["body_encoding"], second["body"]) == ([["tenant", "a"]], "base64", "plain")


def test_a_message_is_kept_as_it_came_although_its_handler_empties_it(recorder, tmp_path):
    @shadowlab_recorder.record
    def handle(entry, fields):
        fields.clear()
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError):
        handle("1-1", {"a": "b"})
    assert kept(recorder, tmp_path)[0]["message"]["body"] == {"a": "b"}
