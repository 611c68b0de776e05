"""Answer unary calls of grpcio, sync and async, from the request's tape; its core in C is never started.

The channels and servers below grpcio's Python are replaced, so what stands on them (stubs, interceptors, generated
code) runs as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from . import rpc, rpc_cores
from .put import put
from .tape import Tape, content_of, elapsed_ns

_READY = 2


def install(grpc: Any, tape: Tape, advance: Callable[[int], None]) -> None:
    """Take the place of grpcio's channels and servers; `advance` lets virtual time pass, in nanoseconds."""
    from grpc import _channel
    from grpc._cython import cygrpc

    calls = Calls(grpc, tape, advance)
    put(cygrpc, Channel=_Channel, AioChannel=lambda target, options, credentials, loop: _AioChannel(target, tape))
    unary = _channel._UnaryUnaryMultiCallable
    put(unary, __call__=calls.ask, with_call=calls.ask_with_call, future=calls.ask_later)
    for name, kind in vars(_channel).items():
        if name.endswith("MultiCallable") and "Stream" in name and "__call__" in vars(kind):
            put(kind, __call__=calls.refuse, with_call=calls.refuse, future=calls.refuse)
    put(
        _channel.Channel, subscribe=lambda self, callback, try_to_connect=None: callback(grpc.ChannelConnectivity.READY)
    )
    rpc_cores.install(cygrpc)


