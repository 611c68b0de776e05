import json
from pathlib import Path
from typing import Any

import orders
import pytest

from shadowlab.replay import Fixture, Runner, RunResult, Search
from shadowlab.replay.fixture import parse

RACE = """\
import asyncio

log = []


async def step(name, waits):
    for _ in range(waits):
        await asyncio.sleep(0)
    log.append(name)


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("no lifespan")
    await asyncio.gather(step("load", 1), step("check", 2), step("save", 3))
    if log.index("save") < log.index("load"):
        raise RuntimeError("saved before it was loaded")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""
WSGI = """\
import json, time
import requests
import urllib.request


def app(environ, start_response):
    asked = json.loads(environ["wsgi.input"].read())
    left = requests.get("http://stock.internal/items/tea", timeout=5).json()["left"]
    with urllib.request.urlopen("http://rates.internal/eur") as answer:
        rate = json.load(answer)["rate"]
    if asked["coupon"]:
        raise KeyError(environ["HTTP_X_CLIENT"])
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps({"left": left, "rate": rate, "query": environ["QUERY_STRING"], "at": time.time()}).encode()]
"""
FLASK = """\
from flask import Flask

app = Flask("shop")


@app.get("/size")
def size():
    raise LookupError("no such size")
"""
DJANGO = """\
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)


def size(request):
    raise LookupError("no such size")


urlpatterns = [path("size", size)]
app = get_wsgi_application()
"""
THREADED = """\
import asyncio, threading
from fastapi import FastAPI

app = FastAPI()
seen = []


@app.get("/sync")
def sync(n: int = 0):
    return {"answer": asyncio.run(inner()), "worker": threading.current_thread() is not threading.main_thread()}


async def inner():
    await asyncio.sleep(0)
    return 42


@app.on_event("startup")
async def begin():
    seen.append("started")


@app.get("/many")
async def many():
    loop = asyncio.get_running_loop()
    return {"seen": seen, "sum": sum(await asyncio.gather(*(loop.run_in_executor(None, pow, n, 2) for n in range(5))))}
"""


def tree(folder: Path, kind: str, code: str) -> Runner:
    toml = f'[service]\nname = "it"\nentrypoint = "main:app"\nkind = "{kind}"\n'
    source = orders.repository(folder / kind, {"shadowlab.toml": toml, "main.py": code})
    return Runner(source.path, source.service("HEAD"))


def asked(path: str = "/", **other: Any) -> Fixture:
    request = {"method": "GET", "path": path, **other.pop("request", {})}
    return parse({"request": request, "time": "2026-01-01T00:00:00Z", **other}, where="x")


def once(runner: Runner, fixture: Fixture) -> RunResult:
    return runner.run(fixture, repeats=1, perturb=False)[0]


def test_a_wsgi_application_is_asked_with_its_calls_answered(tmp_path: Path) -> None:
    calls = [orders.stock(), orders.stock(seq=1, url="http://rates.internal/eur", body={"rate": 2})]
    request = {"query": "a=b", "headers": {"x-client": "web"}, "body": {"coupon": None}}
    with tree(tmp_path, "wsgi", WSGI) as runner:
        run = once(runner, asked(outbound=calls, request=request))
        assert json.loads(run.body) == {"left": 3, "rate": 2, "query": "a=b", "at": 1767225600.025}
        request["body"] = {"coupon": "HALF"}
        failed = once(runner, asked(outbound=calls, request=request))
    assert failed.error is not None
    assert (failed.status, failed.error.type, failed.error.message) == (500, "KeyError", "'web'")


@pytest.mark.parametrize("framework", [FLASK, DJANGO])
def test_an_exception_that_a_framework_answers_with_its_own_500_is_seen(tmp_path: Path, framework: str) -> None:
    with tree(tmp_path, "wsgi", framework) as runner:
        run = once(runner, asked("/size", request={"method": "GET"}))
    assert run.error is not None
    assert (run.status, run.error.type, run.error.message) == (500, "LookupError", "no such size")


def test_def_endpoints_lifespan_and_executors_run_in_their_turn(tmp_path: Path) -> None:
    with tree(tmp_path, "asgi", THREADED) as runner:
        sync, many = once(runner, asked("/sync")), once(runner, asked("/many"))
    assert json.loads(sync.body) == {"answer": 42, "worker": True}
    assert json.loads(many.body) == {"seen": ["started"], "sum": 30}
    assert not sync.events


def test_an_order_of_tasks_that_fails_is_found_and_kept_in_the_recording(tmp_path: Path) -> None:
    with tree(tmp_path, "asgi", RACE) as runner:
        found = Search(runner, asked()).run(100)
        assert found.first.status == 200
        assert found.found is not None
        assert found.found.schedule is not None
        again = runner.run(found.found, repeats=3)
    assert {(run.status, run.error.type if run.error else None) for run in again} == {(500, "RuntimeError")}
    assert len({run.digest for run in again}) == 1


def test_an_order_that_cannot_matter_is_not_found(tmp_path: Path) -> None:
    harmless = RACE.replace('log.index("save") < log.index("load")', "False")
    with tree(tmp_path, "asgi", harmless) as runner:
        found = Search(runner, asked()).run(20)
    assert (found.found, found.tried, found.outcomes) == (None, 20, {"200": 21})


def test_a_recorded_application_is_replayed_without_its_recorder(tmp_path: Path) -> None:
    recorded = (
        "import shadowlab_recorder\n\nfrom inner import app as inner\n\n"
        "app = shadowlab_recorder.record(inner, directory='recordings', service='it', share=1.0)\n"
    )
    toml = '[service]\nname = "it"\nentrypoint = "main:app"\nkind = "asgi"\n'
    source = orders.repository(tmp_path / "it", {"shadowlab.toml": toml, "inner.py": RACE, "main.py": recorded})
    with Runner(source.path, source.service("HEAD")) as runner:
        run = once(runner, asked())
    assert (run.body, run.events) == (b"ok", ())


@pytest.mark.parametrize("kind", ["", 'kind = "asgi"\n'])
def test_the_kind_of_an_entrypoint_is_found_out(tmp_path: Path, kind: str) -> None:
    toml = f'[service]\nname = "it"\nentrypoint = "main:app"\n{kind}'
    source = orders.repository(tmp_path / "it", {"shadowlab.toml": toml, "main.py": RACE})
    with Runner(source.path, source.service("HEAD")) as runner:
        assert once(runner, asked()).body == b"ok"


LOCAL = """\
import datetime, time


def app(event):
    at = datetime.datetime(2026, 10, 25, 2, 30, fold=1)
    return [time.tzname[0], datetime.datetime.now().isoformat(), at.astimezone().isoformat(), time.localtime().tm_hour]
"""


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Vienna", ["CET", "2026-01-01T01:00:00", "2026-10-25T02:30:00+01:00", 1]),
        ("IST-5:30", ["IST", "2026-01-01T05:30:00", "2026-10-25T02:30:00+05:30", 5]),
        ("../../etc/passwd", ["UTC", "2026-01-01T00:00:00", "2026-10-25T02:30:00+00:00", 0]),
        (None, ["UTC", "2026-01-01T00:00:00", "2026-10-25T02:30:00+00:00", 0]),
    ],
)
def test_a_request_lives_again_in_its_own_time_zone(tmp_path: Path, zone: str | None, told: list[Any]) -> None:
    with tree(tmp_path, "function", LOCAL) as runner:
        run = once(runner, asked(kind="function", versions={"time_zone": zone}))
    assert json.loads(run.body) == told
