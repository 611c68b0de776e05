"""The recorder, loaded by OpenTelemetry's auto-instrumentation into a service that knows nothing of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import read

TRACED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
"""

FLASK = """
import flask
from werkzeug.test import Client
app = flask.Flask("shop")
@app.get("/total/<int:n>")
def total(n):
    return {"each": 3 / n}
client = Client(app)
print(client.get("/total/3", buffered=True).status_code, client.get("/total/0", buffered=True).status_code)
"""

FASTAPI = """
import fastapi
from fastapi.testclient import TestClient
app = fastapi.FastAPI()
@app.get("/total/{n}")
async def total(n: int):
    return {"each": 3 / n}
client = TestClient(app, raise_server_exceptions=False)
print(client.get("/total/3").status_code, client.get("/total/0").status_code)
"""

DJANGO = """
import sys, django
from django.conf import settings
from django.http import JsonResponse
from django.urls import path
def total(request, n):
    return JsonResponse({"each": 3 / n})
urlpatterns = [path("total/<int:n>", total)]
from django.core.wsgi import get_wsgi_application
from werkzeug.test import Client
client = Client(get_wsgi_application())
print(client.get("/total/3", buffered=True).status_code, client.get("/total/0", buffered=True).status_code)
"""


def run(folder, code, **environment):
    """The script under `opentelemetry-instrument`; gives what it printed, and its recordings."""
    script = folder / "service.py"
    script.write_text(TRACED + code)
    told = {
        "OTEL_SERVICE_NAME": "shop",
        "SHADOWLAB_RECORDINGS": str(folder / "recordings"),
        "PYTHONPATH": str(folder),
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, script],
        capture_output=True, text=True, timeout=120, env={**os.environ, **told, **environment}, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, [read(path) for path in (folder / "recordings").glob("*.json")]


def test_flask_is_recorded_by_a_variable_alone(tmp_path):
    printed, [one] = run(tmp_path, FLASK)
    assert "200 500" in printed
    assert (one["service"], one["kind"], one["request"]["path"]) == ("shop", "wsgi", "/total/0")
    assert one["error"]["type"] == "ZeroDivisionError"
    assert f"0x{one['trace_id']}" in printed
    assert f'"shadowlab.recording.id": "{one["id"]}"' in printed
    assert not [name for name in one["environment"]["read"] if name.startswith("OTEL_")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "kind", "more"),
    [
        (FASTAPI, "asgi", {}),
        (DJANGO, "wsgi", {"DJANGO_SETTINGS_MODULE": "shop_settings"}),
    ],
    ids=["fastapi", "django"],
)
def test_fastapi_and_django_are_recorded_by_a_variable_alone(tmp_path, code, kind, more):
    (tmp_path / "shop_settings.py").write_text("ROOT_URLCONF = '__main__'\nSECRET_KEY = 'k'\nALLOWED_HOSTS = ['*']\n")
    printed, [one] = run(tmp_path, code, **more)
    assert "200 500" in printed
    assert (one["service"], one["kind"], one["error"]["type"]) == ("shop", kind, "ZeroDivisionError")
    assert f'"shadowlab.recording.id": "{one["id"]}"' in printed


def test_without_the_variable_nothing_is_recorded(tmp_path):
    printed, recordings = run(tmp_path, FLASK, SHADOWLAB_RECORDINGS="")
    assert ("200 500" in printed, recordings) == (True, [])
