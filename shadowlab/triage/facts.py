"""Facts: what each span of a case says by itself, whatever is asked; and what a process has asked about single traces.

A segment never changes. What was read of it once holds for as long as it is there, so that a triage of a case that has
gained a minute reads that minute. Nothing that depends on the window, on objectives or on other spans is a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any

from shadowlab.triage.arrays import array, arrow, dictionary
from shadowlab.triage.noted import Made, Note
from shadowlab.triage.spans import NEVER, REQUEST, Operation, Part, Spans, Traces, among, distinct, joined
from shadowlab.triage.tables import Store, ask_alone

_MOST_STACKS = 100
"""Of a part, which are kept."""
_SPARE = 1_000
"""Traces whose texts are kept though nobody asked for them last."""
_MOST_OPERATIONS = 64
"""Whose spans are asked for because they were before."""
Operations = frozenset[tuple[str, str]]
"""Services and names of spans."""
Question = tuple[str, Operations]
"""A query, and the operations that it asks for."""
_NAMED_BESIDE = """
SELECT hash(trace_id) AS tid FROM events WHERE trace_id IS NOT NULL
UNION SELECT hash(trace_id) FROM logs WHERE trace_id IS NOT NULL"""
_STACK = """SELECT stack FROM part_events
WHERE row_id = $error AND at_ns = $at AND name = 'exception' AND stack <> ''"""
"""The time is asked for so that no more is read; nothing but events has a stack, and to plan `errors` takes longer."""
_BY_OPERATION: Note[tuple[Any, Any]] = Note()
_REQUESTS: Note[tuple[Any, Any]] = Note()
_NEWEST: Note[dict[int, int]] = Note()
_ANSWERING: Note[set[int]] = Note()
_BESIDE: Note[Any] = Note()
"""The traces that events and logs name, as an Arrow table."""
_STACKS: Note[dict[int, str]] = Note()
"""Stacks that were asked for, by their error's id."""
Answer = tuple[Question, Any, Any]
"""What was asked of single traces: the question, of which traces, and the answer as an Arrow table."""
TOLD: Note[dict[str, Answer]] = Note()
"""Such answers by name."""


