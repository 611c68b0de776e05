"""Unary calls of gRPC, asked and answered, as the recorder keeps them."""

import asyncio
import base64
import importlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import shadowlab_recorder
from recorded import kept

COURIER = Path(__file__).with_name("assets") / "courier"


@pytest.fixture
def wire(monkeypatch):
    """The courier's messages; its modules are forgotten when the test ends."""
    monkeypatch.syspath_prepend(str(COURIER))
    yield importlib.import_module("courier_wire")
    for name in ("courier", "courier_async", "courier_wire"):
        sys.modules.pop(name, None)


@pytest.fixture
def rates(wire, monkeypatch):
    """A server of rates, and its address in RATES: EU has one, ZERO divides by nothing, DOWN is broken."""

    def lookup(parcel, context):
        if parcel.zone == "DOWN":
            context.set_trailing_metadata((("reason", "tariffs are being loaded"), ("x-trace-bin", b"\x00\xff")))
            context.abort(grpc.StatusCode.UNAVAILABLE, "try later")
        if parcel.zone == "MARS":
            context.abort(grpc.StatusCode.NOT_FOUND, "MARS")
        return wire.Rate(cents=250, per_grams=0 if parcel.zone == "ZERO" else 100)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((wire.handlers("courier.Rates", Lookup=lookup),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    monkeypatch.setenv("RATES", address)
    yield address
    server.stop(None).wait(10)


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Runs a function or coroutine function as a recorded job; gives its recording."""
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    recorder = shadowlab_recorder.configure(tmp_path, share=1.0)

    def run(work):
        made = shadowlab_recorder.record(work)()
        if asyncio.iscoroutine(made):
            asyncio.run(made)
        return kept(recorder, tmp_path)[-1]

    return run


def asked(wire, recorder_settings, parcels, folder):
    """Asks a recorded server for prices; gives the codes, and what was recorded."""
    courier = importlib.import_module("courier")
    server = shadowlab_recorder.record(courier.server, directory=folder, **recorder_settings)
    courier.serve()
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    codes = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for parcel in parcels:
            try:
                wire.price(channel)(parcel, timeout=10, metadata=(("authorization", "Bearer abcdef0123456789"),))
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
    server.stop(None).wait(10)
    return codes, kept(server.recorder, folder)


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
    codes, (divided, down) = asked(wire, {"share": 0.0}, parcels, tmp_path)
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
    _, [one] = asked(wire, {"share": 1.0}, [wire.Parcel(name="tea", grams=200, zone="EU")], tmp_path)
    answer = wire.Quote(cents=500, carrier="post").SerializeToString()
    assert (one["control"], one["response"]["status"], bytes_of(one["response"])) == (True, 200, answer)


def test_secrets_go_out_of_messages_that_stay_messages(wire, rates, tmp_path):
    parcel = wire.Parcel(
        name="n" * 120, grams=200, zone="ZERO", card_token="tok-4242-abcdefgh", note="pays with 4242 4242 4242 4242"
    )
    _, [one] = asked(wire, {"redact_paths": ("$.name",)}, [parcel], tmp_path)
    for holder, name in ((one["request"], "body"), (one["outbound"][0], "request_body")):
        kept_message = wire.Parcel.FromString(bytes_of(holder, name))
        assert (kept_message.grams, kept_message.zone) == (200, "ZERO")
        assert kept_message.card_token.startswith("[redacted:")
        assert kept_message.name.startswith("[redacted:")
        assert kept_message.note.startswith("pays with [redacted:")
    assert {"body *token*", "looks like: card number", "path $.name"} <= one["redaction"].keys()
    assert "4242" not in json.dumps(one)
