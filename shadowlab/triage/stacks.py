"""How each runtime prints a stack, one reader a language: a mark that tells it, and a function from text to a chain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from shadowlab.triage.frames import Line, Raised

_HEAD = re.compile(
    r'\s*(?:Uncaught |Unhandled exception\. |Exception in thread "[^"]*" )?([\w.$\\:]+)(?: \[[A-Z]\w+\])?'
    r"(?::(?: (.*))?)?\Z",
    re.DOTALL,
)

_PY = re.compile(r'^[ |+]*File "([^"\n]+)", line (\d+), in ([^\n]+)\n?(?:[ |]{4,}(?!File ")([^\n]+))?', re.MULTILINE)
_PY_LINK = re.compile(
    r"\n[ |]*\n?[ |]*(The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):\n"
)
_JAVA = re.compile(r"^[ \t]*at (?:[\w.@-]*/{1,2})?([\w.$<>/\-]+)\(([^():\n]*)(?::(\d+))?\)", re.MULTILINE)
_JAVA_MARK = re.compile(
    r"^[ \t]*at (?:[\w.@-]*/{1,2})?[\w.$<>/\-]+"
    r"\((?:[\w$-]+\.\w+(?::\d+)?|Native Method|Unknown Source|<generated>)\)",
    re.MULTILINE,
)
_JAVA_LINK = re.compile(r"^Caused by: ", re.MULTILINE)
_JS = re.compile(
    r"^[ \t]*at (?:async )?(?:(new )?([^\s(][^(\n]*?) (?:\[as [^\]\n]+\] )?\()?"
    r"((?:file://|https?://|webpack[^:\s]*://|node:|/|[A-Za-z]:\\|\.{0,2}/)?[^()\n]*?):(\d+):\d+\)?\s*$",
    re.MULTILINE,
)
_GECKO = re.compile(r"^([^@\n]*)@((?:file|https?|webpack[^:\s]*|resource)://[^\n]*?):(\d+):\d+$", re.MULTILINE)
_JS_LINK = re.compile(r"^[ \t]*(?:\[cause\]: |caused by: )", re.MULTILINE | re.IGNORECASE)
_GO = re.compile(
    r"^(?:created by )?([^\s(][^\n]*?)(?:\((?:[^()\n]|\(\))*\))?(?: in goroutine \d+)?\n"
    r"[ \t]+([^\s:][^:\n]*\.(?:go|s)):(\d+)(?: \+0x[0-9a-f]+)?",
    re.MULTILINE,
)
_NET = re.compile(r"^[ \t]*at ([^\n(]+)\([^\n]*?\)(?: in ([^\n]+?):line (\d+))?\s*$", re.MULTILINE)
_NET_INNER = re.compile(r"^[ \t]*--- End of inner exception stack trace ---\s*$", re.MULTILINE)
_RUBY = re.compile(r"^[ \t]*(?:from |\d+: from )?([^\s:][^:\n]*):(\d+):in [`']([^'\n]+)'", re.MULTILINE)
_RUBY_HEAD = re.compile(r"\A[^\n]*?:in [`'][^'\n]+': (.*?) \(([\w:]+)\)", re.DOTALL)
_PHP = re.compile(r"^#\d+ (?:([^\n(]+)\((\d+)\)|(\[internal function\])|(\{main\})):? ?([^\n]*)", re.MULTILINE)
_PHP_HEAD = re.compile(
    r"\A\s*(?:PHP Fatal error:\s+Uncaught )?([\w\\]+)(?:: (.*?))? in ([^\n]+?):(\d+)\s*\Z", re.DOTALL
)
_RUST = re.compile(r"^[ \t]*\d+:\s+(?:0x[0-9a-f]+ - )?([^\n]+)(?:\n\s+at ([^\n]+?):(\d+)(?::\d+)?)?$", re.MULTILINE)
_RUST_PANIC = re.compile(r"thread '[^'\n]*' (?:\(\d+\) )?panicked at (?:'(.*?)', )?([^\n]*?):(\d+):\d+:?\n?([^\n]*)")


# Frames are read once for all messages that came the same way.
_once = lru_cache(maxsize=1_024)


def python(text: str) -> Iterator[Raised]:
    """Chained parts are printed root first; only an explicit cause (`raise … from …`) keeps the chain going."""
    parts = _PY_LINK.split(text)
    yield _python_one(parts[-1])
    for at in range(len(parts) - 2, 0, -2):
        if not parts[at].startswith("The above"):
            return
        yield _python_one(parts[at - 1])


def _python_one(text: str) -> Raised:
    frames, end = _python_lines(text[: _last_code(text)])
    tail = [
        line
        for line in text[end:].splitlines()
        if line.strip(" |^~") and not line.startswith(("    ", "  [", '  File "'))
    ]
    kind, message = _head("\n".join(tail).strip())
    return Raised(kind, message, frames)


def _last_code(text: str) -> int:
    """Where the code of the last frame ends; what stands below is the exception's own."""
    below = text.find("\n", max(text.rfind('File "'), 0)) + 1
    if text[below : below + 4].strip(" |") == "":
        below = text.find("\n", below)
    return below if below > 0 else len(text)


