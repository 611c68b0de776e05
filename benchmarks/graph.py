"""Seeded faults in seeded service graphs: an error, a slow service, one that is silent, one that runs full, one that
answers wrongly and says so in its log records only, one that says so and breaks nothing, nothing.

Every case has decoys: background errors and error records everywhere, callers that write down what they were told, a
louder service, a deploy of an innocent one, one that always runs full, and one that begins to and does no harm.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pandas as pd

from shadowlab import triage
from shadowlab.telemetry import Rows

KINDS = ("error", "latency", "silence", "saturation", "wrong answer", "records alone", "nothing")
START, MINUTE = 1_790_000_000_000_000_000, 60_000_000_000
NOISE = 0.002


@dataclass
class Graph:
    """Who calls whom; the first service answers the users."""

    calls: dict[str, tuple[str, ...]]
    fault: str | None
    kind: str
    share: float
    deployed: str
    spans: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    points: list[tuple[str, str, int, float]] = field(default_factory=list)
    """Service, metric, time and value."""
    logs: list[dict[str, Any]] = field(default_factory=list)
    noise: random.Random = field(default_factory=random.Random)
    """What decoys draw from, so that they change no case."""
    busy: tuple[str, ...] = ()
    """A service that always runs full, and one that begins to and does no harm."""


def make(seed: int, kind: str, requests: int = 1_600) -> Graph:
    """An hour of requests; the fault is in the second half."""
    r = random.Random(f"graph {seed} {kind}")
    names = [f"s{n}" for n in range(r.randrange(6, 11))]
    calls: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for n, name in enumerate(names[1:], 1):
        holder = r.choice(names[:n])
        calls[holder] = (*calls[holder], name)
    fault = r.choice(names[1:]) if kind != "nothing" else None
    graph = Graph(calls, fault, kind, r.choice((0.1, 0.3, 1.0)), r.choice([n for n in names if n != fault]))
    graph.noise = random.Random(f"decoys {seed} {kind}")
    graph.busy = tuple(graph.noise.sample([name for name in names if name != fault], 2))
    for n in range(requests):
        at = START + n * 60 * MINUTE // requests
        _visit(r, graph, names[0], f"{r.getrandbits(128):032x}", None, at, late=n >= requests // 2)
    for minute in range(60):
        graph.points += [_utilisation(r, graph, name, minute) for name in names]
    return graph


def _utilisation(r: random.Random, g: Graph, name: str, minute: int) -> tuple[str, str, int, float]:
    """A gauge a minute; the service that is struck by saturation runs full, and so do the decoys."""
    always, since = g.busy
    full = name == always or (minute >= 30 and (name == since or (g.kind == "saturation" and name == g.fault)))
    value = min(1.0, r.gauss(0.97 if full else 0.5, 0.03 if full else 0.1))
    return name, "db.client.connections.utilization", START + minute * MINUTE, value


def _say(g: Graph, trace: str, span: str, name: str, at: int, body: str) -> None:
    told = {"trace_id": trace, "span_id": span, "service": name, "at_ns": at, "severity_number": 17, "body": body}
    g.logs.append(told)


def _visit(
    r: random.Random, g: Graph, name: str, trace: str, parent: str | None, at: int, *, late: bool
) -> tuple[int, bool, bool]:
    """A service's span and those below it; gives when it ended, whether it failed, whether it answered wrongly."""
    struck = late and name == g.fault and r.random() < g.share
    span = f"{r.getrandbits(64):016x}"
    now = at + round(r.lognormvariate(1.0, 0.4) * 1e6)
    failed = (struck and g.kind == "error") or r.random() < NOISE
    error = ("Fault", "it broke") if failed else None
    if struck and g.kind in ("latency", "saturation"):
        now += round(r.lognormvariate(4.0 if g.kind == "latency" else 2.0, 0.4) * 1e6)
    for callee in g.calls[name]:
        if r.random() < 0.1:
            continue
        now, below, wrong = _call(r, g, name, callee, trace, span, now, late=late)
        if wrong:
            error = error or ("BadAnswer", f"cannot use what {callee} answered")
        if below and r.random() < 0.8:
            error = error or ("Upstream", f"{callee} failed")
    end = now + round(r.lognormvariate(0.0, 0.4) * 1e6)
    version = "2" if late and name == g.deployed else "1"
    _tell(g, trace, span, parent, name, f"GET /{name}", "server", at, end, error, version)
    wrong = struck and g.kind in ("wrong answer", "records alone")
    if wrong:
        _say(g, trace, span, name, now, f"price list {g.noise.randrange(999)} is stale, answering with it anyway")
    if error:
        _say(g, trace, span, name, end, f"request {trace[:8]} failed: {error[1]}")
    if g.noise.random() < 0.01:
        _say(g, trace, span, name, now, f"cannot write entry {g.noise.randrange(9999)} to the cache, going on without")
    return end, error is not None, wrong and g.kind == "wrong answer"


def _call(
    r: random.Random, g: Graph, name: str, callee: str, trace: str, parent: str, at: int, *, late: bool
) -> tuple[int, bool, bool]:
    """A call and what answers it."""
    span = f"{r.getrandbits(64):016x}"
    if late and callee == g.fault and g.kind == "silence" and r.random() < g.share:
        end = at + 300_000_000
        _tell(g, trace, span, parent, name, f"call {callee}", "client", at, end, ("Timeout", "no answer"), "1")
        return end, True, False
    end, failed, wrong = _visit(r, g, callee, trace, span, at + 300_000, late=late)
    _tell(
        g,
        trace,
        span,
        parent,
        name,
        f"call {callee}",
        "client",
        at,
        end + 300_000,
        ("500", "") if failed else None,
        "1",
    )
    return end + 300_000, failed, wrong


