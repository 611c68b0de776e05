"""Read OTLP/JSON: a request, a `TracesData`, lines or a list of either.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shadowlab import errors
from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers import dialects
from shadowlab.telemetry.readers.base import LONGEST, PORTION, Faults, Portion
from shadowlab.telemetry.readers.json_lines import JsonLines

_BLOCK: Final = 256 << 10
"""Bytes read at once: so few that they are still in the cache when they are hashed, looked through and written."""
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
    """Portions of whole lines. A line that is too long is left out; what was read before damage is kept.

    Three files take turns, so that one portion can be cut while two are staged; what is in them is written over,
    because to write pages that are there costs a seventh of new ones. The first portions are small, as nothing else is
    done while they are cut, and so are the last ones, as nothing else is done once they are staged.
    """
    first, rest = 1, [b""]
    paths = itertools.cycle([spool / f"portion-{number}.jsonl" for number in range(3)])
    for most, path in zip(_sizes(stream), paths, strict=False):
        path.touch()
        with path.open("r+b") as out:
            lines = 0
            while out.tell() < most and (block := _next(stream, faults)):
                if cut := block.rfind(b"\n") + 1:
                    out.writelines((*rest, memoryview(block)[:cut]))
                    rest.clear()
                rest.append(block[cut:])
                lines += _lines(block)
                if sum(map(len, rest)) > LONGEST:
                    faults.add(f"line {first + lines}", f"longer than {LONGEST >> 20} MiB")
                    out.write(b"\n")
                    lines, rest = lines + 1, [_after_newline(stream, faults)]
            ended = out.tell() < most
            out.writelines(rest if ended else ())
            size = out.tell()
            out.truncate()
        if size:
            yield JsonLines(path, faults, spool, first_line=first)
        if ended:
            return
        first += lines


def _sizes(stream: Unpacked) -> Iterator[int]:
    """How many bytes each portion has, reckoned when it begins."""
    for tenths in (5, 5, 6):  # two that are staged side by side, then what is staged while the first is moved
        yield PORTION * tenths // 10
    while True:
        left = stream.left
        if left is None or left >= 2 * PORTION:
            yield PORTION
        else:
            share = PORTION * 2 // 3
            yield max(left // math.ceil((left + 1) / share), share // 4)


def _lines(block: bytes) -> int:
    """How many lines end in it; `bytes.count` takes seven times as long where lines are long."""
    count = at = 0
    while at := block.find(b"\n", at) + 1:
        count += 1
    return count


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
