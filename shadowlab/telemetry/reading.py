"""What a case holds, with what a killed receiver acknowledged and no segment holds yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from shadowlab.case import Case


@contextlib.contextmanager
def reading(case: Case) -> Iterator[Case]:
    """The case as it is to be read; nothing is written into it.

    A log that a killed receiver left is taken into a copy that shares the case's segments and is gone after the block.
    """
    if not (case.telemetry / "incoming").exists():  # nothing was ever received: spare the import
        yield case
        return
    from shadowlab.telemetry import receiver

    with receiver.complete(case) as whole:
        yield whole
