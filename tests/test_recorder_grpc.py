"""Unary calls of gRPC, asked and answered, as the recorder keeps them."""

import base64
import importlib
import json

import couriers
import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from shadowlab_recorder.body import Body
from shadowlab_recorder.protobuf import cleaned
from shadowlab_recorder.redaction import Redacted, Redaction


@pytest.fixture
def wire():
    with couriers.wire() as messages:
        yield messages


@pytest.fixture
def rates(wire, monkeypatch):
    with couriers.rates(wire) as address:
        monkeypatch.setenv("RATES", address)
        yield address


def bytes_of(holder, name="body"):
    body = holder[name] or ""
    return base64.b64decode(body) if holder[f"{name}_encoding"] == "base64" else body.encode()


def told(call):
    return call["client"], call["method"], call["url"].rpartition("/")[2], call["status"], dict(call["headers"])


def test_sync_calls_are_kept_with_their_bytes_status_and_metadata(calls, wire, rates):
    def work():
        with grpc.insecure_channel(f"dns:///{rates}") as channel:
            ask = wire.lookup(channel)
            assert ask(wire.Parcel(zone="EU")).cents == 250
            assert ask.with_call(wire.Parcel(zone="EU"))[1].code() is grpc.StatusCode.OK
            assert ask.future(wire.Parcel(zone="ZERO")).result().per_grams == 0
            with pytest.raises(grpc.RpcError):
                ask(wire.Parcel(zone="DOWN"))

    one = calls(work)
    assert one["truncated"] == []
    assert [told(call)[:4] for call in one["outbound"]] == [("grpc", "GRPC", "Lookup", 200)] * 3 + [
        ("grpc", "GRPC", "Lookup", None)
    ]
    first, _, third, last = one["outbound"]
    assert first["url"] == f"grpc://{rates}/courier.Rates/Lookup"
    sent = wire.Parcel(zone="EU").SerializeToString()
    assert (first["request_body"], dict(first["headers"])) == (sent.decode(), {"grpc-status": "0"})
    assert base64.b64decode(third["body"]) == wire.Rate(cents=250).SerializeToString()
    assert last["error"] == {"type": "grpc.RpcError", "message": "UNAVAILABLE: try later"}
    assert dict(last["headers"]) == {
        "grpc-status": "14", "grpc-message": "try later", "reason": "tariffs are being loaded", "x-trace-bin": "AP8=",
    }  # fmt: skip


