"""Record the unary calls that a gRPC server answers, sync and async."""

from __future__ import annotations

import functools
import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from shadowlab_recorder import rpc, spans, tape
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.raised import failure
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import Tape

Wrap = Callable[[str, Any], Any]

_IN_FLIGHT = 256
"""Messages whose bytes are remembered between reading them and serving them."""
_LARGEST = 1 << 20


def recorded(server: Any, recorder: Recorder) -> Any:
    """The same server; what is added to it from now on is recorded, and in a sync one what it has already.

    Streams pass unrecorded. Interceptors of the server are around the recorder, so that their span is open.
    """
    if "recorder" in vars(server):
        return server
    wrap = functools.partial(_watched, recorder, _Bytes(recorder.settings.body_limit))
    add_generic, add_registered = server.add_generic_rpc_handlers, server.add_registered_method_handlers

    def add_generic_rpc_handlers(generic_rpc_handlers: Any) -> None:
        add_generic(tuple(_Handlers(each, wrap) for each in generic_rpc_handlers))

    def add_registered_method_handlers(service_name: str, method_handlers: Any) -> None:
        named = {name: wrap(f"/{service_name}/{name}", each) for name, each in method_handlers.items()}
        add_registered(service_name, named)

    state = getattr(server, "_state", None)
    if state is not None:
        state.generic_handlers[:] = [_Handlers(each, wrap) for each in state.generic_handlers]
        for path, each in getattr(state, "registered_method_handlers", {}).items():
            state.registered_method_handlers[path] = wrap(rpc.words(path), each)
    server.add_generic_rpc_handlers = add_generic_rpc_handlers
    server.add_registered_method_handlers = add_registered_method_handlers
    server.recorder = recorder
    return server


class _Handlers:
    """A service's handlers, each recorded when it is asked for."""

    def __init__(self, handlers: Any, wrap: Wrap) -> None:
        self._handlers = handlers
        self._wrap = wrap

    def service(self, details: Any) -> Any:
        return self._wrap(details.method, self._handlers.service(details))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handlers, name)


class _Bytes:
    """What messages were made of, from the thread that reads them to the one that serves them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._by_id: OrderedDict[int, tuple[Any, bytes]] = OrderedDict()

    def put(self, message: Any, raw: bytes) -> None:
        if len(raw) > self._limit:
            return
        with self._lock:
            self._by_id[id(message)] = (message, raw)
            if len(self._by_id) > _IN_FLIGHT:  # calls that were taken back before they were served
                self._by_id.popitem(last=False)

    def take(self, message: Any) -> bytes | None:
        """None for a message that was too large, or that an interceptor made of another one."""
        with self._lock:
            return self._by_id.pop(id(message), (None, None))[1]


def _watched(recorder: Recorder, came: _Bytes, path: str, handler: Any) -> Any:
    if handler is None or handler.request_streaming or handler.response_streaming or handler.unary_unary is None:
        return handler
    import grpc

    read, write = handler.request_deserializer, handler.response_serializer
    went = _Bytes(_LARGEST)

    def deserialize(raw: bytes) -> Any:
        message = raw if read is None else read(raw)
        quietly(came.put, message, raw)
        return message

    def serialize(response: Any) -> Any:
        """An answer is made bytes while its tape is open; here they are handed on."""
        made = quietly(went.take, response)
        return made if made is not None else response if write is None else write(response)

    def written(response: Any) -> bytes:
        raw: bytes = response if write is None else write(response)
        went.put(response, raw)
        return raw

    made = _async_call if inspect.iscoroutinefunction(handler.unary_unary) else _sync_call
    begin, answered = functools.partial(_begin, recorder, came, path), functools.partial(_answered, written)
    return grpc.unary_unary_rpc_method_handler(
        made(recorder, begin, handler.unary_unary, answered),
        request_deserializer=deserialize,
        response_serializer=serialize,
    )


def _sync_call(recorder: Recorder, begin: Any, behave: Any, answered: Any) -> Any:
    @functools.wraps(behave)
    def call(request: Any, context: Any) -> Any:
        now = None if tape.current() else quietly(begin, request, context)
        if now is None:
            return behave(request, context)
        token = tape.enter(now)
        try:
            response = behave(request, context)
            quietly(answered, now, context, response)
            return response
        except BaseException as error:
            quietly(_failed, now, context, error)
            raise
        finally:
            tape.leave(token)
            quietly(recorder.finish, now)

    return call


def _async_call(recorder: Recorder, begin: Any, behave: Any, answered: Any) -> Any:
    @functools.wraps(behave)
    async def call(request: Any, context: Any) -> Any:
        now = None if tape.current() else quietly(begin, request, context)
        if now is None:
            return await behave(request, context)
        token = tape.enter(now)
        try:
            response = await behave(request, context)
            quietly(answered, now, context, response)
            return response
        except BaseException as error:
            quietly(_failed, now, context, error)
            raise
        finally:
            tape.leave(token)
            quietly(recorder.finish, now)

    return call


def _begin(recorder: Recorder, came: _Bytes, path: str, request: Any, context: Any) -> Tape | None:
    raw = came.take(request)
    now = recorder.start("function", "GRPC", path, "", rpc.headers(context.invocation_metadata()))
    if now is None:
        return None
    now.call = {"target": path, "system": "grpc", "text": '{"arguments":[],"keywords":{}}', "lossy": []}
    now.request_body.form = rpc.form(request)
    now.request_body.add(raw or b"")
    now.request_body.size += raw is None  # it counts as cut
    now.request_body.ended = True
    return now


def _answered(written: Callable[[Any], bytes], now: Tape, context: Any, response: Any) -> None:
    code = rpc.number(context.code())
    _ended(now, context, code, context.details())
    spans.notice(now)
    if code:
        return
    try:
        raw = written(response)
    except Exception as error:  # grpcio will try again, and answer so
        now.error = failure(error)
        _ended(now, context, rpc.INTERNAL, "Failed to serialize response!")
        return
    now.response_body.form = rpc.form(response)
    now.response_body.add(raw)


def _failed(now: Tape, context: Any, error: BaseException) -> None:
    spans.notice(now)
    if not isinstance(error, Exception):
        return
    code = rpc.number(context.code())
    if code and (type(error).__name__ == "AbortError" or (type(error) is Exception and not error.args)):
        _ended(now, context, code, context.details())  # the service ended the call itself
        return
    now.error = failure(error)
    _ended(now, context, rpc.UNKNOWN, "")


def _ended(now: Tape, context: Any, code: int, details: Any) -> None:
    now.status = rpc.http_status(code)
    now.response_headers = rpc.headers(context.trailing_metadata(), code, details)
    now.response_body.ended = True
