"""Go through OTLP/JSON line by line, slowly: keep what can be kept, name what cannot."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from shadowlab.records import Rejected

LONGEST_LINE: Final = 64 * 1024 * 1024
MOST_REJECTED: Final = 1000
_SIGNALS: Final = ("resourceSpans", "resourceLogs", "resourceMetrics")


def opened(path: Path, compression: str) -> BinaryIO:
    """The file's bytes, unpacked."""
    return gzip.open(path, "rb") if compression == "gzip" else path.open("rb")  # type: ignore[return-value]  # GzipFile


def sift(path: Path, clean: Path, compression: str) -> tuple[int, list[Rejected]]:
    """Write the lines of `path` that are OTLP to `clean`; give their number and what was left out."""
    kept = 0
    rejected: list[Rejected] = []
    with clean.open("wb") as out:
        for number, line, fault in _lines(path, compression):
            reason = fault or _fault(line)
            if reason is None:
                out.write(line.rstrip(b"\r\n") + b"\n")
                kept += 1
            elif len(rejected) < MOST_REJECTED:
                rejected.append(Rejected(file=str(path), position=f"line {number}", reason=reason))
    return kept, rejected


def _lines(path: Path, compression: str) -> Iterator[tuple[int, bytes, str | None]]:
    number = 0
    with opened(path, compression) as file:
        try:
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    yield number, b"", f"longer than {LONGEST_LINE >> 20} MiB"
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LONGEST_LINE)
                elif line.strip():
                    yield number, line, None
        except (OSError, EOFError) as exc:
            yield number + 1, b"", f"the file ends here: {exc}"


def _fault(line: bytes) -> str | None:
    try:
        document: Any = json.loads(line)
    except ValueError as exc:
        return f"not JSON: {exc}"
    except RecursionError:
        return "nested too deeply"
    if not isinstance(document, dict) or not any(isinstance(document.get(name), list) for name in _SIGNALS):
        return "no OTLP: it has none of " + ", ".join(_SIGNALS)
    return None
