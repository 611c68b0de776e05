"""The messages and methods of the courier, as protoc would make them."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = {"string": 9, "int64": 3, "bytes": 12}
_MESSAGES = {
    "Parcel": {"name": "string", "grams": "int64", "zone": "string", "card_token": "string", "note": "string"},
    "Rate": {"cents": "int64", "per_grams": "int64"},
    "Quote": {"cents": "int64", "carrier": "string"},
}


def _file():
    made = descriptor_pb2.FileDescriptorProto(name="courier.proto", package="courier", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = made.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            message.field.add(name=field, number=number, type=_TYPES[kind], label=1)
    return made


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())
Parcel, Rate, Quote = (
    message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"courier.{name}")) for name in _MESSAGES
)


def lookup(channel):
    """`courier.Rates/Lookup` of a channel, sync or async."""
    return channel.unary_unary("/courier.Rates/Lookup", Parcel.SerializeToString, Rate.FromString)


def price(channel):
    """`courier.Quotes/Price` of a channel, sync or async."""
    return channel.unary_unary("/courier.Quotes/Price", Parcel.SerializeToString, Quote.FromString)


def handlers(service, **methods):
    """Handlers of unary calls that take a parcel."""
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=Parcel.FromString,
                response_serializer=lambda made: made.SerializeToString(),
            )
            for name, method in methods.items()
        },
    )
