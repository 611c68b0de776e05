"""What triage looks at, and what it makes of it first: requests, what each error broke of them, whom it struck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shadowlab import errors
from shadowlab.records import Change
from shadowlab.telemetry.questions.requests import WEIGHT
from shadowlab.triage import changes
from shadowlab.triage.burn import LONGEST, requests
from shadowlab.triage.clocks import RIGHT, Clock
from shadowlab.triage.facts import Facts
from shadowlab.triage.scene import Store, keep
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.spans import BAD

_BAD = """
SELECT {n}::INTEGER AS spec, hash(trace_id) AS tid, hash(trace_id, span_id) AS sid, weight::DOUBLE AS weight,
       greatest(1, total * {share})::DOUBLE AS allowed
FROM (
    SELECT *, sum(weight) OVER () AS total FROM ({requests})
    WHERE at_ns > {low} AND at_ns <= {high} AND start_ns > {first})
WHERE bad"""

# (1) a broken request is charged to the root of its own last error, else to the deepest error below it
_BREAKS = """
CREATE TABLE breaks AS
WITH own AS (
    SELECT b.spec, b.sid, b.weight, b.allowed, r.root AS cause_eid FROM broken b JOIN roots r USING (sid)),
below AS (
    SELECT b.spec, b.sid, any_value(b.weight) AS weight, any_value(b.allowed) AS allowed,
           arg_max(r.root, (a.depth, -r.root)) AS cause_eid
    FROM (SELECT * FROM broken ANTI JOIN roots USING (sid)) b
    JOIN above a ON a.ancestor = b.sid JOIN roots r ON r.sid = a.sid GROUP BY b.spec, b.sid)
SELECT * FROM own UNION ALL SELECT * FROM below"""

# (2) who was struck: users and tenants of the traces with errors, and the services that pass each fault on
_STRUCK = """
SELECT hash(trace_id) AS tid, start_ns, {users} AS user_id, {tenants} AS tenant FROM spans
WHERE start_ns BETWEEN $first AND $last AND hash(trace_id) IN (SELECT unnest($traces))
  AND (user_id IS NOT NULL OR tenant IS NOT NULL)"""
_WHO = f"""
CREATE TABLE who AS SELECT tid, min(user_id) AS user_id, min(tenant) AS tenant FROM struck
WHERE start_ns > $low - {LONGEST} AND start_ns <= $high GROUP BY tid"""
_USERS = ("enduser.id", "enduser.pseudo.id", "user.id", "user.hash", "user", "customer.id", "session.id")
_TENANTS = ("tenant.id", "tenant", "customer.id", "account.id", "organization.id")
_SEEN_FROM = """
CREATE TABLE seen_from AS
SELECT s.fingerprint, list(DISTINCT t.service ORDER BY t.service) AS services
FROM signed s JOIN charged c ON c.eid = s.eid AND c.root = s.eid
JOIN above a ON a.sid = s.sid JOIN tree t ON t.sid = a.ancestor
WHERE s.at_ns > $low AND s.at_ns <= $high AND t.service IS DISTINCT FROM s.service AND t.service IS NOT NULL
GROUP BY s.fingerprint"""
_WEIGHTS = """
SELECT hash(trace_id, span_id) AS sid, any_value({weight}) AS weight FROM spans
WHERE (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM errors) GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Look:
    """The window's ends, the recordings, the service's own frames, the changes, the clocks."""

    seen: Facts
    low_ns: int
    high_ns: int
    recorded: Mapping[str, tuple[str, ...]]
    """Recordings by trace."""
    prefixes: tuple[str, ...]
    shifts: Sequence[changes.Shift]
    weight: str
    """SQL for the requests that a span stands for."""
    told: Sequence[Change] = ()
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    """Clocks that are off, by service."""

    @property
    def sampled(self) -> bool:
        """Whether any span stands for more than itself."""
        return self.weight == WEIGHT

    def right(self, service: str | None, at_ns: int) -> int:
        """A stamp of a service's clock in the time that most services have."""
        return self.clocks.get(service or "", RIGHT).right(at_ns)


