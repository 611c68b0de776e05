"""Git histories of a small function service, commit by commit, and cases with recordings that fail on them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shadowlab.case import Case, open_case
from shadowlab.records import Replay
from shadowlab.replay import take_in
from shadowlab.replay.replaying import replay
from shadowlab.source import Source, open_source

SERVICE = """\
[service]
name = "till"
entrypoint = "app:handle"
kind = "function"
frames = ["/srv/till/"]
"""
APP = """\
import json

from prices import total
from writing import to_json


def handle(event):
    return json.loads(to_json({"id": event["id"], "total": total(event)}))
"""
PRICES = """\
from decimal import Decimal


def total(event):
    return str(Decimal(event["amount"]))
"""
FAULTY = """\
from decimal import Decimal


def total(event):
    if "fee" in event:
        return Decimal(event["amount"]) + Decimal(event["fee"])
    return str(Decimal(event["amount"]))
"""
WRITING = """\
import json


def to_json(payload):
    text = json.dumps(payload)
    return text
"""
TIDIER = """\
import json


def to_json(payload):
    return json.dumps(payload)
"""
TEST = """\
from writing import to_json


def test_text_is_kept():
    assert to_json({"a": "b"}) == '{"a": "b"}'
"""
START = {"shadowlab.toml": SERVICE, "app.py": APP, "prices.py": PRICES, "writing.py": WRITING, "limits.toml": "n = 1\n",
         "tests/test_writing.py": TEST}  # fmt: skip
Step = tuple[str, Mapping[str, str | None]]
GROWN: tuple[Step, ...] = (
    ("Sell things", START),
    ("Raise the limit", {"limits.toml": "n = 2\n"}),
    ("Tidy the writer", {"writing.py": TIDIER}),
    ("Add a fee", {"prices.py": FAULTY}),
    ("Raise the limit again", {"limits.toml": "n = 3\n"}),
    ("Say what it is", {"README.md": "A till.\n"}),
)
"""The fourth commit brings the fault; the second and fifth change settings, the third is a refactoring."""
EVENT = {"id": 7, "amount": "10.00", "fee": "0.30"}
ERROR = ("TypeError", "Object of type Decimal is not JSON serializable")


def grow(folder: Path, steps: Sequence[Step] = GROWN) -> Source:
    """A repository with a commit for each step: a subject, and files with their new text (None: removed)."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    for subject, files in steps:
        for name, text in files.items():
            place = folder / name
            if text is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode())
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", subject)
    return open_source(folder)


def git(folder: Path, *words: str) -> str:
    """Run git there as nobody in particular."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgSign=false")
    return subprocess.run(["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True).stdout


def revision(source: Source, subject: str) -> str:
    """The commit with this subject."""
    return git(source.path, "log", "--all", "--format=%H", f"--grep=^{subject}$").strip()


def replayed(
    folder: Path, source: Source, *events: Mapping[str, object], error: tuple[str, str] = ERROR
) -> tuple[Case, Replay]:
    """A case with a failing recording of each event (of `EVENT` when none is given), replayed at the newest commit."""
    case = open_case(folder / "case")
    for n, event in enumerate(events or (EVENT,), 1):
        place = folder / f"{n}.json"
        request = {"method": "POST", "path": "/", "body": event, "body_encoding": "json"}
        place.write_text(json.dumps({
            "schema": "shadowlab.recording/v1", "id": f"{n:032x}", "service": "till", "kind": "function",
            "trace_id": f"{n:032x}", "time": "2026-05-04T10:00:00Z", "rand_seed": n,
            "request": request, "response": None, "error": {"type": error[0], "message": error[1], "frames": []},
        }))  # fmt: skip
        take_in(case, [place])
    ids = [f"{n:032x}" for n in range(1, max(len(events), 1) + 1)]
    return case, replay(case, ids, source=source, revision="HEAD", times=2 * len(ids))
