"""A body comes in the pieces in which it came, and what the service had not read of it is refused in a replay."""

import asyncio
import io
from pathlib import Path
from typing import Any

import orders
import pytest
import shadowlab_recorder
from recorded import kept

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.gates import replays
from shadowlab.records import Replay
from shadowlab.replay import RunResult, jobs, look, plain_test, recording, spelling
from shadowlab.replay.fixture import Fixture, parse
from shadowlab.replay.inside import unread
from shadowlab.replay.server import Ended

ASGI = """\
async def app(scope, receive, send):
    pieces = [] if scope["path"] == "/early" else [(await receive())["body"], (await receive())["body"]]
    raise ValueError(f"{pieces}")
"""
WSGI = """\
def app(environ, start_response):
    if environ["PATH_INFO"] == "/early":
        raise ValueError(environ["CONTENT_LENGTH"])
    raise ValueError(environ["wsgi.input"].read(4))
"""
CODE = {"asgi": ASGI, "wsgi": WSGI}
READS_ON = {
    "asgi": ASGI.replace(
        "    raise", "    try:\n        await receive()\n    except OSError:\n        pass\n    raise"
    ),
    "wsgi": WSGI.replace(
        "    if", '    try:\n        environ["wsgi.input"].read(5)\n    except OSError:\n        pass\n    if', 1
    ),
}
SENT = [b"0123", b"45", b"", b"6789"]


def recorded(
    folder: Path, kind: str, path: str, *, length: int | None = 10, chunked: bool = False, messages: Any = None
) -> dict[str, Any]:
    """What the recorder writes of a request to the service of that kind."""
    scope: dict[str, Any] = {}
    exec(CODE[kind], scope)
    app = shadowlab_recorder.record(scope["app"], directory=folder, kind=kind)
    announced = [] if length is None else [("content-length", str(length))]
    told = {"CONTENT_LENGTH": str(length)} if length is not None else {}
    if chunked:
        announced, told = [("transfer-encoding", "chunked")], {"HTTP_TRANSFER_ENCODING": "chunked"}
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "wsgi.input": io.BytesIO(b"".join(SENT)), **told}
    with pytest.raises((ValueError, KeyError)):
        asyncio.run(_asgi(app, path, announced, messages)) if kind == "asgi" else app(environ, None)
    (one,) = kept(app.recorder, folder)
    return {**one, "database": None}


async def _asgi(app: Any, path: str, announced: list[tuple[str, str]], messages: Any) -> None:
    headers = [(name.encode(), value.encode()) for name, value in announced]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    left = messages or [{"type": "http.request", "body": piece, "more_body": True} for piece in SENT]

    async def receive() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None: ...

    await app(scope, receive, send)


def loaded(document: dict[str, Any]) -> Fixture:
    return parse({**document, "service": "shop"}, where="a test")


def replayed(folder: Path, code: str, one: Fixture) -> Replay:
    case = open_case(folder / "case")
    toml = f'[service]\nname = "shop"\nentrypoint = "app:app"\nkind = "{one.kind}"\n'
    source = orders.repository(folder / "tree", {"shadowlab.toml": toml, "app.py": code})
    return replay.replay(case, [recording.keep(case, one).id], source=source, revision="HEAD")


@pytest.mark.parametrize(("kind", "path", "body"), [("asgi", "/early", b""), ("asgi", "/two", b"012345"),
                                                    ("wsgi", "/early", b""), ("wsgi", "/two", b"0123")])  # fmt: skip
def test_a_body_that_was_not_read_to_its_end_is_marked_and_replayed(
    tmp_path: Path, kind: str, path: str, body: bytes
) -> None:
    document = recorded(tmp_path / "recordings", kind, path)
    assert (document["request"]["unread"], document["truncated"]) == (True, ["request.body"])
    one = loaded(document)
    assert (one.unread, one.missing, one.request.content) == (True, (), body)
    assert one.request.pieces == ((4, 2) if (kind, path) == ("asgi", "/two") else ())
    if (kind, path) in (("asgi", "/two"), ("wsgi", "/early")):  # one of each kind: a replay takes its time
        done = replayed(tmp_path, CODE[kind], one)
        assert done.outcome == "reproduced", done.runs[0].divergence


def test_the_rest_of_a_body_in_chunks_is_unread_where_the_server_says_that_there_is_more(tmp_path: Path) -> None:
    document = recorded(tmp_path / "asgi", "asgi", "/two", chunked=True)
    assert (document["request"]["unread"], document["truncated"]) == (True, ["request.body"])
    one = loaded(document)
    assert (one.unread, one.missing, one.request.content) == (True, (), b"012345")
    assert replayed(tmp_path, CODE["asgi"], one).outcome == "reproduced"
    ended = [{"type": "http.request", "body": b"01", "more_body": True}, {"type": "http.request", "body": b""}]
    assert recorded(tmp_path / "ended", "asgi", "/two", chunked=True, messages=ended)["truncated"] == []
    stream = loaded(recorded(tmp_path / "wsgi", "wsgi", "/two", chunked=True))  # where it ends, nobody said
    assert stream.missing == ("request.body was cut when it was recorded",)


@pytest.mark.parametrize("kind", CODE)
def test_a_service_that_reads_on_is_never_reproduced_even_where_it_catches_the_refusal(
    tmp_path: Path, kind: str
) -> None:
    one = loaded(recorded(tmp_path / "recordings", kind, "/early"))
    done = replayed(tmp_path, READS_ON[kind], one)
    assert done.outcome == "diverged"
    assert unread.WHY in (done.runs[0].divergence or "")


