"""The service in docs/service.md is recorded and run again, as the page says."""

import re
import subprocess
import sys
from pathlib import Path

import orders

from shadowlab import replay
from shadowlab.case import open_case

PAGE = Path(__file__).parent.parent / "docs" / "service.md"
PRODUCTION = """\
import os
import sqlite3

with sqlite3.connect(os.environ["SHOP_DB"]) as db:
    db.executescript("CREATE TABLE items (name TEXT PRIMARY KEY, cents INTEGER); INSERT INTO items VALUES ('tea', 950)")

from app import app
from starlette.testclient import TestClient

with TestClient(app, raise_server_exceptions=False) as client:
    print(client.get("/price/tea").json(), client.get("/price/cups").status_code)
"""


def test_the_page_s_service_is_recorded_and_fails_again_in_the_same_way(tmp_path: Path) -> None:
    text = PAGE.read_text()
    code = text.split("<!-- service -->")[1].split("```python\n")[1].split("```")[0]
    told = re.sub(r"(?m)^(lock|tests_lock|tests) = .*\n", "", text.split("```toml\n")[1].split("```")[0])
    toml = told.replace("/srv/shop/", f"{tmp_path}/shop/")
    source = orders.repository(tmp_path / "shop", {"shadowlab.toml": toml, "app.py": code})
    environment = {
        "SHOP_DB": str(tmp_path / "shop.sqlite"),
        "PYTHONPATH": str(tmp_path / "shop"),
        "PATH": "/usr/bin:/bin",
    }
    ran = subprocess.run(
        [sys.executable, "-c", PRODUCTION], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "{'euros': 9.5} 500\n"
    case = open_case(tmp_path / "case")
    replay.take_in(case, [tmp_path / "recordings"])
    failed = [one.id for one in replay.listed(case) if one.failed]
    done = replay.replay(case, failed, source=source, revision="HEAD")
    assert (len(failed), done.outcome) == (1, "reproduced"), done.runs[0].divergence or done.effects
    assert done.error is not None
    assert done.error.type == "TypeError"
