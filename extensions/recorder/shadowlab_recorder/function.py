"""Record plain functions: jobs, consumers, handlers of events."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any, cast

from shadowlab_recorder import messages, spans, tape
from shadowlab_recorder.plain import plain
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.tape import Tape

FindRecorder = Callable[[], "Recorder | None"]


def recorded(function: Callable[..., Any], find: FindRecorder) -> Callable[..., Any]:
    """The function, with a tape around each call; `find` gives the recorder at the call, None for none.

    A call from inside of a recorded request or function belongs to that one. Raises `TypeError` for generators:
    what such a function does happens after its call.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"record() cannot record the generator {function.__qualname__}: record what iterates over it")

    begin = functools.partial(_begin, f"{function.__module__}:{function.__qualname__}", _is_method(function))

    @functools.wraps(function)
    def sync_call(*args: Any, **kwargs: Any) -> Any:
        recorder = None if tape.current() else find()
        now = None if recorder is None else quietly(begin, recorder, args, kwargs)
        if recorder is None or now is None:
            return function(*args, **kwargs)
        token = tape.enter(now)
        try:
            result = function(*args, **kwargs)
            quietly(_returned, now, result)
            return result
        except BaseException as error:
            quietly(_failed, now, error)
            raise
        finally:
            tape.leave(token)
            quietly(recorder.finish, now)

    @functools.wraps(function)
    async def async_call(*args: Any, **kwargs: Any) -> Any:
        recorder = None if tape.current() else find()
        now = None if recorder is None else quietly(begin, recorder, args, kwargs)
        if recorder is None or now is None:
            return await function(*args, **kwargs)
        token = tape.enter(now)
        try:
            result = await function(*args, **kwargs)
            quietly(_returned, now, result)
            return result
        except BaseException as error:
            quietly(_failed, now, error)
            raise
        finally:
            tape.leave(token)
            quietly(recorder.finish, now)

    made: Any = async_call if inspect.iscoroutinefunction(function) else sync_call
    made.__shadowlab_recorded__ = True  # a replay looks for it, and calls __wrapped__
    return cast(Callable[..., Any], made)


def _begin(target: str, method: bool, recorder: Recorder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tape | None:
    now = recorder.start("function", "CALL", target, "", [])
    if now is None:
        return None
    args = args[1:] if method else args
    now.message = quietly(messages.recognised, args)
    now.call = _call(target, args, kwargs, now)
    body = now.message.payload if now.message else _event(args, kwargs)
    now.request_body.add(body)
    now.request_body.ended = True
    return now


def _is_method(function: Callable[..., Any]) -> bool:
    owner = function.__qualname__.rpartition(".")[0]
    first = next(iter(inspect.signature(function).parameters), "")
    return bool(owner) and not owner.endswith("<locals>") and first in ("self", "cls")


def _call(target: str, args: tuple[Any, ...], kwargs: dict[str, Any], now: Tape) -> dict[str, Any]:
    """What the function was called with, as JSON text: it may change its arguments while it runs."""
    lossy: list[str] = []
    place = now.message.argument if now.message else None
    skipped = range(place, place + now.message.width) if now.message and place is not None else ()
    given = [None if n in skipped else _kept(f"arguments[{n}]", arg, lossy) for n, arg in enumerate(args)]
    named = {name: _kept(f"keywords.{name}", arg, lossy) for name, arg in kwargs.items()}
    text = json.dumps({"arguments": given, "keywords": named})
    if len(text) > now.request_body.limit:
        given, named, lossy = [], {}, ["arguments"]
        text = json.dumps({"arguments": given, "keywords": named})
    now.call_lost = bool(lossy) and now.message is None
    return {"target": target, "text": text, "lossy": lossy}


def _kept(place: str, value: Any, lossy: list[str]) -> Any:
    made, whole = plain(value)
    if not whole:
        lossy.append(place)
    return made


def _event(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """The body of a call with one positional argument: the argument as JSON."""
    if len(args) != 1 or kwargs:
        return b""
    if isinstance(args[0], (bytes, bytearray)):
        return bytes(args[0])
    made, whole = plain(args[0])
    return (
        json.dumps(made, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") if whole else b""
    )


def _returned(now: Tape, result: Any) -> None:
    made, _ = plain(result)
    text = json.dumps(made, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    now.status = 200
    now.response_body.add(text.encode("utf-8", "surrogatepass"))
    now.response_body.ended = True
    spans.notice(now)


def _failed(now: Tape, error: BaseException) -> None:
    if isinstance(error, Exception):
        now.fail(error)
        now.status = None
    spans.notice(now)
