"""Record the requests of a WSGI application (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from shadowlab_recorder import spans, tape
from shadowlab_recorder.body import Body
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import RawHeaders, Tape

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class RecordedWsgiApp:
    """A WSGI application around another; every other attribute, read or set, is the inner one's."""

    app: App
    recorder: Recorder

    def __init__(self, app: App, recorder: Recorder) -> None:
        self.__dict__.update(app=app, recorder=recorder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["app"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.app, name, value)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # A tape that runs already is this request's own: Flask's `wsgi_app` is recorded, and so is what is around it.
        now = None if tape.current() else quietly(self._start, environ)
        if now is None:
            return self.app(environ, start_response)
        token = tape.enter(now)
        try:
            result = self.app(environ, self._listening(now, start_response))
        except BaseException as error:
            quietly(_failed, now, error)
            quietly(self.recorder.finish, now)
            raise
        finally:
            tape.leave(token)
        return quietly(self._answer, now, environ, result) or result

    def _start(self, environ: Environ) -> Tape | None:
        headers = _headers(environ)
        now = self.recorder.start(
            "wsgi", environ["REQUEST_METHOD"], _path(environ), environ.get("QUERY_STRING", ""), headers
        )
        if now is not None:
            length = str(environ.get("CONTENT_LENGTH") or "")
            environ["wsgi.input"] = _Input(
                environ["wsgi.input"], now.request_body, int(length) if length.isdigit() else None
            )
        return now

    def _listening(self, now: Tape, start_response: StartResponse) -> StartResponse:
        def started(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            quietly(_started, now, status, headers)
            quietly(self.recorder.link, now)
            write = start_response(status, headers, *exc_info)

            def tee_write(piece: bytes) -> object:
                quietly(now.response_body.add, piece)
                return write(piece)

            return tee_write

        return started

    def _answer(self, now: Tape, environ: Environ, result: Iterable[bytes]) -> Iterable[bytes]:
        """What the server gets to iterate over: the same pieces, with an ear at them."""
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(result, wrapper):
            now.response_body.size += 1  # the server sends the file by itself: the body counts as cut
        elif not isinstance(result, (list, tuple)):
            return _Answer(result, now, self.recorder)
        else:
            for piece in result:
                now.response_body.add(piece)
        _close(now, self.recorder, ended=True)
        return result


class _Answer:
    """An iterable of bytes whose pieces come while the request's tape runs; closing it ends the request."""

    def __init__(self, result: Iterable[bytes], now: Tape, recorder: Recorder) -> None:
        self._result = result
        self._now = now
        self._recorder = recorder

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self._result)
        while True:
            token = tape.enter(self._now)
            try:
                piece = next(pieces)
            except StopIteration:
                break
            except BaseException as error:
                quietly(_failed, self._now, error)
                quietly(_close, self._now, self._recorder, False)
                raise
            finally:
                tape.leave(token)
            quietly(self._now.response_body.add, piece)
            yield piece
        quietly(_close, self._now, self._recorder, True)

    def close(self) -> None:
        token = tape.enter(self._now)
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            tape.leave(token)
            quietly(_close, self._now, self._recorder, False)


class _Input:
    """`wsgi.input`, keeping a copy of what the application reads of it."""

    def __init__(self, stream: Any, body: Body, length: int | None) -> None:
        self._stream = stream
        self._body = body
        self._length = length
        body.ended = length == 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, *size: Any) -> bytes:
        return self._noted(self._stream.read(*size), end=not size or size[0] not in (0,))

    def readline(self, *size: Any) -> bytes:
        return self._noted(self._stream.readline(*size), end=True)

    def readlines(self, *hint: Any) -> list[bytes]:
        lines = list(self._stream.readlines(*hint))
        self._noted(b"".join(lines), end=not hint)
        return lines

    def readinto(self, buffer: Any) -> int:
        count = int(self._stream.readinto(buffer))
        self._noted(bytes(memoryview(buffer)[:count]), end=len(buffer) > 0)
        return count

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _noted(self, piece: bytes, *, end: bool) -> bytes:
        quietly(self._body.add, piece)
        if (end and not piece) or (self._length is not None and self._body.size >= self._length):
            self._body.ended = True
        return piece


def _close(now: Tape, recorder: Recorder, ended: bool) -> None:
    now.response_body.ended = now.response_body.ended or ended
    if ended and (now.status or 500) < 500:
        now.error = None  # something made good for it
    recorder.finish(now)


def _started(now: Tape, status: str, headers: list[tuple[str, str]]) -> None:
    now.status = int(status[:3])
    now.response_headers = list(headers)
    spans.notice(now)


def _failed(now: Tape, error: BaseException) -> None:
    if isinstance(error, Exception):
        now.fail(error)
        spans.notice(now)


def _headers(environ: Environ) -> RawHeaders:
    """The request's headers: a server leaves their order and the case of their names untold."""
    named = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    named += [(name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)]
    return [(_name(name), str(value).encode("latin-1", "replace")) for name, value in named]


@lru_cache(maxsize=512)
def _name(name: str) -> bytes:
    return name.replace("_", "-").lower().encode("latin-1")


def _path(environ: Environ) -> str:
    """The path as it was asked for, percent-encoding included, where the server tells it."""
    told = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if told:
        return urlsplit(told).path if "://" in told else told.partition("?")[0]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote(path.encode("latin-1")) or "/"
