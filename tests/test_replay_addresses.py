"""How a service finds the replay's PostgreSQL: by one URL, or by settings that say a part of its address each."""

from pathlib import Path
from typing import Any

import orders
import pytest
from test_replay_databases import ROWS, recorded

from shadowlab.replay import Runner
from shadowlab.replay.addresses import roles
from shadowlab.replay.world import DOOR, environment_of
from shadowlab.source import Settings, parse_service

NONE = Settings()


def read(*names: str, **values: str) -> dict[str, Any]:
    return {"environment": {"read": [*names, *values], "values": values}, "db_environment": None}


def filled(*names: str, declared: Settings = NONE, **values: str) -> dict[str, str]:
    fixture = recorded(ROWS, **read(*names, **values))
    return environment_of(fixture, {}, twin=False, declared=declared)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME"], "host port user password name"),
        (["SHOP_DB_HOST", "SHOP_DB_PASS", "SHOP_DB_DATABASE"], "host password name"),
        (["POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER"], "host name user"),
        (["RDS_HOSTNAME", "RDS_DB_NAME", "RDS_USERNAME"], "host name user"),
        (["SQL_HOST", "SQL_ENGINE", "SQL_DATABASE"], "host - name"),
        (["DATABASE_URL"], "url"),
        (["REDIS_DB_HOST", "MYSQL_HOST", "MAIL_HOST", "DB_USER", "DB_POOL"], "- - - - -"),
    ],
)
def test_settings_that_go_together_are_found(names: list[str], found: str) -> None:
    told = roles(recorded(ROWS, **read(*names)), NONE)
    assert " ".join(told.get(name, "-") for name in names) == found


def test_recorded_urls_of_postgresql_are_found_under_any_name() -> None:
    told = filled(MAIN="postgresql+psycopg://a:b@c/d?sslmode=require", MAIL="smtp://x")
    assert (told["MAIN"], told["MAIL"]) == (f"postgresql+psycopg://shadowlab@/replay?host={DOOR}", "smtp://x")


def test_what_shadowlab_toml_says_is_filled_and_nothing_that_steers_the_interpreter() -> None:
    toml = '[service]\nname = "a"\nentrypoint = "a:b"\n[service.database]\nhost = "WHERE"\nname = "PYTHONPATH"\n'
    told = filled("WHERE", declared=parse_service(toml, where="a test").database)
    assert (told["WHERE"], told["PGHOST"], told["PGPORT"], told.get("PYTHONPATH")) == ("", DOOR, "5432", None)


def test_nothing_leads_libpq_past_the_replay_s_own_server() -> None:
    told = filled("PGSSLMODE", "PGCONNECT_TIMEOUT", PGHOSTADDR="10.0.0.1", PGAPPNAME="shop", PGHOST="db")
    names = [name for name in told if name.startswith("PG")]
    assert sorted(names) == ["PGAPPNAME", "PGDATABASE", "PGHOST", "PGPORT", "PGUSER"]
    assert told["PGHOST"] == DOOR


SPLIT = """\
import os, psycopg

env = os.environ


def run(event):
    words = {"host": env["DB_HOST"], "port": int(env["DB_PORT"]), "dbname": env["DB_NAME"], "user": env["DB_USER"]}
    url = f"postgresql://{env['DB_USER']}:{env['DB_PASSWORD']}@{env['DB_HOST']}:{env['DB_PORT']}/{env['DB_NAME']}"
    found = []
    for place in (psycopg.conninfo.make_conninfo(**words), url):
        with psycopg.connect(place) as db:
            found += db.execute("SELECT name FROM rates ORDER BY id").fetchone()
    return found
"""


@pytest.mark.slow
def test_a_service_with_split_settings_finds_its_database_by_words_and_by_a_url_of_its_own(tmp_path: Path) -> None:
    toml = '[service]\nname = "rates"\nentrypoint = "main:run"\nkind = "function"\n'
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": toml, "main.py": SPLIT})
    fixture = recorded(ROWS, **read("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME"))
    with Runner(source.path, source.service("HEAD")) as runner:
        (run,) = runner.run(fixture, repeats=1, perturb=False)
    assert run.body == b'["eur", "eur"]', run.error
