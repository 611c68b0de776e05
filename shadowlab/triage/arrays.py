"""NumPy to Arrow and back, over the memory that both lay out alike.

pyarrow's own ways there (`array`, `scalar`, `to_numpy`) import pandas when first used, which takes as long as triage
takes for a minute more. None of these does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import RawIOBase
from typing import Any


def array(column: Any, missing: Any = None) -> Any:
    """An Arrow array or column of numbers or booleans as a NumPy array, in place where it can be; not to be written to.

    `missing` stands where there is none, in a column that may have gaps.
    """
    import numpy as np

    kind = np.dtype(column.type.to_pandas_dtype())
    if not len(column):
        return np.zeros(0, dtype=kind)
    whole = _whole(column)
    place = slice(whole.offset, whole.offset + len(whole))
    valid, values = whole.buffers()
    told = _bits(values, place) if kind.kind == "b" else np.frombuffer(values, kind)[place]
    return np.where(_bits(valid, place), told, kind.type(missing)) if whole.null_count else told


def encoded(column: Any) -> Any:
    """An Arrow column as one array with one dictionary of what it holds."""
    import pyarrow as pa

    if not len(column):
        return dictionary([], [])  # of no chunks one cannot be made without pandas
    if isinstance(column, pa.Array) or column.num_chunks == 1:
        return _whole(column).dictionary_encode()
    return pa.table({"all": column.dictionary_encode()}).unify_dictionaries().combine_chunks().column("all").chunk(0)


def _whole(column: Any) -> Any:
    """An Arrow array, or a column of some chunks as one: of a single one as it is, where Arrow would copy it."""
    import pyarrow as pa

    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _bits(buffer: Any, place: slice) -> Any:
    import numpy as np

    return np.unpackbits(np.frombuffer(buffer, np.uint8), count=place.stop, bitorder="little")[place].view(bool)


def arrow(values: Any, missing: Any = None) -> Any:
    """A NumPy array of numbers or booleans as an Arrow array; without those that are `missing` (booleans)."""
    import numpy as np
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    told = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(told)])


def texts(words: Iterable[str | None]) -> Any:
    """Texts as an Arrow array."""
    import numpy as np
    import pyarrow as pa

    listed = list(words)
    told = [b"" if word is None else word.encode() for word in listed]
    ends = np.cumsum([0, *map(len, told)], dtype=np.int32)
    missing = np.array([word is None for word in listed], dtype=bool)
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(pa.string(), len(listed), [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(told))])


def lists(rows: Iterable[Iterable[str]]) -> Any:
    """Lists of texts as an Arrow array."""
    import numpy as np
    import pyarrow as pa

    listed = [list(row) for row in rows]
    ends = np.cumsum([0, *map(len, listed)], dtype=np.int32)
    words = texts(word for row in listed for word in row)
    return pa.Array.from_buffers(pa.list_(pa.string()), len(listed), [None, pa.py_buffer(ends)], children=[words])


def table(columns: Mapping[str, Any]) -> Any:
    """An Arrow table of NumPy arrays and Arrow columns."""
    import numpy as np
    import pyarrow as pa

    return pa.table({name: arrow(each) if isinstance(each, np.ndarray) else each for name, each in columns.items()})


def dictionary(codes: Any, words: Iterable[str | None], missing: Any = None) -> Any:
    """Texts by their places in `words`, as an Arrow array; without those that are `missing` (booleans)."""
    import numpy as np
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(arrow(np.asarray(codes, dtype=np.int32), missing), texts(words))


def write(tables: Sequence[Any], file: RawIOBase) -> None:
    """Write Arrow tables into a file, one stream after the other."""
    import pyarrow as pa

    sink = pa.PythonFile(file, "w")
    for table in tables:
        whole = table.unify_dictionaries().combine_chunks()  # a stream has one dictionary for each column
        with pa.ipc.new_stream(sink, whole.schema) as stream:
            stream.write_table(whole)
