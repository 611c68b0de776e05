"""Work out what a right answer is, and check that what ships still says so."""

import ast
import hashlib
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from making.files import FILES, attributes, leaks, lines, size

from shadowlab.incidents import build_source
from shadowlab.source import Source

LIMIT = 10 * 10**6
OPERATION = "POST /charges"
WINDOW_S = 30 * 60
PERIOD_S, TARGET = 28 * 86400, 0.999

ASK = """
import asyncio, json, sys, httpx
from lib import outbound
told = json.load(open(sys.argv[1]))
answers = [each for each in told["outbound"] if each["status"]]
def reply(request):
    each = answers.pop(0)
    body = each["body"] if isinstance(each["body"], str) else json.dumps(each["body"])
    return httpx.Response(each["status"], text=body)
outbound._client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
from app import app
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://payments") as client:
        return await client.request(told["request"]["method"], told["request"]["path"], json=told["request"]["body"])
try:
    print(asyncio.run(ask()).status_code)
except Exception as error:
    print(type(error).__name__)
"""


def expected(incident: Path) -> dict[str, Any]:
    """What a right answer says, from what ships: the telemetry, the recordings and the history."""
    requests = list(_requests(incident))
    charges = [each for each in requests if each["name"] == OPERATION]
    deploy = _deploy(requests)
    recordings = list(lines(incident / "recordings.jsonl.gz"))
    failing = [each for each in recordings if each["error"]]
    with tempfile.TemporaryDirectory(prefix="incident-") as folder:
        source = build_source(incident, Path(folder) / "source")
        offence = _offence(source, deploy["good"]["revision"], deploy["bad"]["revision"], failing[0], incident)
        history = _history(source, len(list((incident / "history").glob("*.patch"))))
    return {
        "incident": incident.name,
        "service": "payments-api",
        "operation": OPERATION,
        "error": _error(requests, failing[0]),
        "offence": offence,
        "deploy": deploy,
        "requests": {
            "all": len(requests),
            "operation": _shares(charges, deploy["at_ns"]),
            "last_30_minutes": _budget(charges, max(each["end"] for each in requests)),
            "handled": _handled(incident, requests),
        },
        "recordings": _recordings(recordings, deploy["at_ns"]),
        "history": history,
        "files": {name: hashlib.sha256((incident / name).read_bytes()).hexdigest() for name in FILES},
    }


def _requests(incident: Path) -> Iterator[dict[str, Any]]:
    """Every server span."""
    for document in lines(incident / "traces.otlp.jsonl.gz"):
        for each in document["resourceSpans"]:
            who = attributes(each["resource"])
            for span in (span for scope in each["scopeSpans"] for span in scope["spans"] if span["kind"] == 2):
                said = attributes(span)
                raised = [attributes(event) for event in span.get("events", ()) if event["name"] == "exception"]
                yield {
                    "name": span["name"],
                    "start": int(span["startTimeUnixNano"]),
                    "end": int(span["endTimeUnixNano"]),
                    "status": int(said["http.response.status_code"]),
                    "version": who["service.version"],
                    "revision": who["vcs.ref.head.revision"],
                    "raised": raised[0] if raised else None,
                }


