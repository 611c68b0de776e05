"""Seeded exceptions of eight languages with their true cause: wrapping, noise, library frames, moved line numbers.

A *cause* is one fault at one place: a type, a message with parameters, the function that raises it, and several paths
of calls that lead there. Some causes are twins: all is alike but the function, or all but one word of the message.
"""

# ruff: noqa: E501, SIM905  (printed stacks are as long as they are, word lists are read as text)

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

LANGUAGES = ("python", "java", "javascript", "go", "dotnet", "ruby", "php", "rust")
_WORDS = """cannot load write lock fetch parse decode open reach resolve balance quota shipment ledger cursor snapshot
session token payload invoice channel replica broker schema segment offset worker refund basket catalogue voucher locale
currency rate limit window policy handle buffer stream socket header cookie digest cipher""".split()
_NAMES = """alice bruno carla dimitri elena farid greta hugo ines jonas katya liam mira nadia oskar paula quentin rosa
stefan tariq ulla viktor wanda xenia yusuf zoe""".split()
_TYPES = {
    "python": ("ValueError", "KeyError", "shop.errors.Conflict", "TimeoutError", "RuntimeError", "sqlalchemy.exc.DataError"),
    "java": ("java.lang.IllegalStateException", "java.io.IOException", "com.acme.Refused", "java.lang.RuntimeException"),
    "javascript": ("TypeError", "RangeError", "Error", "ValidationError"),
    "go": ("*errors.errorString", "*net.OpError", "*pq.Error"),
    "dotnet": ("System.InvalidOperationException", "System.ArgumentException", "Acme.Refused", "System.TimeoutException"),
    "ruby": ("ArgumentError", "ActiveRecord::RecordInvalid", "Acme::Refused", "RuntimeError"),
    "php": ("RuntimeException", "PDOException", "Acme\\Refused", "InvalidArgumentException"),
    "rust": ("panic", "acme::Refused", "io::Error"),
}  # fmt: skip


def _id(r: random.Random) -> str:
    return str(uuid.UUID(int=r.getrandbits(128)))


_PARAMETERS: tuple[Callable[[random.Random], str], ...] = (
    lambda r: str(r.randrange(10**6)),
    lambda r: f"{r.random() * 1000:.2f}",
    _id,
    lambda r: f"{r.getrandbits(64):016x}",
    lambda r: f"0x{r.getrandbits(40):x}",
    lambda r: f"10.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(256)}:{r.randrange(1024, 65535)}",
    lambda r: f"node-{r.randrange(99)}.eu.internal:{r.randrange(1024, 9999)}",
    lambda r: (
        f"2026-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}T{r.randrange(24):02}:{r.randrange(60):02}:07.{r.randrange(999)}Z"
    ),
    lambda r: f"{r.randrange(1, 30_000)}ms",
    lambda r: f"/var/lib/shop/{r.choice(_NAMES)}/{r.randrange(999)}.dat",
    lambda r: f"{r.choice(_NAMES)}@{r.choice(_NAMES)}.example",
    lambda r: f"'{r.choice(_NAMES)} {r.choice(_NAMES)}'",
    lambda r: f'"{r.choice(_NAMES)}-{r.randrange(999)}"',
    lambda r: f'{{"id": {r.randrange(99)}, "name": "{r.choice(_NAMES)}", "tags": ["a", "b"]}}',
    lambda r: f"https://api.example/{r.choice(_NAMES)}/{r.randrange(999)}?x={r.randrange(9)}",
    lambda r: f"ord_{r.getrandbits(44):x}",
    lambda r: f"[{', '.join(str(r.randrange(99)) for _ in range(r.randrange(2, 6)))}]",
    lambda r: r.choice(_NAMES),
)


@dataclass(frozen=True)
class Cause:
    """One fault at one place."""

    truth: int
    service: str
    language: str
    type: str
    words: tuple[str | int, ...]
    """Words of the message; a number is the parameter of that kind."""
    function: str
    paths: tuple[tuple[str, ...], ...]
    """Functions of the service's own code that lead to it, outermost first."""
    wrapped: bool


@dataclass(frozen=True)
class Event:
    """One exception as telemetry has it, with its truth."""

    truth: int
    service: str
    type: str
    message: str
    stack: str


