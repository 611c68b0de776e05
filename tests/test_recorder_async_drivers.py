"""Databases behind asyncio: aiosqlite is kept and run again, asyncpg is said not to be kept."""

import asyncio
import sqlite3

import asyncpg
import orders
import postgres
import pytest
import shadowlab_recorder
from recorded import kept

from shadowlab import replay
from shadowlab.case import open_case

SHOP = """\
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def close(event):
    engine = create_async_engine(os.environ["SHOP_DB"])
    async with engine.begin() as db:
        price = (await db.execute(text("SELECT price FROM items WHERE name = :name"), event)).scalar_one()
        await db.execute(text("UPDATE items SET price = price + 1 WHERE name = :name"), event)
        await db.execute(text("INSERT INTO sales (item) VALUES (:name)"), event)
    await engine.dispose()
    return 100 / price
"""


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    monkeypatch.setenv("SHOP_DB", f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite")
    return shadowlab_recorder.configure(
        tmp_path / "recordings", share=1.0, database="SHOP_DB", environment=("SHOP_DB",)
    )


def database(place):
    with sqlite3.connect(place) as db:
        db.executescript(
            "CREATE TABLE items (name TEXT PRIMARY KEY, price INTEGER); CREATE TABLE sales (id INTEGER PRIMARY KEY,"
            " item TEXT); INSERT INTO items VALUES ('tea', 9), ('gift', 0); INSERT INTO sales (item) VALUES ('tea');"
        )
    db.close()


def test_sqlalchemy_over_aiosqlite_is_kept_with_its_rows_and_comes_out_the_same(tmp_path, recorder):
    database(tmp_path / "shop.sqlite")
    toml = f'[service]\nname = "shop"\nentrypoint = "shop:close"\nframes = ["{tmp_path}/tree/"]\n'
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": toml, "shop.py": SHOP})
    told = {"__name__": "shop"}
    exec(compile(SHOP, str(tmp_path / "tree/shop.py"), "exec"), told)
    close = shadowlab_recorder.record(told["close"])
    assert asyncio.run(close({"name": "tea"})) == 100 / 9
    with pytest.raises(ZeroDivisionError):
        asyncio.run(close({"name": "gift"}))
    first, second = kept(recorder, tmp_path / "recordings")
    assert first["database"]["rows"] == {"items": [{"name": "tea", "price": 9}], "sales": []}
    assert second["database"]["rows"]["items"] == [{"name": "gift", "price": 0}]
    assert [first["database"]["incomplete"], first["truncated"], first["database"]["sequences"]] == [
        [], [], {"sales": 1}
    ]  # fmt: skip
    case = open_case(tmp_path / "case")
    replay.take_in(case, [tmp_path / "recordings"])
    ids = [one.id for one in replay.listed(case)]
    done = replay.replay(case, ids, source=source, revision="HEAD", times=4)
    assert (done.outcome, done.attempts) == ("reproduced", 4), ([r.divergence for r in done.runs], done.effects)


@pytest.mark.slow
def test_asyncpg_is_not_kept_and_the_recording_says_so(tmp_path, recorder):
    with postgres.serving() as told:
        folder = told.partition("host=")[2].partition(" ")[0]

        async def work():
            db = await asyncpg.connect(host=folder, user="shop", database="shop")
            found = await db.fetchval("SELECT 1")
            await db.close()
            return found

        assert asyncio.run(shadowlab_recorder.record(work)()) == 1
    [one] = kept(recorder, tmp_path / "recordings")
    assert one["truncated"] == ["database (asyncpg)"]
