"""Shares of failing and of passing requests: effect, interval, exact chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.records import Contrast
from shadowlab.triage import chances
from shadowlab.triage.drawn import Drawn

Q = 0.05
"""Share of false findings that is accepted, by default."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many requests there are."""

    failing: int
    passing: int


@dataclass(frozen=True, slots=True)
class Tested:
    """One thing that was looked at, and its chance under no difference."""

    contrast: Callable[[], Contrast]
    """What is said of it, should it be more than chance."""
    p: float


def sizes(drawn: Drawn) -> Sizes:
    """How many requests were drawn."""
    return Sizes(int(drawn.failing.sum()), int((~drawn.failing).sum()))


def fisher(rows: Sequence[Mapping[str, Any]], sizes: Sizes) -> list[float | None]:
    """One-sided exact chances; None where no outcome could have been significant. Equal rows are worked out once."""
    import numpy as np

    if not rows:
        return []
    n, failing = sizes.failing + sizes.passing, sizes.failing
    seen, place = np.unique([(row["support"], row["a"]) for row in rows], axis=0, return_inverse=True)
    support, a = seen.T
    kinds, of = np.unique(support, return_inverse=True)
    least = chances.drawn(np.minimum(kinds, failing), kinds, taken=failing, among=n)[of.reshape(-1)]
    able = least <= Q
    chance = np.full(len(seen), np.nan)
    chance[able] = chances.drawn(a[able], support[able], taken=failing, among=n)
    return [None if np.isnan(p) else float(p) for p in chance[place.reshape(-1)]]


def shares(a: int, b: int, sizes: Sizes) -> Contrast:
    """What is said of something that `a` failing and `b` passing requests have."""
    selection, baseline = a / sizes.failing, b / sizes.passing
    return Contrast(
        attribute="",
        value="",
        selection=selection,
        baseline=baseline,
        effect=selection - baseline,
        q=1.0,
        interval=_newcombe(a, sizes.failing, b, sizes.passing),
        lift=selection / baseline if baseline else None,
        support=a + b,
    )


def _newcombe(a: int, n: int, b: int, m: int) -> tuple[float, float]:
    """95 % interval of a difference of two shares (Newcombe 1998, method 10)."""
    (l1, u1), (l2, u2), d = _wilson(a, n), _wilson(b, m), a / n - b / m
    low = d - math.hypot(a / n - l1, u2 - b / m)
    return low, d + math.hypot(u1 - a / n, b / m - l2)


def _wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    middle = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return middle - half, middle + half
