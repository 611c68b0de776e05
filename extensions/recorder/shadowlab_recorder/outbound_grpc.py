"""Note the unary calls that a request makes through grpcio, sync and async."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Coroutine
from typing import Any

from shadowlab_recorder import rpc
from shadowlab_recorder.outbound import begin
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.tape import Exchange, current

_SCHEME = re.compile(r"^(?:dns|ipv4|ipv6|passthrough|xds):(?://[^/]*/)?")


def watch(module: Any) -> None:
    """Wraps the calls of `grpc._channel`, below the interceptors: what they add and repeat is seen."""
    unary = module._UnaryUnaryMultiCallable
    with_call, future = unary.with_call, unary.future

    def tee_with_call(
        self: Any, request: Any, timeout: Any = None, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        exchange = quietly(_begun, self._channel, self._method, metadata) if current() else None
        if exchange is None:
            return with_call(self, request, timeout, metadata, *more, **named)
        try:
            response, call = with_call(_heard(self, exchange), request, timeout, metadata, *more, **named)
        except Exception as error:
            quietly(_refused, exchange, error)
            raise
        quietly(_ended, exchange, call.code(), call.details(), call.trailing_metadata())
        return response, call

    @functools.wraps(unary.__call__)
    def tee_call(self: Any, *args: Any, **named: Any) -> Any:
        return tee_with_call(self, *args, **named)[0]

    @functools.wraps(future)
    def tee_future(self: Any, request: Any, timeout: Any = None, metadata: Any = None, *more: Any, **named: Any) -> Any:
        exchange = quietly(_begun, self._channel, self._method, metadata) if current() else None
        if exchange is None:
            return future(self, request, timeout, metadata, *more, **named)
        made = future(_heard(self, exchange), request, timeout, metadata, *more, **named)
        quietly(_hear_future, made, exchange)
        return made

    unary.__call__, unary.with_call, unary.future = tee_call, functools.wraps(with_call)(tee_with_call), tee_future
    for name, kind in vars(module).items():
        if name.endswith("MultiCallable") and "Stream" in name and "__call__" in vars(kind):
            kind.__call__ = _stream(kind.__call__, lambda call, _: call._method)


def watch_async(module: Any) -> None:
    """Wraps the calls of `grpc.aio._call`, below the interceptors too."""
    call, signature = module.UnaryUnaryCall, inspect.signature(module.UnaryUnaryCall.__init__)
    init = call.__init__

    @functools.wraps(init)
    def tee_init(self: Any, *args: Any, **named: Any) -> None:
        heard = quietly(_hear_async, signature, (self, *args), named) if current() else None
        if heard is None:
            init(self, *args, **named)
            return
        exchange, bound = heard
        init(*bound.args, **bound.kwargs)
        quietly(self.add_done_callback, functools.partial(_done_async, exchange))

    call.__init__ = tee_init
    for name in ("UnaryStreamCall", "StreamUnaryCall", "StreamStreamCall"):
        kind = getattr(module, name)
        place = inspect.signature(kind.__init__)
        kind.__init__ = _stream(
            kind.__init__, lambda call, arguments, place=place: place.bind(call, *arguments).arguments["method"]
        )


def address(target: Any, method: Any) -> str:
    """`grpc://host:port/package.Service/Method`, whatever resolver the channel was told."""
    bare = _SCHEME.sub("", rpc.words(target))
    return f"grpc://{bare.replace('unix:', 'unix')}{rpc.words(method)}"


def _begun(channel: Any, method: Any, metadata: Any) -> Exchange | None:
    target = channel.target  # a method of a sync channel, a value of an async one
    return begin("grpc", "GRPC", address(target() if callable(target) else target, method), rpc.headers(metadata))


def _heard(call: Any, exchange: Exchange) -> Any:
    """The same callable with ears at what makes bytes of a message and a message of bytes."""
    made = copy.copy(call)
    made._request_serializer, made._response_deserializer = _ears(
        exchange, call._request_serializer, call._response_deserializer
    )
    return made


def _ears(exchange: Exchange, serialize: Any, deserialize: Any) -> tuple[Any, Any]:
    def serialized(message: Any) -> Any:
        sent = message if serialize is None else serialize(message)
        exchange.request_body.form = rpc.form(message)
        quietly(exchange.request_body.add, sent)
        return sent

    def deserialized(came: Any) -> Any:
        quietly(exchange.body.add, came)
        message = came if deserialize is None else deserialize(came)
        exchange.body.form = rpc.form(message)
        return message

    return serialized, deserialized


def _hear_future(made: Any, exchange: Exchange) -> None:
    """Notes the end of a call that goes on in the background, before anybody who waits for it goes on."""

    def heard(wait: Any) -> Any:
        @functools.wraps(wait)
        def waited(*args: Any, **named: Any) -> Any:
            try:
                return wait(*args, **named)
            finally:
                quietly(_done, exchange, made)

        return waited

    made.result, made.exception = heard(made.result), heard(made.exception)
    made.add_done_callback(lambda _: quietly(_done, exchange, made))


def _done(exchange: Exchange, made: Any) -> None:
    if made.done():
        _ended(exchange, made.code(), made.details(), made.trailing_metadata())


def _hear_async(signature: inspect.Signature, args: Any, named: Any) -> tuple[Exchange, inspect.BoundArguments] | None:
    bound = signature.bind(*args, **named)
    given = bound.arguments
    exchange = _begun(given["channel"], given["method"], given["metadata"])
    if exchange is None:
        return None
    given["request_serializer"], given["response_deserializer"] = _ears(
        exchange, given["request_serializer"], given["response_deserializer"]
    )
    return exchange, bound


def _done_async(exchange: Exchange, call: Any) -> None:
    quietly(lambda: _ended(exchange, *map(_now, (call.code(), call.details(), call.trailing_metadata()))))


def _now(ready: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives that has nothing left to wait for."""
    try:
        ready.send(None)
    except StopIteration as done:
        return done.value
    ready.close()
    raise RuntimeError("the call has not ended")


def _refused(exchange: Exchange, error: Any) -> None:
    if hasattr(error, "code") and hasattr(error, "trailing_metadata"):
        _ended(exchange, error.code(), error.details(), error.trailing_metadata())
    else:
        exchange.error = (f"{type(error).__module__}.{type(error).__qualname__}", "")
        exchange.touch()


def _ended(exchange: Exchange, code: Any, details: Any, trailing: Any) -> None:
    """The status of a call; what is not OK is the exception that the caller got."""
    if exchange.status is not None or exchange.error is not None:
        return
    number = rpc.number(code)
    exchange.headers = rpc.headers(trailing, number, details)
    exchange.request_body.ended = exchange.body.ended = True
    if number:
        exchange.error = ("grpc.RpcError", f"{getattr(code, 'name', number)}: {rpc.words(details)}")
    else:
        exchange.status = 200
    exchange.touch()


def _stream(call: Any, method: Any) -> Any:
    """Streams are not kept; a request that opens one says so."""

    @functools.wraps(call)
    def noted(self: Any, *args: Any, **named: Any) -> Any:
        tape = current()
        if tape is not None:
            named_by = quietly(method, self, args)
            tape.unseen.add(f"outbound (the gRPC stream {rpc.words(named_by)})")
        return call(self, *args, **named)

    return noted