@pytest.mark.parametrize("length", [None, 0])
@pytest.mark.parametrize("kind", CODE)
def test_a_request_that_announces_no_body_has_none_unread(tmp_path: Path, kind: str, length: int | None) -> None:
    document = recorded(tmp_path, kind, "/early", length=length)
    assert "unread" not in document["request"]
    assert document["truncated"] == []


def test_a_body_whose_client_went_away_was_cut(tmp_path: Path) -> None:
    gone = [{"type": "http.request", "body": b"01", "more_body": True}, {"type": "http.disconnect"}]
    document = recorded(tmp_path, "asgi", "/two", messages=gone)
    assert "unread" not in document["request"]
    assert loaded(document).missing == ("request.body was cut when it was recorded",)


def test_a_stream_that_may_have_been_read_unheard_leaves_its_body_cut(tmp_path: Path) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].closed  # noqa: B018  # it reads nothing
        raise ValueError(environ["wsgi.input"].read1(2))

    wrapped = shadowlab_recorder.record(app, directory=tmp_path, kind="wsgi")
    with pytest.raises(ValueError, match="01"):
        wrapped({"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": io.BytesIO(b"0123"), "CONTENT_LENGTH": "4"},
                None)  # fmt: skip
    (document,) = kept(wrapped.recorder, tmp_path)
    assert ("unread" in document["request"], document["truncated"]) == (False, ["request.body"])


async def drinks(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["more_body"]:
        pass
    raise ValueError("full")


def drunk(folder: Path, pieces: list[bytes], **settings: Any) -> dict[str, Any]:
    app = shadowlab_recorder.record(drinks, directory=folder, kind="asgi", **settings)
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    with pytest.raises(ValueError, match="full"):
        asyncio.run(_asgi(app, "/", [], messages))
    (document,) = kept(app.recorder, folder)
    return dict(document["request"])


def test_the_pieces_of_a_body_are_kept_where_there_are_some(tmp_path: Path) -> None:
    assert drunk(tmp_path / "some", SENT)["pieces"] == [4, 2, 4]
    assert "pieces" not in drunk(tmp_path / "one", [b"0123", b""])
    assert "pieces" not in drunk(tmp_path / "many", [b"0"] * 257)
    assert "pieces" not in drunk(tmp_path / "cut", SENT, body_limit=7)
    secret = drunk(tmp_path / "redacted", [b'{"password":', b' "hunter2hunter2"}'])
    assert "hunter2" not in str(secret)
    assert "pieces" not in secret


def test_a_replay_hands_out_the_pieces() -> None:
    request = {"pieces": [4, 2], "unread": False}
    given = [(each["body"], each["more_body"]) for each in unread.messages(request, b"012345")]
    assert given == [(b"0123", True), (b"45", False)]
    assert unread.messages({"pieces": (), "unread": False}, b"") == [
        {"type": "http.request", "body": b"", "more_body": False}
    ]


def test_a_stream_gives_what_was_read_and_refuses_the_rest() -> None:
    told: list[str] = []
    stream = unread.stream({"unread": True}, b"ab\ncd", told.append)
    assert (stream.readline(), stream.read(2), stream.read(0), told) == (b"ab\n", b"cd", b"", [])
    with pytest.raises(OSError, match="had not read"):
        stream.read(1)
    assert told == [unread.WHY]


def of(**request: Any) -> dict[str, Any]:
    whole = {"method": "POST", "path": "/", "headers": [["Content-Length", "9"]], "body": "abc",
             "body_encoding": "utf-8", **request}  # fmt: skip
    return orders.document(
        1, request=whole, outbound=[], db_snapshot=None, db_environment=None, truncated=["request.body"]
    )


def test_pieces_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(errors.RecordingError, match="do not add up"):
        parse(of(pieces=[1, 1]), where="a test")


@pytest.mark.parametrize("other", [{"headers": []}, {"headers": [["content-length", "3"]]}, {"method": "GRPC"}])
def test_unread_without_a_rest_counts_as_cut(other: dict[str, Any]) -> None:
    assert parse(of(unread=True), where="a test").missing == ()
    assert parse(of(unread=True, **other), where="a test").missing == ("request.body was cut when it was recorded",)


def test_the_keys_are_written_only_where_they_say_something() -> None:
    assert b"unread" not in spelling.spelling(parse(of(), where="a test"))
    said = spelling.spelling(parse(of(unread=True, pieces=[1, 2]), where="a test"))
    assert b'"pieces":[1,2]' in said
    assert b'"unread":true' in said


def test_other_languages_and_written_tests_do_not_take_it() -> None:
    one = parse(of(unread=True), where="a test")
    ended = Ended(number=0, why="finished", content=b"{}")
    assert jobs.result(one, ended, perturbed=False, timeout_s=1.0, foreign=True).state == "crashed"
    with pytest.raises(errors.RecordingError, match="left its request's body unread"):
        plain_test._writable([one])
    assert look.shown(one)["request"]["unread"] is True


def test_a_gate_says_that_the_patched_service_reads_on() -> None:
    before = RunResult(recording="1" * 32, perturbed=False, state="finished", status=200)
    after = RunResult(recording="1" * 32, perturbed=False, state="crashed", reason=unread.WHY)
    assert replays._differs(before, after) == [f"crashed {unread.WHY}"]