def prepare(con: Any, store: Store, look: Look, broken: Any) -> None:
    """Make table `breaks`, which requests each root broke, of those that are `broken` (an Arrow table).

    And whom they struck: `who`, `seen_from`; and `weights`, where spans are sampled.
    """
    keep(con, "broken", broken)
    con.execute(_BREAKS)
    bounds = {"low": look.low_ns, "high": look.high_ns}
    named = {"users": _first_of(_USERS), "tenants": _first_of(_TENANTS)}
    late = "SELECT DISTINCT tid FROM err WHERE tid IS NOT NULL AND at_ns > $low AND at_ns <= $high"
    traces = con.execute(late, bounds).fetchnumpy()["tid"]
    keep(con, "struck", look.seen.told("struck", _STRUCK.format(**named), traces))
    con.execute(_WHO, bounds)
    con.execute(_SEEN_FROM, bounds)
    sampled = _WEIGHTS.format(weight=look.weight)
    if not look.sampled:
        sampled = "SELECT NULL::UBIGINT AS sid, NULL::DOUBLE AS weight WHERE false"
    keep(con, "weights", store.sql(sampled).arrow())


def broken(store: Store, seen: Facts, specs: Sequence[ObjectiveSpec], *, low_ns: int, high_ns: int, weight: str) -> Any:
    """The requests of the window that are bad, by objective, as an Arrow table."""
    import pyarrow as pa

    parts, params = [], []
    for n, spec in enumerate(specs):
        if not spec.whole:
            query, values = requests(spec, weight)
            ends = {"low": low_ns, "high": high_ns, "first": low_ns - LONGEST}
            parts.append(_BAD.format(n=n, share=1 - spec.target, requests=query, **ends))
            params += values
    try:
        asked = [store.sql(" UNION ALL ".join(parts), params).arrow()] if parts else []
    except errors.QueryError as exc:
        if (whose := _blamed(store, specs)) is None:
            raise
        raise whose from exc
    ids, weights = dict.fromkeys(("tid", "sid"), pa.uint64()), dict.fromkeys(("weight", "allowed"), pa.float64())
    nothing = pa.schema({"spec": pa.int32(), **ids, **weights}).empty_table()
    return pa.concat_tables([nothing, *_of_services(seen, specs, low_ns=low_ns, high_ns=high_ns), *asked])


def _blamed(store: Store, specs: Sequence[ObjectiveSpec]) -> errors.ObjectiveError | None:
    """Whose SQL cannot run: an objective's `query` may name a column that the view does not have."""
    for spec in specs:
        query, values = requests(spec)
        try:
            store.sql(f"SELECT 1 AS one FROM ({query}) LIMIT 0", values)
        except errors.QueryError as exc:
            why = str(exc.args[0]).partition("\n")[0]
            return errors.ObjectiveError(
                f"{spec.source}, objective {spec.name!r}: {why}", hint="`query` is a condition over the view `spans`"
            )
    return None


def _of_services(seen: Facts, specs: Sequence[ObjectiveSpec], *, low_ns: int, high_ns: int) -> list[Any]:
    """The same for objectives that count all requests of a service."""
    import numpy as np
    import pyarrow as pa

    spans = seen.requests
    in_time = (spans.at_ns > low_ns) & (spans.at_ns <= high_ns) & (spans.start_ns > low_ns - LONGEST)
    spans = spans.take(np.flatnonzero(in_time))
    place = {service: n for n, service in enumerate({spec.service for spec in specs})}
    service_of = np.array([place.get(op.service or "", -1) for op in seen.operations], dtype=np.int32)[spans.op]
    told = []
    for n, spec in enumerate(specs):
        if not spec.whole:
            continue
        of = spans.take(np.flatnonzero(service_of == place[spec.service]))
        bad = of.take(of.marked(BAD))
        allowed = max(1.0, float(of.weight.sum()) * (1 - spec.target))
        columns = {"spec": np.full(len(bad.sid), n, dtype=np.int32), "tid": bad.tid, "sid": bad.sid}
        told.append(pa.table({**columns, "weight": bad.weight, "allowed": np.full(len(bad.sid), allowed)}))
    return told


def _first_of(keys: Sequence[str]) -> str:
    return "coalesce(" + ", ".join(f"attributes['{key}']" for key in keys) + ")"