class Calls:
    """The methods of a sync callable."""

    def __init__(self, grpc: Any, tape: Tape, advance: Callable[[int], None]) -> None:
        self._tape = tape
        self._advance = advance
        self._codes = {code.value[0]: code for code in grpc.StatusCode}
        # Of grpcio: they log what they cannot read or write, and give None for it.
        self._serialize, self._deserialize = grpc._common.serialize, grpc._common.deserialize
        made = self

        def ask(call: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            return made.one(call, request).result()

        def ask_with_call(call: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            done = made.one(call, request)
            return done.result(), done

        def ask_later(call: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            return made.one(call, request)

        def refuse(call: Any, *args: Any, **kwargs: Any) -> Any:
            return made.one(call, b"", stream=True).result()

        self.ask, self.ask_with_call, self.ask_later, self.refuse = ask, ask_with_call, ask_later, refuse

    def one(self, call: Any, request: Any, *, stream: bool = False) -> Done:
        sent = request if stream else self._serialize(request, call._request_serializer)
        end, recorded = answered(self._tape, rpc.url(call._channel.target(), call._method), sent or b"")
        self._advance(elapsed_ns(recorded))
        made = None if end.code else self._deserialize(end.body, call._response_deserializer)
        if not end.code and (sent is None or made is None):
            what = "serializing request" if sent is None else "deserializing response"
            end = rpc.Ended(rpc.INTERNAL, f"Exception {what}!", (), b"")
        return Done(end, self._codes[end.code], made)


def answered(tape: Tape, url: str, sent: bytes) -> tuple[rpc.Ended, dict[str, Any]]:
    """What a call comes to, and the recorded call; unavailable at once, with the nearest ones, when there is none."""
    call = tape.answer("GRPC", url, sent)
    if call is None:
        refused = f"shadowlab: {tape.unrecorded[-1]}"
        return rpc.Ended(rpc.UNAVAILABLE, refused, (), b""), {"error": {"type": "", "message": refused}}
    return rpc.ended(call, content_of(call)), call


class Done:
    """A call that has ended: what grpcio gives as a future, and beside an answer."""

    def __init__(self, end: rpc.Ended, code: Any, made: Any) -> None:
        self._end = end
        self._code = code
        self._made = made

    def result(self, timeout: float | None = None) -> Any:
        error = self.exception()
        if error is not None:
            raise error
        return self._made

    def exception(self, timeout: float | None = None) -> Any:
        if not self._end.code:
            return None
        from grpc import _channel

        state = _channel._RPCState((), (), self._end.trailing, self._code, self._end.details)
        return _channel._InactiveRpcError(state)

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        callback(self)

    def traceback(self, timeout: float | None = None) -> Any:
        return getattr(self.exception(), "__traceback__", None)

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        return False

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._end.details

    def initial_metadata(self) -> tuple[rpc.Pair, ...]:
        return ()

    def trailing_metadata(self) -> tuple[rpc.Pair, ...]:
        return self._end.trailing

    def debug_error_string(self) -> str:
        return ""

    def time_remaining(self) -> float | None:
        return None

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False

    cancelled = running = is_active = cancel


class _Channel:
    """In the place of a channel's core: it has an address, and reaches nobody."""

    def __init__(self, target: bytes, options: Any = None, credentials: Any = None) -> None:
        self._target = target

    def target(self) -> bytes:
        return self._target

    def check_connectivity_state(self, try_to_connect: bool) -> int:
        return _READY

    def get_registered_call_handle(self, method: Any) -> int:
        return 0

    def close(self, *ignored: Any) -> None:
        """Nothing is open."""

    close_on_fork = cancel_calls_on_fork = close


class _AioChannel:
    """The same for asyncio."""

    def __init__(self, target: bytes, tape: Tape) -> None:
        self.target = target
        self._tape = tape
        self._closed = False

    def call(self, method: bytes, *ignored: Any) -> _AioCall:
        return _AioCall(self._tape, rpc.url(self.target, method))

    def check_connectivity_state(self, try_to_connect: bool) -> int:
        return _READY

    async def watch_connectivity_state(self, last: int, deadline: Any) -> bool:
        return True

    def get_registered_call_handle(self, method: Any) -> int:
        return 0

    def closing(self) -> None:
        self._closed = True

    close = closing

    def closed(self) -> bool:
        return self._closed


class _Status:
    """How a call ended, as grpcio's core tells it."""

    def __init__(self, end: rpc.Ended) -> None:
        self._end = end

    def code(self) -> int:
        return self._end.code

    def details(self) -> str:
        return self._end.details

    def trailing_metadata(self) -> tuple[rpc.Pair, ...]:
        return self._end.trailing

    def debug_error_string(self) -> str:
        return ""


class _AioCall:
    """One call of an async channel, as `grpc.aio._call` sees it."""

    def __init__(self, tape: Tape, url: str) -> None:
        self._tape = tape
        self._url = url
        self._status: _Status | None = None
        self._initial_metadata: tuple[rpc.Pair, ...] = ()
        self._taken_back = False
        self._callbacks: list[Callable[[], Any]] = []
        self._ended = asyncio.Event()

    async def unary_unary(self, sent: bytes, metadata: Any, context: Any) -> bytes | None:
        end, call = answered(self._tape, self._url, sent)
        await self._tape.come(call)
        self._end(end)
        return None if end.code else end.body

    async def initiate_unary_stream(self, *ignored: Any) -> None:
        """No stream was recorded."""
        self._end(answered(self._tape, self._url, b"")[0])

    async def stream_unary(self, *ignored: Any) -> None:
        await self.initiate_unary_stream()

    async def initiate_stream_stream(self, *ignored: Any) -> None:
        await self.initiate_unary_stream()

    async def receive_serialized_message(self) -> Any:
        from grpc._cython import cygrpc

        return cygrpc.EOF

    def _end(self, end: rpc.Ended) -> None:
        if self._status is None:
            self._status = _Status(end)
            self._ended.set()
            for callback in self._callbacks:
                callback()

    async def status(self) -> _Status:
        await self._ended.wait()
        assert self._status is not None
        return self._status

    async def initial_metadata(self) -> tuple[rpc.Pair, ...]:
        return self._initial_metadata

    def add_done_callback(self, callback: Callable[[], Any]) -> None:
        if self._status is not None:
            callback()
        else:
            self._callbacks.append(callback)

    def cancel(self, details: str) -> None:
        self._taken_back = True
        with contextlib.suppress(RuntimeError):  # the loop may be gone by now
            self._end(rpc.Ended(rpc.CANCELLED, details, (), b""))

    def done(self) -> bool:
        return self._status is not None

    def cancelled(self) -> bool:
        return self._status is not None and self._status.code() == rpc.CANCELLED

    def is_locally_cancelled(self) -> bool:
        return self._taken_back

    def is_ok(self) -> bool:
        return self._status is not None and self._status.code() == 0

    def time_remaining(self) -> None:
        """There is no deadline: what was too late says so itself."""
