"""The files of an incident: packed, read, and searched for what must not ship."""

import gzip
import io
import json
import lzma
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from making.planted import SECRETS, secret

SIGNALS = ("traces", "logs", "metrics")
FILES = (*(f"{name}.otlp.jsonl.gz" for name in SIGNALS), "recordings.jsonl.gz")
PLACES = re.compile(rb"/(?:root|home|work|tmp|mnt|Users)/")


def lines(file: Path) -> Iterator[dict[str, Any]]:
    """The documents of a file of JSON lines."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        for line in text:
            yield json.loads(line)


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """Key to value, of anything in OTLP/JSON that has attributes."""
    return {each["key"]: next(iter(each["value"].values()), None) for each in holder.get("attributes", ())}


def pack(work: Path, incident: Path, *, failing: int | None = None, controls: int | None = None) -> None:
    """Put the raw files of a run into the incident's folder, compressed; the same bytes for the same input.

    Of the recordings that failed, and of the controls, only so many are kept, spread over the time; with them goes
    their database. None keeps all.
    """
    for name in SIGNALS:
        zipped(incident / f"{name}.otlp.jsonl.gz", (work / f"{name}.otlp.jsonl").read_bytes())
    found = [json.loads(file.read_bytes()) for file in (work / "recordings").glob("*.json")]
    found.sort(key=lambda recording: (recording["time"], recording["id"]))
    kept = _some([each for each in found if not each["control"]], failing)
    kept += _some([each for each in found if each["control"]], controls)
    kept.sort(key=lambda recording: (recording["time"], recording["id"]))
    text = "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in kept)
    zipped(incident / "recordings.jsonl.gz", text.encode())
    shutil.rmtree(incident / "blobs", ignore_errors=True)
    (incident / "blobs").mkdir()
    for blob in sorted({each["db_snapshot"] for each in kept if each["db_snapshot"]}):
        shutil.copyfile(work / "recordings" / blob, incident / blob)


def _some(found: list[dict[str, Any]], number: int | None) -> list[dict[str, Any]]:
    if number is None or len(found) <= number:
        return found
    return [found[round(n * (len(found) - 1) / (number - 1))] for n in range(number)]


def zipped(file: Path, content: bytes) -> None:
    """Write a gzip file that names no time and no machine."""
    held = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=held, compresslevel=9, mtime=0) as stream:
        stream.write(content)
    file.write_bytes(held.getvalue())


def size(incident: Path) -> int:
    """Bytes of everything in the folder."""
    files = (file for file in incident.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sum(file.stat().st_size for file in files)


def leaks(incident: Path) -> Iterator[tuple[str, str]]:
    """Secrets that the load sent, and names of the machine that made it, in what ships (as it is when unpacked)."""
    forbidden = {secret(number): f"planted secret {number}" for number in range(-1, SECRETS)}
    forbidden |= {f"{Path.home()}/": "the home folder", f'"{socket.gethostname()}"': "this machine's name"}
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}
    for file in (*(incident / name for name in FILES), *sorted((incident / "blobs").glob("*"))):
        held = unpack[file.suffix](file.read_bytes())
        yield from ((file.name, what) for needle, what in forbidden.items() if needle.encode() in held)
        yield from ((file.name, f"the path {found[0].decode()}…") for found in [PLACES.search(held)] if found)
