"""What is read from a stack text, which frames are the service's own, and how each counts in a fingerprint.

Frames come outermost first, whatever the runtime prints; a chain of causes comes thrown first, root cause last. Line
numbers are kept for showing and never decide a group. What a text does not show is left out: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from shadowlab.records import Frame

VERSION = 6
"""Of how stacks are read; what an earlier one read is read again."""


class Line(NamedTuple):
    """One frame as the runtime printed it, its function cleaned of what differs from run to run."""

    file: str
    function: str
    line: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One exception of a chain."""

    type: str
    message: str
    frames: tuple[Line, ...]
    """Outermost first."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What a stack text says."""

    language: str
    chain: tuple[Link, ...]
    """Thrown first, root cause last; a Python exception that merely came up while another was handled stands alone.

    Of several that one holds (Python's groups, `AggregateError`, `AggregateException`) the first follows it.
    """

    @property
    def frames(self) -> tuple[Line, ...]:
        """The thrown exception's frames, or the first of the chain that has some."""
        return next((raised.frames for raised in self.chain if raised.frames), ())


_LIBRARY = re.compile(
    r"site-packages/|dist-packages/|/lib/python\d|^<frozen |^<string>|/\.venv/|\bimportlib[/.]_bootstrap"
    r"|node_modules/|^node:|^internal/|^webpack/|^\(?native|^index \d"
    r"|/pkg/mod/|/(?:usr/local|lib|opt|share|snap)/go(?:lang|-?[\d.]+)?/|/sdk/go[\d.]+|/hostedtoolcache/go/|/libexec/src/"
    r"|@v\d[^/]*/|(?:^|/)vendor/"
    r"|/gems/|/lib/ruby/|<internal:"
    r"|/rustc/|/\.?cargo/(?:registry|git)/|library/(?:std|core|alloc)/src/"
    r"|\[internal function\]"
)
_LIBRARY_FUNCTION = re.compile(
    r"(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|org\.(?:springframework|apache|hibernate"
    r"|eclipse|jboss|junit|postgresql|mariadb|h2|slf4j|elasticsearch|flywaydb|jooq)|oracle\.jdbc|io\.(?:netty|grpc|micrometer"
    r"|opentelemetry|undertow|vertx|quarkus|ktor|lettuce|micronaut|reactivex|github\.resilience4j)|reactor"
    r"|com\.(?:zaxxer|fasterxml|google|mysql|amazonaws|datastax|mongodb|netflix|rabbitmq|squareup)"
    r"|software\.amazon\.awssdk|redis\.clients|akka|feign|okhttp3|okio|retrofit2|rx)\."
    r"|(?:System|Microsoft|Npgsql|Grpc|Newtonsoft|Azure|Serilog|MassTransit|Dapper|MongoDB\.Driver|MySqlConnector|Polly"
    r"|RabbitMQ\.Client|StackExchange\.Redis)\.|lambda_method"
    r"|(?:Symfony|Illuminate|Laravel|GuzzleHttp|Doctrine|Slim|Psr|Monolog|OpenTelemetry|Twig|Predis|Composer)[.\\]"
    r"|(?:runtime|testing|reflect|sync|database/sql|net/http|encoding/\w+)\.|runtime/debug\.|panic$|created by "
    r"|google\.golang\.org/|golang\.org/x/"
    r"|<?(?:std|core|alloc|tokio|hyper|axum|tower|futures_util|actix_\w+|tracing\w*|backtrace"
    r"|anyhow|eyre|color_eyre|panic_unwind)::"
    r"|rust_begin_unwind|__rust_\w+|_?start(?:_thread)?$|__libc_\w+"
    r"|process\.processTicksAndRejections|Promise\.|new Promise|Array\.|JSON\.|Function\.Module|Module\._"
)


@lru_cache(maxsize=65_536)
def in_app(file: str, function: str, prefixes: tuple[str, ...] = ()) -> bool:
    """Whether a frame is the service's own code: not a library's, not the runtime's."""
    if not file and not function:
        return False
    plain = file.replace("\\", "/")
    if _LIBRARY.search(plain):
        return False
    if any(plain.startswith(prefix) for prefix in prefixes):
        return True
    return plain not in ("<anonymous>", "native") and not _LIBRARY_FUNCTION.match(function)


def shown(lines: Sequence[Line], prefixes: Sequence[str] = ()) -> tuple[Frame, ...]:
    """Frames for a record: in-app files as paths in the source tree."""
    told = []
    for line in lines:
        own = in_app(line.file, line.function, tuple(prefixes))
        prefix = next((p for p in prefixes if own and line.file.startswith(p)), "")
        file = line.file[len(prefix) :].lstrip("/") if prefix else line.file
        told.append(Frame(file=file, function=line.function, line=line.line, in_app=own, text=line.text))
    return tuple(told)


_LONGEST_NAME = 1_000
"""Characters; no file system has longer ones."""
_EXTENSIONS = re.compile(
    r"(?:[.-][0-9a-f]{6,})?(?:\.(?:py|pyc|m?[jt]sx?|cjs|chunk|bundle|java|kt|go|cs|rb|php|rs|min))*$"
)
_BUNDLED = re.compile(r"[.-](?=[\w-]{8}\.[cm]?js$)(?=[\w-]{0,7}[A-Z])(?!(?:[A-Z][a-z]+)+\.)[\w-]{8}")
"""Eight signs that a bundler takes from what the file holds, in letters of both cases: no word that a person wrote."""


@lru_cache(maxsize=65_536)
def place(file: str, function: str) -> str:
    """How a frame counts in a fingerprint: its module and function, never its folder or line."""
    name = re.split(r"[/\\]", file)[-1].split("?")[0][-_LONGEST_NAME:]
    stem = _EXTENSIONS.sub("", _BUNDLED.sub("", name))
    return f"{stem}:{function}" if stem and "." not in function and "::" not in function else function
