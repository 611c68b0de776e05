"""The recorder around WSGI applications: bare ones, Flask and Django, each called as a server calls it."""

import asyncio
import io
import sys
import types
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import django
import flask
import pytest
import shadowlab_recorder
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path as route
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from recorded import kept, server_spans, spans_and_provider
from werkzeug.test import Client

from shadowlab.replay.fixture import parse


def environ(method="GET", path="/", query="", body=b"", **more):
    return {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "h",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "text/plain", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False, **more,
    }  # fmt: skip


def asked(app, *args, **kwargs):
    """Status and body, the way a server gets them."""
    seen = []
    answer = app(environ(*args, **kwargs), lambda status, headers, exc_info=None: seen.append(status) or seen.append)
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return seen[0], body


def plain(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    if environ["PATH_INFO"] == "/raise":
        raise KeyError("sku-7")
    start_response("500 Broken" if b"bad" in body else "200 OK", [("X-A", "b"), ("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/stream":
        return piecemeal(body)
    return [b"got ", body]


def piecemeal(body):
    yield b"first "
    if b"late" in body:
        raise ValueError("the rest is gone")
    yield b"second"


def test_a_failing_wsgi_request_is_written_with_its_answer(tmp_path):
    app = shadowlab_recorder.record(plain, directory=tmp_path, share=0)
    assert asked(app, "POST", "/a b", "x=1", b"a bad thing", HTTP_X_CLIENT="web") == ("500 Broken", b"got a bad thing")
    assert asked(app, "POST", "/", "", b"a good one") == ("200 OK", b"got a good one")
    [one] = kept(app.recorder, tmp_path)
    assert (one["kind"], one["request"]["path"], one["request"]["query"]) == ("wsgi", "/a%20b", "x=1")
    assert ["x-client", "web"] in one["request"]["headers"]
    assert (one["request"]["body"], one["response"]["body"]) == ("a bad thing", "got a bad thing")
    assert (one["response"]["status"], one["truncated"]) == (500, [])
    assert parse(one, where="here").missing == ()


def test_the_path_is_the_one_that_was_asked_for_where_the_server_tells_it(tmp_path):
    app = shadowlab_recorder.record(plain, directory=tmp_path, share=1.0)
    asked(app, path="/a/b", RAW_URI="/a%2Fb?x=1")
    asked(app, path="/a/b", REQUEST_URI="http://h/a%2fb?x=1")
    assert [each["request"]["path"] for each in kept(app.recorder, tmp_path)] == ["/a%2Fb", "/a%2fb"]


def test_an_exception_goes_on_to_the_server_and_into_the_recording(tmp_path):
    app = shadowlab_recorder.record(plain, directory=tmp_path, share=0)
    with pytest.raises(KeyError, match="sku-7"):
        asked(app, path="/raise")
    [one] = kept(app.recorder, tmp_path)
    assert (one["response"], one["error"]["type"]) == (None, "KeyError")
    assert [frame["function"] for frame in one["error"]["frames"]] == ["plain"]


def test_an_exception_between_two_pieces_of_the_answer_is_kept(tmp_path):
    app = shadowlab_recorder.record(plain, directory=tmp_path, share=0)
    with pytest.raises(ValueError, match="the rest is gone"):
        asked(app, "POST", "/stream", "", b"late")
    [one] = kept(app.recorder, tmp_path)
    assert (one["error"]["type"], one["response"]["body"]) == ("ValueError", "first ")


def test_an_answer_that_its_client_did_not_wait_for_is_no_control(tmp_path):
    app = shadowlab_recorder.record(plain, directory=tmp_path, share=1.0)
    answer = app(environ(path="/stream"), lambda *_: None)
    assert next(iter(answer)) == b"first "
    answer.close()
    assert asked(app, path="/stream")[1] == b"first second"
    [one] = kept(app.recorder, tmp_path)
    assert (one["control"], one["response"]["body"]) == (True, "first second")


def test_a_file_that_the_server_sends_itself_is_handed_on_and_counts_as_cut(tmp_path):
    def app(environ, start_response):
        start_response("500 No", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    recorded = shadowlab_recorder.record(app, directory=tmp_path)
    answer = recorded(environ(**{"wsgi.file_wrapper": FileWrapper}), lambda *_: None)
    assert isinstance(answer, FileWrapper)
    assert kept(recorded.recorder, tmp_path)[0]["truncated"] == ["response.body"]


def test_a_recorded_application_still_follows_pep_3333(tmp_path):
    def app(environ, start_response):
        lines = environ["wsgi.input"].readlines()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter(lines)

    recorded = shadowlab_recorder.record(validator(app), directory=tmp_path, share=1.0, kind="wsgi")
    assert asked(validator(recorded), "POST", "/", "", b"a\nb\n")[1] == b"a\nb\n"
    assert kept(recorded.recorder, tmp_path)[0]["request"]["body"] == "a\nb\n"


def shop():
    """A small Flask service."""
    app = flask.Flask("shop")

    @app.post("/orders/<int:number>")
    def order(number):
        return {"each": flask.request.json["total"] / number}

    @app.get("/away")
    def away():
        flask.abort(503)

    @app.errorhandler(LookupError)
    def lookup(error):
        return {"missing": str(error)}, 404

    @app.get("/lost")
    def lost():
        raise LookupError("nothing there")

    return app


def test_flask_is_recorded_although_it_answers_500_by_itself(tmp_path):
    app = shadowlab_recorder.record(shop(), directory=tmp_path, share=0)
    client = Client(app)
    assert client.post("/orders/2", json={"total": 3}, buffered=True).json == {"each": 1.5}
    assert client.post("/orders/0", json={"total": 3}, buffered=True).status_code == 500
    assert client.get("/lost", buffered=True).status_code == 404
    assert client.get("/away", buffered=True).status_code == 503
    first, second = kept(app.recorder, tmp_path)
    assert (first["error"]["type"], first["request"]["body"]) == ("ZeroDivisionError", '{"total": 3}')
    assert first["error"]["frames"][-1]["function"] == "order"
    assert (second["error"]["type"], second["response"]["status"]) == ("werkzeug.exceptions.ServiceUnavailable", 503)


def test_flasks_own_way_of_adding_a_middleware_records_too(tmp_path):
    app = shop()
    app.wsgi_app = shadowlab_recorder.record(app.wsgi_app, directory=tmp_path, share=0)
    assert app.test_client().post("/orders/0", json={"total": 3}, buffered=True).status_code == 500
    assert kept(app.wsgi_app.recorder, tmp_path)[0]["error"]["type"] == "ZeroDivisionError"


@pytest.mark.parametrize("order", ["instrumented first", "recorded first"])
def test_flasks_span_and_the_recording_name_each_other(tmp_path, order):
    spans, provider = spans_and_provider()
    app = shop()
    if order == "recorded first":
        app.wsgi_app = recorded = shadowlab_recorder.record(app.wsgi_app, directory=tmp_path, share=0)
        FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    else:
        FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
        app.wsgi_app = recorded = shadowlab_recorder.record(app.wsgi_app, directory=tmp_path, share=0)
    client = app.test_client()
    client.post("/orders/1", json={"total": 3}, buffered=True)
    client.post("/orders/0", json={"total": 3}, buffered=True)
    [one] = kept(recorded.recorder, tmp_path)
    found = server_spans(spans)
    assert (len(found), found[one["span_id"]]) == (2, one["id"])
    assert one["error"]["type"] == "ZeroDivisionError"


def total(request, number):
    return JsonResponse({"each": 3 / number})


async def total_async(request, number):
    return JsonResponse({"each": 3 / number, "body": len(request.body)})


def busy(request):
    return HttpResponse("later", status=503)


@pytest.fixture(scope="module")
def spans_of_django():
    """Django, configured once in a process, with OpenTelemetry's instrumentation."""
    urls = types.ModuleType("urls_of_the_test")
    urls.urlpatterns = [
        route("total/<int:number>", total),
        route("async/<int:number>", total_async),
        route("busy", busy),
    ]
    sys.modules[urls.__name__] = urls
    django_settings.configure(
        ROOT_URLCONF=urls.__name__,
        SECRET_KEY="k",
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=[],
        LOGGING_CONFIG=None,
        DATABASES={},
    )
    django.setup()
    spans, provider = spans_and_provider()
    DjangoInstrumentor().instrument(tracer_provider=provider)
    yield spans
    DjangoInstrumentor().uninstrument()


def test_django_is_recorded_and_linked_through_wsgi(tmp_path, spans_of_django):
    spans_of_django.clear()
    app = shadowlab_recorder.record(get_wsgi_application(), directory=tmp_path, share=0)
    client = Client(app)
    statuses = [client.get(f"/{path}", buffered=True).status_code for path in ("total/3", "total/0", "busy", "none")]
    assert statuses == [200, 500, 503, 404]
    first, second = kept(app.recorder, tmp_path)
    assert (first["kind"], first["error"]["type"], second["error"]) == ("wsgi", "ZeroDivisionError", None)
    assert first["error"]["frames"][-1]["function"] == "total"
    found = server_spans(spans_of_django)
    assert (found[first["span_id"]], found[second["span_id"]]) == (first["id"], second["id"])
    assert list(found.values()).count(None) == 2


@pytest.mark.parametrize("view", ["total", "async"])
def test_django_is_recorded_and_linked_through_asgi(tmp_path, spans_of_django, view):
    spans_of_django.clear()
    app = shadowlab_recorder.record(get_asgi_application(), directory=tmp_path, share=0)
    sent = asyncio.run(asked_asgi(app, f"/{view}/0"))
    assert sent[0]["status"] == 500
    [one] = kept(app.recorder, tmp_path)
    assert (one["kind"], one["error"]["type"]) == ("asgi", "ZeroDivisionError")
    assert server_spans(spans_of_django) == {one["span_id"]: one["id"]}


async def asked_asgi(app, path):
    sent, inbox = [], asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"h")],
        "server": ("h", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await app(scope, inbox.get, send)
    return sent
