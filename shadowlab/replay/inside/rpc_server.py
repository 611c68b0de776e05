"""Hand a recorded call to the gRPC server that the service makes, without a port and without grpcio's core."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

from . import rpc
from .entry import Answer, is_server
from .loop import VirtualLoop
from .rpc_context import Aborted, AioContext, Context
from .rpc_cores import is_async, made


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
        app = self._app()
        app = await app if inspect.isawaitable(app) else app
        if is_server(app):
            return app
        if not made:
            raise LookupError("entrypoint: it is no gRPC server, and calling it made none")
        return made[-1]

    async def _ask(self, request: dict[str, Any], body: bytes) -> Answer:
        details = _Details(request["path"], rpc.metadata(map(tuple, request["headers"])))
        context: Context = (AioContext if is_async(self._server) else Context)(details.invocation_metadata)
        try:
            return context.answer(await _served(await self._handler(details), body, context), None)
        except Aborted:
            return context.answer(b"", None)
        except Exception as exc:  # a method's, or an interceptor's
            context.end(rpc.UNKNOWN, "")
            return context.answer(b"", exc)

    async def _handler(self, details: _Details) -> Any:
        if not is_async(self._server):
            state = self._server._state
            named, services = state.registered_method_handlers, state.generic_handlers
            pipeline = state.interceptor_pipeline
            if pipeline is None:
                return _looked_up(named, services, details)
            return pipeline.execute(functools.partial(_looked_up, named, services), details)
        core = self._server._server

        async def after(number: int, call: Any) -> Any:
            if number == len(core.interceptors):
                return _looked_up(core.named, core.services, call)
            return await core.interceptors[number].intercept_service(lambda call: after(number + 1, call), call)

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
    if handler is None or handler.unary_unary is None:
        context.end(rpc.UNIMPLEMENTED, "Method not found!")
        raise Aborted
    read, write = handler.request_deserializer, handler.response_serializer
    try:
        request = body if read is None else read(body)
    except Exception:  # the service's own code raises what it likes; grpcio answers in these words alone
        context.end(rpc.INTERNAL, "Exception deserializing request!")
        raise Aborted from None
    response = handler.unary_unary(request, context)
    response = await response if inspect.isawaitable(response) else response
    if context.number:
        return b""
    try:
        return bytes(response if write is None else write(response))
    except Exception:  # the same; what was raised is the outcome's error, as the recorder keeps it
        context.end(rpc.INTERNAL, "Failed to serialize response!")
        raise
