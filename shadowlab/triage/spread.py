"""Attributes as a whole: many numbers by rank, some values by how far apart they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from shadowlab.records import Contrast
from shadowlab.triage.drawn import Drawn, Features
from shadowlab.triage.mann_whitney import p_value
from shadowlab.triage.shares import Sizes, Tested, shares
from shadowlab.triage.spans import distinct

NUMBERS = 12
"""An attribute of more different numbers than this is a measure, not a category."""

_MOST_VALUES = 60
_DRAWS = 4_000


def measures(drawn: Drawn, sizes: Sizes) -> list[Tested]:
    """Attributes of many values that are all numbers, by rank; a request that has several counts with its largest."""
    import numpy as np

    told = []
    for key, low, high in _attributes(drawn):
        numbers = drawn.words.numbers[drawn.features.value[low:high]]
        if high - low <= NUMBERS or np.isnan(numbers).any():
            continue
        largest = np.full(len(drawn.failing), -np.inf)
        pairs = slice(drawn.features.low[low], drawn.features.high[high - 1])
        np.maximum.at(largest, drawn.rid[pairs], drawn.words.numbers[drawn.features.value[drawn.pair[pairs]]])
        has = largest > -np.inf
        numbers, failing = largest[has], drawn.failing[has]
        if failing.sum() < 3 or (~failing).sum() < 3:
            continue
        p = p_value(numbers[failing], numbers[~failing], both_ways=True)
        told.append(Tested(partial(_bound, key, numbers, failing, sizes), p if math.isfinite(p) else 1.0))
    return told


def _attributes(drawn: Drawn) -> list[tuple[str, int, int]]:
    """Each attribute, by name, with the slice of the features that are its values."""
    import numpy as np

    keys = drawn.features.key
    low = np.flatnonzero(np.diff(keys, prepend=-1))
    bounds = zip(low.tolist(), [*low[1:].tolist(), len(keys)], strict=True) if len(keys) else ()
    return sorted((drawn.words.keys[keys[low]], low, high) for low, high in bounds)


def _bound(key: str, numbers: Any, failing: Any, sizes: Sizes) -> Contrast:
    """The bound that parts failing from passing best (Youden's index), as shares above or below it."""
    import numpy as np

    bounds = distinct(numbers)
    above = 1 - np.searchsorted(np.sort(numbers[failing]), bounds) / failing.sum()
    passing = 1 - np.searchsorted(np.sort(numbers[~failing]), bounds) / (~failing).sum()
    gain = above - passing
    at = int(np.argmax(np.abs(gain)))
    chosen = numbers >= bounds[at] if gain[at] >= 0 else numbers < bounds[at]
    a, b = int((chosen & failing).sum()), int((chosen & ~failing).sum())
    told = shares(a, b, sizes)
    sign = ">=" if gain[at] >= 0 else "<"
    return replace(told, attribute=key, value=f"{sign} {bounds[at]:g}", kind="number")


def sets(drawn: Drawn, sizes: Sizes) -> list[Tested]:
    """Attributes of some values as a whole: how far the failing requests' values lie from those of the passing ones.

    A request that has two values of one attribute (two log lines, say) belongs to no single group: such are left out.
    """
    import numpy as np

    told = []
    for key, low, high in _attributes(drawn):
        pairs = drawn.rid[drawn.features.low[low] : drawn.features.high[high - 1]]
        if 3 <= high - low <= _MOST_VALUES and len(distinct(pairs)) == len(pairs):
            names = [drawn.words.values[value] for value in drawn.features.value[low:high]]
            ordered = sorted(range(high - low), key=names.__getitem__)
            found = _set(key, [names[n] for n in ordered], low + np.array(ordered), drawn.features, sizes)
            told += [found] if found is not None else []
    return told


def _set(key: str, names: Sequence[str], places: Any, features: Features, sizes: Sizes) -> Tested | None:
    import numpy as np

    support, a = features.support[places], features.failing[places]
    failing, passing = int(a.sum()), int((support - a).sum())
    if failing < 3 or passing < 3:
        return None
    seen = float(np.clip(a / failing - (support - a) / passing, 0, None).sum())
    p = _by_chance(support, failing, passing, seen, _DRAWS)
    p = _by_chance(support, failing, passing, seen, 10 * _DRAWS) if p < 2 / _DRAWS else p
    over = np.flatnonzero(a / failing > (support - a) / passing).tolist()
    hits, others = int(a[over].sum()), int((support - a)[over].sum())
    told = shares(hits, others, sizes)
    named = [names[n] for n in sorted(over, key=lambda n: (-a[n], names[n]))]
    said = "one of " + ", ".join(named[:NUMBERS]) + (", …" if len(named) > NUMBERS else "")
    return Tested(partial(replace, told, attribute=key, value=said, kind="set"), p)


def _by_chance(support: Any, failing: int, passing: int, seen: float, draws: int) -> float:
    """How often labels that mean nothing part the values as far as was seen, by so many seeded draws."""
    import numpy as np

    drawn = np.random.default_rng(0).multivariate_hypergeometric(support, failing, size=draws, method="marginals")
    apart = np.clip(drawn / failing - (support - drawn) / passing, 0, None).sum(axis=1)
    return (1 + int((apart >= seen - 1e-12).sum())) / (1 + draws)
