"""Find the entrypoint and hand it a recorded request, the way a server would."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from . import unread
from .loop import VirtualLoop
from .unhandled import Ear

Answer = dict[str, Any]
"""`status`, `headers`, `body` (bytes), `error` (an exception or None)."""
_SERVER = ("127.0.0.1", 80)
_CLIENT = ("127.0.0.1", 50000)


def find(entrypoint: str) -> Any:
    """The object that `module:attribute` names; raises LookupError in words."""
    module_name, _, path = entrypoint.partition(":")
    if not module_name or not path:
        raise LookupError(f"entrypoint {entrypoint!r} is not written module:attribute")
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        raise LookupError(f"entrypoint {entrypoint!r}: there is no module {exc.name!r}") from exc
    for name in path.split("."):
        if not hasattr(found, name):
            raise LookupError(f"entrypoint {entrypoint!r}: {module_name} has no {path!r}")
        found = getattr(found, name)
    if type(found).__module__.partition(".")[0] == "shadowlab_recorder" and hasattr(found, "app"):
        # A replay is not to be recorded: the recorder's writer would be a thread that nobody holds.
        found = found.app
    while getattr(found, "__shadowlab_recorded__", False):
        found = found.__wrapped__
    if not callable(found) and not is_server(found):
        raise LookupError(f"entrypoint {entrypoint!r} is a {type(found).__name__}, nothing that can be called")
    return found


def is_server(thing: Any) -> bool:
    """Whether it is a server of grpcio, sync or async."""
    grpc = sys.modules.get("grpc")
    return grpc is not None and isinstance(thing, (grpc.Server, grpc.aio.Server))


def kind_of(app: Any, declared: str | None) -> str:
    """`asgi`, `wsgi`, `grpc` or `function`, as told, else by the callable's shape."""
    if declared or is_server(app):
        return declared or "grpc"
    called = app if inspect.isroutine(app) else getattr(app, "__call__", app)  # noqa: B004  # its signature is wanted
    if inspect.iscoroutinefunction(called):
        return "asgi"
    with contextlib.suppress(TypeError, ValueError):
        names = list(inspect.signature(called).parameters)
        if names[:2] in (["environ", "start_response"], ["wsgi_environ", "start_response"]):
            return "wsgi"
        if len(names) == 3:
            return "asgi"
    return "function"


class Asgi:
    """One ASGI application on one loop; its lifespan runs around the requests."""

    def __init__(self, app: Any, loop: VirtualLoop, refuse: unread.Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._loop = loop
        self._inbox: asyncio.Queue[dict[str, Any]] | None = None
        self._lifespan: asyncio.Task[None] | None = None
        self._state: dict[str, Any] = {}

    def start(self) -> None:
        """Run the application's start-up; a failure in it is the caller's."""
        self._loop.run_until_complete(self._start())

    def stop(self) -> None:
        """Run its shut-down, as far as it has one."""
        self._loop.run_until_complete(self._stop())

    def ask(self, request: dict[str, Any], body: bytes) -> Answer:
        """The application's answer, its exception included."""
        return self._loop.run_until_complete(self._ask(request, body))

    async def _start(self) -> None:
        self._inbox = asyncio.Queue()
        started: asyncio.Future[str] = self._loop.create_future()

        async def send(message: dict[str, Any]) -> None:
            if not started.done() and message["type"].startswith("lifespan.startup."):
                started.set_result(message.get("message", "") if message["type"].endswith("failed") else "")

        async def lifespan() -> None:
            assert self._inbox is not None
            scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
            try:
                await self._app(scope, self._inbox.get, send)
            except BaseException:
                # An application without a lifespan may raise here; the specification says to go on without.
                if not started.done():
                    self._inbox = None
                    started.set_result("")
            else:
                if not started.done():
                    self._inbox = None
                    started.set_result("")

        self._lifespan = self._loop.create_task(lifespan())
        await self._inbox.put({"type": "lifespan.startup"})
        failed = await started
        if failed:
            raise RuntimeError(f"the application's start-up failed: {failed[-500:]}")

    async def _stop(self) -> None:
        if self._inbox is not None and self._lifespan is not None:
            await self._inbox.put({"type": "lifespan.shutdown"})
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._lifespan, 10)

    async def _ask(self, request: dict[str, Any], body: bytes) -> Answer:
        answer: Answer = {"status": None, "headers": [], "body": b"", "error": None}
        messages = unread.messages(request, body)
        ended = asyncio.Event()
        parts: list[bytes] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            if request["unread"] and not ended.is_set():
                raise unread.beyond(self._refuse)
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = [(bytes(k).decode("latin-1"), bytes(v).decode("latin-1"))
                                     for k, v in message.get("headers", [])]  # fmt: skip
            elif message["type"] == "http.response.body":
                parts.append(bytes(message.get("body", b"")))
                if not message.get("more_body", False):
                    ended.set()

        with Ear() as ear:
            try:
                await self._app(_scope(request, dict(self._state)), receive, send)
            except Exception as exc:
                answer["error"] = exc
                # A server answers 500 when nothing was sent before the exception.
                answer["status"] = answer["status"] or 500
        answer["body"] = b"".join(parts)
        return _with_unhandled(answer, ear)


