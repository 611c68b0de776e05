"""How each runtime prints a stack, one reader a language: a mark that tells it, and a function from text to a chain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from shadowlab.triage.frames import Line, Link, Stack
from shadowlab.triage.names import clean, head_of
from shadowlab.triage.tracebacks import python

_AT = re.compile(r"\n[ \t]+(?:at |\.\.\. )")
"""Where a head ends and frames begin, or what stands for frames that were shown above."""
_JAVA = re.compile(r"^[ \t]*at (?:[\w.@-]*/{1,2})?([\w.$<>/\-]+)\(([^():\n]*)(?::(\d+))?\)", re.MULTILINE)
_JAVA_MARK = re.compile(
    r"^[ \t]*at (?:[\w.@-]*/{1,2})?[\w.$<>/\-]+"
    r"\((?:[\w$-]+\.\w+(?::\d+)?|Native Method|Unknown Source|<generated>)\)",
    re.MULTILINE,
)
_JAVA_LINK = re.compile(r"^Caused by: ", re.MULTILINE)
_JS = re.compile(
    r"^[ \t]*at (?:async )?(?:(new )?([^\s(][^(\n]*?) (?:\[as [^\]\n]+\] )?\()?"
    r"(?:address at )?((?:file://|https?://|webpack[^:\s]*://|node:|[A-Za-z]:\\|\.{0,2}/)(?:[^()\n]|\([^()\n]*\))*?"
    r"|[^()\n]*?):(\d+):\d+\)?(?: \{|,)?\s*$",
    re.MULTILINE,
)
_GECKO = re.compile(r"^([^@\n]*)@((?:file|https?|webpack[^:\s]*|resource)://[^\n]*?):(\d+):\d+$", re.MULTILINE)
_JS_LINK = re.compile(r"^[ \t]*(?:\[cause\]: |caused by: )", re.MULTILINE | re.IGNORECASE)
_JS_HELD = re.compile(r"\[errors\]: \[\n( *)(?=\S)")
_JS_SHOWN = re.compile(r"\A[^\n]+:\d+\n[^\n]*\n[ \t]*\^+[ \t]*\n\s*")
"""The line of code that Node prints above an error that nobody caught."""
_JS_BARE = re.compile(r"\A\[([^\n]*)\](?: \{)?\Z")
"""An error without frames, as it is shown beside others."""
_GO = re.compile(
    r"^(?:created by )?([^\s(][^\n]*?)(?:\((?:[^()\n]|\(\))*\))?(?: in goroutine \d+)?\n"
    r"[ \t]+([^\s:][^:\n]*\.(?:go|s)):(\d+)(?: \+0x[0-9a-f]+)?",
    re.MULTILINE,
)
_GO_DUMP = re.compile(r"^(?:goroutine \d+|panic: |fatal error: )", re.MULTILINE)
_GO_HEAD = re.compile(r"^(panic|fatal error): ([^\n]*?)(?: \[recovered[^\]\n]*\])?$", re.MULTILINE)
_GO_CALL = re.compile(
    r"^(?![ \t])(?:created by )?([^\n]+?)(?:\((?:[^()\n]|\(\))*\))?(?: in goroutine \d+)?\n"
    r"[ \t]+([^\s:][^:\n]*\.(?:go|s)):(\d+)[^\n]*(?:\n|\Z)",
    re.MULTILINE,
)
_GO_BASE, _GO_MADE = "runtime.goexit", ".init"
"""What called all else of a goroutine; where variables of a package are made, before anything can fail."""
_GO_WRAPPED = re.compile(r"(.*\n[ \t][^\n]*)(?:\n([^ \t\n].*))?\Z", re.DOTALL)
"""What `xerrors` printed, and the message of what wraps it."""
_GO_MARGIN = re.compile(r"^ {4}", re.MULTILINE)
_GO_ERRORS = 5
"""Levels of errors that print others of another package within their own that are looked at."""
_NET = re.compile(r"^[ \t]*at ([^\n(]+)\([^\n]*?\)(?: in ([^\n]+?):line (\d+))?\s*$", re.MULTILINE)
_NET_INNER = re.compile(r"^[ \t]*--- End of inner exception stack trace ---\s*$", re.MULTILINE)
_NET_BELOW = re.compile(r"^[ \t]*(?:at |--- End of inner exception)", re.MULTILINE)
_NET_OTHERS = re.compile(r"\n[ \t]*---> \(Inner Exception #\d+\).*?(?:<---|\Z)", re.DOTALL)
"""What an aggregate holds, printed once more; the first of it is its cause above."""
_RUBY = re.compile(r"^[ \t]*(?:from |\d+: from )?([^\s:][^:\n]*):(\d+):in [`']([^'\n]+)'", re.MULTILINE)
_RUBY_HEAD = re.compile(r"\A[^\n]*?:in [`'][^'\n]+': ([^\n]*) \(([\w:]+)\)$", re.MULTILINE)
_RUBY_THROWN = re.compile(r"\S[^\n]*:in [`'][^'\n]+': ")
_RUBY_NUMBERED = re.compile(r"^[ \t]+\d+: from ", re.MULTILINE)
_PHP = re.compile(r"^#\d+ (?:(\[internal function\])|(\{main\})|([^\n(]+)\((\d+)\)):? ?([^\n]*)", re.MULTILINE)
_PHP_NEXT = re.compile(r"(?<=\{main\})\s+Next ")
_PHP_AT = re.compile(r"^[ \t]*at (\S+?)\(([^()\n]*?)(?::(\d+)|\((\d+)\))?\)$", re.MULTILINE)
_PHP_ITSELF = "[internal function]"
_PHP_WRITTEN = re.compile(r"[\\{]|\w\.\w+\.")
"""In names that PHP's own functions do not have: of a namespace, of a closure."""
_PHP_CALL = re.compile(r"(?:\{[^}\n]*\}|[^({\n])*")
_PHP_HEAD = re.compile(
    r"\A\s*(?:\[[^\]\n]*\] )?(?:(?:PHP )?Fatal error:\s+Uncaught )?([\w\\]+|(?:PHP )?Fatal error)"
    r"(?:: (.*))? in ([^\n]+?)(?::| on line |\()(\d+)\)?\s*\Z",
    re.DOTALL,
)
_RUST = re.compile(r"^[ \t]*\d+:\s+(?:0x[0-9a-f]+ - )?([^\n]+)(?:\n\s+at ([^\n]+?):(\d+)(?::\d+)?)?$", re.MULTILINE)
_RUST_RAISING = re.compile(
    r"(?:core::(?:panicking|result|option)|std::panicking::begin_panic)\b|(?:__rustc::)?rust_begin_unwind"
)
_RUST_PANIC = re.compile(
    r"thread '[^'\n]*' (?:\(\d+\) )?panicked at (?:'(.{0,2000}?)', )?([^\n]{0,400}?):(\d+):\d+:?\n?([^\n]*)"
)


