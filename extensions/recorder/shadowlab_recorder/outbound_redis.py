"""Note the commands that a request sends to Redis through redis-py, sync and async."""

from __future__ import annotations

import functools
import json
from typing import Any

from shadowlab_recorder import replies
from shadowlab_recorder.outbound import answered, begin, broke
from shadowlab_recorder.plain import plain
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.tape import Exchange, current


def watch(module: Any) -> None:
    """Wraps the places through which every command of a client goes: one at a time, and a pipeline, watching or not."""
    client, pipeline = module.Redis, module.client.Pipeline
    client.execute_command = _sync(client.execute_command, _one)
    pipeline.immediate_execute_command = _sync(pipeline.immediate_execute_command, _one)
    pipeline.execute = _sync(pipeline.execute, _many)


def watch_async(module: Any) -> None:
    client, pipeline = module.Redis, module.client.Pipeline
    client.execute_command = _async(client.execute_command, _one)
    pipeline.immediate_execute_command = _async(pipeline.immediate_execute_command, _one)
    pipeline.execute = _async(pipeline.execute, _many)


def _sync(original: Any, begun: Any) -> Any:
    @functools.wraps(original)
    def noted(self: Any, *args: Any, **options: Any) -> Any:
        exchange = quietly(begun, self, args)
        try:
            reply = original(self, *args, **options)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        quietly(_replied, exchange, reply)
        return reply

    return noted


def _async(original: Any, begun: Any) -> Any:
    @functools.wraps(original)
    async def noted(self: Any, *args: Any, **options: Any) -> Any:
        exchange = quietly(begun, self, args)
        try:
            reply = await original(self, *args, **options)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        quietly(_replied, exchange, reply)
        return reply

    return noted


def _one(client: Any, args: tuple[Any, ...]) -> Exchange | None:
    return begin("redis", str(args[0]).upper(), _address(client), [], _json(list(args[1:])))


def _many(pipeline: Any, _: tuple[Any, ...]) -> Exchange | None:
    commands = [list(getattr(each, "args", each[0])) for each in pipeline.command_stack]
    return begin("redis", "PIPELINE", _address(pipeline), [], _json(commands)) if commands else None


def _replied(exchange: Exchange | None, reply: Any) -> None:
    """The reply as JSON, and in a header what JSON forgets; with one that cannot be had again nothing is replayed."""
    if exchange is None:
        return
    shape = replies.written(replies.shape(reply))
    value, whole = plain(replies.readable(reply))
    headers = [] if shape == b"null" else [(replies.HEADER, shape)]
    answered(exchange, 200, headers, _dumped(value))
    now = current()
    if now is not None and (not whole or f'"{replies.LOST}"'.encode() in shape):
        now.unseen.add(f"outbound (a reply to {exchange.method} through redis-py)")


def _address(client: Any) -> str:
    settings = client.connection_pool.connection_kwargs
    host = settings.get("host") or settings.get("path") or "localhost"
    return f"redis://{f'[{host}]' if ':' in host else host}:{settings.get('port', 6379)}/{settings.get('db') or 0}"


def _json(value: Any) -> bytes:
    return _dumped(plain(replies.readable(value))[0])


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
