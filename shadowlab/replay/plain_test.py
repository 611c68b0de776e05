"""Write a replay as plain pytest with freezegun, which a team can keep in its own repository without shadowlab."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shadowlab import case as case_files
from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Replay
from shadowlab.replay import recording
from shadowlab.replay.fixture import Fixture
from shadowlab.source import Source

MOST = 3
"""Recordings that one test file holds."""
_TEMPLATE = Path(__file__).with_name("plain_test.py.txt")

_NO_CALLS = '''
def answer_outbound_calls(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """None was recorded."""
    assert not calls
'''
_CALLS = '''
def answer_outbound_calls(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the recorded answers, each once, by method and URL in their order; nothing goes out."""
    left = list(calls)

    def answer(method: str, url: str) -> dict[str, Any]:
        for call in left:
            same = call["url"] == url or "redacted" in call["url"]
            fits = re.fullmatch(call["pattern"], url) if call.get("pattern") else same
            if call["method"] in (method, "ANY") and fits:
                if not call.get("lasting"):
                    left.remove(call)
                return call
        raise AssertionError(f"nothing was recorded for {method} {url}")
'''
_HTTPX = """
    def made(request: httpx.Request) -> httpx.Response:
        call = answer(request.method, str(request.url))
        if call["error"]:
            kind = getattr(httpx, call["error"]["type"].rpartition(".")[2], httpx.ConnectError)
            raise kind(call["error"]["message"], request=request)
        skipped = ("content-encoding", "content-length", "transfer-encoding")
        headers = [(name, value) for name, value in call["headers"] if name.lower() not in skipped]
        return httpx.Response(call["status"], headers=headers, content=content_of(call), request=request)

    async def made_async(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return made(request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: made(request))
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", lambda _, request: made_async(request))
"""
_REQUESTS = """
    def send(adapter: Any, request: Any, **kwargs: Any) -> requests.Response:
        call = answer(request.method, request.url)
        if call["error"]:
            raise requests.ConnectionError(call["error"]["message"])
        response = requests.Response()
        response.status_code, response._content = call["status"], content_of(call)
        response.headers.update(dict(call["headers"]))
        response.url, response.request = request.url, request
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
"""
_ASGI = '''
def ask(app: Any, request: dict[str, Any]) -> int | None:
    """The status that the application answers with; its exception goes on to the test."""
    status: list[int] = []
    unread = [{"type": "http.request", "body": content_of(request), "more_body": False}]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request["method"],
        "scheme": "http",
        "path": unquote(request["path"]),
        "raw_path": request["path"].encode(),
        "query_string": request["query"].encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in request["headers"]],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        if not unread:
            await asyncio.sleep(3600)
        return unread.pop()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    async def run() -> None:
        started, stop = asyncio.Event(), asyncio.Event()
        lifespan = asyncio.create_task(live(app, scope["state"], started, stop))
        await started.wait()
        try:
            await app(scope, receive, send)
        finally:
            stop.set()
            await lifespan

    asyncio.run(run())
    return status[0]


async def live(app: Any, state: Any, started: asyncio.Event, stop: asyncio.Event) -> None:
    """Start the application up and shut it down, where it has something to do for it."""
    asked: list[str] = []

    async def receive() -> dict[str, Any]:
        if asked:
            await stop.wait()
        asked.append("startup" if not asked else "shutdown")
        return {"type": f"lifespan.{asked[-1]}"}

    async def send(message: dict[str, Any]) -> None:
        started.set()

    try:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, receive, send)
    except Exception:  # ASGI: an application without a lifespan may raise whatever it likes when it is asked for one
        if started.is_set():
            raise
    finally:
        started.set()
