"""What triage looks at: the window, and the requests in it that objectives find bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shadowlab import errors
from shadowlab.records import Change
from shadowlab.triage import arrays, changes
from shadowlab.triage.burn import LONGEST, requests
from shadowlab.triage.clocks import RIGHT, Clock
from shadowlab.triage.facts import Facts
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.spans import BAD
from shadowlab.triage.tables import Store

_BAD = """
SELECT {n}::INTEGER AS spec, hash(trace_id) AS tid, hash(trace_id, span_id) AS sid, weight::DOUBLE AS weight,
       greatest(1, total * {share})::DOUBLE AS allowed
FROM (
    SELECT *, sum(weight) OVER () AS total FROM ({requests})
    WHERE at_ns > {low} AND at_ns <= {high} AND start_ns > {first})
WHERE bad"""


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
    told: Sequence[Change] = ()
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    """Clocks that are off, by service."""

    def right(self, service: str | None, at_ns: int) -> int:
        """A stamp of a service's clock in the time that most services have."""
        return self.clocks.get(service or "", RIGHT).right(at_ns)


def broken(store: Store, seen: Facts, specs: Sequence[ObjectiveSpec], *, low_ns: int, high_ns: int, weight: str) -> Any:
    """The requests of the window that are bad, by objective, as an Arrow table."""
    import numpy as np
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
    kinds = {"spec": np.int32, "tid": np.uint64, "sid": np.uint64, "weight": float, "allowed": float}
    nothing = arrays.table({name: np.zeros(0, dtype=kind) for name, kind in kinds.items()})
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

    spans = seen.answered(low_ns, high_ns)
    spans = spans.take(np.flatnonzero(spans.start_ns > low_ns - LONGEST))
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
        told.append(arrays.table({**columns, "weight": bad.weight, "allowed": np.full(len(bad.sid), allowed)}))
    return told
