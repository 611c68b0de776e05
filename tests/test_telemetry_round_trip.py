"""What goes in comes out: nanoseconds and attributes of every type, from JSON and from protobuf, are what they were."""

import base64
import json
from pathlib import Path
from typing import Any

import otlp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from shadowlab import telemetry
from shadowlab.case import open_case

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
_LEAF = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans(), st.binary(), _TEXT)
_PLAIN = st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), _TEXT)
_VALUE = st.one_of(_LEAF, st.lists(_PLAIN, max_size=3), st.dictionaries(_TEXT, _PLAIN, max_size=3))
_NS = st.integers(1, 2**62)


def _json(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, float) and abs(value) == float("inf"):
        return {"doubleValue": "Infinity" if value > 0 else "-Infinity"}
    return otlp.value(value)


def _fill(told: Any, value: Any) -> None:
    match value:
        case bool():
            told.bool_value = value
        case int():
            told.int_value = value
        case float():
            told.double_value = value
        case bytes():
            told.bytes_value = value
        case list():
            told.array_value.SetInParent()
            for inner in value:
                _fill(told.array_value.values.add(), inner)
        case dict():
            told.kvlist_value.SetInParent()
            for key, inner in value.items():
                _fill(told.kvlist_value.values.add(key=key).value, inner)
        case _:
            told.string_value = value


def _as_json(path: Path, values: list[Any], start: int, end: int) -> Path:
    span = {**otlp.span(1), "startTimeUnixNano": str(start), "endTimeUnixNano": str(end)}
    span["attributes"] = [{"key": f"k{n}", "value": _json(value)} for n, value in enumerate(values)]
    return otlp.lines(path, otlp.traces([span]))


def _as_protobuf(path: Path, values: list[Any], start: int, end: int) -> Path:
    told = TracesData()
    block = told.resource_spans.add()
    block.resource.attributes.add(key="service.name").value.string_value = "shop"
    span = block.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(otlp.TRACE), span_id=(1).to_bytes(8, "big"), start_time_unix_nano=start,
        end_time_unix_nano=end,
    )  # fmt: skip
    for number, value in enumerate(values):
        _fill(span.attributes.add(key=f"k{number}").value, value)
    path.write_bytes(told.SerializeToString())
    return path


def _back(letter: str, text: str) -> Any:
    match letter:
        case "i":
            return int(text)
        case "d":
            return float(text)
        case "b":
            return {"true": True, "false": False}[text]
        case "y":
            return base64.b64decode(text)
        case "a" | "k":
            return json.loads(text)
        case _:
            return text


@pytest.mark.parametrize("write", [_as_json, _as_protobuf])
@settings(max_examples=settings.default.max_examples // 12, deadline=None)
@given(values=st.lists(_VALUE, max_size=6), start=_NS, took=st.integers(0, 2**40))
def test_nanoseconds_and_types_of_attributes_come_back(tmp_path_factory, write, values, start, took):
    folder = tmp_path_factory.mktemp("round")
    case = open_case(folder / "case")
    done = telemetry.ingest(case, [write(folder / "told", values, start, start + took)], redact=None)
    assert (done.spans, done.rejected, done.refused) == (1, (), ())
    with telemetry.store(case) as store:
        row = store.sql("SELECT start_ns, end_ns, attributes AS a, attribute_types AS t FROM spans").rows()[0]
    assert (row["start_ns"], row["end_ns"]) == (start, start + took)
    back = [_back(letter, row["a"][f"k{number}"]) for number, letter in enumerate(row["t"] or "")]
    assert [(type(value), value) for value in back] == [(type(value), value) for value in values]
