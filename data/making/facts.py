"""What a right answer says of an incident: counted in what ships, and told by who planted the fault."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from making.files import FILES, attributes, leaks, lines, size
from making.scene import history, revision
from shadowlab.incidents import build_source
from shadowlab.source import Source

LIMIT = 3 * 10**6
WINDOW_S = 30 * 60
PERIOD_S, TARGET = 28 * 86400, 0.999


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the planter of a fault knows, and what shadowlab must therefore say."""

    operation: str
    cause: str
    """In words, for people."""
    kind: str
    """`commit`, `time`, `upstream`: what has to be changed for the failure to go."""
    offence: str | None
    """The subject of the commit that brought the fault, also where it came years ago."""
    change: str | None
    """The service whose deploy the errors follow, None when they follow none."""
    diagnose: Mapping[str, Any]
    replay: Mapping[str, Any] = field(default_factory=lambda: {"outcome": "reproduced"})
    propose: Mapping[str, Any] = field(default_factory=lambda: {"candidates": 0})


def expected(incident: Path, answer: Answer) -> dict[str, Any]:
    """The document `expected.json`, from what ships: the telemetry, the recordings and the history."""
    requests = sorted(_requests(incident), key=lambda each: each["start"])
    recordings = list(lines(incident / "recordings.jsonl.gz"))
    service = recordings[0]["service"]
    asked = [each for each in requests if each["service"] == service and each["name"] == answer.operation]
    onset = min(each["start"] for each in asked if each["status"] >= 500)
    with tempfile.TemporaryDirectory(prefix="incident-") as folder:
        source = build_source(incident, Path(folder) / "source")
        deploy = _deploy(requests, answer.change)
        told = {
            "incident": incident.name,
            "service": service,
            "operation": answer.operation,
            "cause": {"kind": answer.kind, "words": answer.cause},
            "error": _error(asked, next(each for each in recordings if each["error"])),
            "deploy": deploy,
            "offence": _offence(source, answer.offence, deploy if answer.change == service else None),
            "history": [commit.revision for commit in history(source)],
        }
    return {
        **told,
        "requests": {
            "all": len(requests),
            "operation": {
                "before": _share([each for each in asked if each["start"] < onset]),
                "after": _share([each for each in asked if each["start"] >= onset]),
            },
            "last_30_minutes": _budget(asked, max(each["end"] for each in requests)),
        },
        "recordings": {
            "all": len(recordings),
            "failing": sum(each["error"] is not None for each in recordings),
            "controls": sum(each["control"] for each in recordings),
        },
        "triage": {"change": deploy and {"service": deploy["service"], "after": deploy["bad"]["version"]}},
        "replay": dict(answer.replay),
        "diagnose": dict(answer.diagnose),
        "propose": dict(answer.propose),
        "files": {name: hashlib.sha256((incident / name).read_bytes()).hexdigest() for name in FILES},
    }


def _requests(incident: Path) -> Iterator[dict[str, Any]]:
    """Every span of a request or a message; what failed without a status of HTTP counts as 500."""
    for document in lines(incident / "traces.otlp.jsonl.gz"):
        for each in document["resourceSpans"]:
            who = attributes(each["resource"])
            for span in (span for scope in each["scopeSpans"] for span in scope["spans"] if span["kind"] in (2, 5)):
                said = attributes(span)
                failed = 500 if span["status"].get("code") == 2 else 200
                raised = [attributes(event) for event in span.get("events", ()) if event["name"] == "exception"]
                yield {
                    "service": who["service.name"],
                    "name": span["name"],
                    "start": int(span["startTimeUnixNano"]),
                    "end": int(span["endTimeUnixNano"]),
                    "status": int(said.get("http.response.status_code", failed)),
                    "version": who["service.version"],
                    "revision": who.get("vcs.ref.head.revision"),
                    "raised": raised[-1] if raised else None,
                }


