"""What the recorder's tests share: reading a folder of recordings, spans, one ASGI request without a server."""

import importlib.resources
import json

import jsonschema
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

SCHEMA = json.loads(importlib.resources.files("shadowlab_recorder").joinpath("recording.schema.json").read_text())


def read(path):
    """One recording, held against the schema."""
    document = json.loads(path.read_bytes())
    jsonschema.validate(document, SCHEMA)
    assert document["id"] == path.stem
    return document


def kept(recorder, folder):
    """All recordings of a folder once everything is written, in the order of their times."""
    assert recorder.flush()
    return sorted(map(read, folder.glob("*.json")), key=lambda each: each["time"])


def spans_and_provider():
    """An exporter that keeps spans in memory, and the tracer provider that feeds it."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return spans, provider


def server_spans(spans):
    """The recording that each server span names, by span id."""
    found = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return {f"{span.context.span_id:016x}": span.attributes.get("shadowlab.recording.id") for span in found}
