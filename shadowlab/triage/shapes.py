"""What the requests of an operation look like: failing and passing ones, each as a set of `attribute=value` pairs.

An operation with more passing requests than `MOST` is thinned by a hash of their ids, which no order and no outcome of
anything can sway. Attributes of the request's own span and resource come as they are; those of the service's other
spans and quiet logs (below a warning: louder ones restate the failure) and its feature flags in the same trace too;
those of the trace's root in another service after that service's name. All groups are drawn at once: their requests
lie in the same spans, often in the same traces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from shadowlab.triage.arrays import array, arrow, encoded
from shadowlab.triage.burn import LONGEST
from shadowlab.triage.drawn import Drawn, Words, numbers, put_together
from shadowlab.triage.facts import Facts, Operations
from shadowlab.triage.requests import answered
from shadowlab.triage.spans import BAD, Spans, among, distinct, joined

MOST = 2_000
_SPARE = 400
"""More than are drawn, so that the draw of the next minute finds its texts read."""

# (1) what the traces' spans, quiet logs and flags say, each pair once a trace and service
_SAID = """
WITH told AS (
    SELECT trace_id, service, coalesce(parent_span_id, '') = '' AS root, start_ns AS at_ns, attributes FROM spans
    WHERE start_ns BETWEEN $first AND $last AND hash(trace_id) IN (SELECT unnest($traces)){more})
SELECT hash(trace_id) AS tid, coalesce(service, '') AS service, root, e.key AS key, left(e.value, 200) AS value,
       min(at_ns) AS at_ns
FROM (SELECT trace_id, service, root, at_ns, unnest(map_entries(attributes)) AS e FROM told WHERE service IS NOT NULL)
WHERE e.value IS NOT NULL GROUP BY ALL"""
_LOGGED = """
    UNION ALL
    SELECT trace_id, service, false, at_ns, attributes FROM logs
    WHERE hash(trace_id) IN (SELECT unnest($traces)) AND coalesce(severity_number, 0) < 13"""
_FLAGS = """
    UNION ALL
    SELECT trace_id, service, false, at_ns, MAP {'feature_flag.' || attributes['feature_flag.key']: coalesce(
        attributes['feature_flag.result.variant'], attributes['feature_flag.variant'],
        attributes['feature_flag.result.value'])}
    FROM events
    WHERE hash(trace_id) IN (SELECT unnest($traces))
      AND name LIKE 'feature_flag%' AND attributes['feature_flag.key'] IS NOT NULL
    UNION ALL
    SELECT trace_id, service, false, at_ns, MAP {'feature_flag.' || attributes['feature_flag.key']: coalesce(
        attributes['feature_flag.result.variant'], attributes['feature_flag.result.value'])}
    FROM logs
    WHERE hash(trace_id) IN (SELECT unnest($traces))
      AND event_name LIKE 'feature_flag%' AND attributes['feature_flag.key'] IS NOT NULL"""

# (2) the requests of some operations, each with what its resource says
_REQUESTS = """
SELECT hash(trace_id) AS tid, hash(trace_id, span_id) AS sid, trace_id, e.key AS key, left(e.value, 200) AS value
FROM (
    SELECT trace_id, span_id, unnest(map_entries(resource_attributes)) AS e FROM spans
    WHERE start_ns BETWEEN $first AND $last AND hash(trace_id) IN (SELECT unnest($traces))
      AND (service, name) IN (SELECT (unnest($services), unnest($names))))
WHERE e.value IS NOT NULL"""

RESTATING = re.compile(
    r"^(?:error|exception|otel\.status|http\.response|rpc\.response|shadowlab|sampling)\b"
    r"|status[._]?(?:code|message|text)?$|(?:^|[._])(?:exception|error|fail(?:ed|ure)?|outcome|result|success)(?:[._]|$)"
    r"|stack_?trace|^code\.(?:line|stack)|^(?:thread|network|net|client)\.(?:id|peer\.port|host\.port)$|^client\.port$"
    r"|^(?:log|level|severity)\b|exit[._]code$"
)
"""Attributes that merely say again that the request failed, and connection numbers; set aside, never tested."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failing requests of one operation, by hashes of their traces' and spans' ids."""

    service: str
    name: str
    requests: Any


