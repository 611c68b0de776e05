"""Quotes the price of a parcel, from the rates of another service."""

import os
from concurrent.futures import ThreadPoolExecutor

import courier_wire as wire
import grpc

channel = grpc.insecure_channel(os.environ["RATES"])


def price(parcel, context):
    try:
        rate = wire.lookup(channel)(parcel, timeout=10, metadata=(("x-tenant", "shop"),))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no rate: {error.details()}")
        context.abort(grpc.StatusCode.INTERNAL, dict(error.trailing_metadata()).get("reason", error.details()))
    return wire.Quote(cents=rate.cents * parcel.grams // rate.per_grams, carrier="post")


server = grpc.server(ThreadPoolExecutor(2))


def serve():
    server.add_generic_rpc_handlers((wire.handlers("courier.Quotes", Price=price),))
    return server
