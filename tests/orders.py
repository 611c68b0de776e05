"""The shop in `assets/orders` as a repository, its database, and recordings of requests that it got in production."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from shadowlab.replay.fixture import Fixture, parse
from shadowlab.source import Service, Source, open_source, parse_service

TREE = Path(__file__).with_name("assets") / "orders"
AT = "2026-05-04T10:00:00Z"
DECIMAL = "Object of type Decimal is not JSON serializable"
FIX = """\
--- a/lib/wire.py
+++ b/lib/wire.py
@@ -2,4 +2,4 @@
~
~
 def to_json(value: object) -> str:
-    return json.dumps(value)
+    return json.dumps(value, default=str)
""".replace("~", " ")


def service() -> Service:
    """What the shop's `shadowlab.toml` says."""
    return parse_service((TREE / "shadowlab.toml").read_text(), where="orders")


def copied(tree: Path, folder: Path) -> Source:
    """A folder of assets as a git repository."""
    shutil.copytree(tree, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return repository(folder, {})


def repository(folder: Path, files: dict[str, str] | None = None) -> Source:
    """The shop, or other files, as a git repository."""
    if files is None:
        return copied(TREE, folder)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Begin"]):
        git = ["git", "-C", str(folder), "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
        subprocess.run([*git, *words], check=True)
    return open_source(folder)


def database(path: Path) -> Path:
    """The shop's database: one kind of tea, no order."""
    with sqlite3.connect(path) as db:
        db.executescript(
            "CREATE TABLE items (name TEXT, price REAL); INSERT INTO items VALUES ('tea', 9.5);"
            "CREATE TABLE orders (id TEXT, item TEXT, total REAL, at TEXT);"
        )
    db.close()
    return path


def document(number: int = 1, coupon: str | None = "HALF", **other: Any) -> dict[str, Any]:
    """A recording of `POST /orders`: HALF fails on a Decimal, FREE on a division, None passes."""
    told: dict[str, Any] = {
        "schema": "shadowlab.recording/v1",
        "id": f"{number:032x}",
        "service": "orders",
        "kind": "asgi",
        "request": {"method": "POST", "path": "/orders", "query": "",
                    "headers": [["content-type", "application/json"]],
                    "body": {"item": "tea", "coupon": coupon}, "body_encoding": "json"},
        "time": "2026-05-04T10:00:00.123456789Z",
        "rand_seed": 7,
        "db_snapshot": "orders.sqlite",
        "db_environment": "ORDERS_DB",
        "outbound": [stock()],
        "environment": {"read": ["ORDERS_DB", "STOCK_KEY"], "values": {}},
        "response": {"status": 500, "headers": [], "body": "Internal Server Error", "body_encoding": "utf-8"},
        "error": {"type": "TypeError", "message": DECIMAL, "frames": [
            {"file": "/srv/orders/.venv/lib/python3.11/site-packages/fastapi/routing.py", "function": "app", "line": 9},
            {"file": "/srv/orders/app.py", "function": "order", "line": 32},
            {"file": "/srv/orders/lib/wire.py", "function": "to_json", "line": 5},
            {"file": "/usr/lib/python3.11/json/__init__.py", "function": "dumps", "line": 231}]},
    }  # fmt: skip
    return {**told, **other}


def passing(number: int = 2, **other: Any) -> dict[str, Any]:
    """A recording of a request that was answered; its token and its time are production's."""
    body = {"total": 9.5, "left": 3, "token": "0badcafe", "at": "2026-05-04T10:00:00.136021+00:00"}
    response = {"status": 201, "headers": [["content-type", "application/json"]],
                "body": json.dumps(body), "body_encoding": "utf-8"}  # fmt: skip
    return document(number, None, response=response, error=None, control=True, **other)


def stock(**other: Any) -> dict[str, Any]:
    """The call to the stock service, and its answer."""
    told = {"seq": 0, "method": "GET", "url": "http://stock.internal/items/tea", "status": 200,
            "headers": [["content-type", "application/json"]], "body": {"left": 3}, "body_encoding": "json",
            "elapsed_ms": 12.5}  # fmt: skip
    return {**told, **other}


def fixture(told: dict[str, Any]) -> Fixture:
    """A recording, read; without its snapshot's name, which only a case knows."""
    return parse({**told, "db_snapshot": None}, where="a test")


def written(folder: Path, *documents: dict[str, Any]) -> Path:
    """Recordings as JSON lines, the database beside."""
    folder.mkdir(parents=True, exist_ok=True)
    database(folder / "orders.sqlite")
    file = folder / "recordings.jsonl"
    file.write_text("".join(json.dumps(told) + "\n" for told in documents))
    return file


def commit(source: Source) -> None:
    """Commit all that lies in a repository's folder."""
    git = ["git", "-C", str(source.path), "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    for words in (["add", "-A"], ["commit", "-qm", "Go on"]):
        subprocess.run([*git, *words], check=True)
