"""The facts of segments, each read once a process, if at all, and let go when others were used since."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from shadowlab.telemetry.questions.requests import CALLED, ENTRY, FAILED, WEIGHT
from shadowlab.triage import fact_files, raised
from shadowlab.triage.arrays import array, encoded
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.spans import BAD, BELOW, ERROR, NEVER, REQUEST, Beside, Operation, Part, Spans, Traces, distinct
from shadowlab.triage.tables import Store, ask_alone

if TYPE_CHECKING:
    from shadowlab.telemetry.sealed import Sealed

_MOST_KEPT = 10_000_000
"""Spans whose facts are kept, about half a gigabyte; of more, those of the segments that were used last."""

_MOST_UNUSED = 10_000
"""Operations that may be kept of segments that were let go: each triage looks at all that there are."""

_SAMPLED = "(trace_state LIKE '%th:%' OR attributes['sampling.probability'] IS NOT NULL)"
_HASH = f"hash(service, name, kind, service_version, vcs_ref_head_revision, {CALLED})"
_SPANS = f"""
SELECT hash(trace_id) AS tid, hash(trace_id, span_id) AS sid,
       CASE WHEN parent_span_id <> '' THEN hash(trace_id, parent_span_id) ELSE 0 END AS above,
       coalesce(start_ns, {NEVER}) AS start_ns, coalesce(end_ns, {NEVER}) AS end_ns,
       {_HASH} AS op,
       (CASE WHEN status = 'error' THEN {ERROR} ELSE 0 END + CASE WHEN {FAILED} THEN {BAD} ELSE 0 END
        + CASE WHEN {ENTRY} THEN {REQUEST} ELSE 0 END + CASE WHEN parent_span_id <> '' THEN {BELOW} ELSE 0 END
       )::UTINYINT AS marks, CASE WHEN {_SAMPLED} THEN {WEIGHT} END AS weight
FROM spans"""
_OPERATIONS = f"""
SELECT DISTINCT {_HASH} AS op, service, name, kind, service_version AS version, vcs_ref_head_revision AS revision,
       {CALLED} AS called
FROM spans"""
_TRACES = """
SELECT hash(trace_id) AS tid, coalesce(start_ns, {never}) AS start_ns, coalesce(end_ns, {never}) AS end_ns,
       spans::BIGINT AS spans, errors::BIGINT AS errors
FROM traces WHERE trace_id IS NOT NULL""".replace("{never}", str(NEVER))
_BESIDE = """
SELECT 'log' AS what, min(at_ns) AS first_ns, max(at_ns) AS last_ns,
       coalesce(bool_or(severity_number >= 17), false) AS loud,
       coalesce(bool_or(event_name LIKE 'feature_flag%'), false) AS flags FROM logs
