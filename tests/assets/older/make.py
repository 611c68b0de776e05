"""Made `case.pack` and `service.bundle`: a case of an older shadowlab, whose records have fewer fields than today's.

Run once, from a checkout of commit e2e1e9e (before replays knew of logs, findings and outlines), with its tests
on the path: `PYTHONPATH=.:tests python make.py FOLDER`. Today's code would make today's case.
"""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import small_service as small
from otlp import lines, raising, span, traces

import shadowlab
from shadowlab.audit import archive

STACK = """\
Traceback (most recent call last):
  File "/srv/payments-api/lib/serializer.py", line 6, in to_json
    return json.dumps(value, sort_keys=True)
TypeError: Object of type Decimal is not JSON serializable
"""


def told(number: int, recording: dict) -> dict:
    """The span of a recorded request."""
    at = int(datetime.fromisoformat(recording["time"]).timestamp()) * 10**9
    asked = f"{recording['request']['method']} {recording['request']['path']}"
    status = {"http__response__status_code": recording["response"]["status"]}
    one = span(number, trace=recording["trace_id"], at=at, name=asked, **status)
    if not recording["error"]:
        return one
    return {**raising(one, "TypeError", recording["error"]["message"], STACK), "status": {"code": 2}}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    source = small.build(folder / "service")
    recordings = small.traffic(12, every=6)
    (folder / "recordings.jsonl").write_text("".join(json.dumps(one) + "\n" for one in recordings))
    spans = traces([told(n, one) for n, one in enumerate(recordings, 1)], "payments-api", service__version="2")
    inv = shadowlab.open(folder / "case")
    inv.ingest(lines(folder / "traces.jsonl", spans), folder / "recordings.jsonl")
    inv.remember_source(source.path)
    inv.triage()
    inv.replay(times=4)
    inv.diagnose()
    inv.propose()
    inv.gate()
    archive.pack(inv.case, folder / "case.pack")
    bundle = ["git", "-C", str(source.path), "bundle", "create", "-q", str(folder / "service.bundle"), "HEAD", "main"]
    subprocess.run(bundle, check=True)
