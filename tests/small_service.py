"""A service small enough for a test: one fault, one fix, a git history of two commits."""

import difflib
import json
import subprocess
from pathlib import Path

from shadowlab.case import Case, open_case
from shadowlab.records import Candidate, Diagnosis, Failure, Frame, Outcome, Replay, Risk
from shadowlab.replay import take_in
from shadowlab.source import Source, open_source

FILES = {
    "shadowlab.toml": """\
[service]
name = "payments-api"
entrypoint = "app:app"
kind = "asgi"
frames = ["/srv/payments-api/"]
tests = "python -m pytest -q tests"
owners = ["@payments"]
""",
    "app.py": """\
from fastapi import FastAPI, Request, Response

from lib.serializer import to_json
from lib.prices import priced

app = FastAPI(title="payments-api")


@app.post("/charges")
async def create_charge(request: Request) -> Response:
    return Response(to_json(priced(await request.json())), media_type="application/json", status_code=201)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
""",
    "lib/__init__.py": "",
    "lib/prices.py": """\
from typing import Any


def priced(charge: dict[str, Any]) -> dict[str, Any]:
    return {"amount": charge["amount"], "currency": charge.get("currency", "EUR")}
""",
    "lib/serializer.py": """\
import json
from typing import Any


def to_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
""",
    "tests/test_charges.py": """\
from lib.prices import priced
from lib.serializer import to_json


def test_an_amount_is_kept():
    assert priced({"amount": "12.50"})["amount"] == "12.50"


def test_json_is_sorted():
    assert to_json({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'
""",
}

SURCHARGE = """\
from decimal import Decimal
from typing import Any


def priced(charge: dict[str, Any]) -> dict[str, Any]:
    total = {"amount": charge["amount"], "currency": charge.get("currency", "EUR")}
    if "surcharge" in charge:
        total["surcharge"] = Decimal(charge["surcharge"])
    return total
"""

FIXED = """\
import json
from decimal import Decimal
from typing import Any


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def to_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)
"""


def edit(name: str, old: str, new: str, *, text: str | None = None) -> str:
    """A diff that replaces `old` by `new` in one of the service's files."""
    before = text if text is not None else {**FILES, "lib/prices.py": SURCHARGE}[name]
    assert old in before
    lines = (side.splitlines(keepends=True) for side in (before, before.replace(old, new)))
    return "".join(difflib.unified_diff(*lines, f"a/{name}", f"b/{name}"))


def new(name: str, text: str) -> str:
    """A diff that adds a file."""
    lines = text.splitlines()
    return f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)


FIX = edit("lib/serializer.py", FILES["lib/serializer.py"], FIXED)

TEST = """\
--- /dev/null
+++ b/tests/test_surcharge.py
@@ -0,0 +1,7 @@
+from decimal import Decimal
+
+from lib.serializer import to_json
+
+
+def test_a_decimal_is_written_as_text():
+    assert to_json({"surcharge": Decimal("0.30")}) == '{"surcharge": "0.30"}'
"""
TEST_ID = "tests/test_surcharge.py::test_a_decimal_is_written_as_text"

FAILURE = Failure(
    type="TypeError",
    message="Object of type Decimal is not JSON serializable",
    frames=(Frame(file="lib/serializer.py", function="to_json", line=6, in_app=True),),
)


def build(folder: Path) -> Source:
    """The service's repository: the first commit is well, the second lets a Decimal through."""
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "-q", "-b", "main")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    _commit(folder, "Charge a card")
    (folder / "lib/prices.py").write_text(SURCHARGE)
    _commit(folder, "Add a surcharge")
    return open_source(folder)


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", ".")
    _git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", subject)


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def candidate(diff: str = FIX + TEST, tests: tuple[str, ...] = (TEST_ID,)) -> Candidate:
    return Candidate(
        diff=diff, tests=tests, rationale="Write Decimal as text.", proposer="codemod",
        risk=Risk(surface="lib/serializer.py", expected_perf_ms=0.1),
    )  # fmt: skip


def diagnosis(source: Source) -> Diagnosis:
    return Diagnosis(service="payments-api", revision=source.revision(), error=FAILURE, trace_id="4b" * 16)


def replay(source: Source) -> Replay:
    return Replay(
        outcome=Outcome.REPRODUCED, attempts=2, reproduced=2, outcome_digest="0" * 64, outcome_key="1" * 64,
        sandbox="embedded", error=FAILURE, revision=source.revision(),
    )  # fmt: skip


def fixture(n: int, request: dict[str, object] | None, *, failed: bool = False) -> dict[str, object]:
    """Recording number `n`: `POST /charges` with a body, or `GET /health` without."""
    body = {"amount": "10.00", "currency": "EUR"} | (request or {})
    posted = {"method": "POST", "path": "/charges", "query": "", "body": body, "body_encoding": "json",
              "headers": [["host", "pay"], ["content-type", "application/json"]]}  # fmt: skip
    health = {"method": "GET", "path": "/health", "query": "", "headers": [["host", "pay"]], "body": None,
              "body_encoding": "none"}  # fmt: skip
    error = {
        "type": "TypeError", "message": FAILURE.message,
        "frames": [{"file": "/srv/payments-api/lib/serializer.py", "function": "to_json", "line": 6}],
    }  # fmt: skip
    return {
        "schema": "shadowlab.recording/v1", "id": f"{n:032x}", "service": "payments-api", "kind": "asgi",
        "trace_id": f"{n:032x}", "request": health if request is None else posted,
        "time": f"2026-05-04T10:{n // 60 % 60:02}:{n % 60:02}.000000Z", "rand_seed": n, "control": not failed,
        "response": {"status": 500 if failed else 200, "headers": [], "body": None, "body_encoding": "none"},
        "error": error if failed else None,
    }  # fmt: skip


def traffic(total: int, *, every: int) -> list[dict[str, object]]:
    """Recordings of which one in `every` has a surcharge and fails."""
    return [
        fixture(n, {"surcharge": "0.30"}, failed=True) if n % every == 0 else fixture(n, {} if n % 2 else None)
        for n in range(1, total + 1)
    ]


def case_with(folder: Path, recordings: list[dict[str, object]]) -> Case:
    """A case that holds these recordings."""
    made = open_case(folder / "case")
    lines = folder / "recordings.jsonl"
    lines.write_text("".join(json.dumps(recording) + "\n" for recording in recordings))
    take_in(made, [lines])
    return made
