"""Which of a service's settings say where its PostgreSQL is, and what each has to hold so that it finds another one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shadowlab.replay.fixture import Fixture
from shadowlab.source import Settings

_OTHERS = re.compile(r"REDIS|MONGO|MY_?SQL|MARIA|MSSQL|ORACLE|CACHE|KAFKA|CLICKHOUSE|ELASTIC|SQLITE", re.IGNORECASE)
_KNOWN = re.compile(
    r"(?P<prefix>(?:\w+?_)??(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG|PSQL|SQL|RDS))_?(?:(?P<url>URL|URI|DSN)"
    r"|(?P<host>HOST|HOSTNAME|SERVER)|(?P<port>PORT)|(?P<user>USER|USERNAME)|(?P<password>PASSWORD|PASSWD|PASS)"
    r"|(?P<name>NAME|DB|DBNAME|DB_NAME|DATABASE))",
    re.IGNORECASE,
)
_URL = re.compile(r"(postgres|postgresql)(\+\w+)?://", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}")
_STEERING = re.compile(
    r"PG(HOSTADDR|SERVICE\w*|PASSFILE|SSL\w*|REQUIRE\w*|GSS\w*|KRB\w*|CHANNELBINDING|TARGET\w*|LOAD\w*)"
)
"""Settings of libpq that would lead past the replay's own server (its documentation, "Environment Variables")."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, which asks nobody for a password."""

    socket: str
    """The folder of its socket: what `PGHOST` says."""
    user: str
    name: str
    host: str = ""
    """For a setting of its own. A replay is connected whatever it asks for, and an empty one fits into any URL."""
    port: str = "5432"


def roles(fixture: Fixture, declared: Settings) -> dict[str, str]:
    """What each setting that says where the database is holds: `url`, `host`, `port`, `user`, `password` or `name`.

    Declared ones first; else the recorded `db_environment`, recorded values that are PostgreSQL's URLs, and names that
    were read and go together, such as `DB_HOST` with `DB_NAME`, whether they had a value or not.
    """
    environment = fixture.environment
    read = {*environment.read, *environment.values}
    found = {name: "url" for name in read if _URL.match(environment.values.get(name, ""))}
    named = {name: known for name in sorted(read) if (known := _KNOWN.fullmatch(name)) and not _OTHERS.search(name)}
    whole = {known["prefix"] for known in named.values() if known["host"]}
    for name, known in named.items():
        part = str(known.lastgroup)
        if name in environment.unset and part in ("user", "password"):
            continue  # its server asked for none, and neither does a replay's
        if known["prefix"] in whole or (part == "url" and not fixture.db_environment):
            found.setdefault(name, part)
    if fixture.db_environment:
        found[fixture.db_environment] = "url"
    return {**found, **declared.parts}


def settings(fixture: Fixture, address: Address, declared: Settings) -> dict[str, str]:
    """Every setting that leads to the server at `address`, with libpq's own."""
    environment = fixture.environment.values
    own = {"PGHOST": address.socket, "PGPORT": address.port, "PGUSER": address.user, "PGDATABASE": address.name}
    parts = {"host": address.host, "port": address.port, "user": address.user, "password": "", "name": address.name}
    found = {
        name: _url(environment.get(name, ""), address) if part == "url" else parts[part]
        for name, part in roles(fixture, declared).items()
    }
    return {**found, **own}


def is_postgresql(value: str) -> bool:
    """Whether a setting's value is PostgreSQL's URL."""
    return _URL.match(value) is not None


def led_astray(values: Mapping[str, str], known: Mapping[str, str]) -> set[str]:
    """Names in `values` by which libpq would miss the replay's server: those that steer it, those without a value."""
    return {name for name in values if _STEERING.fullmatch(name) or (name.startswith("PG") and name not in known)}


def _url(recorded: str, address: Address) -> str:
    """The address in the form in which it was recorded: a URL with its scheme, or `name=value` words."""
    scheme, mark, _ = recorded.partition("://")
    if recorded and not mark:
        return f"host={address.socket} dbname={address.name} user={address.user}"
    scheme = scheme if _SCHEME.fullmatch(scheme) else "postgresql"
    return f"{scheme}://{address.user}@/{address.name}?host={address.socket}"
