"""A receiver at a case: what it gained is kept as any verb's record, what a killed one left is taken in first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shadowlab import keeping
from shadowlab.audit import ledger
from shadowlab.case import Case
from shadowlab.evidence import Evidence, named
from shadowlab.records import Ingest

if TYPE_CHECKING:
    from shadowlab.telemetry.receiver import Told


def receive(
    case: Case,
    *,
    http: str | None,
    grpc: str | None,
    redact: str | None,
    token_file: str | os.PathLike[str] | None,
    tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None,
    stop: threading.Event | None,
    tell: Callable[[Told], None] | None,
) -> Ingest:
    """Receive until `stop` is set or a signal comes, and keep what the case gained; see `Investigation.receive`."""
    from shadowlab.telemetry import receiver

    listen = receiver.Listen.read(
        http=http,
        grpc=grpc,
        token_file=Path(token_file) if token_file else None,
        tls=(Path(tls[0]), Path(tls[1])) if tls else None,
    )
    take_in_log(case)
    evidence = Evidence(case, known=_known(case))
    done = receiver.receive(case, listen, redact=redact, stop=stop, tell=tell, retire=_retire)
    doors = {"http": http or "off", "grpc": grpc or "off"}
    return keeping.keep(case, "receive", done, evidence, **doors, redaction=done.redaction)


def take_in_log(case: Case) -> None:
    """Take in what a killed receiver left in its log: it was acknowledged, so it is evidence too."""
    from shadowlab.telemetry import receiver

    if receiver.left_over(case):
        evidence = Evidence(case, known=_known(case))
        done = receiver.recover(case)
        if done is not None:
            keeping.keep(case, "recover", done, evidence, redaction=done.redaction)


def _retire(case: Case, segments: Sequence[str]) -> None:
    """Merged segments go: where the ledger named them, it says so before they do."""
    paths = {f"telemetry/{name}" for name in segments}
    keeping.note(case, "merge", dict.fromkeys(paths & _known(case)), segments=len(paths))


def _known(case: Case) -> frozenset[str]:
    return named(case, ledger.entries(case))