'''
_WSGI = '''
def ask(app: Any, request: dict[str, Any]) -> int | None:
    """The status that the application answers with; its exception goes on to the test."""
    status: list[int] = []
    body = content_of(request)
    environ = {
        "REQUEST_METHOD": request["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(request["path"], "latin-1"),
        "QUERY_STRING": request["query"],
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request["headers"]:
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    environ["CONTENT_LENGTH"] = str(len(body))

    def start_response(told: str, headers: Any, exc_info: Any = None) -> Any:
        status.append(int(told.split()[0]))
        return lambda _: None

    for _ in app(environ, start_response):
        pass
    return status[-1]
'''
_FUNCTION = '''
def ask(app: Any, request: dict[str, Any]) -> int | None:
    """Call the function with the recorded event; its exception goes on to the test."""
    result = app(json.loads(content_of(request)))
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    return None
'''


def to_pytest(case: Case, replay: Replay, source: Source, *, out: Path) -> tuple[Path, ...]:
    """Write `tests/replay/test_<suspect>.py` and the fixtures beside it below `out`; the paths, the test first.

    Raises `RecordingError` when the replay holds no recording that can be replayed.
    """
    ids = [run.recording for run in replay.runs if run.repeats][:MOST]
    if not ids:
        raise errors.RecordingError("the replay ran no recording", hint="record what is missing, then replay again")
    fixtures = [recording.load(case, id) for id in ids]
    service = source.service(replay.revision)
    folder = out / "tests" / "replay"
    kind = service.kind or fixtures[0].kind
    name = re.sub(r"[^0-9a-zA-Z]", "_", (replay.suspect or fixtures[0].id)[:16]).lower()
    test = folder / f"test_{name}.py"
    stubbed = any(call.client not in ("httpx", "requests") for fixture in fixtures for call in fixture.outbound)
    code = _code(source, replay.revision) if stubbed else ""
    case_files.write(test, _written(fixtures, name, kind, service.entrypoint, code).encode())
    return (test, *_beside(case, folder, fixtures))


def _beside(case: Case, folder: Path, fixtures: Sequence[Fixture]) -> list[Path]:
    written = []
    for fixture in fixtures:
        content = json.dumps(msgspec.to_builtins(fixture), indent=1, ensure_ascii=False)
        case_files.write(folder / f"{fixture.id}.json", content.encode() + b"\n")
        written.append(folder / f"{fixture.id}.json")
        if fixture.db_snapshot:
            case_files.write(folder / fixture.db_snapshot, (case.recordings / fixture.db_snapshot).read_bytes())
            written.append(folder / fixture.db_snapshot)
    return list(dict.fromkeys(written))


def _written(fixtures: Sequence[Fixture], name: str, kind: str, entrypoint: str, code: str) -> str:
    first = fixtures[0]
    clients = {name for fixture in fixtures for call in fixture.outbound for name in _made_by(call.client, code)}
    outbound = _NO_CALLS.strip()
    if clients:
        parts = [_HTTPX] * ("httpx" in clients) + [_REQUESTS] * ("requests" in clients)
        outbound = "\n".join([_CALLS.strip(), *(part.rstrip() for part in parts)])
    error = f" {first.error.type}" if first.error else ""
    status = f" -> {first.response.status}" if first.response else ""
    values = {
        "TITLE": _clean(f"{first.request.method} {first.request.path}{status}{error}, again."),
        "SENTENCE": _clean(f"{first.request.method} {first.request.path} is answered without an error."),
        "NAME": name,
        "KIND": kind,
        "ENTRYPOINT": entrypoint,
        "RECORDINGS": "\n".join(f'    "{fixture.id}.json",' for fixture in fixtures),
        "OUTBOUND": outbound,
        "ASK": {"wsgi": _WSGI, "function": _FUNCTION}.get(kind, _ASGI).strip(),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return _imports(text, clients, kind)


def _code(source: Source, revision: str) -> str:
    return "\n".join(source.read(file, revision) for file in source.files(revision) if file.endswith(".py"))


def _made_by(client: str, code: str) -> tuple[str, ...]:
    """The libraries that may make a call: the recorded one; those that the code imports when a stub was written."""
    if client in ("httpx", "requests"):
        return (client,)
    return tuple(
        name for name in ("httpx", "requests") if re.search(rf"^\s*(import|from) {name}\b", code, re.MULTILINE)
    )


def _imports(text: str, clients: set[str], kind: str) -> str:
    for client in sorted(clients & {"httpx", "requests"}, reverse=True):
        text = text.replace("\nimport pytest\n", f"\nimport {client}\nimport pytest\n" if client == "httpx"
                            else f"\nimport pytest\nimport {client}\n", 1)  # fmt: skip
    if clients:
        text = text.replace("import random\n", "import random\nimport re\n", 1)
    if kind != "function":
        text = text.replace("from typing import Any\n", "from typing import Any\nfrom urllib.parse import unquote\n", 1)
    if kind == "wsgi":
        text = text.replace("import asyncio\n", "", 1).replace("import importlib\n", "import importlib\nimport io\n", 1)
    return text.replace(f'KIND = "{kind}"\n', "")


def _clean(text: str) -> str:
    """Text that may stand in a docstring, whatever a hostile recording says."""
    return re.sub(r'[^\x20-\x7e]|["\\@]', "?", text)[:100]
