"""Requests that are compared, as arrays: who failed, what each stands for, and which `attribute=value` pairs it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.scene import keep


@dataclass(frozen=True, slots=True)
class Words:
    """Distinct texts; pairs name them by their place."""

    keys: Sequence[str]
    values: Sequence[str]
    numbers: Any
    """Each value as a number (floats), NaN where it is none that is finite."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Requests in the order of time, and every pair that one of them has, in the order of key, value and request."""

    traces: Sequence[str | None]
    order: Any
    """A hash of each one's trace, which no outcome can sway."""
    at_ns: Any
    failing: Any
    weight: Any
    words: Words
    rid: Any
    """Which request has the pair, by its place."""
    pair: Any
    """Which feature it is."""
    features: Features


@dataclass(frozen=True, slots=True)
class Features:
    """Distinct `attribute=value` pairs, as arrays in the order of `Drawn.rid`."""

    key: Any
    value: Any
    """Places in `Words`."""
    low: Any
    high: Any
    """The slice of `Drawn.rid` that is its own."""
    support: Any
    """How many requests have it."""
    failing: Any
    failing_weight: Any
    passing_weight: Any


def read(con: Any) -> Drawn:
    """The requests of a scene's tables `chosen` (`rid, failing, weight`) and `pairs` (`rid, key, value`)."""
    requests = con.sql("""
        SELECT 0 AS n, '' AS trace_id, 0::UBIGINT AS tid, 0 AS at_ns, failing, weight FROM chosen ORDER BY rid
    """).to_arrow_table()
    pairs = con.sql("SELECT 0 AS n, rid, key, value FROM pairs SEMI JOIN chosen USING (rid)").to_arrow_table()
    return split(con, requests, pairs, 1)[0]


def split(con: Any, requests: Any, pairs: Any, groups: int) -> list[Drawn]:
    """The requests (`n, trace_id, tid, at_ns, failing, weight`, in order) and pairs (`n, rid, key, value`) by group."""
    import numpy as np

    codes, words = _coded(con, pairs)
    n, rid = (np.asarray(pairs.column(name)).astype(np.int64) for name in ("n", "rid"))
    ordered = np.lexsort((rid, codes[1], codes[0], n))
    n, rid, key, value = (column[ordered] for column in (n, rid, *codes))
    starts = np.searchsorted(n, np.arange(groups + 1))
    of = np.asarray(requests.column("n"))
    rows = np.searchsorted(of, np.arange(groups + 1))
    columns = {name: np.asarray(requests.column(name)) for name in ("tid", "at_ns", "failing", "weight")}
    told = []
    for group in range(groups):
        own, mine = slice(rows[group], rows[group + 1]), slice(starts[group], starts[group + 1])
        failing, weight = columns["failing"][own].astype(bool), columns["weight"][own].astype(float)
        pair, features = _features(key[mine], value[mine], failing[rid[mine]], weight[rid[mine]])
        traces = requests.column("trace_id").slice(own.start, own.stop - own.start).to_pylist()
        tid, at_ns = columns["tid"][own], columns["at_ns"][own]
        told.append(Drawn(traces, tid, at_ns, failing, weight, words, rid[mine], pair, features))
    return told


def _features(key: Any, value: Any, failing: Any, weight: Any) -> tuple[Any, Features]:
    """Which feature each pair is, and what is counted of each feature."""
    import numpy as np

    new = np.ones(len(key), dtype=bool)
    new[1:] = (np.diff(key) != 0) | (np.diff(value) != 0)
    pair, low = np.cumsum(new) - 1, np.flatnonzero(new)
    high = np.append(low, len(key))[1:]
    counted = (np.bincount(pair, each, len(low)) for each in (failing, weight * failing, weight * ~failing))
    a, failing_weight, passing_weight = counted
    return pair, Features(
        key[low], value[low], low, high, high - low, a.astype(np.int64), failing_weight, passing_weight
    )


def _coded(con: Any, pairs: Any) -> tuple[list[Any], Words]:
    import numpy as np

    codes, texts = [], []
    for name in ("key", "value"):
        coded = pairs.column(name).combine_chunks().dictionary_encode()
        codes.append(np.asarray(coded.indices).astype(np.int64))
        texts.append(coded.dictionary)
    return codes, Words(texts[0].to_pylist(), texts[1].to_pylist(), _numbers(con, texts[1]))


def _numbers(con: Any, texts: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    keep(con, "spelled", pa.table({"place": pa.array(range(len(texts))), "text": texts}), temporary=True)
    found = con.execute("SELECT try_cast(text AS DOUBLE) AS number FROM spelled ORDER BY place").fetchnumpy()["number"]
    numbers: Any = np.ma.filled(np.ma.asarray(found, dtype=float), np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)
