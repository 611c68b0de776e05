"""The catalogue that quotes-api asks: a service of its own, with spans of its own. `CATALOG_VERSION` is its version.

Since 5.2.0 it writes every field of a product, with null where there is nothing; before, it left such fields out.
"""

import os
import signal
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic import BaseModel

VERSION = os.environ["CATALOG_VERSION"]

app = FastAPI(title="catalog", version=VERSION)


class Wanted(BaseModel):
    """Numbers of products."""

    skus: list[str]


@app.post("/products")
def products(wanted: Wanted) -> dict[str, Any]:
    """The products, in the same order. What begins with V is a voucher, and sent by e-mail."""
    return {"products": [product(sku) for sku in wanted.skus]}


def product(sku: str) -> dict[str, Any]:
    """One product; its weight follows from its number."""
    told: dict[str, Any] = {"sku": sku, "title": f"Article {sku[2:]}"}
    if not sku.startswith("V"):
        number = int(sku[2:])
        told["dimensions"] = {"weight_g": 60 + number * 7 % 2400, "length_mm": 90 + number % 310}
    elif VERSION >= "5.2":
        told["dimensions"] = None
    return told


def served() -> Any:
    """The application with telemetry around it."""
    who = Resource.create({"service.name": "catalog", "service.version": VERSION})
    tracing = TracerProvider(resource=who)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(MeterProvider(resource=who))
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])
    return app


def main() -> None:
    """Serve until told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(served(), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", date_header=False)
