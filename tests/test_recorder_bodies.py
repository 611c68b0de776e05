"""Bodies come back byte for byte, or the recording says that they were cut."""

import asyncio
import base64
import json

import pytest
import shadowlab_recorder
from hypothesis import given
from hypothesis import strategies as st
from paying import called
from recorded import read
from shadowlab_recorder import fixture


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
)
def test_a_body_comes_back_byte_for_byte_whatever_it_is(body):
    kept = json.loads(json.dumps(fixture.encoded(body), allow_nan=False))
    match kept["body_encoding"]:
        case "json":
            assert json.dumps(kept["body"], separators=(",", ":"), ensure_ascii=False).encode() == body
        case "utf-8":
            assert kept["body"].encode() == body
        case "base64":
            assert base64.b64decode(kept["body"]) == body
        case "none":
            assert body == b""


@pytest.mark.parametrize(
    "text", ["10.0", "1e-7", "12345678901234567890", "NaN", '{"a": 1}', '{"a":1,"a":2}', '"\\ud800"']
)
def test_json_that_other_readers_would_not_write_back_stays_text(text):
    assert fixture.encoded(text.encode()) == {"body": text, "body_encoding": "utf-8"}


def test_a_body_beyond_the_limit_is_cut_and_the_recording_says_so(recorded):
    client, recordings, _ = recorded(body_limit=100)
    client.post("/echo", content=b"y" * 5000)
    client.post("/echo", content=b"y" * 100)
    long, short = recordings()
    assert (long["request"]["body"], long["truncated"]) == ("y" * 100, ["request.body"])
    assert short["truncated"] == []


def test_a_body_that_the_service_did_not_read_counts_as_cut(tmp_path):
    async def deaf(scope, receive, send):
        raise RuntimeError("not listening")

    app = shadowlab_recorder.record(deaf, directory=tmp_path)
    with pytest.raises(RuntimeError):
        asyncio.run(called(app, method="POST", headers=[(b"content-length", b"12")]))
    assert app.recorder.flush()
    assert read(next(tmp_path.glob("*.json")))["truncated"] == ["request.body"]