def causes(seed: int, count: int) -> list[Cause]:
    """`count` causes, every fifth a twin of the one before."""
    r = random.Random(f"causes {seed}")
    told: list[Cause] = []
    for n in range(count):
        if n % 5 == 4:
            told.append(_twin(r, told[-1], n))
            continue
        language = LANGUAGES[n % len(LANGUAGES)]
        words: list[str | int] = [r.choice(_WORDS) for _ in range(r.randrange(3, 7))]
        for _ in range(r.randrange(0, 3)):
            words.insert(r.randrange(1, len(words) + 1), r.randrange(len(_PARAMETERS)))
        paths = tuple(tuple(_function(r) for _ in range(r.randrange(1, 5))) for _ in range(r.randrange(1, 4)))
        told.append(Cause(n, f"{language}-service-{r.randrange(3)}", language, r.choice(_TYPES[language]), tuple(words),
                          _function(r), paths, r.random() < 0.3))  # fmt: skip
    return told


def _twin(r: random.Random, one: Cause, truth: int) -> Cause:
    if r.random() < 0.5:
        return replace(one, truth=truth, function=_function(r))
    words = list(one.words)
    at = r.choice([n for n, word in enumerate(words) if isinstance(word, str)])
    words[at] = r.choice([word for word in _WORDS if word != words[at]])
    return replace(one, truth=truth, words=tuple(words))


def _function(r: random.Random) -> str:
    return f"{r.choice(_WORDS)}_{r.choice(_WORDS)}"


def events(seed: int, found: list[Cause], count: int) -> list[Event]:
    """`count` events, some causes a hundred times as common as others, on three versions whose lines have moved."""
    r = random.Random(f"events {seed}")
    weights = [1 / (1 + n % 20) for n in range(len(found))]
    return [event(r, cause) for cause in r.choices(found, weights, k=count)]


def event(r: random.Random, cause: Cause) -> Event:
    """One event of a cause."""
    message = " ".join(word if isinstance(word, str) else _PARAMETERS[word](r) for word in cause.words)
    path = r.choice(cause.paths)
    shift = r.randrange(3) * 17
    stack = _PRINTERS[cause.language](r, cause, message, path, shift)
    outer = cause.wrapped and r.random() < 0.5 and cause.language in _WRAPPERS
    if outer:
        kind, text, stack = _WRAPPERS[cause.language](r, stack, path, shift)
        return Event(cause.truth, cause.service, kind, text, stack)
    return Event(cause.truth, cause.service, cause.type, message, stack)


def _line(function: str, shift: int) -> int:
    return 10 + sum(map(ord, function)) % 300 + shift


