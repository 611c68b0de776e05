"""Chances of counts, exactly: how often there would be so many, were nothing at work but chance.

They are what `scipy.stats` gives, which takes most of a second to import. A tail is summed from its largest term, each
term from the one before it. The largest comes by the saddle point of Loader, "Fast and accurate computation of binomial
probabilities" (2000): it keeps the digits that differences of logarithms of factorials lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

_BLOCK = 1_024
"""Terms that are worked out at once, of all rows."""
_LOOKED_UP = 16
"""Numbers whose factorials are; of larger ones the series holds to the last digit."""
_STIRLING = (1 / 12, 1 / 360, 1 / 1260, 1 / 1680, 1 / 1188, 691 / 360_360, 1 / 156)
_NEAR = 0.1
_TERMS = 10
"""Of the series for numbers that `_NEAR` each other; each is a hundredth of the one before."""


def drawn(least: Any, marked: Any, *, taken: int, among: int) -> Any:
    """The chance that of `taken` drawn `among` so many, none put back, `least` or more are `marked`.

    The first two are arrays of integers, or one each. `scipy.stats.hypergeom.sf(least - 1, among, marked, taken)`.
    """
    import numpy as np

    x, good = (each.astype(float) for each in np.broadcast_arrays(least, marked))
    bad, every = among - good, np.float64(among)
    other = x * among <= taken * good  # at the mean or below it the other tail is the shorter one
    x, good, bad = np.where(other, taken - x + 1, x), np.where(other, bad, good), np.where(other, good, bad)
    low, high = np.maximum(0, taken - bad), np.minimum(good, taken)
    p, q = taken / max(1, among), (among - taken) / max(1, among)

    def first(at: Any) -> Any:
        return _binomial(at, good, p, q) + _binomial(taken - at, bad, p, q) - _binomial(np.float64(taken), every, p, q)

    def ratio(at: Any) -> Any:
        return (good[..., None] - at) * (taken - at) / ((at + 1) * (bad[..., None] - taken + at + 1))

    told = _tail(x, low, high, first, ratio)
    return np.where(other, 1 - told, told)


def hit(least: int, *, of: int, share: float) -> float:
    """The chance that `of` so many, each of which hits in a `share` of cases, `least` or more do.

    `scipy.stats.binom.sf(least - 1, of, share)`.
    """
    import numpy as np

    if not 0 < share < 1:
        return float(least <= of * share)
    other = least <= of * share
    x, p, q = (of - least + 1, 1 - share, share) if other else (least, share, 1 - share)

    def first(at: Any) -> Any:
        return _binomial(at, np.float64(of), p, q)

    def ratio(at: Any) -> Any:
        return (of - at) * p / ((at + 1) * q)

    told = float(_tail(np.float64(x), 0, of, first, ratio))
    return 1 - told if other else told


def normal(deviations: float) -> float:
    """The chance of a number from the normal distribution below so many standard deviations."""
    return math.erfc(-deviations / math.sqrt(2)) / 2


def _tail(x: Any, low: Any, high: Any, first: Callable[[Any], Any], ratio: Callable[[Any], Any]) -> Any:
    """The sum of the terms at `x` and above, which lie from `low` to `high`; `ratio` is of each term to the next.

    `first` is the logarithm of a term; terms must fall from `x` on.
    """
    import numpy as np

    at = np.clip(x, low, high)
    total = last = np.ones_like(at)
    block = max(16, _BLOCK // max(1, at.size))
    place = at[..., None] + np.arange(block)
    while (last > np.finfo(float).eps * total).any():
        terms = last[..., None] * np.cumprod(ratio(np.minimum(place, np.asarray(high)[..., None])), axis=-1)
        total, last, place = total + terms.sum(axis=-1), terms[..., -1], place + block
    return np.where(x > high, 0.0, np.where(x <= low, 1.0, np.minimum(1, np.exp(first(at)) * total)))


def _binomial(x: Any, n: Any, p: float, q: float) -> Any:
    """The logarithm of the chance of `x` hits in `n` tries, each with chance `p`; `q` is the rest of 1."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (_stirling(n) - _stirling(x) - _stirling(n - x) - _deviance(x, n * p) - _deviance(n - x, n * q)
                  - 0.5 * np.log(2 * np.pi * x * (n - x) / n))  # fmt: skip
        none, every = (0.0 if one == 1 else n * (np.log1p(-rest) if rest < 0.5 else np.log(one))
                       for one, rest in ((q, p), (p, q)))  # fmt: skip
    return np.where(x <= 0, none, np.where(x >= n, every, inside))


def _stirling(n: Any) -> Any:
    """What Stirling's formula lacks of the logarithm of `n` factorial."""
    import numpy as np

    large = np.maximum(n, _LOOKED_UP)
    series = np.zeros_like(large)
    for term in reversed(_STIRLING):
        series = term - series / (large * large)
    small = np.array(_looked_up())[np.minimum(n, _LOOKED_UP - 1).astype(int)]
    return np.where(n < _LOOKED_UP, small, series / large)


@cache
def _looked_up() -> tuple[float, ...]:
    return 0.0, *(math.log(math.factorial(k) / (math.sqrt(2 * math.pi * k) * (k / math.e) ** k))
                  for k in range(1, _LOOKED_UP))  # fmt: skip


def _deviance(x: Any, mean: Any) -> Any:
    """`x log(x / mean) + mean - x`, without the loss of digits where both are near each other."""
    import numpy as np

    away = (x - mean) / (x + mean)
    series, power = np.zeros_like(away), np.ones_like(away)
    for k in range(1, _TERMS):
        power = power * away * away
        series = series + power / (2 * k + 1)
    near = (x - mean) * away + 2 * x * away * series
    return np.where(np.abs(away) < _NEAR, near, x * np.log(x / mean) + mean - x)
