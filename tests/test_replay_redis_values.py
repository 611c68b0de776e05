"""Replies of Redis through a recording and back, without a server."""

import json
from typing import Any

import redis
from hypothesis import given
from hypothesis import strategies as st
from shadowlab_recorder import replies
from shadowlab_recorder.plain import plain

from shadowlab.replay.inside import redis_values

LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUE = st.recursive(
    LEAF | st.binary() | st.sets(st.binary(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text().filter(lambda name: name not in ("integer", "base64")), inner, max_size=3)
        | st.dictionaries(st.text(min_size=1).map(lambda name: b"k" + name.encode("utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


def failed(kind: str, message: str) -> Exception:
    found: type[Exception] = getattr(redis, kind.rpartition(".")[2])
    return found(message)


def back(value: Any) -> Any:
    kept, whole = plain(replies.readable(value))
    assert whole
    content = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return redis_values.reply(content, replies.written(replies.shape(value)).decode(), text=False, error=failed)


@given(VALUE)
def test_what_redis_py_gave_comes_back_with_its_types(value: Any) -> None:
    assert repr_of(back(value)) == repr_of(value)


def repr_of(value: Any) -> str:
    """A text in which 1, 1.0 and True differ, and the order of a set does not count."""
    if isinstance(value, set):
        return f"set{sorted(map(repr_of, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}{[repr_of(each) for each in value]}"
    if isinstance(value, dict):
        return f"dict{[(repr(name), repr_of(each)) for name, each in value.items()]}"
    return repr(value)


def test_an_error_among_the_replies_of_a_pipeline_is_one_again() -> None:
    [one, error] = back([1, redis.ResponseError("WRONGTYPE")])
    assert (one, type(error), str(error)) == (1, redis.ResponseError, "WRONGTYPE")


def test_without_a_shape_text_is_what_the_client_decodes() -> None:
    told = {"text": False, "error": failed}
    assert redis_values.reply(b'["a",{"b":"c"}]', None, **told) == [b"a", {b"b": b"c"}]
    assert redis_values.reply(b'"a"', None, text=True, error=failed) == "a"
    assert redis_values.reply(b'"a"', "cut", **told) == b"a"


def test_arguments_are_written_as_the_recorder_writes_them() -> None:
    arguments = ["key", b"raw", b"\xff", 7, 2**60, 1.5, memoryview(b"seen"), "gr\u00fcn"]
    kept = json.dumps(plain(replies.readable(arguments))[0], separators=(",", ":"), ensure_ascii=False)
    assert redis_values.encoded(arguments) == kept.encode()
