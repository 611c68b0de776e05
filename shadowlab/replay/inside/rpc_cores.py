"""In the place of the cores of gRPC servers: they listen to nobody, and what the service makes is remembered."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from .put import put

made: list[Any] = []
"""Servers in the order in which the service made them."""


def install(cygrpc: Any) -> None:
    """Let all servers be made with these cores."""
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


def is_async(server: Any) -> bool:
    """Whether a server is one of asyncio's."""
    return isinstance(getattr(server, "_server", None), _AioCore)


class _Core:
    """In the place of a server's core, and of its queue."""

    def __init__(self, *ignored: Any) -> None:
        pass

    def add_http2_port(self, address: bytes, *ignored: Any) -> int:
        return _port(address)

    def register_method(self, name: Any) -> None:
        """All calls come the same way."""

    register_completion_queue = register_method


class _AioCore:
    """The same for asyncio; it keeps what it is given."""

    def __init__(self, loop: Any, pool: Any, services: Any, interceptors: Any, *ignored: Any) -> None:
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
    port = address.rpartition(b":")[2]
    return int(port) or 50051 if port.isdigit() else 50051


def _remembering(init: Any) -> Any:
    def remembered(server: Any, *args: Any, **kwargs: Any) -> None:
        init(server, *args, **kwargs)
        made.append(server)

    return remembered


def _set() -> threading.Event:
    ended = threading.Event()
    ended.set()
    return ended
