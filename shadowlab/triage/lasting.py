"""Facts that outlive the process: what was learned of each segment, in a sealed file of Arrow tables beside it.

They are what reading the segment again would give. Of texts there are names, ids and templates: the segment holds them,
or what triage keeps of errors in the case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache, partial
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowlab.triage.coded import NONE, Coded
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.places import PLACES, Places
from shadowlab.triage.raised import ERRORS
from shadowlab.triage.readings import NOTED, Read, Reading
from shadowlab.triage.spans import Beside, Operation, Part, Spans, Traces

if TYPE_CHECKING:
    from shadowlab.telemetry.sealed import Sealed

_KEPT: Note[str] = Note()
"""By which rules what errors say was read that is in a part's file."""


def load(sealed: Sealed, coded: Callable[[Sequence[int], Callable[[], Any]], list[int]]) -> Part | None:
    """The facts in a segment's file; None where there are none that hold. `coded` is what `remembered` has it be."""
    import numpy as np
    import pyarrow as pa

    told = sealed.read(_rules())
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
    NOTED.keep(part, (rules, Read(_columns(readings)["reading"], listed)))
    _KEPT.keep(part, rules)
    return part


def keep(seen: Facts) -> None:
    """Write what is known of each segment and not in its file; `scene` has learned it."""
    sealed: Mapping[object, Sealed] = getattr(seen.store, "sealed", {})
    for part, file in zip(seen.parts, sealed.values(), strict=False):  # none where nothing is to be kept
        rules, _ = NOTED.of(part)
        if _KEPT.known(part) != rules:
            tables = list(_tables(seen, part))
            file.write(_rules(), sum(table.nbytes for table in tables), partial(_fill, tables))
            _KEPT.keep(part, rules)


def _tables(seen: Facts, part: Part) -> Iterator[Any]:
    """What `load` reads, in that order."""
    import numpy as np
    import pyarrow as pa

    used = np.flatnonzero(np.bincount(part.spans.op, minlength=len(seen.hashes)))
    place = np.zeros(len(seen.hashes), dtype=np.int32)
    place[used] = np.arange(len(used))
    named = pa.schema([("op", pa.uint64()), *((name, pa.string()) for name in Operation._fields)])
    rows = [{"op": seen.hashes[n], **seen.operations[n]._asdict()} for n in used.tolist()]
    yield pa.Table.from_pylist(rows, schema=named)
    weight = {"weight": part.spans.weight} if part.sampled else {}
    plain = {each.name: getattr(part.spans, each.name) for each in fields(Spans) if each.name not in ("op", "weight")}
    own = part.spans.op if _is_same(used) else place[part.spans.op]
    yield pa.table({**plain, "op": own, **weight})
    yield pa.table({each.name: getattr(part.traces, each.name) for each in fields(Traces)})
    beside = [("what", pa.string()), ("first_ns", pa.int64()), ("last_ns", pa.int64()), ("loud", pa.bool_()),
              ("flags", pa.bool_())]  # fmt: skip
    yield pa.Table.from_pylist([{"what": what, **asdict(of)} for what, of in part.beside.items()], pa.schema(beside))
    yield ERRORS.of(part)
    at = PLACES.of(part)
    name = pa.DictionaryArray.from_arrays(pa.array(at.name.code, pa.int32(), mask=at.name.code == NONE), at.name.words)
    yield pa.table({**{each.name: getattr(at, each.name) for each in fields(Places)}, "name": name})
    rules, read = NOTED.of(part)
    yield pa.table({"reading": read.reading})
    said = [("path", pa.string()), ("causes", pa.list_(pa.string())), ("root_type", pa.string()),
            ("template", pa.string()), ("root_template", pa.string()), ("own", pa.string())]  # fmt: skip
    schema = pa.schema(said, metadata={"rules": rules})
    yield pa.Table.from_pylist([{**word._asdict(), "causes": list(word.causes)} for word in read.words], schema)


def _fill(tables: Sequence[Any], file: RawIOBase) -> None:
    import pyarrow as pa

    sink = pa.PythonFile(file, "w")
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.combine_chunks())


def _columns(table: Any) -> dict[str, Any]:
    """The columns of a table as NumPy arrays, in place where they can be; texts as `Coded`."""
    import numpy as np
    import pyarrow as pa

    told: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if pa.types.is_dictionary(whole.type):
            codes = np.asarray(whole.indices.fill_null(NONE)).astype(np.int64)
            told[name] = Coded(codes, whole.dictionary.to_pylist())
        else:
            told[name] = whole.to_numpy(zero_copy_only=False)
    return told


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
