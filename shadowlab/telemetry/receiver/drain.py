"""From the log to segments: through the same door as a file, then the log is dropped.

Killed in between, the log is still there and is taken in again; what is in a segment already adds nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Final

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Ingest, Rejected
from shadowlab.telemetry import segments
from shadowlab.telemetry.ingest import ingest
from shadowlab.telemetry.receiver import log
from shadowlab.telemetry.receiver.log import Kind

Request = tuple[Kind, bytes]
_JSON: Final = (Kind.TRACES_JSON, Kind.LOGS_JSON, Kind.METRICS_JSON)
_ONE_TURN: Final = 24 << 20
"""Bytes of log that are taken in at once, at most (one file may be larger)."""
_REFUSED: Final = "refused"


def drain(case: Case, paths: Sequence[Path]) -> Ingest:
    """Turn sealed log files into segments and remove them; gives what they added.

    A request that cannot be loaded is put aside, in `refused/` beside the log, and is in `rejected`. Raises `OSError`
    and `ShadowlabError` when the case cannot be written now; every log that was not taken in is still there.
    """
    total = Ingest(redaction="default")
    for turn in _turns(paths):
        total = added(total, _drain_turn(case, turn))
    return total


def added(one: Ingest, other: Ingest) -> Ingest:
    """Two Ingests as one; files are not listed, they were the log's."""
    return Ingest(
        spans=one.spans + other.spans,
        logs=one.logs + other.logs,
        metric_points=one.metric_points + other.metric_points,
        rejected=(*one.rejected, *other.rejected)[:1000],
        redacted=one.redacted + other.redacted,
        redaction=other.redaction,
    )


def _turns(paths: Sequence[Path]) -> Iterator[list[Path]]:
    turn: list[Path] = []
    size = 0
    for path in paths:
        length = path.stat().st_size
        if turn and size + length > _ONE_TURN:
            yield turn
            turn, size = [], 0
        turn.append(path)
        size += length
    if turn:
        yield turn


def _drain_turn(case: Case, paths: Sequence[Path]) -> Ingest:
    total = Ingest(redaction="default")
    found = [(path, log.read(path)) for path in paths]
    for redaction, group in groupby(found, key=lambda told: told[1].header.redaction if told[1].header else "default"):
        told = list(group)
        requests = [request for _, content in told for request in content.records]
        damage = tuple(_damage(path, content.damaged) for path, content in told if content.damaged)
        done = _load(case, requests, redaction, paths[0].parent)
        total = added(total, added(done, Ingest(rejected=damage, redaction=redaction)))
    for path in paths:
        path.unlink()
    log.sync_folder(paths[0].parent)
    return total


def _damage(path: Path, size: int) -> Rejected:
    reason = f"{size:,} bytes are no whole record: a write that was cut short, never acknowledged, or a damaged disk"
    return Rejected(file=path.name, position="end", reason=reason)


def _load(case: Case, requests: Sequence[Request], redaction: str, folder: Path) -> Ingest:
    """Ingest requests; where that fails for their sake, halve them until the one that is to blame is alone.

    What is loaded twice on the way adds nothing.
    """
    if not requests:
        return Ingest(redaction=redaction)
    done, reason = _ingested(case, requests, redaction, folder)
    if reason is None:
        return done
    gained = replace(done, rejected=(), refused=(), files=())
    if len(requests) == 1:
        return replace(gained, rejected=(_put_aside(folder, requests[0], reason),))
    middle = len(requests) // 2
    for part in (requests[:middle], requests[middle:]):
        gained = added(gained, _load(case, part, redaction, folder))
    return gained


def _ingested(case: Case, requests: Sequence[Request], redaction: str, folder: Path) -> tuple[Ingest, str | None]:
    """What was gained, and why not all of it could be kept."""
    import duckdb

    try:
        with _handed_over(requests, folder) as paths:
            done = ingest(case, paths, redact=None if redaction == "off" else redaction)
    except (duckdb.IOException, duckdb.InterruptException) as exc:
        raise errors.TelemetryError(f"cannot write a segment: {str(exc).splitlines()[0]}") from exc
    except (OSError, errors.ShadowlabError):
        raise
    except Exception as exc:  # whatever one request can cause: it must not keep the others from being stored
        return Ingest(redaction=redaction), f"{type(exc).__name__}: {str(exc)[:200]}"
    # It was parsed before it was acknowledged: whatever is left out of it now was lost if it were not put aside.
    lost = (*done.refused, *done.rejected)
    return done, lost[0].reason if lost else None


@contextlib.contextmanager
def _handed_over(requests: Sequence[Request], folder: Path) -> Iterator[list[Path]]:
    """Files as ingest reads them: lines of JSON, and the collector's stream of protobuf requests, a file a signal."""
    with tempfile.TemporaryDirectory(prefix=".handed-", dir=folder) as name:
        paths = []
        for kind in sorted({kind for kind, _ in requests}):
            content = _SPELLED[kind in _JSON]([body for of, body in requests if of is kind])
            # The content names the file: taken in twice, it is known.
            path = Path(name) / f"{segments.RECEIVED}{hashlib.sha256(content).hexdigest()[:16]}.{_word(kind)}"
            path.write_bytes(content)
            paths.append(path)
        yield paths


def _stream(bodies: Sequence[bytes]) -> bytes:
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def _lines(bodies: Sequence[bytes]) -> bytes:
    return b"\n".join((*bodies, b""))


_SPELLED: Final = {True: _lines, False: _stream}


def _word(kind: Kind) -> str:
    return kind.name.lower().replace("_", ".")


def _put_aside(folder: Path, request: Request, reason: str) -> Rejected:
    kind, body = request
    name = f"{hashlib.sha256(body).hexdigest()[:16]}.{_word(kind)}"
    aside = folder / _REFUSED
    aside.mkdir(mode=0o700, exist_ok=True)
    place = aside / f".{name}"
    place.write_bytes(body)
    place.chmod(0o600)
    return Rejected(file=f"{_REFUSED}/{place.name}", position="whole request", reason=reason)
