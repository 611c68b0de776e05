"""Record the requests of an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from shadowlab_recorder import fixture, spans, tape
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import Tape

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

    def __init__(self, app: App, recorder: Recorder) -> None:
        self.__dict__.update(app=app, recorder=recorder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["app"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.app, name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(scope, receive, send)
        # A tape that runs already is this request's own: whatever is around this application is recorded too.
        started = quietly(self._start, scope) if scope["type"] == "http" and tape.current() is None else None
        if started is None:
            return await self.app(scope, receive, send)
        return await self._recorded(started, scope, receive, send)

    async def _recorded(self, now: Tape, scope: Scope, receive: Receive, send: Send) -> None:
        async def tee_receive() -> Message:
            message = await receive()
            quietly(_received, now, message)
            return message

        async def tee_send(message: Message) -> None:
            quietly(_sent, now, message)
            quietly(self.recorder.link, now)
            await send(message)

        token = tape.enter(now)
        try:
            await self.app(scope, tee_receive, tee_send)
        except Exception as error:
            quietly(_failed, now, error)
            raise
        else:
            now.error = now.error if (now.status or 0) >= 500 else None  # else a middleware made good for it
        finally:
            tape.leave(token)
            quietly(self.recorder.finish, now)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            quietly(self.recorder.flush, 5.0)

    def _start(self, scope: Scope) -> Tape | None:
        query = scope.get("query_string", b"").decode("latin-1")
        headers = [(bytes(name), bytes(value)) for name, value in scope.get("headers", ())]
        return self.recorder.start("asgi", scope["method"], _path(scope), query, headers)


def _path(scope: Scope) -> str:
    """The path as it was asked for, percent-encoding included."""
    raw = scope.get("raw_path")
    return raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])


def _received(now: Tape, message: Message) -> None:
    if message["type"] == "http.request":
        now.request_body.add(message.get("body", b""))
        now.request_body.ended = not message.get("more_body", False)
    spans.notice(now)


def _sent(now: Tape, message: Message) -> None:
    match message["type"]:
        case "http.response.start":
            now.status = int(message["status"])
            now.response_headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        case "http.response.body":
            now.response_body.add(message.get("body", b""))
            now.response_body.ended = not message.get("more_body", False)
        case "http.response.pathsend" | "http.response.zerocopysend":
            now.response_body.size += 1  # a file that goes by unseen: the body counts as cut
            now.response_body.ended = True


def _failed(now: Tape, error: Exception) -> None:
    now.error = fixture.failure(error)
