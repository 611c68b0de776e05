"""Shares of failing and of passing requests: effect, interval, exact chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.records import Contrast

Q = 0.05
"""Share of false findings that is accepted, by default."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many requests there are, counted and weighted."""

    failing: int
    passing: int
    failing_weight: float
    passing_weight: float


@dataclass(frozen=True, slots=True)
class Tested:
    """One thing that was looked at, and its chance under no difference."""

    contrast: Contrast
    p: float


def sizes(con: Any) -> Sizes:
    row = con.execute("""
        SELECT count(*) FILTER (failing), count(*) FILTER (NOT failing), coalesce(sum(weight) FILTER (failing), 0),
               coalesce(sum(weight) FILTER (NOT failing), 0) FROM chosen""").fetchall()[0]
    return Sizes(int(row[0]), int(row[1]), float(row[2]), float(row[3]))


def fisher(rows: Sequence[Mapping[str, Any]], sizes: Sizes) -> list[float | None]:
    """One-sided exact chances; None where no outcome could have been significant."""
    import numpy as np
    from scipy.stats import hypergeom

    if not rows:
        return []
    n, failing = sizes.failing + sizes.passing, sizes.failing
    support = np.array([row["support"] for row in rows])
    a = np.array([row["a"] for row in rows])
    chance = hypergeom.sf(a - 1, n, support, failing)
    least = hypergeom.sf(np.minimum(support, failing) - 1, n, support, failing)
    return [float(p) if low <= Q else None for p, low in zip(chance, least, strict=True)]


def shares(a: int, b: int, sizes: Sizes, wa: float, wb: float) -> Contrast:
    selection = wa / sizes.failing_weight if sizes.failing_weight else 0.0
    baseline = wb / sizes.passing_weight if sizes.passing_weight else 0.0
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