def stamp(ns: int) -> str:
    """RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _deploy(requests: list[dict[str, Any]], service: str | None) -> dict[str, Any] | None:
    """The moment at which a second version of the service is first seen; None when nothing was deployed."""
    own = [each for each in requests if each["service"] == service]
    if not own:
        return None
    good = own[0]
    bad = next(each for each in own if each["version"] != good["version"])
    return {
        "service": service,
        "at": stamp(bad["start"]),
        "good": {"version": good["version"], "revision": good["revision"]},
        "bad": {"version": bad["version"], "revision": bad["revision"]},
    }


def _error(asked: list[dict[str, Any]], recording: dict[str, Any]) -> dict[str, Any]:
    """The error as telemetry tells it, with the service's own frames of one recording of it."""
    failed = [each for each in asked if each["status"] >= 500]
    [kind] = {each["raised"]["exception.type"] for each in failed}
    root = f"/srv/{recording['service']}/"
    own = (frame for frame in recording["error"]["frames"] if frame["file"].startswith(root))
    named = ({**frame, "file": frame["file"].removeprefix(root)} for frame in own)
    frames = [frame for frame in named if not frame["file"].startswith(".venv/")]
    return {
        "type": kind.rpartition(".")[2],
        "message": recording["error"]["message"],
        "frames": frames,
        "events": len(failed),
        "first_seen": stamp(min(each["start"] for each in failed)),
        "last_seen": stamp(max(each["start"] for each in failed)),
    }


def _share(some: list[dict[str, Any]]) -> dict[str, Any]:
    failed = sum(each["status"] >= 500 for each in some)
    return {"requests": len(some), "failed": failed, "share": round(failed / max(len(some), 1), 5)}


def _budget(asked: list[dict[str, Any]], end_ns: int) -> dict[str, Any]:
    """What the last 30 minutes spend of 28 days' budget, at the rate of these minutes."""
    some = [each for each in asked if each["end"] > end_ns - WINDOW_S * 10**9]
    failed = sum(each["status"] >= 500 for each in some)
    burn = failed / len(some) / (1 - TARGET)
    return {"requests": len(some), "failed": failed, "burn_rate": round(burn, 3),
            "budget_spent": round(burn * WINDOW_S / PERIOD_S, 5)}  # fmt: skip


def _offence(source: Source, subject: str | None, deploy: dict[str, Any] | None) -> dict[str, Any] | None:
    """The commit with this subject, the files of the service that it changed, and what was deployed with it."""
    if subject is None:
        return None
    commit = next(each for each in history(source) if each.revision == revision(source, subject))
    files = re.findall(r"^\+\+\+ b/(\S+\.py)$", source.diff(commit.parent or "", commit.revision), re.M)
    good, bad = (deploy["good"]["revision"], deploy["bad"]["revision"]) if deploy else (None, None)
    return {
        "commit": commit.revision,
        "subject": subject,
        "parent": commit.parent,
        "files": [file for file in files if not file.startswith("tests/")],
        "range": [each.revision for each in source.commits(good, bad)] if good and bad else None,
    }


def check(incident: Path, answer: Answer) -> list[str]:
    """What is wrong with what ships; nothing when all is well."""
    kept = json.loads((incident / "expected.json").read_text())
    found = expected(incident, answer)
    wrong = [f"expected.json says {kept.get(key)!r} of {key}, the files say {found[key]!r}"
             for key in found if kept.get(key) != found[key]]  # fmt: skip
    before = found["requests"]["operation"]["before"]
    if before["failed"] or before["requests"] < 200:
        wrong.append(f"{before['failed']} of {before['requests']} requests fail before it begins; 0 of 200 must")
    if found["requests"]["last_30_minutes"]["budget_spent"] < 0.02:
        wrong.append("the last 30 minutes spend less than 2 % of the budget")
    if size(incident) >= LIMIT:
        wrong.append(f"the folder has {size(incident):,} bytes")
    return wrong + [f"{file} holds {what}" for file, what in leaks(incident)]
