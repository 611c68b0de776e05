"""Start listening at the seams of a process: what a request asks of others."""

from __future__ import annotations

from shadowlab_recorder import (
    database_aiosqlite,
    database_psycopg,
    database_sqlite,
    database_unseen,
    environment,
    files,
    outbound_aiohttp,
    outbound_grpc,
    outbound_httpx,
    outbound_redis,
    outbound_urllib3,
    randomness,
)
from shadowlab_recorder.importing import when_imported
from shadowlab_recorder.settings import Settings


def start(settings: Settings) -> None:
    """Places every ear that the settings ask for; each is placed once in a process, however often this is called."""
    environment.watch()
    when_imported("httpx", outbound_httpx.watch)
    when_imported("urllib3", outbound_urllib3.watch)
    when_imported("aiohttp", outbound_aiohttp.watch)
    when_imported("redis", outbound_redis.watch)
    when_imported("redis.asyncio", outbound_redis.watch_async)
    when_imported("grpc._channel", outbound_grpc.watch)
    when_imported("grpc.aio._call", outbound_grpc.watch_async)
    database_sqlite.watch()
    when_imported("aiosqlite.core", database_aiosqlite.watch)
    for module in database_unseen.MODULES:
        when_imported(module, database_unseen.watch)
    when_imported("psycopg2", database_unseen.watch_psycopg2)
    when_imported("pyodbc", database_unseen.watch_pyodbc)
    when_imported("psycopg", database_psycopg.watch)
    when_imported("psycopg._server_cursor_base", database_psycopg.watch_server_cursors)
    if settings.files:
        files.watch(settings.files)
    if settings.keep_draws:
        randomness.keep_draws()
    if settings.seed_random:
        randomness.seed_requests()
