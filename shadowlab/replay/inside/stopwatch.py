"""Time some of the service's functions for real while requests run, whoever bound them early."""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import sys
from collections.abc import Callable, Generator
from types import CodeType, FunctionType
from typing import Any

from .clock import REAL_PERF_NS
from .outcome import function_of

_Call = Callable[[tuple[Any, ...], dict[str, Any]], Any]
_NOT_TIMED = inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
_SHAPES = {
    0: "def timed(*args, **kwargs): call = 'call'; {free}; return call(args, kwargs)",
    inspect.CO_COROUTINE: "async def timed(*args, **kwargs): call = 'call'; {free}; return await call(args, kwargs)",
    inspect.CO_GENERATOR: "def timed(*args, **kwargs): call = 'call'; {free}; return (yield from call(args, kwargs))",
}


class Stopwatch:
    """One function's calls during one request. A call inside of a call of the same function is part of the outer."""

    def __init__(self, target: dict[str, str], tree: str) -> None:
        self.file = os.path.join(tree, target["file"])
        self.function = target["function"]
        self.clear()

    def clear(self) -> None:
        """Begin another request."""
        self.calls = self.raised = self.spent_ns = self._depth = self._began_ns = 0

    def put_on(self, function: FunctionType) -> None:
        """Exchange the function's code, so that every reference to it is timed; its signature stays what it was."""
        code = function.__code__
        with contextlib.suppress(TypeError, ValueError):
            function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # functions take any
        inner = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
        inner.__kwdefaults__ = function.__kwdefaults__
        inner.__qualname__ = function.__qualname__
        kind = code.co_flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR)
        call = {0: self._called, inspect.CO_COROUTINE: self._awaited, inspect.CO_GENERATOR: self._stepped}[kind]
        function.__code__ = _code(kind, len(code.co_freevars), call(inner))

    def _called(self, inner: FunctionType) -> _Call:
        def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            with self:
                return inner(*args, **kwargs)

        return call

    def _awaited(self, inner: FunctionType) -> _Call:
        async def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            with self:
                return await inner(*args, **kwargs)

        return call

    def _stepped(self, inner: FunctionType) -> _Call:
        def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Any, Any, Any]:
            with self:
                return (yield from inner(*args, **kwargs))

        return call

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._began_ns = REAL_PERF_NS()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        ended_ns = REAL_PERF_NS()
        self._depth -= 1
        if self._depth:
            return
        if kind is None or kind is GeneratorExit:
            self.calls += 1
            self.spent_ns += ended_ns - self._began_ns
        else:
            self.raised += 1


class Stopwatches:
    """All that were asked for; looks for their functions again whenever something more was imported."""

    def __init__(self, targets: list[dict[str, str]], tree: str) -> None:
        self._all = [Stopwatch(each, tree) for each in targets]
        self._modules = 0

    def clear(self) -> None:
        """Begin another request."""
        if self._all and len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            self._look()
        for each in self._all:
            each.clear()

    def readings(self) -> list[tuple[int, int, int]]:
        """Calls that came back, calls that raised, real nanoseconds of the former, of each function."""
        return [(each.calls, each.raised, each.spent_ns) for each in self._all]

    def _look(self) -> None:
        wanted = {(each.file, each.function): each for each in self._all}
        # What the fork server froze is not listed.
        gc.unfreeze()
        for thing in gc.get_objects():
            if type(thing) is FunctionType:
                code = thing.__code__
                found = wanted.get((code.co_filename, function_of(code)))
                if found is not None and not code.co_flags & _NOT_TIMED:
                    found.put_on(thing)


def _code(kind: int, free: int, call: _Call) -> CodeType:
    """Code that hands its arguments to `call`, with as many free variables as the code that it takes the place of."""
    names = [f"free_{number}" for number in range(free)]
    timed = _SHAPES[kind].format(free=f"({', '.join(names)})")
    text = "\n ".join(("def outer():", " = ".join((*names, "None")), timed, "return timed"))
    space: dict[str, Any] = {}
    exec(compile(text, "<shadowlab>", "exec"), space)
    code: CodeType = space["outer"]().__code__
    return code.replace(co_consts=tuple(call if each == "call" else each for each in code.co_consts))
