"""Parts of a written pytest that depend on how the service is called and on what calls others for it.

What they share with `inside` (a WSGI environ, a tape) is written again: such a test stands alone, without shadowlab.
"""

SQLITE = '''
def lead_to_copy(recording: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody said where the service has its SQLite file: every file that it opens is the test's own copy."""
    if recording["db_environment"] or not recording["db_snapshot"]:
        return
    connect, place = sqlite3.connect, folder / "replay.sqlite"

    def led(database: Any, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        path, _, query = os.fsdecode(database).removeprefix("file:").partition("?")
        if path in ("", ":memory:") or "mode=memory" in query:
            return connect(database, *args, **kwargs)
        return connect(f"file:{place}?{query}" if kwargs.get("uri") else place, *args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", led)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", led)
'''
NO_CALLS = '''
def answer_outbound_calls(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """None was recorded."""
    assert not calls
'''
CALLS = '''
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
HTTPX = """
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
REQUESTS = """
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
ASGI = '''
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
WSGI = '''
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

    def start_response(status_line: str, headers: Any, exc_info: Any = None) -> Any:
        status.append(int(status_line.split()[0]))
        return lambda _: None

    for _ in app(environ, start_response):
        pass
    return status[-1]
'''
FUNCTION = '''
def ask(app: Any, request: dict[str, Any]) -> int | None:
    """Call the function with the recorded event; its exception goes on to the test."""
    result = app(json.loads(content_of(request)))
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    return None
'''
