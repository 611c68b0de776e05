"""Errors that were only passed on are charged to the error that they pass on.

A failing span passes an error on when a span below it failed with it: with the same exception, with one that its own
chain of causes names, or with anything when it has no exception of its own. Where the types differ (a caller's
`UpstreamError` above a callee's `KeyError`), the group decides: when at least half of a group's spans have a failing
span below them, the group is taken to pass errors on; a fault that usually stands alone stays a fault of its own, also
in the traces where something handled happened below it. Clocks of different services are not compared for this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.scene import dicts, keep

# Failing spans that have a failing span above or below them, each seen by its last error.
_LAST = """
CREATE TABLE last AS SELECT sid, max_by(eid, (at_ns, eid)) AS eid FROM signed GROUP BY sid"""
_FAILING = """
SELECT last.sid, nearest.holder, signed.eid, coalesce(ends.end_ns, signed.at_ns) AS end_ns, type, template, root_type,
       causes, fingerprint
FROM last JOIN signed USING (eid) LEFT JOIN nearest ON nearest.sid = last.sid LEFT JOIN ends ON ends.sid = last.sid
WHERE nearest.holder IS NOT NULL OR last.sid IN (SELECT holder FROM nearest)
ORDER BY signed.eid"""
_SPANS = "SELECT fingerprint, count(*) AS spans FROM last JOIN signed USING (eid) GROUP BY fingerprint"


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
    """Make table `charged` in a scene: `eid`, and `root`, the `eid` of the error that it passes on (itself if none).

    Table `roots` says the same of each failing span's last error.
    """
    import pyarrow as pa

    con.execute(_LAST)
    failing = _forest(con)
    passing = _passing_groups(failing, dict(con.execute(_SPANS).fetchall()))
    roots = {span.eid: _root(span, passing).eid for span in failing.values()}
    moved = {eid: root for eid, root in roots.items() if eid != root}
    keep(con, "moved", pa.table({"eid": pa.array(moved, pa.int64()), "root": pa.array(moved.values(), pa.int64())}))
    con.execute("""
        CREATE TABLE roots AS
        SELECT last.sid, last.eid AS last, coalesce(moved.root, last.eid) AS root
        FROM last LEFT JOIN moved USING (eid)""")
    con.execute("""
        CREATE TABLE charged AS
        SELECT own.eid, CASE WHEN own.fingerprint = final.fingerprint THEN roots.root ELSE own.eid END AS root
        FROM signed own JOIN roots USING (sid) JOIN signed final ON final.eid = roots.last ORDER BY own.eid""")


def _forest(con: Any) -> dict[int, _Failing]:
    rows = dicts(con, _FAILING)
    failing = {row["sid"]: _failing(row) for row in rows}
    for row in rows:
        holder, span = failing.get(row["holder"]), failing[row["sid"]]
        if holder and holder is not span and (holder.below is None or _later(span, holder.below)):
            holder.below = span
    return failing


def _failing(row: Mapping[str, Any]) -> _Failing:
    told = {key: row[key] for key in ("eid", "type", "template", "root_type", "fingerprint", "end_ns")}
    return _Failing(causes=frozenset(row["causes"] or ()), **told)


def _later(one: _Failing, other: _Failing) -> bool:
    return (one.end_ns, one.eid) > (other.end_ns, other.eid)


def _passing_groups(failing: Mapping[int, _Failing], spans: Mapping[str, int]) -> set[str]:
    """Fingerprints at least half of whose spans have a failing span below them."""
    below = Counter(span.fingerprint for span in failing.values() if span.below is not None)
    return {fingerprint for fingerprint, count in below.items() if 2 * count >= spans[fingerprint]}


def _root(span: _Failing, passing: set[str]) -> _Failing:
    for _ in range(64):
        if span.below is None or not (_passes_on(span, span.below) or span.fingerprint in passing):
            break
        span = span.below
    return span


def _passes_on(span: _Failing, below: _Failing) -> bool:
    same = (span.type, span.template) == (below.type, below.template)
    return not span.type or same or bool(span.causes & {below.type, below.root_type})
