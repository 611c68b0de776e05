"""Errors that were only passed on are charged to the error that they pass on.

A failing span passes an error on when a span below it failed with it: with the same exception, with one that its own
chain of causes names, or with anything when it has no exception of its own. Where the types differ (a caller's
`UpstreamError` above a callee's `KeyError`), the group decides: when at least half of a group's spans have a failing
span below them, the group is taken to pass errors on; a fault that usually stands alone stays a fault of its own, also
in the traces where something handled happened below it. Clocks of different services are not compared for this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.scene import dicts, keep

_FAILING = """
WITH nearest AS (
    SELECT a.trace_id, a.span_id, arg_min(a.ancestor, a.depth) AS holder
    FROM above a SEMI JOIN err e ON e.trace_id = a.trace_id AND e.span_id = a.ancestor
    WHERE a.depth > 0 GROUP BY ALL),
last AS (
    SELECT * FROM signed QUALIFY row_number() OVER (PARTITION BY trace_id, span_id ORDER BY at_ns DESC, eid DESC) = 1)
SELECT last.eid, last.trace_id, last.span_id, nearest.holder, coalesce(tree.end_ns, last.at_ns) AS end_ns, last.type,
       last.template, last.root_type, last.causes, last.fingerprint
FROM last LEFT JOIN nearest USING (trace_id, span_id) LEFT JOIN tree USING (trace_id, span_id)
ORDER BY last.eid"""

Span = tuple[str, str]


@dataclass(slots=True)
class _Failing:
    """A failing span, seen by the last error that it recorded."""

    eid: int
    type: str | None
    template: str
    root_type: str
    causes: frozenset[str]
    fingerprint: str
    end_ns: int
    below: _Failing | None = None
    """Of the failing spans right below it, the one that ended last."""


def charge(con: Any) -> None:
    """Make table `charged` in a scene: `eid`, and `root`, the `eid` of the error that it passes on (itself if none)."""
    failing = _forest(con)
    passing = _passing_groups(failing)
    roots = {span.eid: _root(span, passing).eid for span in failing.values()}
    table: dict[str, list[int]] = {"last": list(roots), "root": list(roots.values())}
    import pyarrow as pa

    keep(con, "roots", pa.table({key: pa.array(value, pa.int64()) for key, value in table.items()}))
    con.execute("""
        CREATE TABLE charged AS
        SELECT own.eid, CASE WHEN own.fingerprint = last.fingerprint THEN roots.root ELSE own.eid END AS root
        FROM signed own
        JOIN signed last ON last.trace_id = own.trace_id AND last.span_id = own.span_id
        JOIN roots ON roots.last = last.eid ORDER BY own.eid""")


def _forest(con: Any) -> dict[Span, _Failing]:
    rows = dicts(con, _FAILING)
    failing = {(row["trace_id"], row["span_id"]): _failing(row) for row in rows}
    for row in rows:
        holder = failing.get((row["trace_id"], row["holder"]))
        span = failing[row["trace_id"], row["span_id"]]
        if holder and holder is not span and (holder.below is None or _later(span, holder.below)):
            holder.below = span
    return failing


def _failing(row: Mapping[str, Any]) -> _Failing:
    told = {key: row[key] for key in ("eid", "type", "template", "root_type", "fingerprint", "end_ns")}
    return _Failing(causes=frozenset(row["causes"] or ()), **told)


def _later(one: _Failing, other: _Failing) -> bool:
    return (one.end_ns, one.eid) > (other.end_ns, other.eid)


def _passing_groups(failing: Mapping[Span, _Failing]) -> set[str]:
    """Fingerprints at least half of whose spans have a failing span below them."""
    seen: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for span in failing.values():
        seen[span.fingerprint][0] += 1
        seen[span.fingerprint][1] += span.below is not None
    return {fingerprint for fingerprint, (spans, below) in seen.items() if 2 * below >= spans}


def _root(span: _Failing, passing: set[str]) -> _Failing:
    for _ in range(64):
        if span.below is None or not (_passes_on(span, span.below) or span.fingerprint in passing):
            break
        span = span.below
    return span


def _passes_on(span: _Failing, below: _Failing) -> bool:
    same = (span.type, span.template) == (below.type, below.template)
    return not span.type or same or bool(span.causes & {below.type, below.root_type})