# Frames are read once for all messages that came the same way.
_once = lru_cache(maxsize=1_024)


def java(text: str) -> Iterator[Link]:
    """`Caused by:` sections follow the thrown exception; suppressed ones are left out."""
    text = re.sub(r"^[ \t]+Suppressed: .*?(?=^\S|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    for section in _JAVA_LINK.split(text):
        if not section.startswith("[CIRCULAR REFERENCE"):
            head = _AT.split(section, maxsplit=1)[0]
            yield Link(*head_of(head), _below(section, head, _java_lines))


@_once
def _java_lines(text: str) -> tuple[Line, ...]:
    found = [Line(f[2], clean(f[1]), int(f[3]) if f[3] else None) for f in _JAVA.finditer(text)]
    return tuple(reversed(found))


def javascript(text: str) -> Iterator[Link]:
    """`[cause]:` sections follow the thrown error; the first of `[errors]` does, too. What is no error is no cause."""
    text = _JS_SHOWN.sub("", text)
    if held := _JS_HELD.search(text):
        others = re.compile(rf",?\n(?:{held[1]}(?=[^\s}}])|{held[1][2:]}\])")
        text = f"{text[: held.start()].rstrip()}\n[cause]: {others.split(text[held.end() :], maxsplit=1)[0]}"
    for n, section in enumerate(_JS_LINK.split(text)):
        head = _AT.split(section, maxsplit=1)[0]
        kind, message = head_of(_JS_BARE.sub(r"\1", head.strip()))
        lines = _below(section, head, _javascript_lines)
        if n == 0 or kind or lines:
            yield Link(kind, message, lines)


@_once
def _javascript_lines(text: str) -> tuple[Line, ...]:
    frames = []
    for found in _JS.finditer(text):
        frames.append(Line(_local(found[3]), clean((found[2] or "<anonymous>").strip()), int(found[4])))
    return tuple(reversed(frames))


def gecko(text: str) -> Iterator[Link]:
    """What Firefox and Safari print, with or without `Type: message` above."""
    frames = [Line(_local(f[2]), clean(re.sub(r"[/<*]+$", "", f[1])), int(f[3])) for f in _GECKO.finditer(text)]
    head = text.split("\n", 1)[0]
    yield Link(*(("", "") if _GECKO.match(head) else head_of(head)), tuple(reversed(frames)))


def _local(url: str) -> str:
    """A file's path without the host that it came from."""
    return re.sub(r"^(?:file|https?|webpack[^:]*|resource)://(?:[^/]*(?=/))?", "", url)


def go(text: str) -> Iterator[Link]:
    """A panic's own goroutine, the first that is printed, of panics within panics the first one; or errors."""
    if not _GO_DUMP.search(text):
        yield from _go_errors(text, _GO_ERRORS)
        return
    routines = [found.start() for found in re.finditer(r"^goroutine \d+", text, re.MULTILINE)]
    body = text[: routines[1]] if len(routines) > 1 else text
    frames = [Line(f[2].strip(), clean(f[1].strip()), int(f[3])) for f in _GO.finditer(body)]
    thrown = max((n for n, frame in enumerate(frames) if frame.function in ("panic", "runtime.gopanic")), default=-1)
    head, first = _GO_HEAD.search(body), body.split("\n")[0]
    kind, message = head.groups() if head else ("", "" if first.startswith("goroutine ") else first)
    yield Link(kind, message, tuple(reversed(frames[thrown + 1 :])))


def _go_errors(text: str, levels: int) -> Iterator[Link]:
    """Errors that wrap each other, as `%+v` prints them; the one that was made first is the root.

    Those of `pkg/errors` come root first, each with the calls that led to it; those of `xerrors` come thrown first,
    each behind a hyphen, with the one function that wrapped or made it below a margin.
    """
    for message, lines in reversed(_go_sections(text)):
        block = _GO_WRAPPED.match(message) if levels else None
        if block is None:
            yield Link("", message, lines)
            continue
        if lines or block[2]:
            yield Link("", block[2] or "", lines)
        for part in block[1].split("\n  - "):
            for link in _go_errors(_GO_MARGIN.sub("", part), levels - 1):
                yield Link(link.type, link.message.removesuffix(":"), link.frames)


def _go_sections(text: str) -> list[tuple[str, tuple[Line, ...]]]:
    """Messages, each with the calls below it; none where these only say where a variable was made."""
    told: list[tuple[str, list[Line]]] = []
    end = 0
    for found in _GO_CALL.finditer(text):
        message = text[end : found.start()].strip("\n")
        if message or not told or told[-1][1][-1].function == _GO_BASE:
            told.append((message, []))
        told[-1][1].append(Line(found[2], clean(found[1].strip()), int(found[3])))
        end = found.end()
    if rest := text[end:].strip("\n"):
        told.append((rest, []))
    return [(message, () if lines and lines[0].function.endswith(_GO_MADE) else tuple(reversed(lines)))
            for message, lines in told]  # fmt: skip


def dotnet(text: str) -> Iterator[Link]:
    """Heads come thrown first, joined by `--->`; frames come root first, parted by `End of inner exception`."""
    text = _NET_OTHERS.sub("", text)
    at = _NET_BELOW.search(text)
    heads = re.split(r"\s*---> ", text[: at.start()] if at else text)
    sections = _NET_INNER.split(text[at.start() :] if at else "")
    found = list(zip(reversed(heads), (*sections, *[""] * len(heads)), strict=False))
    for head, section in reversed(found):
        yield Link(*head_of(head), _dotnet_lines(section))


@_once
def _dotnet_lines(text: str) -> tuple[Line, ...]:
    found = [Line(f[2] or "", clean(f[1].strip()), int(f[3]) if f[3] else None) for f in _NET.finditer(text)]
    return tuple(reversed(found))


def ruby(text: str) -> Iterator[Link]:
    """`full_message` or a bare backtrace; a cause follows with a head of its own."""
    if _RUBY_NUMBERED.search(text):
        text = _ruby_turned(text)
    sections = re.split(r"\n(?=[^\s][^\n]*:in [`'][^'\n]+': )", text)
    for section in sections:
        head = _RUBY_HEAD.match(section[:8_000])
        frames = [Line(found[1], clean(found[3]), int(found[2])) for found in _RUBY.finditer(section)]
        if head:
            yield Link(head[2], head[1], tuple(reversed(frames)))
        else:
            kind, message = head_of(section.split("\n")[0]) if not _RUBY.match(section) else ("", "")
            yield Link(kind, message, tuple(reversed(frames)))


def _ruby_turned(text: str) -> str:
    """A text whose thrown exception comes last, each below its calls (`order: :bottom`), in the usual order."""
    parts: list[list[str]] = []
    calls: list[str] = []
    for line in text.splitlines():
        if _RUBY_NUMBERED.match(line):
            calls.append(line)
        elif _RUBY_THROWN.match(line):
            parts.append([line, *reversed(calls)])
            calls = []
        elif parts:
            parts[-1].append(line)
    return "\n".join(line for part in reversed(parts) for line in part)


def php(text: str) -> Iterator[Link]:
    """A call's function runs where the frame before it points; parts joined by `Next` come root first."""
    for section in reversed(_PHP_NEXT.split(text)):
        head = _PHP_HEAD.match(section.split("Stack trace:")[0][:4_000])
        file, line = (head[3], int(head[4])) if head else ("", None)
        calls = []
        for found in _PHP.finditer(section):
            call = _PHP_CALL.match(found[5])
            calls.append(Line(file, "{main}" if found[2] else call[0].strip() if call else "", line))
            file, line = (found[3] or found[1] or ""), int(found[4]) if found[4] else None
        yield Link(head[1] if head else "", (head[2] or "") if head else "", _php_lines(calls))


def php_as_java(text: str) -> Iterator[Link]:
    """What OpenTelemetry's SDK for PHP makes of an exception: Java's shape, a dot for each backslash."""
    for section in _JAVA_LINK.split(text):
        if not section.startswith("[CIRCULAR REFERENCE"):
            head = _AT.split(section, maxsplit=1)[0]
            kind, message = head_of(head)
            calls = [Line(_PHP_ITSELF if f[2] == "Unknown Source" else f[2], f[1], int(f[3] or f[4] or 0) or None)
                     for f in _PHP_AT.finditer(section, len(head))]  # fmt: skip
            yield Link(kind.replace(".", "\\"), message, _php_lines(calls))


def _php_lines(calls: Sequence[Line]) -> tuple[Line, ...]:
    """Calls, the innermost first, as frames; PHP's own functions have no place but that which they are called from."""
    frames: list[Line] = []
    caller: tuple[str, int | None] = ("", None)
    for call in reversed(calls):
        place = call.file, call.line
        if call.line is not None and place == caller and not _PHP_WRITTEN.search(call.function):
            frames.append(Line(_PHP_ITSELF, clean(call.function)))
        else:
            frames.append(Line(call.file, clean(call.function), call.line))
        caller = caller if call.line is None else place
    return tuple(frames)


def rust(text: str) -> Iterator[Link]:
    """The first panic's backtrace, or an error report with `Caused by:` lines."""
    panics = list(_RUST_PANIC.finditer(text))
    if len(panics) > 1:
        text = text[: panics[1].start()]
    trace = re.split(r"stack backtrace:\n|━ BACKTRACE ━+\n", text, flags=re.IGNORECASE)[-1]
    frames = [Line(f[2] or "", clean(f[1].strip()), int(f[3]) if f[3] else None) for f in _RUST.finditer(trace)]
    if panics:
        last = max((n for n, frame in enumerate(frames) if _RUST_RAISING.match(frame.function)), default=-1)
        first = next((n for n, frame in enumerate(frames) if "__rust_begin_short_backtrace" in frame.function), None)
        yield Link("panic", panics[0][1] or panics[0][4], tuple(reversed(frames[last + 1 : first])))
        return
    head = re.split(r"\n\s*\n|\nCaused by:|\nstack backtrace:", text, maxsplit=1, flags=re.IGNORECASE)[0]
    yield Link("", head.strip(), tuple(reversed(frames)))
    for cause in re.findall(r"^[ \t]+(?:\d+: )?([^\n]+)$", _between(text, "Caused by:\n", "\n\n"), re.MULTILINE)[-1:]:
        yield Link("", cause, ())


_JS_MARK = re.compile(r"^[ \t]*at [^\n]*:\d+:\d+\)?(?: \{|,)?\s*$", re.MULTILINE)
_RUST_MARK = re.compile(r"panicked at |^stack backtrace:|^[ \t]+at [^\n]+\.rs:\d+", re.MULTILINE | re.IGNORECASE)
_NET_MARK = re.compile(r"^[ \t]*at [\w.<>`+$\[\],|]+\([^\n]*\)(?: in [^\n]+:line \d+)?\s*$", re.MULTILINE)
_PHP_AT_MARK = re.compile(r"^[ \t]*at [^\s(][^\n]*\([^()\n]*\.php(?::\d+|\(\d+\))?\)$", re.MULTILINE)
_PHP_MARK = re.compile(r"^#\d+ (?:[^\n]+\(\d+\):|\[internal function\]|\{main\})", re.MULTILINE)

READERS: tuple[tuple[str, tuple[str, ...], re.Pattern[str], Callable[[str], Iterator[Link]]], ...] = (
    ("python", ('", line ',), re.compile(r'^[ |+]*File "[^"\n]+", line \d+, in ', re.MULTILINE), python),
    ("php", ("#0 ",), _PHP_MARK, php),
    ("php", (".php",), _PHP_AT_MARK, php_as_java),
    ("ruby", (":in `", ":in '"), re.compile(r"^[^\n]+:\d+:in [`'][^\n]+'", re.MULTILINE), ruby),
    ("go", (".go:",), re.compile(r"^[ \t]+[^\s:][^:\n]*\.go:\d+", re.MULTILINE), go),
    ("rust", ("panicked at ", "ack backtrace:", ".rs:"), _RUST_MARK, rust),
    ("javascript", ("at ",), _JS_MARK, javascript),
    ("javascript", ("@",), _GECKO, gecko),
    ("java", ("at ",), _JAVA_MARK, java),
    ("dotnet", ("at ",), _NET_MARK, dotnet),
)
"""Language, what its texts hold (one of these, cheaply looked for), the mark that tells it, its reader."""
_LONGEST = 64_000
_MOST_FRAMES = 200


def parse(text: str) -> Stack | None:
    """The frames that `text` shows, or None when it shows none."""
    text = text[:_LONGEST]
    for language, holds, mark, read in READERS:
        if any(part in text for part in holds) and mark.search(text):
            chain = tuple(Link(r.type, r.message, r.frames[-_MOST_FRAMES:]) for r in read(text))
            if any(raised.frames for raised in chain):
                return Stack(language, chain)
    return None


def _below(section: str, head: str, read: Callable[[str], tuple[Line, ...]]) -> tuple[Line, ...]:
    """The frames below a head; it may be one itself."""
    return read(section[len(head) :]) + (read(head) if "at " in head else ())


def _between(text: str, start: str, end: str) -> str:
    at = text.find(start)
    if at < 0:
        return ""
    stop = text.find(end, at)
    return text[at + len(start) : stop if stop >= 0 else len(text)]
