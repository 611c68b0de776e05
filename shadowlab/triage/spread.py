"""Attributes as a whole: many numbers by rank, some values by how far apart they lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shadowlab.records import Contrast
from shadowlab.triage.scene import dicts
from shadowlab.triage.shares import Sizes, Tested, shares

NUMBERS = 12
"""An attribute of more different numbers than this is a measure, not a category."""

_MOST_VALUES = 60
_DRAWS = 4_000

# (1) an attribute that has numbers alone, and many; a request that has several counts with its largest
_MEASURES = f"""
WITH keys AS (
    SELECT key FROM pairs GROUP BY key
    HAVING count(DISTINCT value) > {NUMBERS} AND bool_and(coalesce(isfinite(try_cast(value AS DOUBLE)), false))),
largest AS (
    SELECT key, rid, max(try_cast(value AS DOUBLE)) AS number FROM pairs SEMI JOIN keys USING (key) GROUP BY key, rid)
SELECT key, list(number ORDER BY rid) AS numbers, list(failing ORDER BY rid) AS failing
FROM largest JOIN chosen USING (rid) GROUP BY key ORDER BY key"""


def measures(con: Any, sizes: Sizes) -> list[Tested]:
    import numpy as np
    from scipy.stats import mannwhitneyu

    told = []
    for row in dicts(con, _MEASURES):
        numbers, failing = np.array(row["numbers"], dtype=float), np.array(row["failing"], dtype=bool)
        if failing.sum() < 3 or (~failing).sum() < 3:
            continue
        p = float(mannwhitneyu(numbers[failing], numbers[~failing], alternative="two-sided").pvalue)
        told.append(Tested(_bound(row["key"], numbers, failing, sizes), p if math.isfinite(p) else 1.0))
    return told


def _bound(key: str, numbers: Any, failing: Any, sizes: Sizes) -> Contrast:
    """The bound that parts failing from passing best (Youden's index), as shares above or below it."""
    import numpy as np

    bounds = np.unique(numbers)
    above = 1 - np.searchsorted(np.sort(numbers[failing]), bounds) / failing.sum()
    passing = 1 - np.searchsorted(np.sort(numbers[~failing]), bounds) / (~failing).sum()
    gain = above - passing
    at = int(np.argmax(np.abs(gain)))
    chosen = numbers >= bounds[at] if gain[at] >= 0 else numbers < bounds[at]
    a, b = int((chosen & failing).sum()), int((chosen & ~failing).sum())
    weights = sizes.failing_weight / sizes.failing, sizes.passing_weight / sizes.passing
    told = shares(a, b, sizes, a * weights[0], b * weights[1])
    sign = ">=" if gain[at] >= 0 else "<"
    return replace(told, attribute=key, value=f"{sign} {bounds[at]:g}", kind="number")


def sets(con: Any, sizes: Sizes) -> list[Tested]:
    """Attributes of some values as a whole: how far the failing requests' values lie from those of the passing ones.

    A request that has two values of one attribute (two log lines, say) belongs to no single group: such are left out.
    """
    rows = dicts(con, f"""
        WITH single AS (SELECT key FROM pairs GROUP BY key HAVING count(*) = count(DISTINCT rid)),
        sized AS (
            SELECT key, value, count(*) AS support, count(*) FILTER (failing) AS a,
                   coalesce(sum(weight) FILTER (failing), 0) AS wa, coalesce(sum(weight) FILTER (NOT failing), 0) AS wb
            FROM pairs JOIN chosen USING (rid) JOIN single USING (key) GROUP BY key, value)
        SELECT key, list({{value: value, support: support, a: a, wa: wa, wb: wb}} ORDER BY value) AS values
        FROM sized GROUP BY key HAVING count(*) BETWEEN 3 AND {_MOST_VALUES} ORDER BY key""")  # fmt: skip
    return [told for row in rows if (told := _set(row["key"], row["values"], sizes)) is not None]


def _set(key: str, values: Sequence[Mapping[str, Any]], sizes: Sizes) -> Tested | None:
    import numpy as np

    support, a = np.array([v["support"] for v in values]), np.array([v["a"] for v in values])
    failing, passing = int(a.sum()), int((support - a).sum())
    if failing < 3 or passing < 3:
        return None
    seen = float(np.clip(a / failing - (support - a) / passing, 0, None).sum())
    p = _by_chance(support, failing, passing, seen, _DRAWS)
    p = _by_chance(support, failing, passing, seen, 10 * _DRAWS) if p < 2 / _DRAWS else p
    over = [v for v in values if v["a"] / failing > (v["support"] - v["a"]) / passing]
    hits, others = sum(v["a"] for v in over), sum(v["support"] - v["a"] for v in over)
    told = shares(hits, others, sizes, sum(v["wa"] for v in over), sum(v["wb"] for v in over))
    names = [v["value"] for v in sorted(over, key=lambda v: (-v["a"], v["value"]))]
    said = "one of " + ", ".join(names[:NUMBERS]) + (", …" if len(names) > NUMBERS else "")
    return Tested(replace(told, attribute=key, value=said, kind="set"), p)


def _by_chance(support: Any, failing: int, passing: int, seen: float, draws: int) -> float:
    """How often labels that mean nothing part the values as far as was seen, by so many seeded draws."""
    import numpy as np

    drawn = np.random.default_rng(0).multivariate_hypergeometric(support, failing, size=draws, method="marginals")
    apart = np.clip(drawn / failing - (support - drawn) / passing, 0, None).sum(axis=1)
    return (1 + int((apart >= seen - 1e-12).sum())) / (1 + draws)
