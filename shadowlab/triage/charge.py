"""Errors that were only passed on are charged to the error that they pass on.

A failing span passes an error on when a span below it failed with it: with the same exception, with one that its own
chain of causes names, or with anything when it has no exception of its own. Where the types differ (a caller's
`UpstreamError` above a callee's `KeyError`), the group decides: when at least half of a group's spans have a failing
span below them, the group is taken to pass errors on; a fault that usually stands alone stays a fault of its own, also
in the traces where something handled happened below it. Clocks of different services are not compared for this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadowlab.triage.scene import array, keep

# Failing spans that have a failing span above or below them, each seen by its last error.
_LAST = """
CREATE TABLE last AS SELECT sid, max_by(eid, (at_ns, eid)) AS eid FROM signed GROUP BY sid"""
_FAILING = """
SELECT last.sid, nearest.holder, signed.eid, coalesce(ends.end_ns, signed.at_ns) AS end_ns, exception_type AS type,
       template, root_type, causes, fingerprint
FROM last JOIN signed USING (eid) JOIN err USING (eid) JOIN readings USING (reading)
LEFT JOIN nearest ON nearest.sid = last.sid LEFT JOIN ends ON ends.sid = last.sid
WHERE nearest.holder IS NOT NULL OR last.sid IN (SELECT holder FROM nearest)
ORDER BY signed.eid"""
_SPANS = "SELECT fingerprint, count(*) AS spans FROM last JOIN signed USING (eid) GROUP BY fingerprint"


def charge(con: Any) -> None:
    """Make table `charged` in a scene: `eid`, and `root`, the `eid` of the error that it passes on (itself if none).

    Table `roots` says the same of each failing span's last error.
    """
    import pyarrow as pa

    con.execute(_LAST)
    failing = con.sql(_FAILING).to_arrow_table()
    eid, root = _roots(failing, dict(con.execute(_SPANS).fetchall()))
    keep(con, "moved", pa.table({"eid": eid, "root": root}).filter(pa.array(eid != root)))
    con.execute("""
        CREATE TABLE roots AS
        SELECT last.sid, last.eid AS last, coalesce(moved.root, last.eid) AS root
        FROM last LEFT JOIN moved USING (eid)""")
    con.execute("""
        CREATE TABLE charged AS
        SELECT own.eid, CASE WHEN own.fingerprint = final.fingerprint THEN roots.root ELSE own.eid END AS root
        FROM signed own JOIN roots USING (sid) JOIN signed final ON final.eid = roots.last""")


def _roots(failing: Any, spans: Mapping[str, int]) -> tuple[Any, Any]:
    """The last error of each failing span of a table, and the one at its root; as arrays of their `eid`."""
    import numpy as np

    if not len(failing):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    eid, ends = (array(failing.column(name)) for name in ("eid", "end_ns"))
    below = _below(failing, eid, ends)
    codes = failing.column("fingerprint").combine_chunks().dictionary_encode()
    group, names = np.asarray(codes.indices), codes.dictionary.to_pylist()
    held = np.bincount(group[below >= 0], minlength=len(names))
    usual = np.array([count > 0 and 2 * count >= spans[name] for name, count in zip(names, held.tolist(), strict=True)])
    holders = np.flatnonzero(below >= 0)
    goes_on = np.zeros(len(eid), dtype=bool)
    goes_on[holders] = usual[group[holders]] | _passes_on(failing, holders, below[holders])
    at = np.arange(len(eid))
    for _ in range(64):
        onward = goes_on[at]
        if not onward.any():
            break
        at = np.where(onward, below[at], at)
    return eid, eid[at]


def _below(failing: Any, eid: Any, ends: Any) -> Any:
    """Of the failing spans right below each, the place of the one that ended last; -1 where there is none."""
    import numpy as np

    sid = array(failing.column("sid"))
    held = np.flatnonzero(array(failing.column("holder").is_valid()))
    by_sid = np.argsort(sid)
    holder = array(failing.column("holder").fill_null(0))[held]
    found = sid[by_sid].searchsorted(holder)
    found = np.minimum(found, max(0, len(sid) - 1))
    there = sid[by_sid][found] == holder
    held, above = held[there], by_sid[found[there]]
    other = above != held
    held, above = held[other], above[other]
    last = np.lexsort((eid[held], ends[held]))
    below = np.full(len(sid), -1)
    below[above[last]] = held[last]  # of several, the last one stays
    return below


def _passes_on(failing: Any, holders: Any, below: Any) -> Any:
    """Which of these spans pass on what the span below them says, by what both say."""
    import numpy as np

    type_of, template, root_type = (failing.column(name).to_pylist() for name in ("type", "template", "root_type"))
    causes = failing.column("causes").to_pylist()

    def on(span: int, below: int) -> bool:
        same = (type_of[span], template[span]) == (type_of[below], template[below])
        return not type_of[span] or same or bool({type_of[below], root_type[below]}.intersection(causes[span] or ()))

    return np.array([on(*pair) for pair in zip(holders.tolist(), below.tolist(), strict=True)], dtype=bool)
