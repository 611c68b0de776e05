"""`record`: what a service calls, once for each of its entry points."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shadowlab_recorder import frameworks, function, inbound_grpc, watching
from shadowlab_recorder.asgi import RecordedApp
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.settings import DIRECTORY_VARIABLE, Settings, switched_off
from shadowlab_recorder.snapshot import Snapshot
from shadowlab_recorder.snapshot_postgres import PostgresSnapshot
from shadowlab_recorder.wsgi import RecordedWsgiApp

_lock = threading.Lock()
_default: Recorder | None = None


def record(
    app: Any = None,
    *,
    directory: str | os.PathLike[str] | None = None,
    kind: str | None = None,
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
    **more: Any,
) -> Any:
    """The application, recorded: requests that fail, are slow, or are drawn as controls land in `directory`.

    `app` is an ASGI or WSGI application, or a plain function, sync or async: a job, or the handler of a message; or a
    server of grpcio, sync or async, before services are added to it: its unary calls are recorded, and it is returned.
    Without `app` it is a decorator with settings. What is recorded without a `directory` goes where `configure` said,
    or into the folder that SHADOWLAB_RECORDINGS names; a function without either is simply called.

    `kind`: `asgi`, `wsgi`, `grpc` or `function`, where the shape of `app` does not tell.
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
    `more`: the rarer ones, see `Settings`.

    Raises `TypeError` and `ValueError` for a wrong setting, here and never later.
    """
    settings = {
        name: value for name, value in locals().items() if name not in ("app", "kind", "directory", "more")
    } | more
    if app is None:
        return lambda decorated: record(decorated, directory=directory, kind=kind, **settings)
    kind = kind or kind_of(app)
    if kind == "asgi" and isinstance(snapshot, PostgresSnapshot):
        raise ValueError("PostgresSnapshot waits for its server, which an event loop must not: leave it out")
    own = _made(directory, settings)
    if kind == "function":
        return app if switched_off() else function.recorded(app, (lambda: own) if own else default)
    if kind == "grpc" and switched_off():
        return app
    recorder = own or default()
    if recorder is None:
        raise ValueError(f"record() needs a directory: name one, or set {DIRECTORY_VARIABLE}")
    if kind == "grpc":
        return inbound_grpc.recorded(app, recorder)
    frameworks.listen(app, recorder)
    return RecordedWsgiApp(app, recorder) if kind == "wsgi" else RecordedApp(app, recorder)


def configure(directory: str | os.PathLike[str], **settings: Any) -> Recorder:
    """What holds for everything in this process that is recorded without a `directory` of its own.

    Takes the settings of `record`. Raises `TypeError` and `ValueError` for wrong ones.
    """
    global _default
    made = _made(directory, settings)
    with _lock:
        _default = made
    assert made is not None
    return made


def default() -> Recorder | None:
    """The recorder of `configure`, else one of SHADOWLAB_RECORDINGS, else None."""
    global _default
    if _default is None and os.environ.get(DIRECTORY_VARIABLE):
        with _lock:
            if _default is None:
                _default = _made(os.environ[DIRECTORY_VARIABLE], {})
    return _default


def kind_of(app: Any) -> str:
    """`asgi`, `wsgi`, `grpc` or `function`, by its shape; raises `TypeError` for what is none of them."""
    if hasattr(app, "add_generic_rpc_handlers"):
        return "grpc"
    if hasattr(app, "wsgi_app"):
        return "wsgi"
    if not callable(app):
        raise TypeError(f"record() needs an application or a function, not {type(app).__name__}")
    called = app if inspect.isroutine(app) else app.__call__
    try:
        names = list(inspect.signature(called).parameters)
    except (TypeError, ValueError):
        names = []
    if names[1:2] == ["start_response"]:
        return "wsgi"
    if names == ["scope", "receive", "send"]:
        return "asgi"
    if inspect.isroutine(app):
        return "function"
    if len(names) in (2, 3):
        return "wsgi" if len(names) == 2 else "asgi"
    raise TypeError(f"record() cannot tell what {type(app).__name__} is: say kind='asgi' or kind='wsgi'")


def _made(directory: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> Recorder | None:
    """A recorder with these settings, which are checked even when there is no directory for it yet."""
    settings = Settings(directory=Path(directory or "."), **options)
    if directory is None:
        return None
    recorder = Recorder(settings)
    if not switched_off():
        watching.start(settings)
    return recorder