UNION ALL SELECT 'point', min(at_ns), max(at_ns), false, false FROM metric_points
UNION ALL SELECT 'event', NULL, NULL, false, coalesce(bool_or(name LIKE 'feature_flag%'), false) FROM events"""


_NAMED: Note[Any] = Note()
"""The places of the operations that a part names."""


class Kept:
    """Facts by segment, and the operations that they name; a process has one."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._parts: OrderedDict[object, Part] = OrderedDict()
        self._codes: dict[int, int] = {}
        self._operations: list[Operation] = []
        self._hashes: list[int] = []

    def facts(self, store: Store) -> Facts:
        """The facts of a store; only what is not known is read."""
        segments: Mapping[object, str | None] = getattr(store, "segments", None) or {None: None}
        with self._reading:
            told = self._all(store, segments)
            found = Facts(store, told, tuple(segments.values()), tuple(self._operations), tuple(self._hashes))
            self._let_go(len(segments))
            return found

    def _let_go(self, used: int) -> None:
        """Forget what was used longest ago, where there is too much; never the last `used` segments."""
        held = sum(len(part.spans.tid) for part in self._parts.values())
        while held > _MOST_KEPT and len(self._parts) > used:
            held -= len(self._parts.popitem(last=False)[1].spans.tid)
        if len(self._operations) > _MOST_UNUSED and len(self._operations) - self._named() > _MOST_UNUSED:
            self._parts, self._codes = OrderedDict(), {}  # a place cannot be given twice
            self._operations, self._hashes = [], []

    def _named(self) -> int:
        """How many operations the segments name that are kept."""
        named = [_NAMED.once(part, lambda part: distinct(part.spans.op)) for part in self._parts.values()]
        return len(distinct(*named)) if named else 0

    def _all(self, store: Store, segments: Mapping[object, str | None]) -> list[Part]:
        """The parts of a store. The engine reads the first that no file holds while this thread reads files."""
        beside: Mapping[object, Sealed] = getattr(store, "sealed", {})
        new = [key for key in segments if key is None or key not in self._parts]
        filed = [key for key in new if key in beside and beside[key].path.exists()]
        told = {key: self._parts[key] for key in segments if key not in new}
        with ThreadPoolExecutor(max_workers=2) as pool:  # to plan a question takes one thread, and of a minute's most
            opened = {key: pool.submit(fact_files.opened, beside[key]) for key in filed}
            asked = {key: _asked(pool, store, segments[key]) for key in [key for key in new if key not in opened][:1]}
            for key in new:
                found = fact_files.load(opened[key].result(), beside[key], self._coded) if key in opened else None
                if found is None:
                    answers = asked.pop(key, None) or _asked(pool, store, segments[key])
                    found = _read(store, segments[key], self._coded, answers)
                told[key] = found
        for key, part in told.items():
            if key is not None:
                self._parts[key] = part
                self._parts.move_to_end(key)
        return [told[key] for key in segments]

    def _coded(self, hashes: Sequence[int], ask: Callable[[], Any]) -> list[int]:
        """The places of operations by their hashes; `ask` gives an Arrow table of them where one is new."""
        if not set(hashes) <= self._codes.keys():
            for row in ask().to_pylist():
                key = row.pop("op")
                if key not in self._codes:
                    self._codes[key] = len(self._operations)
                    self._operations.append(Operation(**row))
                    self._hashes.append(key)
        return [self._codes[key] for key in hashes]


KEPT = Kept()


def of(store: Store) -> Facts:
    """What the spans of a store say, each by itself; what this process has read of a segment is not read again."""
    return KEPT.facts(store)


def _asked(pool: Executor, store: Store, name: str | None) -> list[Future[Any]]:
    """What a segment says of itself, on its way as Arrow tables: spans, traces, what is beside them, errors."""
    return [pool.submit(ask_alone, store, name, query) for query in (_SPANS, _TRACES, _BESIDE, raised.QUERY)]


def _read(
    store: Store,
    name: str | None,
    coded: Callable[[Sequence[int], Callable[[], Any]], list[int]],
    asked: Sequence[Future[Any]],
) -> Part:
    import numpy as np

    table, traces, beside, errors = (each.result() for each in asked)
    columns = {name: array(table.column(name)) for name in ("tid", "sid", "above", "start_ns", "end_ns", "marks")}
    keyed = encoded(table.column("op"))
    op = np.array(coded(keyed.dictionary.to_pylist(), lambda: ask_alone(store, name, _OPERATIONS)), dtype=np.int32)
    sampled = table.column("weight").null_count < len(table)
    one = np.broadcast_to(np.float64(1), len(table))
    weight = array(table.column("weight"), 1.0) if sampled else one
    spans = Spans(**columns, op=op[array(keyed.indices)] if len(op) else op, weight=weight)
    order = np.argsort(spans.start_ns, kind="stable")
    whole = Traces(*(array(traces.column(each.name)) for each in fields(Traces)))
    by_id = np.argsort(whole.tid)
    part = Part(
        Spans(*(getattr(spans, each.name)[order] for each in fields(spans))),
        Traces(*(getattr(whole, each.name)[by_id] for each in fields(whole))),
        sampled,
        {row.pop("what"): Beside(**row) for row in beside.to_pylist()},
    )
    raised.ERRORS.keep(part, errors)
    return part