def _deploy(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """The moment at which a second revision is first seen."""
    ordered = sorted(requests, key=lambda each: each["start"])
    good = ordered[0]
    bad = next(each for each in ordered if each["revision"] != good["revision"])
    return {
        "at": stamp(bad["start"]),
        "at_ns": bad["start"],
        "good": {"version": good["version"], "revision": good["revision"]},
        "bad": {"version": bad["version"], "revision": bad["revision"]},
    }


def stamp(ns: int) -> str:
    """RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(requests: list[dict[str, Any]], recording: dict[str, Any]) -> dict[str, Any]:
    raised = [each for each in requests if each["raised"]]
    kinds = {(each["raised"]["exception.type"], each["raised"]["exception.message"]) for each in raised}
    [(kind, message)] = kinds
    root = recording["environment"]["values"]["PAYMENTS_DB"].rpartition("var/")[0]
    own = (frame for frame in recording["error"]["frames"] if frame["file"].startswith(root))
    named = ({**frame, "file": frame["file"].removeprefix(root)} for frame in own)
    frames = [frame for frame in named if not frame["file"].startswith(".venv/")]
    return {
        "title": f"{kind}: {message}",
        "type": kind,
        "message": message,
        "frames": frames,
        "top_frame": frames[-1],
        "events": len(raised),
        "first_seen": stamp(min(each["start"] for each in raised)),
        "last_seen": stamp(max(each["start"] for each in raised)),
    }


def _shares(charges: list[dict[str, Any]], deployed_ns: int) -> dict[str, Any]:
    def of(some: list[dict[str, Any]]) -> dict[str, Any]:
        failed = sum(each["status"] >= 500 for each in some)
        return {"requests": len(some), "failed": failed, "share": round(failed / len(some), 5)}

    return {
        "before": of([each for each in charges if each["start"] < deployed_ns]),
        "after": of([each for each in charges if each["start"] >= deployed_ns]),
    }


def _budget(charges: list[dict[str, Any]], end_ns: int) -> dict[str, Any]:
    """What the last 30 minutes spend of 28 days' budget, at the rate of these minutes."""
    some = [each for each in charges if each["end"] > end_ns - WINDOW_S * 10**9]
    failed = sum(each["status"] >= 500 for each in some)
    burn = failed / len(some) / (1 - TARGET)
    return {"requests": len(some), "failed": failed, "burn_rate": round(burn, 3),
            "budget_spent": round(burn * WINDOW_S / PERIOD_S, 5)}  # fmt: skip


def _handled(incident: Path, requests: list[dict[str, Any]]) -> dict[str, int]:
    """Noise that is no incident."""
    bodies = [
        record["body"]["stringValue"]
        for document in lines(incident / "logs.otlp.jsonl.gz")
        for each in document["resourceLogs"]
        for scope in each["scopeLogs"]
        for record in scope["logRecords"]
    ]
    count = {str(status): sum(each["status"] == status for each in requests) for status in (202, 402, 404, 409, 422)}
    return {
        "gateway_timeouts": sum(body.startswith("gateway timed out") for body in bodies),
        "receipts_not_sent": sum(body.startswith("receipt not sent") for body in bodies),
        "slow_reports": sum(each["name"] == "GET /reports/settlement" for each in requests),
        **{f"status_{status}": number for status, number in count.items()},
    }


def _recordings(recordings: list[dict[str, Any]], deployed_ns: int) -> dict[str, int]:
    return {
        "all": len(recordings),
        "failing": sum(each["error"] is not None for each in recordings),
        "controls": sum(each["control"] for each in recordings),
        "with_snapshot": sum(each["db_snapshot"] is not None for each in recordings),
        "mirrored": sum(each["time"] >= stamp(deployed_ns)[:-1] for each in recordings),
    }


def _history(source: Source, commits: int) -> list[str]:
    """Every commit id, oldest first."""
    root = source.revision(f"HEAD~{commits - 1}")
    return [root, *(commit.revision for commit in source.commits(root, "HEAD"))]


def _offence(source: Source, good: str, bad: str, recording: dict[str, Any], incident: Path) -> dict[str, Any]:
    """The first commit of the deploy at which a recorded failing request fails, and the function that it changed."""
    before = good
    for commit in source.commits(good, bad):
        if _fails(source, commit.revision, recording, incident):
            place = _changed(source, before, commit.revision)
            return {"commit": commit.revision, "subject": commit.subject, "parent": before, **place,
                    "range": [each.revision for each in source.commits(good, bad)]}  # fmt: skip
        before = commit.revision
    raise AssertionError("the recorded request fails at no commit of the deploy")


def _fails(source: Source, revision: str, recording: dict[str, Any], incident: Path) -> bool:
    with source.checked_out(revision) as tree, tempfile.TemporaryDirectory() as folder:
        database, fixture = Path(folder, "payments.db"), Path(folder, "recording.json")
        database.write_bytes(lzma.decompress((incident / recording["db_snapshot"]).read_bytes()))
        fixture.write_text(json.dumps(recording))
        environment = {"PATH": os.environ["PATH"], "PAYMENTS_DB": str(database), "PYTHONPATH": str(tree)}
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(fixture)], cwd=tree, env=environment, capture_output=True, text=True
        )
        told = done.stdout.strip()
        if told not in ("201", "202", "402", recording["error"]["type"]):
            raise AssertionError(f"at {revision[:9]} the request ended in {told!r}: {done.stderr[-500:]}")
        return told == recording["error"]["type"]


def _changed(source: Source, before: str, after: str) -> dict[str, str]:
    """The service's function whose lines a commit changed."""
    diff = source.diff(before, after, context=0)
    touched: list[tuple[str, str]] = []
    file = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            file = line.removeprefix("+++ b/")
        elif (hunk := re.match(r"@@ -\S+ \+(\d+)", line)) and file.endswith(".py") and not file.startswith("tests/"):
            function = _function(source.read(file, after), int(hunk[1]))
            if function and (file, function) not in touched:
                touched.append((file, function))
    [(file, function)] = touched
    return {"file": file, "function": function}


def _function(text: str, line: int) -> str | None:
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return next((node.name for node in functions if node.lineno <= line <= (node.end_lineno or 0)), None)


def check(incident: Path) -> list[str]:
    """What is wrong with what ships; nothing when all is well."""
    wrong = []
    kept = json.loads((incident / "expected.json").read_text())
    found = expected(incident)
    wrong += [f"expected.json says {kept.get(key)!r} of {key}, the files say {found[key]!r}"
              for key in found if kept.get(key) != found[key]]  # fmt: skip
    after, before = found["requests"]["operation"]["after"], found["requests"]["operation"]["before"]
    if before["failed"] or not 0.028 <= after["share"] <= 0.034:
        wrong.append(f"{before['failed']} charges fail before the deploy, {after['share']:.2%} after it")
    if found["requests"]["last_30_minutes"]["budget_spent"] < 0.02:
        wrong.append("the last 30 minutes spend less than 2 % of the budget")
    if size(incident) >= LIMIT:
        wrong.append(f"the folder has {size(incident):,} bytes")
    return wrong + [f"{file} holds {what}" for file, what in leaks(incident)]
