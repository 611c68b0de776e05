"""The same with grpc.aio: two calls at once, one of them in the background of the other."""

import asyncio
import os

import courier_wire as wire
import grpc


async def price(parcel, context):
    async with grpc.aio.insecure_channel(os.environ["RATES"]) as channel:
        ask = wire.lookup(channel)
        try:
            rates = await asyncio.gather(ask(parcel), ask(wire.Parcel(name=parcel.name, zone="HOME")))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), f"no rate: {error.details()}")
    cents = [rate.cents * parcel.grams // rate.per_grams for rate in rates]
    context.set_trailing_metadata((("x-zones", str(len(cents))),))
    return wire.Quote(cents=min(cents), carrier="post")


def serve(server=None):
    server = server or grpc.aio.server()
    server.add_generic_rpc_handlers((wire.handlers("courier.Quotes", Price=price),))
