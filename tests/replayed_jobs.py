"""A function's calls to others, recorded from real clients and servers, then run again without them."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orders
import pytest
import shadowlab_recorder

from shadowlab import replay
from shadowlab.case import Case, open_case
from shadowlab.records import Replay
from shadowlab.source import Source


class Peer(BaseHTTPRequestHandler):
    """Echoes, redirects, sets a cookie, fails, hangs up, or never answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/moved":
                self._answer(302, b"", ("location", "/cookie"), ("set-cookie", "cup=green"))
            case "/cookie":
                self._answer(200, (self.headers.get("cookie") or "none").encode())
            case "/json":
                self._answer(200, b'{"left": 3}', ("content-type", "application/json"))
            case "/broken":
                self._answer(503, b"later")
            case "/hangup":
                self.connection.shutdown(2)
            case "/never":
                self.rfile.read(1)  # until the client goes
            case _:
                self._answer(200, "grüner Tee".encode(), ("content-type", "text/plain; charset=utf-8"))

    def do_POST(self) -> None:
        self._answer(201, b"got " + self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def peer() -> Iterator[str]:
    """The address of a server that is there while it is recorded."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The peer, with its address where the code looks for it."""
    with peer() as address:
        monkeypatch.setenv("PEER", address)
        yield


def recorded(folder: Path, code: str, *events: Any) -> tuple[Case, Source, list[Any]]:
    """A case with what `run(event)` of `code` did for each event, its source, and what each returned or raised."""
    toml = f'[service]\nname = "jobs"\nentrypoint = "jobs:run"\nframes = ["{folder}/tree/"]\n'
    source = orders.repository(folder / "tree", {"shadowlab.toml": toml, "jobs.py": code})
    told: dict[str, Any] = {"__name__": "jobs"}
    exec(compile(code, str(folder / "tree/jobs.py"), "exec"), told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shadowlab_recorder.front._default", None)
        recorder = shadowlab_recorder.configure(folder / "tapes", share=1.0, environment=("PEER",))
        run = shadowlab_recorder.record(told["run"])
        came = [_outcome(run, event) for event in events]
        assert recorder.flush()
    case = open_case(folder / "case")
    replay.take_in(case, [folder / "tapes"])
    return case, source, came


def changed(folder: Path, code: str) -> Source:
    """The same service with other code."""
    toml = f'[service]\nname = "jobs"\nentrypoint = "jobs:run"\nframes = ["{folder}/tree/"]\n'
    return orders.repository(folder / "changed", {"shadowlab.toml": toml, "jobs.py": code})


def again(case: Case, source: Source, **told: Any) -> Replay:
    ids = [recording.id for recording in replay.listed(case)]
    return replay.replay(case, ids, source=source, revision="HEAD", times=2 * len(ids), **told)


def _outcome(run: Callable[[Any], Any], event: Any) -> Any:
    try:
        made = run(event)
        return asyncio.run(made) if inspect.iscoroutine(made) else made
    except Exception as error:
        return error
