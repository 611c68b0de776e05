"""Requests that are compared, as arrays: who failed, what each stands for, and which `attribute=value` pairs it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage import arrays
from shadowlab.triage.arrays import array, encoded
from shadowlab.triage.tables import keep


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
    """How many of those fail."""


def read(con: Any) -> Drawn:
    """The requests of a scene's tables `chosen` (`rid, failing, weight`) and `pairs` (`rid, key, value`)."""
    import numpy as np

    chosen = con.sql("SELECT failing, weight FROM chosen ORDER BY rid").to_arrow_table()
    pairs = con.sql("SELECT rid, key, value FROM pairs SEMI JOIN chosen USING (rid)").to_arrow_table()
    coded = [encoded(pairs.column(name)) for name in ("key", "value")]
    key, value = (array(each.indices).astype(np.int64) for each in coded)
    nothing = np.zeros(len(chosen), dtype=np.int64)
    texts = [each.dictionary.to_pylist() for each in coded]
    told = Words(texts[0], texts[1], numbers(con, coded[1].dictionary))
    failing, weight = (array(chosen.column(name)) for name in ("failing", "weight"))
    return put_together(
        ("",) * len(chosen), nothing, nothing, failing, weight, told, array(pairs.column("rid")), key, value
    )


def put_together(
    traces: Sequence[str | None], order: Any, at_ns: Any, failing: Any, weight: Any, words: Words, rid: Any, key: Any,
    value: Any,
) -> Drawn:  # fmt: skip
    """Requests, and their pairs in whatever order; `key` and `value` are places in `words`."""
    import numpy as np

    many, most = len(failing) + 1, len(words.values) + 1
    packed = np.sort((key * most + value) * many + rid)
    packed = packed[np.diff(packed, prepend=-1) != 0]  # each once
    rid, packed = packed % many, packed // many
    failing, weight = failing.astype(bool), weight.astype(float)
    pair, features = _features(packed // most, packed % most, failing[rid])
    return Drawn(traces, order, at_ns, failing, weight, words, rid, pair, features)


def evened(drawn: Drawn) -> Drawn:
    """The requests as if all failing ones had been sampled alike, and all passing ones: each counts as one then.

    One stays with the chance of its weight over the largest of its kind, by a seeded draw; where all of a kind weigh
    the same, all of it stay.
    """
    import numpy as np

    share = np.ones(len(drawn.failing))
    for kind in (drawn.failing, ~drawn.failing):
        share[kind] = drawn.weight[kind] / drawn.weight[kind].max(initial=0.0)
    if np.allclose(share, 1.0):
        return drawn
    stays = np.random.default_rng(0).random(len(share)) < share
    pairs = np.flatnonzero(stays[drawn.rid])
    rid, pair = (np.cumsum(stays) - 1)[drawn.rid[pairs]], drawn.pair[pairs]
    traces = [trace for trace, kept in zip(drawn.traces, stays.tolist(), strict=True) if kept]
    return put_together(
        traces, drawn.order[stays], drawn.at_ns[stays], drawn.failing[stays], drawn.weight[stays], drawn.words, rid,
        drawn.features.key[pair], drawn.features.value[pair],
    )  # fmt: skip


def _features(key: Any, value: Any, failing: Any) -> tuple[Any, Features]:
    """Which feature each pair is, and what is counted of each feature."""
    import numpy as np

    new = np.ones(len(key), dtype=bool)
    new[1:] = (np.diff(key) != 0) | (np.diff(value) != 0)
    pair, low = np.cumsum(new) - 1, np.flatnonzero(new)
    high = np.append(low, len(key))[1:]
    a = np.bincount(pair[failing], minlength=len(low))
    return pair, Features(key[low], value[low], low, high, high - low, a)


def numbers(con: Any, texts: Any) -> Any:
    """Texts of an Arrow array as numbers, NaN where one is none that is finite."""
    import numpy as np

    keep(con, "spelled", arrays.table({"place": np.arange(len(texts)), "text": texts}), temporary=True)
    found = con.sql("SELECT try_cast(text AS DOUBLE) AS number FROM spelled ORDER BY place").to_arrow_table()
    told = array(found.column("number"), np.nan)
    return np.where(np.isfinite(told), told, np.nan)
