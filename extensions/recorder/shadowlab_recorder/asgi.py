"""Record the requests of an ASGI application."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shadowlab_recorder import environment as _environment
from shadowlab_recorder import fixture, outbound_httpx, randomness, spans, tape
from shadowlab_recorder.recorder import Recorder, Settings
from shadowlab_recorder.snapshot import Snapshot
from shadowlab_recorder.tape import Tape

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("shadowlab_recorder")


def record(
    app: Any,
    *,
    directory: str | os.PathLike[str],
    service: str | None = None,
    service_version: str | None = None,
    commit: str | None = None,
    share: float = 0.05,
    seed: int = 0,
    environment: tuple[str, ...] = (),
    snapshot: Snapshot | None = None,
    mirror: bool = False,
    seed_random: bool = False,
    flags: Callable[[], Mapping[str, Any]] | None = None,
    slow_ms: float | None = None,
    body_limit: int = 64 * 1024,
    redact: tuple[str, ...] = (),
    key: bytes | None = None,
    queue_length: int = 1024,
) -> RecordedApp:
    """The application, recorded: requests that fail, are slow, or are drawn as controls land in `directory`.

    `service`, `service_version`, `commit`: who this is; taken from OpenTelemetry's resource when not given.
    `share`, `seed`: the part of passing requests that is kept as controls (0 to 1), and the seed of the draw.
    `environment`: names whose values are kept, as they are at this call; of other names only that they were read.
    `snapshot`: how to take the database before each request, `SqliteSnapshot(path, environment="APP_DB")`.
    `mirror`: write every request; those neither failed, slow nor drawn come without a database.
    `seed_random`: seed `random` for each request from its trace id, which changes what the service draws.
    `flags`: called for each recording; gives the feature flags by name.
    `slow_ms`: requests that take at least so many milliseconds are kept too.
    `body_limit`: bytes kept of each body; a longer one is cut, which the recording says.
    `redact`: further names of headers, parameters and variables (lower case, `*` allowed) that must not be kept.
    `key`: makes the tokens in place of secrets; else the variable SHADOWLAB_RECORDER_KEY, else new in each process.
    `queue_length`: recordings that may wait for the disk; more are dropped and counted.

    Raises `TypeError` and `ValueError` for a wrong setting, here and never later.
    """
    if not callable(app):
        raise TypeError(f"record() needs an ASGI application, not {type(app).__name__}")
    settings = Settings(
        directory=Path(directory),
        service=service,
        service_version=service_version,
        commit=commit,
        share=share,
        seed=seed,
        environment=tuple(environment),
        snapshot=snapshot,
        mirror=mirror,
        flags=flags,
        slow_ms=slow_ms,
        body_limit=body_limit,
        redact=tuple(redact),
        key=key,
        queue_length=queue_length,
    )
    recorded = RecordedApp(app, Recorder(settings))
    _environment.watch()
    outbound_httpx.watch()
    if seed_random:
        randomness.seed_requests()
    _place_probe(app, recorded.recorder)
    return recorded


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
        started = self._start(scope) if scope["type"] == "http" else None
        if started is None:
            return await self.app(scope, receive, send)
        return await self._recorded(started, scope, receive, send)

    async def _recorded(self, now: Tape, scope: Scope, receive: Receive, send: Send) -> None:
        async def tee_receive() -> Message:
            message = await receive()
            _quietly(_received, now, message)
            return message

        async def tee_send(message: Message) -> None:
            _quietly(_sent, now, message)
            _quietly(self.recorder.link, now)
            await send(message)

        token = tape.enter(now)
        try:
            await self.app(scope, tee_receive, tee_send)
        except Exception as error:
            _quietly(_failed, now, error)
            raise
        else:
            now.error = now.error if (now.status or 0) >= 500 else None  # else a middleware made good for it
        finally:
            tape.leave(token)
            _quietly(self.recorder.finish, now)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            _quietly(self.recorder.flush, 5.0)

    def _start(self, scope: Scope) -> Tape | None:
        try:
            query = scope.get("query_string", b"").decode("latin-1")
            headers = [(bytes(name), bytes(value)) for name, value in scope.get("headers", ())]
            return self.recorder.start("asgi", scope["method"], _path(scope), query, headers)
        except Exception as error:
            _log.warning("shadowlab-recorder: a request is not recorded: %s", type(error).__name__)
            return None


class Probe:
    """The innermost ear: sees the server's span and the exception while that span is still open."""

    def __init__(self, app: App, recorder: Recorder) -> None:
        self.app = app
        self.recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now = tape.current() if scope["type"] == "http" else None
        if now is None:
            return await self.app(scope, receive, send)
        _quietly(_entered, now)
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            _quietly(_failed, now, error)
            _quietly(self.recorder.link, now)
            raise


def _place_probe(app: Any, recorder: Recorder) -> None:
    """Inside of a Starlette application that has not been built yet: OpenTelemetry's middleware is around it then."""
    add = getattr(app, "add_middleware", None)
    if add is not None and getattr(app, "middleware_stack", None) is None and hasattr(app, "user_middleware"):
        add(Probe, recorder=recorder)


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


def _entered(now: Tape) -> None:
    spans.notice(now, nearest=True)


def _failed(now: Tape, error: Exception) -> None:
    now.error = fixture.failure(error)


def _quietly(do: Callable[..., object], *arguments: Any) -> None:
    """The recorder's own faults stay the recorder's own."""
    try:
        do(*arguments)
    except Exception as error:
        _log.warning("shadowlab-recorder: %s in %s", type(error).__name__, getattr(do, "__name__", do))
