"""Records made by hand, for tests of what is drawn from records; the real incident is in `data/`."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shadowlab.case import Case, open_case
from shadowlab.records import (
    Attempt,
    BurnWindow,
    Candidate,
    Change,
    Commit,
    Contrast,
    Control,
    Diagnosis,
    Effect,
    ErrorBucket,
    Failure,
    Frame,
    Gate,
    GateReport,
    Hypothesis,
    Ingest,
    IngestedFile,
    Intervention,
    Location,
    Objective,
    Outcome,
    Plan,
    Proposal,
    Replay,
    Risk,
    Slice,
    Statistic,
    Status,
    Suspect,
    Triage,
    Verdict,
)

AT = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
DEPLOY = AT - timedelta(minutes=30)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD, BAD = "a" * 40, "b" * 40
TITLE = "TypeError: Object of type Decimal is not JSON serializable"

BEFORE = """\
import json
from typing import Any


def to_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
"""
AFTER = """\
import json
from decimal import Decimal
from typing import Any


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def to_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), default=_plain).encode()
"""
TEST = """\
from decimal import Decimal

from lib.serializer import to_json


def test_a_decimal_is_serialized() -> None:
    assert to_json({"surcharge": Decimal("1.20")}) == b'{"surcharge":"1.20"}'
"""


def unified(before: str, after: str, name: str) -> str:
    """The unified diff of one file; empty `before` for a new one."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, f"a/{name}" if before else "/dev/null", f"b/{name}"))


DIFF = unified(BEFORE, AFTER, "lib/serializer.py") + unified("", TEST, "tests/test_serializer_decimal.py")

FRAMES = (
    Frame(file="app.py", function="create_charge", line=41, in_app=True, text="return respond(charge)"),
    Frame(file="handlers/charges.py", function="respond", line=88, in_app=True, text="body = to_json(payload)"),
    Frame(file="lib/serializer.py", function="to_json", line=7, in_app=True, text="return json.dumps(document)"),
    Frame(file="/usr/lib/python3.11/json/encoder.py", function="default", line=180),
)
FAILURE = Failure(type="TypeError", message="Object of type Decimal is not JSON serializable", frames=FRAMES[:3])


def triage(title: str = TITLE) -> Triage:
    """Half an hour of `POST /charges` that burns since a deploy."""
    windows = {
        "5m": BurnWindow(burn_rate=29.4, budget_spent=0.0034, bad=9, total=306, alert="page"),
        "30m": BurnWindow(burn_rate=28.3, budget_spent=0.0197, bad=52, total=1840, alert="page"),
        "1h": BurnWindow(burn_rate=14.1, budget_spent=0.0196, bad=52, total=3688, alert="page"),
        "6h": BurnWindow(burn_rate=None, budget_spent=0.0, bad=0, total=0),
    }
    objective = Objective(name="charges-availability", service="payments-api", operation="POST /charges",
                          indicator="availability", target=0.999, period=timedelta(days=30), windows=windows,
                          budget_spent=0.0215, alert="page", source="objective.openslo.yaml")  # fmt: skip
    change = Change(kind="deploy", service="payments-api", at=DEPLOY, before="1.3.2", after="1.4.0",
                    before_revision=GOOD, after_revision=BAD, evidence=("service.version changed",))  # fmt: skip
    contrast = (
        Contrast(attribute="payments.method", value="amex", selection=1.0, baseline=0.031, effect=0.969, q=1e-9),
        Contrast(attribute="payments.surcharge", value="true", selection=1.0, baseline=0.0, effect=1.0, q=1e-9),
    )
    top = Suspect(fingerprint="f" * 16, title=title, service="payments-api", operation="POST /charges", events=52,
                  traces=52, first_seen=DEPLOY + timedelta(seconds=41), last_seen=AT - timedelta(seconds=9),
                  exemplars=(TRACE, "5" * 32), exception_type="TypeError", frames=FRAMES,
                  recordings=("1" * 32, "2" * 32), contrast=contrast, change=change)  # fmt: skip
    other = Suspect(fingerprint="e" * 16, title="ReadTimeout: gateway", service="payments-api",
                    operation="POST /charges", events=4, traces=4, first_seen=AT - timedelta(minutes=55),
                    last_seen=AT - timedelta(minutes=3), exemplars=("6" * 32,))  # fmt: skip
    buckets = tuple(
        ErrorBucket(at=AT - timedelta(minutes=60 - n), total=60 + n % 7, bad=2 * (n > 30),
                    by_fingerprint={"f" * 16: 2} if n > 30 else {})
        for n in range(60)
    )  # fmt: skip
    return Triage(at=AT, window=timedelta(minutes=30), objectives=(objective,), incident=True, suspects=(top, other),
                  changes=(change,), timeline=buckets, notes=("1 h of data: the 6 h window is short",))  # fmt: skip


def replay() -> Replay:
    """Two recordings, reproduced ten times each."""
    runs = tuple(
        Attempt(recording=str(n) * 32, outcome=Outcome.REPRODUCED, repeats=10, status=500, error=FAILURE,
                outcome_digest="d" * 64, outcome_key="c" * 64, outbound=("POST gateway/pay -> 200",))
        for n in (1, 2)
    )  # fmt: skip
    effects = (
        Effect(seam="clock", control=Control.CONTROLLED, how="frozen at the recorded time", events=14),
        Effect(seam="network", control=Control.CONTROLLED, how="answered from the recording", events=2),
        Effect(seam="threads", control=Control.UNKNOWN, how="no scheduler is held", events=0),
    )
    return Replay(outcome=Outcome.REPRODUCED, attempts=20, reproduced=20, outcome_digest="d" * 64, outcome_key="c" * 64,
                  sandbox="embedded", enforced=("network: no socket leaves the process", "memory: 1 GiB"),
                  effects=effects, error=FAILURE, suspect="f" * 16, revision=BAD, runs=runs)  # fmt: skip