def _tell(
    g: Graph, trace: str, span: str, parent: str | None, service: str, name: str, kind: str, start: int, end: int,
    error: tuple[str, str] | None, version: str,
) -> None:  # fmt: skip
    g.spans.append({
        "trace_id": trace, "span_id": span, "parent_span_id": parent, "service": service, "name": name, "kind": kind,
        "start_ns": start, "end_ns": end, "duration_ns": end - start, "status": "error" if error else "unset",
        "service_version": version})  # fmt: skip
    if error:
        stack = None
        if error[0] in ("Fault", "Upstream", "Timeout", "BadAnswer"):
            place = f'  File "/srv/{service}/app.py", line 3, in {error[0].lower()}\n    x\n'
            stack = f"Traceback (most recent call last):\n{place}{error[0]}: {error[1]}\n"
        at = {"trace_id": trace, "span_id": span, "service": service, "operation": name, "at_ns": end}
        told = {"exception_type": error[0], "exception_message": error[1], "stack": stack}
        g.errors.append({**at, **told, "error_id": len(g.errors)})


class Memory:
    """The views that triage asks, over one graph's telemetry."""

    def __init__(self, graph: Graph, *, logs: bool = True) -> None:
        self.con = duckdb.connect()
        self.con.register("s", pd.DataFrame(graph.spans))
        columns = [
            "trace_id",
            "span_id",
            "service",
            "operation",
            "at_ns",
            "exception_type",
            "exception_message",
            "stack",
            "error_id",
        ]
        self.con.register("e", pd.DataFrame(graph.errors, columns=columns))
        told = ["trace_id", "span_id", "service", "at_ns", "severity_number", "body"]
        self.con.register("l", pd.DataFrame(graph.logs if logs else [], columns=told))
        self.con.execute("""
            CREATE TABLE spans AS SELECT *, NULL::VARCHAR AS trace_state, NULL::VARCHAR AS http_request_method,
                NULL::VARCHAR AS http_route, NULL::INTEGER AS http_response_status_code,
                NULL::VARCHAR AS vcs_ref_head_revision, NULL::VARCHAR AS server_address,
                MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
                MAP {'service.version': service_version} AS resource_attributes FROM s;
            CREATE TABLE errors AS SELECT * FROM e;
            CREATE VIEW traces AS SELECT trace_id, min(start_ns) AS start_ns, max(end_ns) AS end_ns,
                count(*) AS spans, count_if(status = 'error') AS errors FROM spans GROUP BY trace_id;
            CREATE TABLE events (trace_id VARCHAR, span_id VARCHAR, service VARCHAR, at_ns BIGINT, name VARCHAR,
                                 attributes MAP(VARCHAR, VARCHAR));
            CREATE TABLE logs AS SELECT trace_id, span_id, service, at_ns, severity_number::INTEGER AS severity_number,
                body, NULL::VARCHAR AS event_name, MAP {}::MAP(VARCHAR, VARCHAR) AS attributes FROM l;
            CREATE TABLE metric_points (service VARCHAR, name VARCHAR, unit VARCHAR, at_ns BIGINT, value DOUBLE)""")
        if graph.points:
            self.con.executemany("INSERT INTO metric_points VALUES (?, ?, '1', ?, ?)", graph.points)

    def sql(self, query: str, params: Any = ()) -> Rows:
        """Run one statement."""
        with self.con.cursor() as cursor:
            return Rows(query, cursor.sql(query, params=params or None).to_arrow_table())


def rank(graph: Graph, *, logs: bool = True) -> list[str]:
    """The services that triage blames, best first; those with a score of 0 are left out."""
    store = Memory(graph, logs=logs)
    found, _ = triage.triage(store, top=1)
    store.con.close()
    return [b.service for b in found.services if b.score > 0]


def robust(graph: Graph) -> list[str]:
    """The scorer of BARO (Pham et al., FSE 2024): how far a metric gets from its median, in its usual spread.

    Metrics of each service and minute: the gauge, errors, and the ninth decile of its spans' durations. Always ranks.
    """
    import numpy as np

    rows: dict[tuple[str, str], Any] = {}
    for name in graph.calls:
        rows[name, "gauge"] = np.zeros(60)
        rows[name, "errors"] = np.zeros(60)
        spans: list[list[int]] = [[] for _ in range(60)]
        for span in graph.spans:
            if span["service"] == name and span["kind"] == "server":
                spans[min(59, (span["start_ns"] - START) // MINUTE)].append(span["duration_ns"])
        rows[name, "p90"] = np.array([np.quantile(held or [0], 0.9) for held in spans])
    for name, _, at, value in graph.points:
        rows[name, "gauge"][(at - START) // MINUTE] = value
    for error in graph.errors:
        rows[error["service"], "errors"][min(59, (error["at_ns"] - START) // MINUTE)] += 1
    scores: dict[str, float] = {}
    for (name, _), values in rows.items():
        low, middle, high = np.quantile(values[:30], [0.25, 0.5, 0.75])
        score = float(np.max(np.abs(values[30:] - middle))) / (float(high - low) or 1.0)
        scores[name] = max(score, scores.get(name, 0.0))
    return sorted(scores, key=lambda name: -scores[name])


def floors(graph: Graph) -> dict[str, list[str]]:
    """What a person would try first, each a ranking."""
    late = [e for e in graph.errors if e["at_ns"] > START + 30 * MINUTE]
    depth = {name: n for n, name in enumerate(graph.calls)}
    loud = [name for name, _ in Counter(e["service"] for e in late).most_common()]
    return {
        "deepest error": sorted({e["service"] for e in late}, key=lambda name: -depth[name]),
        "loudest service": loud,
        "newest deploy": [graph.deployed],
    }
