"""Everything raised on purpose, drawn as a tree.

::

    ShadowlabError               the one base; the command line prints it and exits 2
    ├── UsageError               the words of a call are off: a window, a time, an option
    ├── CaseError                the case folder is missing, newer, locked or damaged
    ├── SourceError              the source tree, its revision or its shadowlab.toml
    ├── TelemetryError           a file that is no telemetry, or of which nothing can be read
    ├── QueryError               SQL that cannot run, or may not
    ├── ObjectiveError           an objective that cannot be read or matches nothing
    ├── RecordingError           a recording that cannot be read or is of a newer format
    ├── SandboxError             a sandbox that is not there or does not hold
    ├── PatchError               a diff that cannot be read or does not apply
    ├── ReportError              a template that is missing or does not run
    ├── AuditError               a key, ledger or statement that cannot be used
    └── NegativeOutcome          raised only by `raise_for_…` methods; the outcome is a value otherwise
        ├── Diverged             a replay that did not reproduce its recording
        └── GateFailed           a gate report that is not a pass

A message says what happened, where, and what to do next; the last part is `hint`.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

_PACKAGE = os.path.dirname(__file__)


class ShadowlabError(Exception):
    """What happened and where, with a `hint` that says what to do next."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\nhint: {self.hint}" if self.hint else message

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the notebook's own lines that led here, and the message; no frame of ours.

        With `SHADOWLAB_TRACEBACK` set it is the whole traceback.
        """
        if os.environ.get("SHADOWLAB_TRACEBACK"):
            return traceback.format_exception(self)
        return [*_asked(self), "".join(map(_shown, f"{type(self).__name__}: {self}"))]


def _asked(exc: Exception) -> list[str]:
    """The frames before the first of ours, those of IPython left out; a cell's file has a name that nobody knows."""
    asked = []
    for frame in traceback.extract_tb(exc.__traceback__):
        place = Path(frame.filename)
        if frame.filename.startswith(_PACKAGE):
            break
        if not {"IPython", "ipykernel"} & {*place.parts}:
            cell = place.parent.name.startswith("ipykernel_") or not place.is_file()
            line = "" if "get_ipython()." in (frame.line or "") else f": {frame.line}"
            asked.append(f"{'cell' if cell else frame.filename}, line {frame.lineno}{line}")
    return asked


def _shown(letter: str) -> str:
    return letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()


class UsageError(ShadowlabError):
    """The words of a call are off."""


class CaseError(ShadowlabError):
    """The case folder is missing, of a newer format, locked or damaged."""


class SourceError(ShadowlabError):
    """The source tree, its revision or its `shadowlab.toml` cannot be used."""


class TelemetryError(ShadowlabError):
    """A file that is no telemetry, or of which nothing can be read."""


class QueryError(ShadowlabError):
    """SQL that cannot run, or may not."""


class ObjectiveError(ShadowlabError):
    """An objective that cannot be read, or that matches nothing in the case."""


class RecordingError(ShadowlabError):
    """A recording that cannot be read, or is of a newer format."""


class SandboxError(ShadowlabError):
    """A sandbox that is not there, or that does not hold what it must."""


class PatchError(ShadowlabError):
    """A diff that cannot be read, or does not apply."""


class ReportError(ShadowlabError):
    """A template that is missing, or does not run."""


class AuditError(ShadowlabError):
    """A key, a ledger or a statement that cannot be used."""


class NegativeOutcome(ShadowlabError):
    """An outcome that somebody asked to have as an exception."""


class Diverged(NegativeOutcome):
    """A replay that did not reproduce its recording."""


class GateFailed(NegativeOutcome):
    """A gate report whose verdict is not a pass."""
