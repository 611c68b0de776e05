"""Hand a recorded call to the gRPC server that the service makes, without a port and without grpcio's core."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any, NamedTuple

from . import rpc
from .entry import Answer, is_server
from .loop import VirtualLoop
from .put import put

_made: list[Any] = []
"""Servers in the order in which the service made them."""


def install(cygrpc: Any) -> None:
    """Servers that listen to nobody, and are remembered."""
    from grpc import _server
    from grpc.aio import _server as aio

    put(cygrpc, Server=_Core, CompletionQueue=_Core, AioServer=_AioCore)
    for kind in (_server._Server, aio.Server):
        put(kind, __init__=_remembering(kind.__init__))
    put(
        _server._Server,
        start=lambda server: None,
        stop=lambda server, grace=None: _set(),
        wait_for_termination=lambda server, timeout=None: False,
    )


class Rpc:
    """One gRPC server on one loop: the entrypoint itself, or what it returns, or else the last one that it made."""

    def __init__(self, app: Any, loop: VirtualLoop) -> None:
        self._app = app
        self._loop = loop
        self._server: Any = None

    def start(self) -> None:
        """Let the entrypoint make its server; raises `LookupError` when it makes none."""
        self._server = self._loop.run_until_complete(self._found())

    def stop(self) -> None:
        """Nothing was started."""

    def ask(self, request: dict[str, Any], body: bytes) -> Answer:
        """The answer to one unary call, its exception included."""
        return self._loop.run_until_complete(self._ask(request, body))

    async def _found(self) -> Any:
        if is_server(self._app):
            return self._app
        made = self._app()
        made = await made if inspect.isawaitable(made) else made
        if is_server(made):
            return made
        if not _made:
            raise LookupError("entrypoint: it is no gRPC server, and calling it made none")
        return _made[-1]

    async def _ask(self, request: dict[str, Any], body: bytes) -> Answer:
        details = _Details(request["path"], rpc.metadata(map(tuple, request["headers"])))
        handler = await self._handler(details)
        context: Context = (AioContext if _is_async(self._server) else Context)(details.invocation_metadata)
        if handler is None or handler.unary_unary is None:
            context.end(rpc.UNIMPLEMENTED, "Method not found!")
            return context.answer(b"", None)
        try:
            content, error = await _served(handler, body, context), None
        except Aborted:
            content, error = b"", None
        except Exception as exc:
            content, error = b"", exc
            context.end(rpc.UNKNOWN, "")
        return context.answer(content, error)

    async def _handler(self, details: _Details) -> Any:
        if not _is_async(self._server):
            state = self._server._state
            named, services = state.registered_method_handlers, state.generic_handlers
            pipeline = state.interceptor_pipeline
            if pipeline is None:
                return _looked_up(named, services, details)
            return pipeline.execute(functools.partial(_looked_up, named, services), details)
        core = self._server._server

        async def after(number: int, told: Any) -> Any:
            if number == len(core.interceptors):
                return _looked_up(core.named, core.services, told)
            return await core.interceptors[number].intercept_service(lambda told: after(number + 1, told), told)

        return await after(0, details)


class _Details(NamedTuple):
    """What is asked for, before it is known who answers."""

    method: str
    invocation_metadata: tuple[rpc.Pair, ...]


def _looked_up(named: dict[Any, Any], services: list[Any], details: Any) -> Any:
    handler = named.get(details.method) or named.get(details.method.encode())
    for service in services:
        handler = handler or service.service(details)
    return handler


async def _served(handler: Any, body: bytes, context: Context) -> bytes:
    read, write = handler.request_deserializer, handler.response_serializer
    try:
        request = body if read is None else read(body)
    except Exception:
        context.end(rpc.INTERNAL, "Exception deserializing request!")
        raise Aborted from None
    response = handler.unary_unary(request, context)
    response = await response if inspect.isawaitable(response) else response
    if context.number:
        return b""
    try:
        return bytes(response if write is None else write(response))
    except Exception:
        context.end(rpc.INTERNAL, "Failed to serialize response!")
        raise


class Aborted(Exception):
    """The service ended the call itself."""


class Context:
    """What a method learns of its call, and says of its end."""

    def __init__(self, metadata: tuple[rpc.Pair, ...]) -> None:
        self.number = 0
        self._metadata = metadata
        self._code: Any = None
        self._details: str = ""
        self._trailing: Any = ()

    def answer(self, content: bytes, error: Exception | None) -> Answer:
        headers = rpc.headers(self.number, self._details, self._trailing)
        return {"status": rpc.http_status(self.number), "headers": headers, "body": content, "error": error}

    def end(self, number: int, details: str) -> None:
        """The end that the server gives to a call; one that the method gave already stays."""
        if not self.number:
            self.number, self._details = number, details

    def invocation_metadata(self) -> tuple[rpc.Pair, ...]:
        return self._metadata

    def peer(self) -> str:
        return "ipv4:127.0.0.1:50000"

    def peer_identities(self) -> None:
        """Nobody proved who it is: certificates are not recorded."""

    peer_identity_key = peer_identities

    def auth_context(self) -> dict[str, Any]:
        return {}

    def is_active(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def cancel(self) -> None:
        self.set_code(rpc.CANCELLED)

    def add_callback(self, callback: Any) -> bool:
        return True

    def set_compression(self, compression: Any) -> None:
        """What is on the wire is not looked at."""

    def disable_next_message_compression(self) -> None:
        """The same."""

    def send_initial_metadata(self, metadata: Any) -> Any:
        """Initial metadata is not part of the answer."""

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._trailing = metadata

    def trailing_metadata(self) -> Any:
        return self._trailing

    def set_code(self, code: Any) -> None:
        self._code = code
        told = getattr(code, "value", code)
        self.number = int(told[0] if isinstance(told, tuple) else told)

    def code(self) -> Any:
        return self._code

    def set_details(self, details: Any) -> None:
        self._details = details.decode() if isinstance(details, bytes) else str(details)

    def details(self) -> str:
        return self._details

    def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> Any:
        self.set_code(code)
        self.number = self.number or rpc.UNKNOWN  # an abort is never OK
        self.set_details(details)
        self._trailing = trailing_metadata or self._trailing
        raise Aborted

    def abort_with_status(self, status: Any) -> Any:
        return self.abort(status.code, status.details, status.trailing_metadata)


class AioContext(Context):
    """The same, for methods that are awaited."""

    async def send_initial_metadata(self, metadata: Any) -> None:
        """Initial metadata is not part of the answer."""

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        super().abort(code, details, trailing_metadata)

    def add_done_callback(self, callback: Any) -> None:
        """The call is over when the replay is."""

    def done(self) -> bool:
        return False

    cancelled = done


class _Core:
    """In the place of a server's core, and of its queue."""

    def __init__(self, *told: Any) -> None:
        pass

    def add_http2_port(self, address: bytes, *told: Any) -> int:
        return _port(address)

    def register_method(self, name: Any) -> None:
        """All calls come the same way."""

    register_completion_queue = register_method


