"""Record the requests of an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from shadowlab_recorder import spans, tape
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
        now = quietly(self._start, scope) if scope["type"] == "http" and tape.current() is None else None
        if now is None:
            return await self.app(scope, receive, send)
        recorder = self.recorder

        async def tee_receive() -> Message:
            message = await receive()
            quietly(_received, now, message)
            return message

        async def tee_send(message: Message) -> None:
            quietly(_sent, now, message, recorder)
            await send(message)

        token = tape.enter(now)
        try:
            await self.app(scope, tee_receive, tee_send)
        except Exception as error:
            now.fail(error)
            raise
        else:
            if now.failed and (now.status or 0) < 500:
                now.error = None  # a middleware made good for it
        finally:
            tape.leave(token)
            quietly(recorder.finish, now)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            quietly(self.recorder.flush, 5.0)

    def _start(self, scope: Scope) -> Tape | None:
        query = scope.get("query_string", b"").decode("latin-1")
        return self.recorder.start("asgi", scope["method"], _path(scope), query, list(scope.get("headers", ())))


def _path(scope: Scope) -> str:
    """The path as it was asked for, percent-encoding included."""
    raw = scope.get("raw_path")
    return raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])


def _received(now: Tape, message: Message) -> None:
    if message["type"] == "http.request":
        body = now.request_body
        body.add(message.get("body", b""))
        body.ended = not message.get("more_body", False)
    if not now.inside:
        spans.notice(now)


def _sent(now: Tape, message: Message, recorder: Recorder) -> None:
    match message["type"]:
        case "http.response.start":
            now.status = int(message["status"])
            now.response_headers = list(message.get("headers", ()))
            if not now.inside:
                spans.notice(now)
            recorder.link(now)
        case "http.response.body":
            body = now.response_body
            body.add(message.get("body", b""))
            body.ended = not message.get("more_body", False)
            if recorder.settings.slow_ms is not None:
                recorder.link(now)  # by now it may be slow
        case "http.response.pathsend" | "http.response.zerocopysend":
            now.response_body.size += 1  # a file that goes by unseen: the body counts as cut
            now.response_body.ended = True