def _python(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    own = [
        f'  File "/srv/app/{f.split("_")[0]}.py", line {_line(f, shift)}, in {f}\n    {f}()\n'
        for f in (*path, c.function)
    ]
    server = '  File "/usr/lib/python3.11/site-packages/uvicorn/app.py", line 99, in __call__\n    await app()\n'
    library = (
        '  File "/usr/lib/python3.11/json/decoder.py", line 12, in decode\n    raise\n' if len(c.words) % 2 else ""
    )
    return f"Traceback (most recent call last):\n{server}{''.join(own)}{library}{c.type}: {message}\n"


def _wrap_python(r: random.Random, stack: str, path: tuple[str, ...], shift: int) -> tuple[str, str, str]:
    text = f"request {r.randrange(9999)} failed"
    outer = f'Traceback (most recent call last):\n  File "/srv/app/edge.py", line {40 + shift}, in answer\n    go()\n'
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    return "app.Failed", text, f"{stack}{link}{outer}app.Failed: {text}\n"


def _class(function: str) -> str:
    return "com.acme." + function.split("_")[0].title()


def _java(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    own = [f"\tat {_class(f)}.{f}({f.split('_')[0].title()}.java:{_line(f, shift)})" for f in (c.function, *path[::-1])]
    noise = [f"\tat com.acme.Api$$Lambda${r.randrange(999)}/0x{r.getrandbits(32):016x}.run(Unknown Source)"]
    below = ["\tat java.base/java.lang.Thread.run(Thread.java:833)"]
    above = ["\tat java.base/java.util.Optional.orElseThrow(Optional.java:377)"] if len(c.words) % 2 else []
    return "\n".join([f"{c.type}: {message}", *above, *own, *noise, *below]) + "\n"


def _wrap_java(r: random.Random, stack: str, path: tuple[str, ...], shift: int) -> tuple[str, str, str]:
    text = f"request {r.randrange(9999)} failed"
    outer = f"com.acme.Failed: {text}\n\tat com.acme.Edge.answer(Edge.java:{40 + shift})\n"
    return "com.acme.Failed", text, f"{outer}Caused by: {stack}\t... {r.randrange(9, 40)} more\n"


def _javascript(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    own = [
        f"    at {f} (/app/src/{f.split('_')[0]}.js:{_line(f, shift)}:{r.randrange(3, 9)})"
        for f in (c.function, *path[::-1])
    ]
    below = "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"
    return "\n".join([f"{c.type}: {message}", *own, below])


def _go(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    own = [f"github.com/acme/{f.split('_')[0]}.(*Service).{f}(0x{r.getrandbits(40):x}, 0x{r.getrandbits(20):x})\n"
           f"\t/app/{f.split('_')[0]}/service.go:{_line(f, shift)} +0x{r.getrandbits(8):x}" for f in (c.function, *path[::-1])]  # fmt: skip
    head = f"goroutine {r.randrange(9999)} [running]:\nruntime/debug.Stack()\n\t/usr/local/go/src/runtime/debug/stack.go:24 +0x65"
    return "\n".join([head, *own, f"created by net/http.(*Server).Serve in goroutine {r.randrange(99)}\n"
                      "\t/usr/local/go/src/net/http/server.go:3086 +0x5cb"]) + "\n"  # fmt: skip


def _dotnet(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    own = [f"   at Acme.{f.split('_')[0].title()}.<{f}>d__{r.randrange(9)}.MoveNext() in /src/{f.split('_')[0].title()}.cs:line {_line(f, shift)}"
           for f in (c.function, *path[::-1])]  # fmt: skip
    end = "   at Microsoft.AspNetCore.Routing.EndpointMiddleware.Invoke(HttpContext context)"
    return "\n".join([f"{c.type}: {message}", *own, "--- End of stack trace from previous location ---", end])


def _wrap_dotnet(r: random.Random, stack: str, path: tuple[str, ...], shift: int) -> tuple[str, str, str]:
    text = f"request {r.randrange(9999)} failed"
    head, _, rest = stack.partition("\n")
    inner = f"Acme.Failed: {text}\n ---> {head}\n{rest}\n   --- End of inner exception stack trace ---"
    return "Acme.Failed", text, f"{inner}\n   at Acme.Edge.Answer() in /src/Edge.cs:line {40 + shift}"


def _ruby(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    calls = [
        f"/app/{f.split('_')[0]}.rb:{_line(f, shift)}:in `{'block in ' if r.random() < 0.2 else ''}{f}'"
        for f in (c.function, *path[::-1])
    ]
    below = "\tfrom /usr/lib/ruby/gems/3.2.0/gems/rack-2.2.8/lib/rack/server.rb:12:in `call'"
    return f"{calls[0]}: {message} ({c.type})\n" + "".join(f"\tfrom {call}\n" for call in calls[1:]) + below


def _php(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    chain = (c.function, *path[::-1])
    head = f"{c.type}: {message} in /app/src/{chain[0].split('_')[0]}.php:{_line(chain[0], shift)}\nStack trace:\n"
    after = [*(f"/app/src/{f.split('_')[0]}.php({_line(f, shift)})" for f in chain[1:]), "/app/vendor/slim/App.php(99)"]
    own = [
        f"#{n} {at}: Acme\\{f.split('_')[0].title()}->{f}('{r.choice(_NAMES)}', {r.randrange(99)})"
        for n, (at, f) in enumerate(zip(after, chain, strict=True))
    ]
    return head + "\n".join([*own, f"#{len(own)} {{main}}"])


def _rust(r: random.Random, c: Cause, message: str, path: tuple[str, ...], shift: int) -> str:
    head = f"thread 'worker-{r.randrange(9)}' panicked at src/{c.function.split('_')[0]}.rs:{_line(c.function, shift)}:9:\n{message}\nstack backtrace:\n"
    frames = ["   0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:645:5",
              "   1: core::panicking::panic_fmt\n             at /rustc/abc/library/core/src/panicking.rs:72:14"]  # fmt: skip
    frames += [f"   {n}: acme::{f.split('_')[0]}::{f}::h{r.getrandbits(64):016x}\n             at ./src/{f.split('_')[0]}.rs:{_line(f, shift)}:5"
               for n, f in enumerate((c.function, *path[::-1]), 2)]  # fmt: skip
    return head + "\n".join(frames) + "\n"


_PRINTERS = {"python": _python, "java": _java, "javascript": _javascript, "go": _go, "dotnet": _dotnet, "ruby": _ruby,
             "php": _php, "rust": _rust}  # fmt: skip
_WRAPPERS = {"python": _wrap_python, "java": _wrap_java, "dotnet": _wrap_dotnet}