@dataclass(frozen=True)
class Facts:
    """The facts of all segments of a case."""

    store: Store
    parts: Sequence[Part]
    names: Sequence[str | None]
    """What the store calls each part; None where it is one whole."""
    operations: Sequence[Operation]
    hashes: Sequence[int] = ()
    """What the engine knows each operation by."""

    @property
    def sampled(self) -> bool:
        """Whether any span stands for more than itself."""
        return any(part.sampled for part in self.parts)

    def among(self, test: Callable[[Operation], bool]) -> Any:
        """Which operations pass a test (booleans)."""
        import numpy as np

        return np.fromiter(map(test, self.operations), dtype=bool, count=len(self.operations))

    def ranked(self, of: Callable[[Operation], str | None]) -> Any:
        """A number for each operation, the same for those of which `of` tells the same."""
        import numpy as np

        place: dict[str | None, int] = {}
        return np.array([place.setdefault(of(op), len(place)) for op in self.operations], dtype=np.int64)

    def run_by(self, service: str) -> Any:
        """Which operations are a service's (booleans)."""
        return self.among(lambda op: op.service == service)

    def begun(self, low_ns: int, high_ns: int) -> Spans:
        """The spans that began after `low_ns`, and not after `high_ns`."""
        return joined(Spans, [part.spans.begun(low_ns, high_ns) for part in self.parts])

    def of(self, operations: Any) -> Spans:
        """The spans of some operations (booleans), in the order in which they began."""
        import numpy as np

        found = joined(Spans, [self.of_part(n, operations) for n in range(len(self.parts))])
        return found if len(self.parts) == 1 else found.take(np.argsort(found.start_ns, kind="stable"))

    def of_part(self, number: int, operations: Any) -> Spans:
        """The same of one part alone."""
        import numpy as np

        order, first = self.by_operation[number]
        rows = [order[first[op] : first[op + 1]] for op in np.flatnonzero(operations[: len(first) - 1]).tolist()]
        return self.parts[number].spans.take(np.sort(np.concatenate(rows)) if rows else slice(0, 0))

    def starts(self, operations: Any) -> Iterator[tuple[int, Any]]:
        """When spans of some operations (booleans) began, ascending: of one operation in one part at a time."""
        import numpy as np

        for part, (order, first) in zip(self.parts, self.by_operation, strict=True):
            for op in np.flatnonzero(operations[: len(first) - 1]).tolist():
                yield op, part.spans.start_ns[order[first[op] : first[op + 1]]]

    @property
    def by_operation(self) -> list[tuple[Any, Any]]:
        """Of each part the places of its spans, by operation, and where those of each operation begin among them."""
        import numpy as np

        def own(part: Part) -> tuple[Any, Any]:
            many = int(part.spans.op.max(initial=-1)) + 1
            keys = part.spans.op.astype(np.uint16) if many < 1 << 16 else part.spans.op  # short ones are sorted at once
            order = np.argsort(keys, kind="stable").astype(np.int32)
            return order, np.append(0, np.cumsum(np.bincount(part.spans.op, minlength=many)))

        return self.each(_BY_OPERATION, own)

    @property
    def requests(self) -> list[tuple[Any, Any]]:
        """Of each part the places of the spans that are requests, seen from who answers them, and when they ended."""
        import numpy as np

        def own(part: Part) -> tuple[Any, Any]:
            rows = np.flatnonzero(part.spans.marked(REQUEST)).astype(np.int32)
            return rows, part.spans.at_ns[rows]

        return self.each(_REQUESTS, own)

    def answered(self, low_ns: int, high_ns: int) -> Spans:
        """The requests that ended after `low_ns` and not after `high_ns`."""
        return joined(Spans, [
            part.spans.take(rows[(at_ns > low_ns) & (at_ns <= high_ns)])
            for part, (rows, at_ns) in zip(self.parts, self.requests, strict=True)
        ])  # fmt: skip

    @cached_property
    def traces(self) -> Traces:
        """All traces, whole, in the order of `tid`."""
        import numpy as np

        whole = joined(Traces, [part.traces for part in self.parts])
        order = np.argsort(whole.tid, kind="stable")
        tid = whole.tid[order]
        first = np.flatnonzero(np.diff(tid, prepend=tid[:1] + 1)) if len(tid) else np.zeros(0, dtype=int)
        if len(first) == len(tid):
            return Traces(*(getattr(whole, each.name)[order] for each in fields(whole)))
        begun = np.where(whole.start_ns == NEVER, 2**63 - 1, whole.start_ns)[order]
        start = np.minimum.reduceat(begun, first)
        return Traces(
            tid[first],
            np.where(start == 2**63 - 1, NEVER, start),
            np.maximum.reduceat(whole.end_ns[order], first),
            np.add.reduceat(whole.spans[order], first),
            np.add.reduceat(whole.errors[order], first),
        )

    @cached_property
    def shared(self) -> Any:
        """The traces that lie in several parts, in order."""
        import numpy as np

        every = np.sort(np.concatenate([part.traces.tid for part in self.parts]), kind="stable")
        return distinct(every[1:][every[1:] == every[:-1]])

    def each(self, note: Note[Made], make: Callable[[Part], Made]) -> list[Made]:
        """What `make` makes of each part alone, kept there as a note."""
        return [note.once(part, make) for part in self.parts]

    def newest(self) -> dict[int, int]:
        """When the last span of each operation ended, by the operation's place."""

        def own(part: Part) -> dict[int, int]:
            import numpy as np

            last = np.full(int(part.spans.op.max(initial=-1)) + 1, NEVER)
            np.maximum.at(last, part.spans.op, part.spans.at_ns)
            return {op: at for op, at in enumerate(last.tolist()) if at != NEVER}

        told: dict[int, int] = {}
        for one in self.each(_NEWEST, own):
            told |= {op: max(at_ns, told.get(op, at_ns)) for op, at_ns in one.items()}
        return told

    def answering(self) -> set[int]:
        """The operations that are requests, by their places."""
        import numpy as np

        def own(part: Part, rows: Any) -> set[int]:
            return set(np.flatnonzero(np.bincount(part.spans.op[rows])).tolist())

        told = zip(self.parts, self.requests, strict=True)
        return set().union(*(_ANSWERING.once(part, partial(own, rows=rows)) for part, (rows, _) in told))

    def ask(self, part: int, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Any:
        """What a query over the views says of one part alone, as an Arrow table."""
        return ask_alone(self.store, self.names[part], query, params)

    def asked(self, note: Note[Any], query: str) -> list[Any]:
        """What a query says of each part alone, as Arrow tables, kept there as a note."""

        def own(name: str | None, _: Part) -> Any:
            return ask_alone(self.store, name, query)

        return [note.once(part, partial(own, name)) for part, name in zip(self.parts, self.names, strict=True)]

    def stack(self, part: int, error: int, at_ns: int) -> str:
        """The stack of an error that has one, by its place among the parts, its id and its time; kept for a while."""
        stacks = _STACKS.once(self.parts[part], lambda _: {})
        stack = stacks.get(error)
        if stack is None:
            if len(stacks) >= _MOST_STACKS:
                stacks.clear()  # another thread may be about to read what it has put there
            table = self.ask(part, _STACK, {"error": error, "at": at_ns})
            stack = stacks[error] = str(table.column("stack")[0].as_py())
        return stack

    def words(self, column: str, op: Any) -> Any:
        """A column of the operations of some spans, as an Arrow array of texts."""
        return dictionary(op, [getattr(each, column) for each in self.operations])

    def told(
        self,
        name: str,
        query: str,
        traces: Any,
        *,
        spare: Any = (),
        coded: Sequence[str] = (),
        beside: bool = False,
        operations: Operations = frozenset(),
    ) -> Any:
        """What `query` says of some traces (hashes, each once), as an Arrow table of all parts; kept under `name`.

        It asks for `tid`, the hash of a trace, of those among `$traces`; their spans begin from `$first` to `$last`.
        Where it is about `operations`, it asks for those whose `$services` and `$names` they are, and may tell of more.
        Texts of columns that are `coded` come as dictionaries. A part without a span of a trace is asked about it only
        when the query reads events and logs `beside` spans. Where it must be asked, `spare` traces are asked for too,
        which may be next.
        """
        import numpy as np
        import pyarrow as pa

        def ask(part: int, params: Mapping[str, Any]) -> Any:
            table = self.ask(part, query, params)
            for column in coded:
                place = table.column_names.index(column)
                table = table.set_column(place, column, table.column(column).dictionary_encode())
            return table

        known = self.asked(_BESIDE, _NAMED_BESIDE) if beside else [()] * len(self.parts)
        own = [distinct(part.traces.tid, array(more["tid"])) if len(more) else part.traces.tid
               for part, more in zip(self.parts, known, strict=True)]  # fmt: skip
        near, wide = np.sort(traces), distinct(traces, np.asarray(spare, dtype=np.uint64))
        of_parts = [(near[among(near, tid)], wide[among(wide, tid)]) for tid in own]
        return pa.concat_tables([self._told(n, name, (query, operations), ask, *of) for n, of in enumerate(of_parts)])

    def _told(self, number: int, name: str, question: Question, ask: Callable[..., Any], here: Any, wide: Any) -> Any:
        """What one part says of the traces `here`, which are in it; only those are asked for that were not before."""
        import pyarrow as pa

        part = self.parts[number]
        kept = TOLD.once(part, lambda _: {})
        question, known, table = _covering(question, kept.get(name))
        if table is None or not among(here, known).all():
            fresh = wide[~among(wide, known)]
            of = part.traces.tid.searchsorted(fresh[among(fresh, part.traces.tid)])
            ends = {"first": int(part.traces.start_ns[of].min(initial=2**62)),
                    "last": int(part.traces.end_ns[of].max(initial=NEVER))}  # fmt: skip
            more = ask(number, {"traces": fresh.tolist(), **ends, **_named(question[1])})
            known, table = distinct(known, fresh), more if table is None else pa.concat_tables([table, more])
        own = table.filter(arrow(among(array(table.column("tid")), here))) if len(here) < len(known) else table
        if len(known) > 2 * len(here) + _SPARE:
            known, table = here, own
        kept[name] = question, known, table
        return own

    def within(self, what: str, low_ns: int, high_ns: int) -> bool:
        """Whether there may be logs (`log`) or metric points (`point`) after `low_ns` and not after `high_ns`."""
        held = [part.beside[what] for part in self.parts]
        return any(
            one.first_ns is not None and one.last_ns is not None and one.last_ns > low_ns and one.first_ns <= high_ns
            for one in held
        )

    @property
    def loud(self) -> bool:
        """Whether any log tells of an error by its severity."""
        return any(each.loud for part in self.parts for each in part.beside.values())

    @property
    def flags(self) -> bool:
        """Whether any event or log tells of a feature flag."""
        return any(each.flags for part in self.parts for each in part.beside.values())


def _covering(question: Question, answer: Answer | None) -> tuple[Question, Any, Any]:
    """The answer that was kept where it covers the question; else one of nothing yet, to what was asked before, too."""
    import numpy as np

    query, operations = question
    before = answer[0][1] if answer and answer[0][0] == query else frozenset()
    if answer and answer[0][0] == query and operations <= before:
        return answer
    both = operations | before
    return (query, both if len(both) <= _MOST_OPERATIONS else operations), np.zeros(0, dtype=np.uint64), None


def _named(operations: Operations) -> Mapping[str, Sequence[str]]:
    if not operations:
        return {}
    services, names = zip(*sorted(operations), strict=True)
    return {"services": list(services), "names": list(names)}
