"""Record without touching the service's code: loaded by OpenTelemetry's auto-instrumentation.

`SHADOWLAB_RECORDINGS=recordings opentelemetry-instrument uvicorn app:app` is enough. Applications are recorded where
their framework calls them: Starlette (FastAPI), Flask, Django; servers of grpcio where they are made.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from shadowlab_recorder import frameworks, front, inbound_grpc
from shadowlab_recorder.asgi import RecordedApp
from shadowlab_recorder.importing import when_imported
from shadowlab_recorder.quiet import log, quietly
from shadowlab_recorder.settings import DIRECTORY_VARIABLE, switched_off
from shadowlab_recorder.wsgi import RecordedWsgiApp


def instrument() -> None:
    """Records every application of this process into the folder that SHADOWLAB_RECORDINGS names; nothing without it."""
    if not os.environ.get(DIRECTORY_VARIABLE) or switched_off():
        return
    if quietly(front.default) is None:
        log.warning("shadowlab-recorder: %s is set, and nothing is recorded", DIRECTORY_VARIABLE)
        return
    when_imported("starlette.applications", _starlette)
    when_imported("flask.app", _flask)
    when_imported("django.core.handlers.wsgi", _django_wsgi)
    when_imported("django.core.handlers.asgi", _django_asgi)
    when_imported("grpc", _grpc)
    when_imported("grpc.aio", _grpc_aio)


def _starlette(module: Any) -> None:
    call = module.Starlette.__call__

    @functools.wraps(call)
    async def recorded(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await _around(self, functools.partial(call, self), RecordedApp)(scope, receive, send)

    module.Starlette.__call__ = recorded


def _flask(module: Any) -> None:
    call = module.Flask.wsgi_app

    @functools.wraps(call)
    def recorded(self: Any, environ: Any, start_response: Any) -> Any:
        return _around(self, functools.partial(call, self), RecordedWsgiApp)(environ, start_response)

    module.Flask.wsgi_app = recorded


def _django_wsgi(module: Any) -> None:
    call = module.WSGIHandler.__call__

    @functools.wraps(call)
    def recorded(self: Any, environ: Any, start_response: Any) -> Any:
        return _around(self, functools.partial(call, self), RecordedWsgiApp)(environ, start_response)

    module.WSGIHandler.__call__ = recorded


def _django_asgi(module: Any) -> None:
    call = module.ASGIHandler.__call__

    @functools.wraps(call)
    async def recorded(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await _around(self, functools.partial(call, self), RecordedApp)(scope, receive, send)

    module.ASGIHandler.__call__ = recorded


def _grpc(module: Any) -> None:
    _recorded_servers(module)


def _grpc_aio(module: Any) -> None:
    _recorded_servers(module)


def _recorded_servers(module: Any) -> None:
    make = module.server

    @functools.wraps(make)
    def server(*args: Any, **kwargs: Any) -> Any:
        made, recorder = make(*args, **kwargs), front.default()
        if recorder is not None:
            quietly(inbound_grpc.recorded, made, recorder)
        return made

    module.server = server


def _around(app: Any, call: Any, kind: Any) -> Any:
    """The recorded application, made at its first call: by then it has its own attributes, and its middleware."""
    made = app.__dict__.get("_shadowlab")
    if made is None:
        recorder = front.default()
        if recorder is None:
            return call
        quietly(frameworks.listen, app, recorder)
        made = app.__dict__["_shadowlab"] = kind(call, recorder)
    return made
