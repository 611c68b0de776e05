"""Record the requests of a WSGI application (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from shadowlab_recorder import spans
from shadowlab_recorder.later import later
from shadowlab_recorder.quiet import log_fault, quietly
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import RawHeaders, Tape, enter, leave, recall

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_SILENT = frozenset(("close", "closed", "isatty", "mode", "name", "readable", "seekable", "tell", "writable"))
"""What of `wsgi.input` reads nothing."""


class RecordedWsgiApp:
    """A WSGI application around another; every other attribute, read or set, is the inner one's."""

    app: App
    recorder: Recorder
    _both: tuple[App, Recorder]

    def __init__(self, app: App, recorder: Recorder) -> None:
        self.__dict__.update(app=app, recorder=recorder, _both=(app, recorder))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["app"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.app, name, value)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        app, recorder = self._both
        # A tape that runs already is this request's own: Flask's `wsgi_app` is recorded, and so is what is around it.
        outer = recall()
        if recorder.off or not (outer is None or outer.closed):
            return app(environ, start_response)
        try:
            now = Asked(recorder.limits)
            now.method, now.environ = environ["REQUEST_METHOD"], environ.copy()
            if recorder.chooses:
                recorder.begin(now)
            environ["wsgi.input"] = _Input(environ["wsgi.input"], now)
        except Exception as error:
            log_fault(error, "start")
            return app(environ, start_response)
        token = enter(now)
        try:
            result = app(environ, _listening(now, recorder, start_response))
        except BaseException as error:
            quietly(_failed, now, error)
            quietly(recorder.finish, now)
            raise
        finally:
            leave(token)
        try:
            return _answer(now, recorder, environ, result)
        except Exception as error:
            log_fault(error, "an answer")
            return result


class Asked(Tape):
    """A tape whose request is read from its environ, kept as it was, when somebody wants to know."""

    kind = "wsgi"
    path = later(lambda tape: _path(tape.environ))
    query = later(lambda tape: tape.environ.get("QUERY_STRING", ""))
    request_headers = later(lambda tape: _headers(tape.environ))

    environ: Environ
    length: int | None
    """Of its body, as it was told."""
    __init__ = Tape._begin


def _listening(now: Tape, recorder: Recorder, start_response: StartResponse) -> StartResponse:
    def started(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        try:
            now.status = code = int(status[:3])
            now.response_headers = list(headers)
            now.inner = copy_context()
            if now.watched or code >= 500:
                recorder.link(now)
        except Exception as error:
            log_fault(error, "start_response")
        write = start_response(status, headers, *exc_info)

        def tee_write(piece: bytes) -> object:
            quietly(_keep, now, piece)
            return write(piece)

        return tee_write

    return started


def _answer(now: Tape, recorder: Recorder, environ: Environ, result: Iterable[bytes]) -> Iterable[bytes]:
    """What the server gets to iterate over: the same pieces, with an ear at them."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(result, wrapper):
        now.response_body.size += 1  # the server sends the file by itself: the body counts as cut
    elif not isinstance(result, (list, tuple)):
        return _Answer(result, now, recorder)
    else:
        for piece in result:
            _keep(now, piece)
    _close(now, recorder, ended=True)
    return result


class _Answer:
    """An iterable of bytes whose pieces come while the request's tape runs; closing it ends the request."""

    def __init__(self, result: Iterable[bytes], now: Tape, recorder: Recorder) -> None:
        self._result = result
        self._now = now
        self._recorder = recorder

    def __iter__(self) -> Iterator[bytes]:
        now, pieces = self._now, iter(self._result)
        while True:
            token = enter(now)
            try:
                piece = next(pieces)
            except StopIteration:
                break
            except BaseException as error:
                quietly(_failed, now, error)
                quietly(_close, now, self._recorder, False)
                raise
            finally:
                leave(token)
            if now.answered is None and type(piece) is bytes and len(piece) <= now.limits.small:
                now.answered = piece  # as `_keep` does, which is one call more
            else:
                quietly(_keep, now, piece)
            yield piece
        if not now.passed():
            quietly(_close, now, self._recorder, True)

    def close(self) -> None:
        now, close = self._now, getattr(self._result, "close", None)
        token = None if now.closed else enter(now)
        try:
            if close is not None:
                close()
        finally:
            if token is not None:
                leave(token)
                quietly(_close, now, self._recorder, False)


class _Input:
    """`wsgi.input`, keeping a copy of what the application reads of it."""

    def __init__(self, stream: Any, now: Asked) -> None:
        self._stream = stream
        self._now = now
        length = str(now.environ.get("CONTENT_LENGTH") or "")
        now.length = int(length) if length.isdigit() else None
        if now.length == 0:
            now.asked = b""

    def __getattr__(self, name: str) -> Any:
        if name not in _SILENT:
            self._now.body_lost = True  # `read1`, `raw` and the like: what they read is not heard
        return getattr(self._stream, name)

    def read(self, *size: Any) -> bytes:
        return _noted(self._now, self._stream.read(*size), not size or size[0] != 0)

    def readline(self, *size: Any) -> bytes:
        return _noted(self._now, self._stream.readline(*size), True)

    def readlines(self, *hint: Any) -> list[bytes]:
        lines = list(self._stream.readlines(*hint))
        _noted(self._now, b"".join(lines), not hint)
        return lines

    def readinto(self, buffer: Any) -> int:
        count = int(self._stream.readinto(buffer))
        _noted(self._now, bytes(memoryview(buffer)[:count]), len(buffer) > 0)
        return count

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line


def _noted(now: Asked, piece: bytes, end: bool) -> bytes:
    try:
        size = len(piece)
        if now.asked is None and size == now.length and size <= now.limits.small and type(piece) is bytes:
            now.asked = piece
        elif piece or now.asked is None:
            body = now.request_body
            body.add(piece)
            body.ended = body.ended or (end and not piece) or (now.length or size + 1) <= body.size
            now.asked = b""
    except Exception as error:
        log_fault(error, "wsgi.input")
    return piece


def _keep(now: Tape, piece: bytes) -> None:
    """A piece of the answer."""
    if now.answered is None and type(piece) is bytes and len(piece) <= now.limits.small:
        now.answered = piece
    else:
        now.response_body.add(piece)
        now.answered = b""  # what comes after goes there, too


def _close(now: Tape, recorder: Recorder, ended: bool) -> None:
    if not (ended and now.passed()):
        now.response_body.ended = ended
        recorder.finish(now, ended and now.status is not None)


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
    raw_path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if raw_path:
        return urlsplit(raw_path).path if "://" in raw_path else raw_path.partition("?")[0]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote(path.encode("latin-1")) or "/"