def test_async_calls_are_kept_below_their_interceptors(calls, wire, rates):
    class Tenant(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await continuation(details._replace(metadata=grpc.aio.Metadata(("x-tenant", "shop"))), request)

    async def work():
        async with grpc.aio.insecure_channel(rates, interceptors=[Tenant()]) as channel:
            assert (await wire.lookup(channel)(wire.Parcel(zone="EU"))).cents == 250
        async with grpc.aio.insecure_channel(rates) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await wire.lookup(channel)(wire.Parcel(zone="DOWN"))

    first, last = calls(work)["outbound"]
    assert told(first)[3:] == (200, {"grpc-status": "0"})
    assert ["x-tenant", "shop"] in first["request_headers"]
    assert (last["error"]["message"], last["request_body"]) == ("UNAVAILABLE: try later", "\x1a\x04DOWN")


def test_a_stream_is_not_kept_and_the_recording_says_so(calls, wire, rates):
    def work():
        with grpc.insecure_channel(rates) as channel, pytest.raises(grpc.RpcError):
            list(channel.unary_stream("/courier.Rates/Watch")(b""))

    assert calls(work)["truncated"] == ["outbound (the gRPC stream /courier.Rates/Watch)"]


def test_a_server_s_failing_calls_are_kept_with_the_calls_that_they_made(wire, rates, tmp_path):
    parcels = [wire.Parcel(name=f"p-{zone}", grams=200, zone=zone) for zone in ("EU", "ZERO", "MARS", "DOWN")]
    codes, (divided, down) = couriers.asked(wire, tmp_path, parcels, share=0.0)
    assert codes == ["OK", "UNKNOWN", "NOT_FOUND", "INTERNAL"]
    assert (divided["kind"], divided["call"]["system"], divided["request"]["path"]) == (
        "function", "grpc", "/courier.Quotes/Price",
    )  # fmt: skip
    assert bytes_of(divided["request"]) == parcels[1].SerializeToString()
    assert (divided["error"]["type"], divided["error"]["frames"][-1]["function"]) == ("ZeroDivisionError", "price")
    assert (divided["response"]["status"], divided["response"]["headers"]) == (500, [["grpc-status", "2"]])
    assert ["x-tenant", "shop"] in divided["outbound"][0]["request_headers"]
    assert (down["error"], down["response"]["status"]) == (None, 500)
    assert dict(down["response"]["headers"]) == {"grpc-status": "13", "grpc-message": "tariffs are being loaded"}
    assert "abcdef0123456789" not in "".join(path.read_text() for path in tmp_path.glob("*.json"))


def test_a_passing_call_is_a_control_with_the_answer_s_bytes(wire, rates, tmp_path):
    _, [one] = couriers.asked(wire, tmp_path, [wire.Parcel(name="tea", grams=200, zone="EU")], share=1.0)
    answer = wire.Quote(cents=500, carrier="post").SerializeToString()
    assert (one["control"], one["response"]["status"], bytes_of(one["response"])) == (True, 200, answer)


def test_secrets_go_out_of_messages_that_stay_messages(wire, rates, tmp_path):
    parcel = wire.Parcel(
        name="n" * 120, grams=200, zone="ZERO", card_token="tok-4242-abcdefgh", note="pays with 4242 4242 4242 4242"
    )
    _, [one] = couriers.asked(wire, tmp_path, [parcel], redact_paths=("$.name",))
    for holder, name in ((one["request"], "body"), (one["outbound"][0], "request_body")):
        kept_message = wire.Parcel.FromString(bytes_of(holder, name))
        assert (kept_message.grams, kept_message.zone) == (200, "ZERO")
        assert kept_message.card_token.startswith("[redacted:")
        assert kept_message.name.startswith("[redacted:")
        assert kept_message.note.startswith("pays with [redacted:")
    assert {"body *token*", "looks like: card number", "path $.name"} <= one["redaction"].keys()
    assert "4242" not in json.dumps(one)


@pytest.mark.parametrize("paths", [(), ("$.kind",), ("$.kinds",)])
def test_no_odd_field_of_a_message_saves_the_others_from_cleaning(paths):
    file = descriptor_pb2.FileDescriptorProto(name="odd.proto", package="odd", syntax="proto2")
    file.enum_type.add(name="Kind").value.add(name="ONE", number=1)  # none is zero
    made, field = file.message_type.add(name="Odd"), descriptor_pb2.FieldDescriptorProto
    made.field.add(name="pin_token", number=1, type=field.TYPE_STRING, label=1)
    made.field.add(name="kind", number=2, type=field.TYPE_ENUM, type_name=".odd.Kind", label=1)
    made.field.add(name="kinds", number=3, type=field.TYPE_ENUM, type_name=".odd.Kind", label=3)
    made.extension_range.add(start=100, end=200)
    file.extension.add(name="secret", number=100, type=field.TYPE_STRING, label=1, extendee=".odd.Odd")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    body = Body(10_000)
    body.form = message_factory.GetMessageClass(pool.FindMessageTypeByName("odd.Odd"))
    message = body.form(kind=1, kinds=[1], pin_token="1234")
    message.Extensions[pool.FindExtensionByName("odd.secret")] = "sesame"
    body.add(message.SerializeToString())
    kept_bytes = cleaned(body, Redacted(Redaction(paths=paths)))
    assert not any(secret in kept_bytes for secret in (b"1234", b"sesame"))
    assert kept_bytes == b"" if "$.kinds" in paths else body.form.FromString(kept_bytes).pin_token


def test_an_async_server_s_calls_are_kept_each_with_its_own_outbound_calls(wire, rates, tmp_path):
    parcels = [wire.Parcel(name=zone, grams=200, zone=zone) for zone in ("EU", "ZERO", "DOWN")]
    codes, kept_ones = couriers.asked_async(wire, tmp_path, parcels, share=1.0)
    assert codes == ["OK", "UNKNOWN", "UNAVAILABLE"]
    passed, divided, down = kept_ones
    assert passed["response"]["headers"] == [["grpc-status", "0"], ["x-zones", "2"]]
    assert [len(one["outbound"]) for one in kept_ones] == [2, 2, 2]
    assert (divided["error"]["type"], divided["response"]["status"]) == ("ZeroDivisionError", 500)
    assert (down["error"], down["response"]["status"]) == (None, 503)


def test_an_answer_that_cannot_be_written_is_a_failure_of_the_service(wire, rates, tmp_path, monkeypatch):
    courier = importlib.import_module("courier")
    monkeypatch.setattr(courier, "price", lambda parcel, context: {"cents": 500})
    codes, [one] = couriers.asked(wire, tmp_path, [wire.Parcel(grams=200, zone="EU")], share=0.0)
    assert codes == ["INTERNAL"]
    assert (one["error"]["type"], one["response"]["status"]) == ("AttributeError", 500)
    assert one["response"]["headers"] == [["grpc-status", "13"], ["grpc-message", "Failed to serialize response!"]]