def draw(
    con: Any,
    seen: Facts,
    groups: Sequence[Group],
    *,
    low_ns: int,
    high_ns: int,
    spare: Sequence[Group] = (),
    each: Callable[..., Any] = map,
) -> list[Callable[[], Drawn]]:
    """What each group is compared by: its failing requests and passing ones of the same operation and window.

    Each is put together when it is called for, by any thread; `each` is `map`, or a pool's. The `spare` groups are
    those that may be asked for next.
    """

    if not groups:
        return []
    chosen = [_chosen(seen, group, low_ns=low_ns, high_ns=high_ns) for group in groups]
    traces = distinct(*(requests.tid for requests, _, _ in chosen))
    held = {(group.service, group.name) for group in groups}
    others = {operation: group for group in spare if (operation := (group.service, group.name)) not in held}
    chosen += [_chosen(seen, group, low_ns=low_ns, high_ns=high_ns) for group in others.values()]
    more = distinct(*(more for _, _, more in chosen))
    asking = _asking(seen, frozenset({*held, *others}), (traces, more), low_ns=low_ns - 2 * LONGEST, high_ns=high_ns)
    said, own, words = _texts(con, *each(lambda ask: ask(), asking), low_ns=low_ns - 2 * LONGEST, high_ns=high_ns)
    return [partial(_drawn, group, requests, failing, said, own, words)
            for group, (requests, failing, _) in zip(groups, chosen, strict=False)]  # fmt: skip


def _chosen(seen: Facts, group: Group, *, low_ns: int, high_ns: int) -> tuple[Spans, Any, Any]:
    """The requests of a group in the order of time, which fail, and traces: theirs, and those that may come next."""
    import numpy as np

    parts = answered(seen, (group.service, group.name))
    own = joined(Spans, [part.spans.begun(low_ns - LONGEST, high_ns) for part in parts])
    own = own.take(np.flatnonzero((own.at_ns > low_ns) & (own.at_ns <= high_ns)))
    failing = among(own.sid, distinct(group.requests))
    kinds = [np.flatnonzero(each) for each in (failing, ~failing & ~own.marked(BAD))]
    rows, spare = (np.concatenate([_least(own.sid, each, most) for each in kinds]) for most in (MOST, MOST + _SPARE))
    rows = rows[np.lexsort((own.sid[rows], own.tid[rows], own.at_ns[rows]))]
    return own.take(rows), failing[rows], own.tid[spare]


def _least(sid: Any, rows: Any, most: int) -> Any:
    """At most so many rows, those with the smallest ids."""
    import numpy as np

    return rows[np.argpartition(sid[rows], most)[:most]] if len(rows) > most else rows


@dataclass(frozen=True, slots=True)
class _Told:
    """Rows of key and value by the trace or request (`id`, ascending) that they are told of; as arrays."""

    id: Any
    key: Any
    value: Any
    service: Any
    root: Any

    def of(self, ids: Any) -> tuple[Any, Any]:
        """The rows of each id, and the place in `ids` that each row belongs to."""
        import numpy as np

        low, high = self.id.searchsorted(ids, side="left"), self.id.searchsorted(ids, side="right")
        counts = high - low
        place = np.repeat(np.arange(len(ids)), counts)
        return np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts - low, counts), place


