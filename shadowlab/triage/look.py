"""What triage looks at, and what it makes of it first: requests, what each error broke of them, whom it struck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shadowlab import errors
from shadowlab.records import Change
from shadowlab.telemetry.questions.requests import WEIGHT
from shadowlab.triage import changes
from shadowlab.triage.burn import LONGEST, requests
from shadowlab.triage.clocks import RIGHT, Clock
from shadowlab.triage.scene import Store, keep
from shadowlab.triage.selector import Selector
from shadowlab.triage.slo import ObjectiveSpec

_NONE = """
SELECT NULL::INTEGER AS spec, NULL::VARCHAR AS trace_id, NULL::UBIGINT AS sid, 0.0 AS weight, 1.0 AS allowed WHERE false
"""
_BAD = """
SELECT {columns} FROM (
    SELECT *, sum(weight) OVER ({part}) AS total FROM ({requests})
    WHERE at_ns > {low} AND at_ns <= {high} AND start_ns > {first}) {join}
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
_WHO = f"""
SELECT trace_id, min({{users}}) AS user_id, min({{tenants}}) AS tenant FROM spans
WHERE start_ns > $low - {LONGEST} AND start_ns <= $high
  AND trace_id IN (SELECT trace_id FROM errors WHERE at_ns > $low AND at_ns <= $high)
GROUP BY trace_id HAVING user_id IS NOT NULL OR tenant IS NOT NULL"""
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
    keep(con, "who", store.sql(_WHO.format(**named), bounds).arrow())
    con.execute(_SEEN_FROM, bounds)
    sampled = _WEIGHTS.format(weight=look.weight)
    if not look.sampled:
        sampled = "SELECT NULL::UBIGINT AS sid, NULL::DOUBLE AS weight WHERE false"
    keep(con, "weights", store.sql(sampled).arrow())


def broken(store: Store, specs: Sequence[ObjectiveSpec], *, low_ns: int, high_ns: int, weight: str) -> Any:
    """The requests of the window that are bad, by objective, as an Arrow table; all of whole services in one scan."""
    parts, params = (
        [_NONE],
        [],
    )
    whole = [(n, spec) for n, spec in enumerate(specs) if spec.whole]
    if whole:
        query, values = requests(replace(whole[0][1], total=Selector()), weight)
        told = ", ".join(f"({n}, ?, {1 - spec.target})" for n, spec in whole)
        parts.append(
            _BAD.format(
                columns="told.spec, trace_id, hash(trace_id, span_id), weight, greatest(1, total * told.share)",
                part="PARTITION BY service",
                requests=query,
                join=f"JOIN (VALUES {told}) told(spec, service, share) USING (service)",
                low=low_ns,
                high=high_ns,
                first=low_ns - LONGEST,
            )
        )
        params += [*values, *(spec.service for _, spec in whole)]
    for n, spec in enumerate(specs):
        if not spec.whole:
            query, values = requests(spec, weight)
            parts.append(
                _BAD.format(
                    columns=f"{n}, trace_id, hash(trace_id, span_id), weight, greatest(1, total * {1 - spec.target})",
                    part="",
                    requests=query,
                    join="",
                    low=low_ns,
                    high=high_ns,
                    first=low_ns - LONGEST,
                )
            )
            params += values
    try:
        return store.sql(" UNION ALL ".join(parts), params).arrow()
    except errors.QueryError as exc:
        if (whose := _blamed(store, specs)) is None:
            raise
        raise whose from exc


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


def _first_of(keys: Sequence[str]) -> str:
    return "coalesce(" + ", ".join(f"attributes['{key}']" for key in keys) + ")"
