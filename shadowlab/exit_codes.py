"""Exit codes of the command line, the same for every command."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    NEGATIVE = 1
    UNUSABLE = 2
    FAULT = 70
    """`EX_SOFTWARE` of sysexits.h."""
    INTERRUPTED = 130
    """128 and the number of SIGINT, as shells count."""


MEANINGS: Final = {
    ExitCode.DONE: "done, and a positive verdict where there is one",
    ExitCode.NEGATIVE: "a negative or inconclusive verdict",
    ExitCode.UNUSABLE: "misuse, or input that cannot be used: one message on standard error, nothing half-written",
    ExitCode.FAULT: "a fault of shadowlab itself",
    ExitCode.INTERRUPTED: "interrupted",
}
"""What each means; `shadowlab --help` prints this table, and the README has it too."""