def _asking(
    seen: Facts, operations: Operations, chosen: tuple[Any, Any], *, low_ns: int, high_ns: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What asks what is told of the chosen traces, and of the requests in them.

    The second of what is chosen are the traces that may be chosen next.
    """
    more = _LOGGED * seen.within("log", low_ns, high_ns) + _FLAGS * seen.flags
    traces, spare = chosen
    asked, coded = _SAID.replace("{more}", more), ("key", "value")
    return (
        partial(seen.told, "said", asked, traces, spare=spare, coded=("service", *coded), beside=bool(more)),
        partial(seen.told, "drawn", _REQUESTS, traces, spare=spare, coded=("trace_id", *coded), operations=operations),
    )


def _texts(
    con: Any, said: Any, own: Any, *, low_ns: int, high_ns: int
) -> tuple[_Told, tuple[_Told, Mapping[int, str]], tuple[Words, list[str]]]:
    """What is told of traces, and of the requests in them with the text of each trace's id; and the words."""
    import numpy as np
    import pyarrow as pa

    at_ns = array(said["at_ns"])
    said = said.filter(arrow((at_ns > low_ns) & (at_ns <= high_ns)))
    both = {name: pa.chunked_array([*said[name].chunks, *own[name].chunks], own[name].type)
            for name in ("key", "value")}  # fmt: skip
    codes = {name: encoded(column) for name, column in both.items()}
    services = encoded(said["service"])
    many = len(said)
    tid, sid = array(said["tid"]), array(own["sid"])
    keys, values = (array(codes[name].indices).astype(np.int64) for name in ("key", "value"))
    by_trace, by_request = np.argsort(tid), np.argsort(sid)
    service, root = array(services.indices), array(said["root"])
    said_of = _Told(*(each[by_trace] for each in (tid, keys[:many], values[:many], service, root)))
    nobody = np.zeros(len(own), dtype=np.int64)
    told_of = _Told(*(each[by_request] for each in (sid, keys[many:], values[many:], nobody, nobody)))
    ids = encoded(own["trace_id"])
    first = np.unique(array(own["tid"]), return_index=True)
    names = ids.dictionary.to_pylist()
    at = array(ids.indices)[first[1]].tolist()
    texts = {tid: names[n] for tid, n in zip(first[0].tolist(), at, strict=True)}
    words = Words(codes["key"].dictionary.to_pylist(), codes["value"].dictionary.to_pylist(),
                  numbers(con, codes["value"].dictionary))  # fmt: skip
    return said_of, (told_of, texts), (words, services.dictionary.to_pylist())


@dataclass(frozen=True, slots=True)
class _OfServices(Sequence[str]):
    """Keys, then each of them behind the name of each service: few are looked at, of more than a list could hold."""

    keys: Sequence[str]
    services: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys) * (1 + len(self.services))

    def __getitem__(self, place: Any) -> Any:
        whose, key = divmod(place, len(self.keys))
        return f"{self.services[whose - 1]}: {self.keys[key]}" if whose else self.keys[key]


def _drawn(
    group: Group, requests: Spans, failing: Any, said: _Told, own: tuple[_Told, Mapping[int, str]],
    words: tuple[Words, list[str]],
) -> Drawn:  # fmt: skip
    import numpy as np

    told, services = words
    count = len(told.keys)
    quiet = np.array([not RESTATING.search(key) or key.startswith("feature_flag.") for key in told.keys], dtype=bool)
    same = np.array([service == group.service for service in services], dtype=bool)
    rows, rid = said.of(requests.tid)
    kept = quiet[said.key[rows]] & (same[said.service[rows]] | said.root[rows])
    rows, rid = rows[kept], rid[kept]
    named = np.where(same[said.service[rows]], said.key[rows], count * (1 + said.service[rows]) + said.key[rows])
    mine, of = own[0].of(requests.sid)
    kept = quiet[own[0].key[mine]]
    mine, of = mine[kept], of[kept]
    key, value, rid = (np.concatenate(each) for each in
                       ((named, own[0].key[mine]), (said.value[rows], own[0].value[mine]), (rid, of)))  # fmt: skip
    traces = [own[1].get(tid) for tid in requests.tid.tolist()]
    spoken = Words(_OfServices(told.keys, services), told.values, told.numbers)
    return put_together(traces, requests.tid, requests.at_ns, failing, requests.weight, spoken, rid, key, value)
