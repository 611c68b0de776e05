"""Answer the commands of redis-py, sync and asyncio, one at a time and as pipelines, from the request's tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import redis_values as values
from .put import put
from .tape import Tape, broken, content_of, elapsed_ns, error_kind


def install(redis: Any, tape: Tape, advance: Callable[[int], None]) -> None:
    """Take the place of the methods that send; `advance` lets virtual time pass, in nanoseconds."""
    import redis.asyncio as later

    commands = Commands(redis, tape, advance)
    now = redis.client
    put(redis.Redis, execute_command=commands.ask)
    put(now.Pipeline, immediate_execute_command=commands.ask_at_once, execute=commands.execute)
    put(later.Redis, execute_command=commands.ask_later)
    put(later.client.Pipeline, immediate_execute_command=commands.ask_at_once_later, execute=commands.execute_later)


class Commands:
    """The methods of clients and pipelines."""

    def __init__(self, redis: Any, tape: Tape, advance: Callable[[int], None]) -> None:
        self._errors = redis.exceptions
        self._tape = tape
        made = self

        def ask(client: Any, *args: Any, **options: Any) -> Any:
            call = made.call(client, args)
            advance(elapsed_ns(call))
            return made.came(client, call)

        async def ask_later(client: Any, *args: Any, **options: Any) -> Any:
            call = made.call(client, args)
            await made._tape.come(call)
            return made.came(client, call)

        def ask_at_once(pipeline: Any, *args: Any, **options: Any) -> Any:
            reply = ask(pipeline, *args)
            _watched(pipeline, args[0])
            return reply

        async def ask_at_once_later(pipeline: Any, *args: Any, **options: Any) -> Any:
            reply = await ask_later(pipeline, *args)
            _watched(pipeline, args[0])
            return reply

        def execute(pipeline: Any, raise_on_error: bool = True) -> Any:
            try:
                if not pipeline.command_stack:
                    return []
                if pipeline.scripts:
                    pipeline.load_scripts()
                return ask(pipeline, "PIPELINE", *_queued(pipeline))
            finally:
                pipeline.reset()

        async def execute_later(pipeline: Any, raise_on_error: bool = True) -> Any:
            try:
                if not pipeline.command_stack:
                    return []
                if pipeline.scripts:
                    await pipeline.load_scripts()
                return await ask_later(pipeline, "PIPELINE", *_queued(pipeline))
            finally:
                await pipeline.reset()

        self.ask, self.ask_at_once, self.execute = ask, ask_at_once, execute
        self.ask_later, self.ask_at_once_later, self.execute_later = ask_later, ask_at_once_later, execute_later

    def call(self, client: Any, args: tuple[Any, ...]) -> dict[str, Any]:
        """What the tape has for a command; raises redis-py's ConnectionError with the nearest ones."""
        body = values.encoded(args[1:])
        call = self._tape.answer(
            str(args[0]).upper(), _address(client), body, fits=lambda recorded: values.same_key(recorded, body)
        )
        if call is None:
            raise self._errors.ConnectionError(f"shadowlab: {self._tape.unrecorded[-1]}")
        return call

    def came(self, client: Any, call: dict[str, Any]) -> Any:
        """The reply, or the recorded exception."""
        if error := broken(call):
            raise self._failure(error["type"], error.get("message", ""))
        shape = next((value for name, value in call.get("headers", ()) if name.lower() == values.HEADER), None)
        text = bool(client.connection_pool.connection_kwargs.get("decode_responses"))
        try:
            return values.reply(content_of(call), shape, text=text, error=self._failure)
        except ValueError as exc:
            raise self._errors.ConnectionError(f"shadowlab: {exc}") from None

    def _failure(self, name: str, message: str) -> Exception:
        kind = error_kind(self._errors, {"type": name}, self._errors.RedisError, self._errors.ConnectionError)
        try:
            return kind(message)
        except (TypeError, ValueError, IndexError):  # it takes its message apart, or wants more than one
            other: Exception = self._errors.RedisError(message)
            return other


def _address(client: Any) -> str:
    """`redis://host:port/database`, as the recorder writes it."""
    settings = client.connection_pool.connection_kwargs
    host = settings.get("host") or settings.get("path") or "localhost"
    return f"redis://{f'[{host}]' if ':' in host else host}:{settings.get('port', 6379)}/{settings.get('db') or 0}"


def _queued(pipeline: Any) -> list[list[Any]]:
    return [list(arguments) for arguments, _ in pipeline.command_stack]


def _watched(pipeline: Any, command: str) -> None:
    """What redis-py does when it reads the reply of a command that watches, or ends it."""
    if command in pipeline.UNWATCH_COMMANDS:
        pipeline.watching = False
    elif command == "WATCH":
        pipeline.watching = True
