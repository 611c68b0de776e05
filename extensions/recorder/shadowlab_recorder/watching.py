"""Start listening at the seams of a process: what a request asks of others."""

from __future__ import annotations

from shadowlab_recorder import database_psycopg, database_sqlite, environment, outbound_httpx, randomness
from shadowlab_recorder.importing import when_imported
from shadowlab_recorder.settings import Settings


def start(settings: Settings) -> None:
    """Places every ear that the settings ask for; each is placed once in a process, however often this is called."""
    environment.watch()
    outbound_httpx.watch()
    database_sqlite.watch()
    when_imported("psycopg", database_psycopg.watch)
    when_imported("psycopg._server_cursor_base", database_psycopg.watch_server_cursors)
    if settings.seed_random:
        randomness.seed_requests()
