"""The courier in `assets/courier`: a gRPC service that asks another one, run for real on the loopback."""

import asyncio
import contextlib
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import shadowlab_recorder
from recorded import kept

TREE = Path(__file__).with_name("assets") / "courier"


@contextlib.contextmanager
def wire():
    """The courier's messages; its modules are forgotten afterwards."""
    sys.path.insert(0, str(TREE))
    try:
        yield importlib.import_module("courier_wire")
    finally:
        sys.path.remove(str(TREE))
        for name in ("courier", "courier_async", "courier_wire"):
            sys.modules.pop(name, None)


@contextlib.contextmanager
def rates(messages):
    """The address of a server of rates: most zones have one, ZERO's divides by nothing, MARS has none, DOWN fails."""

    def lookup(parcel, context):
        if parcel.zone == "DOWN":
            context.set_trailing_metadata((("reason", "tariffs are being loaded"), ("x-trace-bin", b"\x00\xff")))
            context.abort(grpc.StatusCode.UNAVAILABLE, "try later")
        if parcel.zone == "MARS":
            context.abort(grpc.StatusCode.NOT_FOUND, "MARS")
        return messages.Rate(cents=250, per_grams=0 if parcel.zone == "ZERO" else 100)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((messages.handlers("courier.Rates", Lookup=lookup),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield address
    server.stop(None).wait(10)


def asked(messages, folder, parcels, **settings):
    """Asks a recorded server for prices; gives the codes that the client got, and what was recorded."""
    courier = importlib.import_module("courier")
    server = shadowlab_recorder.record(courier.server, directory=folder, **settings)
    courier.serve()
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    codes = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for parcel in parcels:
            try:
                messages.price(channel)(parcel, timeout=10, metadata=(("authorization", "Bearer abcdef0123456789"),))
                codes.append("OK")
            except grpc.RpcError as error:
                codes.append(error.code().name)
    server.stop(None).wait(10)
    return codes, kept(server.recorder, folder)


def asked_async(messages, folder, parcels, **settings):
    """The same of the courier on grpc.aio."""
    courier = importlib.import_module("courier_async")

    async def work():
        server, codes = grpc.aio.server(), []
        shadowlab_recorder.record(server, directory=folder, **settings)
        courier.serve(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for parcel in parcels:
                try:
                    await messages.price(channel)(parcel, timeout=10)
                    codes.append("OK")
                except grpc.aio.AioRpcError as error:
                    codes.append(error.code().name)
        await server.stop(None)
        return codes, kept(server.recorder, folder)

    return asyncio.run(work())
