"""Facts that outlive the process: what was learned of each segment, in a sealed file of Arrow tables beside it.

They are what reading the segment again would give. What the case told of its errors is not among them: anybody may have
written it. Of texts there are names, ids and templates: the segment holds them, or what triage keeps of errors in the
case. What was asked of single traces lies in a file of its own; see `answers`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowlab.triage import answers, arrays
from shadowlab.triage.arrays import array, arrow, dictionary, texts
from shadowlab.triage.coded import NONE, coded
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.places import PLACES, Places
from shadowlab.triage.raised import ERRORS
from shadowlab.triage.readings import NOTED, Noted, Read, Reading
from shadowlab.triage.spans import Beside, Operation, Part, Spans, Traces

if TYPE_CHECKING:
    from shadowlab.telemetry.sealed import Sealed

_KEPT: Note[str] = Note()
"""By which rules what errors say was read that is in a part's file; empty where it is not there."""


def opened(sealed: Sealed) -> memoryview | None:
    """A segment's file, its seal looked at; None where there is none that holds."""
    return sealed.read(_rules())


def load(
    told: memoryview | None, sealed: Sealed, coded: Callable[[Sequence[int], Callable[[], Any]], list[int]]
) -> Part | None:
    """The facts in a segment's file that was `opened`; None where there are none.

    `coded` gives the places of operations, as `fact_cache` has them.
    """
    import numpy as np
    import pyarrow as pa

    if told is None:
        return None
    source = pa.BufferReader(pa.py_buffer(told))
    operations, spans, traces, beside, errors, places, readings, words = (
        pa.ipc.open_stream(source).read_all() for _ in range(8)
    )
    places_of = np.array(coded(operations["op"].to_pylist(), lambda: operations), dtype=np.int32)
    columns = _columns(spans)
    columns["op"] = columns["op"] if _is_same(places_of) else places_of[columns["op"]]
    sampled = "weight" in columns
    if not sampled:
        columns["weight"] = np.broadcast_to(np.float64(1), len(spans))
    part = Part(
        Spans(**columns),
        Traces(**_columns(traces)),
        sampled,
        {row.pop("what"): Beside(**row) for row in beside.to_pylist()},
    )
    ERRORS.keep(part, errors)
    PLACES.keep(part, Places(**_columns(places)))
    listed = [Reading(**{**row, "causes": tuple(row["causes"])}) for row in words.to_pylist()]
    rules = (words.schema.metadata or {}).get(b"rules", b"").decode()
    NOTED.keep(part, Noted(rules, Read(_columns(readings)["reading"], listed)))
    _KEPT.keep(part, rules)
    answers.load(part, sealed, _rules())
    return part


def keep(seen: Facts) -> None:
    """Write what is known of each segment and not in its file; `scene` has learned it."""
    sealed: Mapping[object, Sealed] = getattr(seen.store, "sealed", {})
    for part, file in zip(seen.parts, sealed.values(), strict=False):  # none where nothing is to be kept
        rules = _first_hand(part).rules
        if _KEPT.known(part) != rules:
            tables = list(_tables(seen, part))
            file.write(_rules(), sum(table.nbytes for table in tables), partial(arrays.write, tables))
            _KEPT.keep(part, rules)
        answers.keep(part, file, _rules())


def _tables(seen: Facts, part: Part) -> Iterator[Any]:
    """What `load` reads, in that order."""
    import numpy as np

    used = np.flatnonzero(np.bincount(part.spans.op, minlength=len(seen.hashes)))
    place = np.zeros(len(seen.hashes), dtype=np.int32)
    place[used] = np.arange(len(used))
    named = [seen.operations[n] for n in used.tolist()]
    yield arrays.table({
        "op": np.array([seen.hashes[n] for n in used.tolist()], dtype=np.uint64),
        **{name: texts(getattr(op, name) for op in named) for name in Operation._fields},
    })  # fmt: skip
    weight = {"weight": part.spans.weight} if part.sampled else {}
    plain = {each.name: getattr(part.spans, each.name) for each in fields(Spans) if each.name not in ("op", "weight")}
    own = part.spans.op if _is_same(used) else place[part.spans.op]
    yield arrays.table({**plain, "op": own, **weight})
    yield arrays.table({each.name: getattr(part.traces, each.name) for each in fields(Traces)})
    yield arrays.table({"what": texts(part.beside), **{each.name: _column(part.beside.values(), each.name)
                                                        for each in fields(Beside)}})  # fmt: skip
    yield ERRORS.of(part)
    at = PLACES.of(part)
    name = dictionary(at.name.code, at.name.words, at.name.code == NONE)
    yield arrays.table({**{each.name: getattr(at, each.name) for each in fields(Places)}, "name": name})
    rules, read, _ = _first_hand(part)
    yield arrays.table({"reading": read.reading})
    said = {name: [getattr(word, name) for word in read.words] for name in Reading._fields}
    causes = arrays.lists(said.pop("causes"))
    words = arrays.table({"causes": causes, **{name: texts(told) for name, told in said.items()}})
    yield words.replace_schema_metadata({"rules": rules})


def _first_hand(part: Part) -> Noted:
    """What its errors say; nothing, by no rules, where the case told any of it."""
    import numpy as np

    noted = NOTED.of(part)
    return noted if noted.first_hand else Noted("", Read(np.zeros(0, dtype=np.int64), ()))


def _column(told: Iterable[Beside], name: str) -> Any:
    """Stamps that may be missing, or what is so or not."""
    import numpy as np

    values = [getattr(each, name) for each in told]
    kind = bool if name in ("loud", "flags") else np.int64
    return arrow(
        np.array([each or 0 for each in values], dtype=kind), np.array([each is None for each in values], bool)
    )


def _columns(table: Any) -> dict[str, Any]:
    """The columns of a table as NumPy arrays, in place where they can be; texts as `Coded`."""
    import pyarrow as pa

    return {
        name: coded(column) if pa.types.is_dictionary(column.type) else array(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _is_same(places: Any) -> bool:
    """Whether each place is where it was."""
    import numpy as np

    return bool((places == np.arange(len(places))).all())


@lru_cache(maxsize=1)
def _rules() -> bytes:
    """What facts depend on besides their segment: the engine, whose hashes they hold, and the code that learns them."""
    import duckdb
    import pyarrow as pa

    here = Path(__file__).parent
    code = hashlib.sha256(f"{duckdb.__version__} {pa.__version__}".encode())
    for room in (here, here.parent / "telemetry"):
        for path in sorted((*room.rglob("*.py"), *room.rglob("*.sql"))):
            code.update(hashlib.sha256(path.read_bytes()).digest())
    return code.digest()
