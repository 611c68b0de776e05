"""The log records that the service's own code makes while it answers; those of libraries are noise."""

from __future__ import annotations

import logging

from .outcome import Places, name_of
from .put import put

_MOST = 1000
_LONGEST = 2000


class Logs:
    """Log records of one request, whatever handlers they go to."""

    def __init__(self) -> None:
        self._records: list[tuple[str, str, str, str]] = []
        self._on = False
        self._tree = ""

    def install(self) -> None:
        """See what passes the loggers' levels and filters; their handlers get it as before."""
        call = logging.Logger.callHandlers

        def heard(logger: logging.Logger, record: logging.LogRecord) -> None:
            if self._on and len(self._records) < _MOST and self._ours(record.pathname):
                # Its arguments may change later: it is written down now, as a handler would.
                self._records.append((record.levelname, record.name, _text(record), _raised(record)))
            call(logger, record)

        put(logging.Logger, callHandlers=heard)

    def begin(self, tree: str) -> None:
        """Listen to one request; `tree` is the folder of the service's code."""
        self._tree, self._records, self._on = f"{tree.rstrip('/')}/", [], True

    def end(self) -> None:
        """The request has its answer: what is said afterwards is not part of it."""
        self._on = False

    def rows(self, places: Places) -> list[list[str]]:
        """`[level, logger, text, exception type]` of each, in order."""
        return [[level, name, places.text(text)[:_LONGEST], raised] for level, name, text, raised in self._records]

    def _ours(self, file: str) -> bool:
        return file.startswith(self._tree) and "-packages/" not in file


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as broken:
        return f"(its text cannot be made: {type(broken).__name__})"


def _raised(record: logging.LogRecord) -> str:
    found = record.exc_info[0] if record.exc_info else None
    return name_of(found) if found is not None else ""
