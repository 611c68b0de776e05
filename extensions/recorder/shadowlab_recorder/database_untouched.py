"""Tell a request that asked nothing of its database from one that nobody listened to."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from typing import Any

from shadowlab_recorder import database_document, database_psycopg, database_unseen
from shadowlab_recorder.database import Log
from shadowlab_recorder.tape import Tape

_POSTGRESQL = re.compile(r"postgres(ql)?(\+\w+)?://|(.*\s)?(host|dbname|user|service)\s*=", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][\w+.-]+://")


def document(tape: Tape, environment: str | None) -> dict[str, Any] | None:
    """`database` of a request that asked nothing of the one behind this variable; None where that cannot be said."""
    if environment is None or tape.snapshot is not None or tape.snapshot_lost:
        return None
    if any(what.startswith("database") for what in tape.unseen | database_unseen.somewhere):
        return None
    dialect = _dialect(os.environ.get(environment, ""))
    return None if dialect is None else database_document.document(Log(dialect, "", None), lambda _, value: value, str)


def _dialect(place: str) -> str | None:
    """Which database is there, if it is one whose driver is listened to."""
    if _POSTGRESQL.match(place):
        return "postgresql" if _hears_psycopg() else None
    if _SCHEME.match(place) and not place.startswith(("sqlite", "file:")):
        return None
    return "sqlite" if hasattr(sqlite3.connect, "_shadowlab") else None


def _hears_psycopg() -> bool:
    module = sys.modules.get("psycopg._cursor_base")
    return module is not None and module.BaseCursor._execute_gen.__module__ == database_psycopg.__name__
