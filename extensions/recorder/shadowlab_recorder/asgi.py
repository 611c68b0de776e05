"""Record the requests of an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import copy_context
from typing import Any
from urllib.parse import quote

from shadowlab_recorder.body import Body
from shadowlab_recorder.later import later
from shadowlab_recorder.quiet import log_fault, quietly
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import Tape, enter, leave, recall

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class RecordedApp:
    """An ASGI application around another; every other attribute, read or set, is the inner one's.

    So `@app.get(...)`, `app.state` and `FastAPIInstrumentor.instrument_app(app)` still mean the application.
    """

    app: App
    recorder: Recorder
    _both: tuple[App, Recorder]

    def __init__(self, app: App, recorder: Recorder) -> None:
        self.__dict__.update(app=app, recorder=recorder, _both=(app, recorder))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["app"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.app, name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(scope, receive, send)
        app, recorder = self._both  # with `__getattr__` in the class every look at an attribute is a long one
        # A tape that runs already is this request's own: whatever is around this application is recorded too.
        outer = recall()
        if scope["type"] != "http" or recorder.off or not (outer is None or outer.closed):
            return await app(scope, receive, send)
        try:
            now, tee_receive, tee_send = _taped(scope, recorder, receive, send)
        except Exception as error:
            log_fault(error, "start")
            return await app(scope, receive, send)
        token, answered = enter(now), False
        try:
            await app(scope, tee_receive, tee_send)
            answered = True
        except Exception as error:
            now.fail(error)
            raise
        finally:
            leave(token)
            if not now.passed():
                quietly(recorder.finish, now, answered)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            quietly(self.recorder.flush, 5.0)


class Asked(Tape):
    """A tape whose request is read from its scope when somebody wants to know."""

    kind = "asgi"
    path = later(lambda tape: _path(tape.raw_path))
    query = later(lambda tape: tape.raw_query.decode("latin-1"))

    raw_path: bytes | str
    raw_query: bytes
    __init__ = Tape._begin


def _path(raw_path: bytes | str) -> str:
    """The path as it was asked for, percent-encoding included."""
    return quote(raw_path) if isinstance(raw_path, str) else raw_path.decode("latin-1").partition("?")[0]


def _taped(scope: Scope, recorder: Recorder, receive: Receive, send: Send) -> tuple[Asked, Receive, Send]:
    """A tape of this request, and `receive` and `send` that keep what goes by."""
    now = Asked(recorder.limits)
    now.method = scope["method"]
    now.raw_path = scope.get("raw_path") or scope["path"]
    now.raw_query = scope.get("query_string", b"")
    now.request_headers = list(scope.get("headers", ()))
    if recorder.chooses:
        recorder.begin(now)

    async def tee_receive() -> Message:
        message = await receive()
        try:
            if message["type"] == "http.request":
                body = message.get("body", b"")
                if (
                    message.get("more_body")
                    or now.asked is not None
                    or type(body) is not bytes
                    or len(body) > now.limits.small
                ):
                    _add(now.request_body, message)
                    now.asked = b""  # what comes after goes there, too
                else:
                    now.asked = body
            elif message["type"] == "http.disconnect":
                now.body_lost = True
            if now.inner is None:
                now.inner = copy_context()
        except Exception as error:
            log_fault(error, "receive")
        return message

    def tee_send(message: Message) -> Awaitable[None]:
        try:
            kind = message["type"]
            if kind == "http.response.body":
                body = message.get("body", b"")
                if (
                    message.get("more_body")
                    or now.answered is not None
                    or type(body) is not bytes
                    or len(body) > now.limits.small
                ):
                    _add(now.response_body, message)
                    now.answered = b""
                else:
                    now.answered = body
                if now.watched:
                    recorder.link(now)  # by now it may be slow
            elif kind == "http.response.start":
                now.status = status = int(message["status"])
                now.response_headers = list(message.get("headers", ()))
                if now.watched or status >= 500:
                    recorder.link(now)
            elif kind in ("http.response.pathsend", "http.response.zerocopysend"):
                now.response_body.size += 1  # a file that goes by unseen: the body counts as cut
                now.response_body.ended = True
        except Exception as error:
            log_fault(error, "send")
        return send(message)

    return now, tee_receive, tee_send


def _add(body: Body, message: Message) -> None:
    body.add(message.get("body", b""))
    body.ended = not message.get("more_body", False)
