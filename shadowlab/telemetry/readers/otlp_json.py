"""Read OTLP/JSON: a request, a `TracesData`, lines or a list of either.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shadowlab import errors
from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers import dialects
from shadowlab.telemetry.readers.base import LONGEST, PORTION, Faults, Portion
from shadowlab.telemetry.readers.json_lines import JsonLines

_BLOCK: Final = 8 << 20
_NAMES: Final = re.compile(rb'"(?:resource_?(?:Spans|Logs|Metrics|spans|logs|metrics)|batches)"\s*:')


class OtlpJson:
    """OTLP/JSON in all its spellings."""

    name = "otlp-json"

    def recognises(self, head: bytes) -> bool:
        """JSON that speaks of resources' spans, logs or metrics early on; broken lines may come before."""
        return _NAMES.search(head) is not None

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """Lines as they are, cut where a line ends; a document over several lines becomes one line."""
        if _is_spread(stream.peek(4096)):
            yield _document(stream, spool, faults)
        elif stream.whole is not None:
            yield JsonLines(stream.whole, faults, spool)
        else:
            yield from _cut(stream, spool, faults)


def _is_spread(head: bytes) -> bool:
    """Whether it starts a list, or an object that goes on over lines."""
    first, ended, _ = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    first = first.strip()
    if first[:1] == b"[" or first in (b"{", b""):
        return True
    # A line longer than the head breaks off in whatever stands there: only a whole line says how it ends.
    return bool(ended) and first[:1] == b"{" and first[-1:] in b"{[,"


def _document(stream: Unpacked, spool: Path, faults: Faults) -> Portion:
    told = bytearray()
    while block := stream.read(_BLOCK):
        told += block
        if len(told) > LONGEST:
            raise errors.TelemetryError(
                f"is one JSON document of more than {LONGEST >> 20} MiB; write one request a line"
            )
    path = spool / "document.jsonl"
    try:
        documents = list(dialects.requests(json.loads(told, parse_constant=str), faults.add))
    except (ValueError, RecursionError) as exc:
        raise errors.TelemetryError(f"is no JSON: {exc}") from exc
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return JsonLines(path, faults, spool, word="request")


def _cut(stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
    """Portions of whole lines. A line that is too long is left out; what was read before damage is kept."""
    path = spool / "portion.jsonl"
    first, rest = 1, b""
    while True:
        lines, size = 0, 0
        with path.open("wb") as out:
            while size < PORTION and (block := _next(stream, faults)):
                told = rest + block
                cut = told.rfind(b"\n") + 1
                rest = told[cut:]
                if len(rest) > LONGEST:
                    number = first + lines + told.count(b"\n")
                    faults.add(f"line {number}", f"longer than {LONGEST >> 20} MiB")
                    told, rest = told[:cut] + b"\n", _after_newline(stream, faults)
                    cut += 1
                size += out.write(told[:cut])
                lines += told.count(b"\n", 0, cut)
            if size < PORTION:
                size += out.write(rest)
                rest = b""
        if not size:
            break
        yield JsonLines(path, faults, spool, first_line=first)
        first += lines
    path.unlink(missing_ok=True)


def _next(stream: Unpacked, faults: Faults) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as exc:
        faults.add("end of file", f"the rest cannot be unpacked: {exc}")
        return b""


def _after_newline(stream: Unpacked, faults: Faults) -> bytes:
    while block := _next(stream, faults):
        if (cut := block.find(b"\n")) >= 0:
            return block[cut + 1 :]
    return b""