def _scope(request: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request["method"].upper(),
        "scheme": "http",
        "path": unquote(request["path"]),
        "raw_path": request["path"].encode(),
        "query_string": request["query"].encode(),
        "root_path": "",
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1", "replace")) for k, v in request["headers"]],
        "client": _CLIENT,
        "server": _SERVER,
        "state": state,
    }


def ask_wsgi(app: Any, request: dict[str, Any], body: bytes, refuse: unread.Refuse) -> Answer:
    """A WSGI application's answer, its exception included."""
    answer: Answer = {"status": None, "headers": [], "body": b"", "error": None}
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        answer["status"] = int(status.split()[0])
        answer["headers"] = list(headers)
        return written.append

    result: Any = ()
    with Ear() as ear:
        try:
            result = app(_environ(request, body, refuse), start_response)
            written.extend(_chunks(result))
        except Exception as exc:
            answer["error"] = exc
            answer["status"] = answer["status"] or 500
        finally:
            if hasattr(result, "close"):
                result.close()
    answer["body"] = b"".join(written)
    return _with_unhandled(answer, ear)


def _with_unhandled(answer: Answer, ear: Ear) -> Answer:
    """The answer with the exception that the framework turned into it, where it is a 5xx."""
    if answer["error"] is None and (answer["status"] or 0) >= 500:
        answer["error"] = ear.error
    return answer


def _chunks(result: Any) -> Iterator[bytes]:
    for chunk in result:
        yield bytes(chunk)


def _environ(request: dict[str, Any], body: bytes, refuse: unread.Refuse) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": request["method"].upper(),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(request["path"], "latin-1"),
        "QUERY_STRING": request["query"],
        "SERVER_NAME": _SERVER[0],
        "SERVER_PORT": str(_SERVER[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": _CLIENT[0],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": unread.stream(request, body, refuse),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request["headers"]:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ and key.startswith("HTTP_") else value
    if not request["unread"]:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def ask_function(function: Any, body: bytes, loop: VirtualLoop, session: Any) -> Answer:
    """What a plain `callable(event)` or `callable(event, session)` returns, as JSON."""
    answer: Answer = {"status": None, "headers": [], "body": b"", "error": None}
    try:
        event = json.loads(body) if body else None
        result = function(event, session) if _takes_session(function) else function(event)
        if inspect.isawaitable(result):
            result = loop.run_until_complete(_awaited(result))
        answer["body"] = json.dumps(result, sort_keys=True, default=_named).encode()
    except Exception as exc:
        answer["error"] = exc
    return answer


async def _awaited(result: Any) -> Any:
    return await result


def _takes_session(function: Any) -> bool:
    with contextlib.suppress(TypeError, ValueError):
        required = [p for p in inspect.signature(function).parameters.values()
                    if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]  # fmt: skip
        return len(required) >= 2 and (required[1].name == "session" or required[1].default is inspect.Parameter.empty)
    return False


def _named(value: Any) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
