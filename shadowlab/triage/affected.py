"""Whom errors affected: the users and tenants that the spans of a trace name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.arrays import array, encoded
from shadowlab.triage.burn import LONGEST
from shadowlab.triage.facts import Facts
from shadowlab.triage.spans import among, distinct

_USERS = ("enduser.id", "enduser.pseudo.id", "user.id", "user.hash", "user", "customer.id", "session.id")
_TENANTS = ("tenant.id", "tenant", "customer.id", "account.id", "organization.id")
_AFFECTED = """
SELECT hash(trace_id) AS tid, {users} AS user_id, {tenants} AS tenant, min(start_ns) AS first_ns,
       max(start_ns) AS last_ns
FROM spans
WHERE start_ns BETWEEN $first AND $last AND hash(trace_id) IN (SELECT unnest($traces))
  AND (user_id IS NOT NULL OR tenant IS NOT NULL)
GROUP BY ALL"""
NOBODY = 2**62


@dataclass(frozen=True, slots=True)
class Affected:
    """Traces (hashes, ascending), each with numbers that stand for its user and its tenant; `NOBODY` for none."""

    tid: Any
    user: Any
    tenant: Any

    def counted(self, kind: Any, tid: Any, group: Any, groups: int) -> Any:
        """How many different numbers of a `kind` there are in each group of traces."""
        import numpy as np

        known = among(tid, self.tid)
        who = kind[self.tid.searchsorted(tid[known])]
        named = who != NOBODY
        pairs = distinct(group[known][named] * (1 + who[named].max(initial=0)) + who[named])
        return np.bincount(pairs // (1 + who[named].max(initial=0)), minlength=groups)


def affected(seen: Facts, traces: Any, *, low_ns: int, high_ns: int) -> Affected:
    """Who is named first, by the alphabet, by the spans of each of some traces (hashes)."""
    import numpy as np

    named = {"users": _first_of(_USERS), "tenants": _first_of(_TENANTS)}
    told = seen.told("affected", _AFFECTED.format(**named), traces)
    in_time = (array(told.column("last_ns")) > low_ns - LONGEST) & (array(told.column("first_ns")) <= high_ns)
    in_time = np.flatnonzero(in_time)
    tid, of = np.unique(array(told.column("tid"))[in_time], return_inverse=True)
    return Affected(tid, *(_least(told.column(name), in_time, of, len(tid)) for name in ("user_id", "tenant")))


def _least(column: Any, rows: Any, of: Any, many: int) -> Any:
    """The first text of each trace, as its place in the alphabet."""
    import numpy as np
    import pyarrow.compute as pc

    texts = encoded(column)
    place = np.zeros(len(texts.dictionary) + 1, dtype=np.int64)
    place[array(pc.sort_indices(texts.dictionary))] = np.arange(len(texts.dictionary))
    place[-1] = NOBODY
    least = np.full(many, NOBODY)
    np.minimum.at(least, of, place[array(texts.indices, -1)[rows]])
    return least


def _first_of(keys: Sequence[str]) -> str:
    return "coalesce(" + ", ".join(f"attributes['{key}']" for key in keys) + ")"