class _AioCore:
    """The same for asyncio; it keeps what it is given."""

    def __init__(self, loop: Any, pool: Any, services: Any, interceptors: Any, *told: Any) -> None:
        self.services = list(services or ())
        self.interceptors = list(interceptors or ())
        self.named: dict[Any, Any] = {}

    def add_generic_rpc_handlers(self, services: Any) -> None:
        self.services.extend(services)

    def add_registered_method_handlers(self, named: dict[Any, Any]) -> None:
        self.named.update(named)

    def add_insecure_port(self, address: bytes) -> int:
        return _port(address)

    def add_secure_port(self, address: bytes, credentials: Any) -> int:
        return _port(address)

    def is_running(self) -> bool:
        return False

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def shutdown(self, grace: Any) -> None:
        await asyncio.sleep(0)

    async def wait_for_termination(self, timeout: Any = None) -> bool:
        return False


def _port(address: bytes) -> int:
    told = address.rpartition(b":")[2]
    return int(told) or 50051 if told.isdigit() else 50051


def _is_async(server: Any) -> bool:
    return isinstance(getattr(server, "_server", None), _AioCore)


def _remembering(init: Any) -> Any:
    def remembered(server: Any, *args: Any, **kwargs: Any) -> None:
        init(server, *args, **kwargs)
        _made.append(server)

    return remembered


def _set() -> threading.Event:
    ended = threading.Event()
    ended.set()
    return ended