def diagnosis() -> Diagnosis:
    """A commit, confirmed by taking it back."""
    flip = Intervention(changed="source at aaaaaaa instead of bbbbbbb", before_key="c" * 64, after_key="0" * 64,
                        flipped=True, runs=2)  # fmt: skip
    stay = Intervention(changed="currency replaced by EUR", before_key="c" * 64, after_key="c" * 64, flipped=False,
                        runs=2)  # fmt: skip
    where = Location(file="lib/serializer.py", line=7, function="to_json")
    commit = Commit(revision=BAD, subject="Quote surcharges exactly", at=DEPLOY - timedelta(hours=2),
                    files=("lib/pricing.py", "lib/serializer.py"), parent=GOOD)  # fmt: skip
    source = 'def to_json(document):\n    """The compact bytes."""\n    return json.dumps(document)\n'
    return Diagnosis(
        hypotheses=(
            Hypothesis(cause="a Decimal reaches json.dumps", status=Status.CONFIRMED, location=where, kind="commit",
                       evidence=("taking bbbbbbb back makes the request pass",), interventions=(flip,)),
            Hypothesis(cause="a currency is rejected", status=Status.REFUTED, location=None, kind="value",
                       evidence=("every failing request names a different currency",), interventions=(stay,)),
        ),
        slice=(Slice(file="lib/serializer.py", function="to_json", start_line=5, end_line=7, source=source,
                     failing_line=7),),
        suspect_change=commit, candidates=(commit,), service="payments-api", revision=BAD, suspect="f" * 16,
        error=FAILURE, recordings=("1" * 32,), trace_id=TRACE,
    )  # fmt: skip


def proposal() -> Proposal:
    """One candidate."""
    best = Candidate(diff=DIFF, tests=("tests/test_serializer_decimal.py::test_a_decimal_is_serialized",),
                     rationale="json.dumps refuses Decimal; give it a default that writes one as text.",
                     risk=Risk(surface="lib/serializer.py: to_json", expected_perf_ms=0.01), proposer="codemod",
                     test_files=("tests/test_serializer_decimal.py",))  # fmt: skip
    return Proposal(candidates=(best,))


def gate_report() -> GateReport:
    """Eight gates, all passed, two with statistics."""
    errors = Statistic(method="Farrington-Manning, non-inferiority", estimate=-0.0283, interval=(None, -0.0213),
                       level=0.95, n_control=1840, n_candidate=1840, limit=0.001, p=3.2e-13)  # fmt: skip
    latency = Statistic(method="Mann-Whitney, shift", estimate=0.02, interval=(-0.11, 0.16), level=0.95,
                        n_control=1840, n_candidate=1840, limit=5.0, p=0.71, unit="ms")  # fmt: skip
    rows = (
        ("patch", "12 lines, 1 file", "at most 25 lines", None),
        ("lint", "0 new findings", "0", None),
        ("secrets", "0 in the diff", "0", None),
        ("tests", "31 passed", "all", None),
        ("red-green-red", "red, green, red", "red, green, red", None),
        ("passing recordings", "40 of 40 unchanged", "all", None),
        ("error rate", "control 2.83 %, candidate 0 %", "at most 0.1 points worse", errors),
        ("latency", "+0.02 ms at the median", "at most 5 ms", latency),
    )
    gates = tuple(Gate(name=n, verdict=Verdict.PASS, observed=o, limit=lim, statistic=s) for n, o, lim, s in rows)
    return GateReport(verdict=Verdict.PASS, gates=gates, candidate=proposal().top, revision=BAD, service="payments-api")


def plan() -> Plan:
    """Three steps."""
    return Plan(files=("patches/pull-request.md", "patches/canary.yaml"), steps=("merge", "10 %", "100 %"),
                approvals=("payments-team",), rollback="git revert", labels=("shadowlab",))  # fmt: skip


def ingest() -> Ingest:
    """One file."""
    file = IngestedFile(file="traces.otlp.jsonl.gz", format="otlp-json", sha256="9" * 64, rows=48210)
    return Ingest(spans=48210, logs=5120, recordings=42, redacted=1932, files=(file,))


def case_in(folder: Path) -> Case:
    """A case in which every stage kept its record."""
    case = open_case(folder)
    for record in (ingest(), triage(), replay(), diagnosis(), proposal(), gate_report(), plan()):
        case.keep(record)
    return case


def trace() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Rows of one failing trace: its spans and its logs."""
    start = int(AT.timestamp()) * 10**9
    rows = [
        ("a", None, "web", "POST /checkout", 0, 84, "error"),
        ("b", "a", "payments-api", "POST /charges", 3, 80, "error"),
        ("c", "b", "payments-api", "SELECT prices", 8, 14, "unset"),
        ("d", "b", "payments-api", "POST gateway/pay", 16, 68, "unset"),
        ("e", "d", "gateway", "POST /pay", 20, 66, "ok"),
        ("f", "b", "payments-api", "INSERT charges", 69, 74, "unset"),
    ]
    spans: list[dict[str, object]] = [
        {"span_id": i, "parent_span_id": p, "service": s, "name": n, "kind": "server", "status": st,
         "start_ns": start + a * 10**6, "end_ns": start + b * 10**6}
        for i, p, s, n, a, b, st in rows
    ]  # fmt: skip
    logs: list[dict[str, object]] = [
        {"at_ns": start + 9 * 10**6, "severity": "INFO", "body": "quoted amex", "span_id": "b"},
        {"at_ns": start + 78 * 10**6, "severity": "ERROR", "body": TITLE, "span_id": "b"},
    ]
    return spans, logs
