"""Ears inside of web frameworks: where the server's span is open and the exception is still one."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import copy_context
from typing import Any

from shadowlab_recorder import spans, tape
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import recall

Scope = MutableMapping[str, Any]


def listen(app: Any, recorder: Recorder) -> None:
    """Places the ears that fit: Starlette (FastAPI), Flask, Django; none in an application without a framework."""
    app = getattr(app, "__self__", app)  # Flask's `app.wsgi_app` is a method
    if "flask" in sys.modules:
        # For a `wsgi_app` in which somebody else's function hides the application.
        sys.modules["flask"].got_request_exception.connect(_unhandled)
    if hasattr(app, "add_middleware") and hasattr(app, "user_middleware"):
        _starlette(app, recorder)
    elif hasattr(app, "handle_user_exception") and hasattr(app, "wsgi_app"):
        _flask(app)
    elif hasattr(app, "make_view_atomic"):
        _django(app, recorder)


class Probe:
    """The innermost middleware of an ASGI application."""

    def __init__(self, app: Any, recorder: Recorder) -> None:
        self.app = app
        self.recorder = recorder

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        app, now = self.app, recall()
        if now is None or now.closed or scope["type"] != "http":
            await app(scope, receive, send)
            return
        now.inner, now.inside = copy_context(), True
        try:
            await app(scope, receive, send)
        except Exception as error:
            now.fail(error)
            quietly(self.recorder.link, now)
            raise


def _starlette(app: Any, recorder: Recorder) -> None:
    """A middleware, if the application has not been built yet: OpenTelemetry's is around it then."""
    if getattr(app, "middleware_stack", None) is None and all(each.cls is not Probe for each in app.user_middleware):
        app.add_middleware(Probe, recorder=recorder)


def _flask(app: Any) -> None:
    """Flask answers 500 by itself, so the exception never comes out of it."""
    handle = app.handle_user_exception
    if hasattr(handle, "_shadowlab"):
        return

    @functools.wraps(handle)
    def handle_user_exception(error: Exception) -> Any:
        quietly(_failed, error)
        return handle(error)

    handle_user_exception._shadowlab = True  # type: ignore[attr-defined]  # the mark that is looked for above
    app.handle_user_exception = handle_user_exception


def _django(app: Any, recorder: Recorder) -> None:
    """Around each view, and at the signal of what no view and no middleware caught."""
    from django.core.signals import got_request_exception

    got_request_exception.connect(_unhandled, dispatch_uid="shadowlab_recorder")
    atomic = app.make_view_atomic
    if hasattr(atomic, "_shadowlab"):
        return

    @functools.wraps(atomic)
    def make_view_atomic(view: Callable[..., Any]) -> Callable[..., Any]:
        return _heard(atomic(view), recorder)

    make_view_atomic._shadowlab = True  # type: ignore[attr-defined]  # the mark that is looked for above
    app.make_view_atomic = make_view_atomic


def _heard(view: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """A Django view that tells its status and its exception while OpenTelemetry's span is open."""

    @functools.wraps(view)
    def sync_view(*args: Any, **kwargs: Any) -> Any:
        quietly(_entered)
        try:
            response = view(*args, **kwargs)
        except Exception as error:
            quietly(_failed, error)
            quietly(_link, recorder, None)
            raise
        quietly(_link, recorder, response)
        return response

    @functools.wraps(view)
    async def async_view(*args: Any, **kwargs: Any) -> Any:
        quietly(_entered)
        try:
            made: Awaitable[Any] = view(*args, **kwargs)
            response = await made
        except Exception as error:
            quietly(_failed, error)
            quietly(_link, recorder, None)
            raise
        quietly(_link, recorder, response)
        return response

    return async_view if inspect.iscoroutinefunction(view) else sync_view


def _unhandled(*_: Any, **__: Any) -> None:
    """Receives Flask's and Django's `got_request_exception`, which is sent where the exception is being handled."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception):
        quietly(_failed, error)


def _link(recorder: Recorder, response: Any) -> None:
    now = tape.current()
    if now is not None:
        now.status = getattr(response, "status_code", None) or now.status
        if now.watched or now.failed:
            recorder.link(now)


def _entered() -> None:
    now = tape.current()
    if now is not None:
        now.inner, now.inside = copy_context(), True


def _failed(error: Exception) -> None:
    now = tape.current()
    if now is not None:
        now.fail(error)
        spans.notice(now)