@_once
def _python_lines(text: str) -> tuple[tuple[Line, ...], int]:
    """The frames, and where the last one ends."""
    frames, end = [], 0
    for found in _PY.finditer(text):
        code = found[4].strip() if found[4] else None
        # An exception's own line is indented less than code; carets and tildes are no code.
        frames.append(
            Line(found[1], _clean(found[3].strip()), int(found[2]), code if code and code.strip("^~ ") else None)
        )
        end = found.end()
    return tuple(frames), end


def java(text: str) -> Iterator[Raised]:
    """`Caused by:` sections follow the thrown exception; suppressed ones are left out."""
    text = re.sub(r"^[ \t]+Suppressed: .*?(?=^\S|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    for section in _JAVA_LINK.split(text):
        head = _before(section, "\n\tat ", "\n    at ", "\n at ")
        yield Raised(*_head(head), _below(section, head, _java_lines))


@_once
def _java_lines(text: str) -> tuple[Line, ...]:
    found = [Line(f[2], _clean(f[1]), int(f[3]) if f[3] else None) for f in _JAVA.finditer(text)]
    return tuple(reversed(found))


def javascript(text: str) -> Iterator[Raised]:
    """`[cause]:` sections follow the thrown error."""
    for section in _JS_LINK.split(text):
        head = _before(section, "\n    at ", "\n  at ", "\n\tat ", "\n      at ")
        yield Raised(*_head(head), _below(section, head, _javascript_lines))


@_once
def _javascript_lines(text: str) -> tuple[Line, ...]:
    frames = []
    for found in _JS.finditer(text):
        frames.append(Line(_local(found[3]), _clean((found[2] or "<anonymous>").strip()), int(found[4])))
    return tuple(reversed(frames))


def gecko(text: str) -> Iterator[Raised]:
    """What Firefox and Safari print, with or without `Type: message` above."""
    frames = [Line(_local(f[2]), _clean(re.sub(r"[/<*]+$", "", f[1])), int(f[3])) for f in _GECKO.finditer(text)]
    head = text.split("\n", 1)[0]
    yield Raised(*(("", "") if _GECKO.match(head) else _head(head)), tuple(reversed(frames)))


def _local(url: str) -> str:
    """A file's path without the host that it came from."""
    return re.sub(r"^(?:file|https?|webpack[^:]*|resource)://(?:[^/]*(?=/))?", "", url)


def go(text: str) -> Iterator[Raised]:
    """A panic's or an error's own goroutine, the first that is printed."""
    routines = [found.start() for found in re.finditer(r"^goroutine \d+", text, re.MULTILINE)]
    body = text[: routines[1]] if len(routines) > 1 else text
    frames = [Line(f[2].strip(), _clean(f[1].strip()), int(f[3])) for f in _GO.finditer(body)]
    thrown = max((n for n, frame in enumerate(frames) if frame.function in ("panic", "runtime.gopanic")), default=-1)
    head = _before(body, "\ngoroutine ", "\n\t").split("\n")[0]
    message = head.removeprefix("panic: ") if not head.startswith("goroutine") else ""
    yield Raised("panic" if head.startswith("panic: ") else "", message, tuple(reversed(frames[thrown + 1 :])))


def dotnet(text: str) -> Iterator[Raised]:
    """Heads come thrown first, joined by `--->`; frames come root first, parted by `End of inner exception`."""
    at = re.search(r"^[ \t]*at ", text, re.MULTILINE)
    heads = re.split(r"\s*---> ", text[: at.start()] if at else text)
    sections = _NET_INNER.split(text[at.start() :] if at else "")
    for head, section in zip(heads, reversed(sections), strict=False):
        yield Raised(*_head(re.sub(r"^\(Inner Exception #\d+\) ", "", head)), _dotnet_lines(section))


@_once
def _dotnet_lines(text: str) -> tuple[Line, ...]:
    found = [Line(f[2] or "", _clean(f[1].strip()), int(f[3]) if f[3] else None) for f in _NET.finditer(text)]
    return tuple(reversed(found))


def ruby(text: str) -> Iterator[Raised]:
    """`full_message` or a bare backtrace; a cause follows with a head of its own."""
    sections = re.split(r"\n(?=[^\s][^\n]*:in [`'][^'\n]+': )", text)
    for section in sections:
        head = _RUBY_HEAD.match(section[:8_000])
        frames = [Line(found[1], _clean(found[3]), int(found[2])) for found in _RUBY.finditer(section)]
        if head:
            yield Raised(head[2], head[1], tuple(reversed(frames)))
        else:
            kind, message = _head(section.split("\n")[0]) if not _RUBY.match(section) else ("", "")
            yield Raised(kind, message, tuple(reversed(frames)))


def php(text: str) -> Iterator[Raised]:
    """A call's function runs where the frame before it points; parts joined by `Next` come root first."""
    sections = re.split(r"\n\s*Next ", text)
    for section in reversed(sections):
        head = _PHP_HEAD.match(section.split("Stack trace:")[0][:4_000])
        file, line = (head[3], int(head[4])) if head else ("", None)
        frames = []
        for found in _PHP.finditer(section):
            call = "{main}" if found[4] else re.sub(r"\(.*", "", found[5], flags=re.DOTALL)
            frames.append(Line(file, _clean(call.strip()), line))
            file, line = (found[1] or found[3] or ""), int(found[2]) if found[2] else None
        if not head and frames:
            frames = frames[1:]
        yield Raised(head[1] if head else "", (head[2] or "") if head else "", tuple(reversed(frames)))


def rust(text: str) -> Iterator[Raised]:
    """A panic's backtrace, or an error report with `Caused by:` lines."""
    panic = _RUST_PANIC.search(text)
    trace = re.split(r"stack backtrace:\n", text, flags=re.IGNORECASE)[-1]
    frames = [Line(f[2] or "", _clean(f[1].strip()), int(f[3]) if f[3] else None) for f in _RUST.finditer(trace)]
    if panic:
        raising = ("core::panicking::", "core::result::", "core::option::", "rust_begin_unwind")
        last = max((n for n, frame in enumerate(frames) if frame.function.startswith(raising)), default=-1)
        yield Raised("panic", panic[1] or panic[4], tuple(reversed(frames[last + 1 :])))
        return
    head = re.split(r"\n\s*\n|\nCaused by:|\nstack backtrace:", text, maxsplit=1, flags=re.IGNORECASE)[0]
    yield Raised("", head.strip(), tuple(reversed(frames)))
    for cause in re.findall(r"^[ \t]+(?:\d+: )?([^\n]+)$", _between(text, "Caused by:\n", "\n\n"), re.MULTILINE)[-1:]:
        yield Raised("", cause, ())


_JS_MARK = re.compile(r"^[ \t]*at [^\n]*:\d+:\d+\)?\s*$", re.MULTILINE)
_RUST_MARK = re.compile(r"panicked at |^stack backtrace:|^[ \t]+at [^\n]+\.rs:\d+", re.MULTILINE | re.IGNORECASE)
_NET_MARK = re.compile(r"^[ \t]*at [\w.<>`+$\[\],|]+\([^\n]*\)(?: in [^\n]+:line \d+)?\s*$", re.MULTILINE)
_PHP_MARK = re.compile(r"^#\d+ (?:[^\n]+\(\d+\):|\[internal function\]|\{main\})", re.MULTILINE)

READERS: tuple[tuple[str, tuple[str, ...], re.Pattern[str], Callable[[str], Iterator[Raised]]], ...] = (
    ("python", ('", line ',), re.compile(r'^[ |+]*File "[^"\n]+", line \d+, in ', re.MULTILINE), python),
    ("php", ("#0 ",), _PHP_MARK, php),
    ("ruby", (":in `", ":in '"), re.compile(r"^[^\n]+:\d+:in [`'][^\n]+'", re.MULTILINE), ruby),
    ("go", (".go:",), re.compile(r"^[ \t]+[^\s:][^:\n]*\.go:\d+", re.MULTILINE), go),
    ("rust", ("panicked at ", "ack backtrace:", ".rs:"), _RUST_MARK, rust),
    ("javascript", ("at ",), _JS_MARK, javascript),
    ("javascript", ("@",), _GECKO, gecko),
    ("java", ("at ",), _JAVA_MARK, java),
    ("dotnet", ("at ",), _NET_MARK, dotnet),
)
"""Language, what its texts hold (one of these, cheaply looked for), the mark that tells it, its reader."""

_CLEANERS = tuple(
    (re.compile(pattern), to)
    for pattern, to in (
        (r"\$\$Lambda(?:\$|/)?[\w/.$]*|\$\$(?:EnhancerBy|FastClassBy)\w+\$\$\w*", "$$gen"),
        (r"\$HibernateProxy\$\w*|\$\$SpringCGLIB\$\$\d*", "$$gen"),
        (r"(GeneratedMethodAccessor|GeneratedConstructorAccessor|\$Proxy|_jsp_)\d+", r"\1"),
        (r"lambda\$(\w+)\$\d+", r"lambda$\1"),
        (r"<(\w+)>d__\d+(?:`\d+)?\.MoveNext", r"\1"),
        (r"<>c(?:__DisplayClass[\d_]+)?\.<(\w+)>b__[\d_]+", r"\1.lambda"),
        (r"<(\w+)>g__(\w+)\|[\d_]+", r"\1.\2"),
        (r"`\d+", ""),
        (r"::h(?:[0-9a-f]{16}|0)$", ""),
        (r"(?:::)?\{\{closure\}\}(?:#\d+)?|\{closure#\d+\}", ""),
        (r"\{closure(?::[^}]*)?\}", "{closure}"),
        (r"class@anonymous\S*", "class@anonymous"),
        (r"^(?:block(?: \(\d+ levels\))? in |rescue in |ensure in )+", ""),
        (r"\.func\d+(?:\.\d+)*", ".func"),
        (r"\(0x[0-9a-f, x.]*\)$|\(\.\.\.\)$|\[\.\.\.\]", ""),
        (r"^(?:Object|Function|Module|exports)\.(?=\w)", ""),
        (r"\$\d+\b", "$"),
    )
)  # fmt: skip


@lru_cache(maxsize=65_536)
def _clean(function: str) -> str:
    """A function's name without what compilers and run-time generators put into it."""
    for pattern, to in _CLEANERS:
        function = pattern.sub(to, function)
    return function.strip() or "<anonymous>"


@lru_cache(maxsize=8_192)
def _head(text: str) -> tuple[str, str]:
    """Type and message of `Type: message`; no type where the text does not start with one."""
    found = _HEAD.match(text)
    if found and (found[2] is not None or re.fullmatch(r"[\w.$\\:]*[A-Z][\w.$\\:]*", found[1])):
        return found[1], (found[2] or "").strip()
    return "", text.strip()


def _below(section: str, head: str, read: Callable[[str], tuple[Line, ...]]) -> tuple[Line, ...]:
    """The frames below a head; it may be one itself."""
    return read(section[len(head) :]) + (read(head) if "at " in head else ())


def _before(text: str, *marks: str) -> str:
    ends = [at for mark in marks if (at := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text


def _between(text: str, start: str, end: str) -> str:
    at = text.find(start)
    if at < 0:
        return ""
    stop = text.find(end, at)
    return text[at + len(start) : stop if stop >= 0 else len(text)]
