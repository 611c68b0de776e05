"""Fuzz what reads files with atheris: whatever the bytes are, they are read, named as a fault or refused with words.

    python tests/fuzz_readers.py -max_total_time=60 [FOLDER OF INPUTS]

`make fuzz` runs it after the property tests. Needs `pip install atheris`, which is not among the development
dependencies; the words after the name are libFuzzer's own.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: `pip install atheris`, then run `make fuzz` again")

with atheris.instrument_imports(include=["shadowlab.telemetry"]):
    from shadowlab import errors
    from shadowlab.telemetry.inputs import Hashed, Unpacked
    from shadowlab.telemetry.readers import Faults, base, dialects, plain, reader_for, wire

SPOOL = Path(tempfile.mkdtemp(prefix="shadowlab-fuzz-"))


def read(told: bytes) -> None:
    """As `ingest` reads a file, up to where DuckDB takes over."""
    faults = Faults("fuzz")
    try:
        stream = Unpacked(Hashed(io.BytesIO(told)))
        for portion in reader_for(stream.peek(base.HEAD)).portions(stream, SPOOL, faults):
            assert portion.position
    except (errors.TelemetryError, OSError):
        return


def values(told: bytes) -> None:
    """Documents and values in every spelling."""
    wire.framing(told)
    wire.signal(told)
    try:
        document = json.loads(told)
    except (ValueError, RecursionError):
        return
    json.dumps(list(dialects.requests(document, lambda at, why: None)))
    for is_map in (False, True):
        try:
            plain.plain_text(document, is_map=is_map)
        except ValueError:
            continue


def one(told: bytes) -> None:
    """One input of libFuzzer's."""
    read(told)
    values(told)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
