"""What goes from NumPy to Arrow and back is what pyarrow's own ways give."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest

from shadowlab.triage import arrays
from shadowlab.triage.arrays import array, arrow, dictionary, encoded, lists, texts

KINDS = (np.int32, np.int64, np.uint64, np.float64, bool)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("many", [0, 1, 7, 8, 9, 100])
def test_numbers_go_there_and_back(kind: type, many: int):
    r = np.random.default_rng(many)
    values, missing = r.integers(0, 2, many).astype(kind), r.random(many) < 0.3
    whole, gaps = arrow(values), arrow(values, missing)
    assert whole.equals(pa.array(values))
    assert gaps.equals(pa.array(values, mask=missing))
    gaps.validate(full=True)
    np.testing.assert_array_equal(array(whole), values)
    assert array(whole).dtype == values.dtype
    np.testing.assert_array_equal(array(gaps, 1), np.where(missing, kind(1), values))
    np.testing.assert_array_equal(array(pa.chunked_array([gaps.slice(3), gaps.slice(0, 3)]), 0),
                                  np.roll(np.where(missing, kind(0), values), -min(3, many)))  # fmt: skip


def test_a_row_of_one_repeated_number_and_one_in_steps_are_copied():
    assert arrow(np.broadcast_to(np.float64(1), 5)).to_pylist() == [1.0] * 5
    assert arrow(np.arange(10)[::3]).to_pylist() == [0, 3, 6, 9]


def test_texts_and_their_lists_are_those_of_pyarrow():
    words = ["", None, "ä€😀", "two\nlines", "\0", None]
    assert texts(words).equals(pa.array(words, pa.string()))
    assert texts([]).equals(pa.array([], pa.string()))
    rows = [["a"], [], ["b", "", "c"]]
    assert lists(rows).equals(pa.array(rows, pa.list_(pa.string())))
    told = dictionary(np.array([1, -1, 0]), ["x", "y"], np.array([False, True, False]))
    assert told.to_pylist() == ["y", None, "x"]
    for each in (texts(words), lists(rows), told):
        each.validate(full=True)


def test_a_column_has_one_dictionary_whatever_its_chunks_have():
    column = pa.chunked_array(
        [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", None, "c"]).dictionary_encode()]
    )
    told = encoded(column)
    assert told.to_pylist() == ["a", "b", "b", None, "c"]
    assert sorted(told.dictionary.to_pylist()) == ["a", "b", "c"]
    assert encoded(pa.chunked_array([], pa.string())).to_pylist() == []


def test_tables_that_are_written_are_read_one_after_the_other():
    words = pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()])
    tables = [arrays.table({"n": np.arange(2), "word": words}), arrays.table({"flag": np.array([], dtype=bool)})]
    arrays.write(tables, file := io.BytesIO())
    source = pa.BufferReader(file.getvalue())
    assert [pa.ipc.open_stream(source).read_all().to_pydict() for _ in tables] == [each.to_pydict() for each in tables]
