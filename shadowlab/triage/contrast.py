"""What sets failing requests apart from passing ones of the same operation and window, with honest statistics.

Every attribute value is tested with Fisher's exact test (one-sided: more common among the failing), every attribute of
many numbers with a rank test (Mann and Whitney), every attribute of some values as a whole (total variation, by seeded
permutation), every two attributes of few values together. Benjamini and Hochberg's procedure runs over all of these.
What cannot be significant whatever the outcome is not tested (Tarone 1990); that choice, and every other one made
before testing, does not look at who failed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from shadowlab.records import Contrast
from shadowlab.triage.scene import dicts

Q = 0.05
"""Share of false findings that is accepted, by default."""
_LEAST_EFFECT = 0.1
_MOST_SHOWN = 10
_PAIRED_FEATURES = 40
_NUMBERS = 12
"""An attribute of more different numbers than this is a measure, not a category."""

_MOST_VALUES = 60
_DRAWS = 4_000

_VALUES = """
WITH sized AS (
    SELECT p.key, p.value, count(*) AS support, count(*) FILTER (c.failing) AS a,
           coalesce(sum(c.weight) FILTER (c.failing), 0) AS wa,
           coalesce(sum(c.weight) FILTER (NOT c.failing), 0) AS wb,
           bit_xor(hash(p.rid)) AS members, sum(hash(p.rid, 7) % 1000003) AS members_too
    FROM pairs p JOIN chosen c USING (rid) GROUP BY p.key, p.value HAVING count(*) >= 3)
SELECT support, a, members, members_too, list([key, value] ORDER BY key, value) AS same, any_value(wa) AS wa,
       any_value(wb) AS wb
FROM sized GROUP BY support, a, members, members_too ORDER BY same"""

# (1) an attribute that has numbers alone, and many; a request that has several counts with its largest
_MEASURES = f"""
WITH keys AS (
    SELECT key FROM pairs GROUP BY key
    HAVING count(DISTINCT value) > {_NUMBERS} AND bool_and(coalesce(isfinite(try_cast(value AS DOUBLE)), false))),
largest AS (
    SELECT key, rid, max(try_cast(value AS DOUBLE)) AS number FROM pairs SEMI JOIN keys USING (key) GROUP BY key, rid)
SELECT key, list(number ORDER BY rid) AS numbers, list(failing ORDER BY rid) AS failing
FROM largest JOIN chosen USING (rid) GROUP BY key ORDER BY key"""

_GENERAL = (
    "cloud.provider", "cloud.region", "region", "cloud.availability_zone", "zone", "deployment.environment.name",
    "deployment.environment", "tenant", "service.version", "vcs.ref.head.revision", "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name", "k8s.node.name", "host.name", "k8s.pod.name", "service.instance.id", "container.id",
    "process.pid",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sizes:
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


def contrast(con: Any, *, q: float = Q) -> tuple[Contrast, ...]:
    """What sets the failing requests of `chosen` apart, strongest first; () when nothing does.

    Reads tables `chosen` and `pairs` of a scene (see `shapes`). Under labels that mean nothing, the chance of any
    finding is at most `q`.
    """
    sizes = _sizes(con)
    if min(sizes.failing, sizes.passing) < 3:
        return ()
    tested = _values(con, sizes) + _measures(con, sizes) + _sets(con, sizes) + _together(con, sizes)
    found = [c for c in _adjusted(tested) if c.q <= q and c.effect >= _LEAST_EFFECT]
    alone = _alone(found)
    best = max((c.effect for c in alone), default=0.0)
    pairs = [c for c in found if c.kind == "pair" and c.effect >= best + _LEAST_EFFECT][:3]
    shown = sorted(alone + pairs, key=lambda c: (-round(c.effect, 6), c.q, _generality(c.attribute), c.value))
    return tuple(shown[:_MOST_SHOWN])


def _alone(found: Sequence[Contrast]) -> list[Contrast]:
    """Values and numbers; a set takes the place of its values where it explains clearly more than the best of them."""
    values = [c for c in found if c.kind in ("value", "number")]
    named = [(key.split("=")[0], c.effect) for c in values for key in (c.attribute, *c.same_as)]
    best = dict(sorted(named, key=lambda pair: pair[1]))
    sets = {c.attribute: c for c in found if c.kind == "set"}
    better = {key: c for key, c in sets.items() if c.effect >= best.get(key, 0.0) + _LEAST_EFFECT}
    return [c for c in values if c.attribute not in better] + list(better.values())


def looked_at(con: Any) -> int:
    """How many things `contrast` tests."""
    sizes = _sizes(con)
    return len(_values(con, sizes) + _measures(con, sizes) + _sets(con, sizes) + _together(con, sizes))


def _sizes(con: Any) -> _Sizes:
    row = con.execute("""
        SELECT count(*) FILTER (failing), count(*) FILTER (NOT failing), coalesce(sum(weight) FILTER (failing), 0),
               coalesce(sum(weight) FILTER (NOT failing), 0) FROM chosen""").fetchall()[0]
    return _Sizes(int(row[0]), int(row[1]), float(row[2]), float(row[3]))


def _values(con: Any, sizes: _Sizes) -> list[Tested]:
    rows = [row for row in dicts(con, _VALUES) if row["support"] < sizes.failing + sizes.passing]
    chances = _fisher(rows, sizes)
    return [Tested(_value(row, sizes), p) for row, p in zip(rows, chances, strict=True) if p is not None]


def _value(row: Mapping[str, Any], sizes: _Sizes) -> Contrast:
    pairs = sorted(((key, value) for key, value in row["same"]), key=lambda pair: (_generality(pair[0]), pair))
    (key, value), *others = pairs
    told = _shares(row["a"], row["support"] - row["a"], sizes, row["wa"], row["wb"])
    return replace(told, attribute=key, value=value, same_as=tuple(f"{k}={v}" for k, v in others))


def _fisher(rows: Sequence[Mapping[str, Any]], sizes: _Sizes) -> list[float | None]:
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


def _shares(a: int, b: int, sizes: _Sizes, wa: float, wb: float) -> Contrast:
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


def _measures(con: Any, sizes: _Sizes) -> list[Tested]:
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


def _bound(key: str, numbers: Any, failing: Any, sizes: _Sizes) -> Contrast:
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
    told = _shares(a, b, sizes, a * weights[0], b * weights[1])
    sign = ">=" if gain[at] >= 0 else "<"
    return replace(told, attribute=key, value=f"{sign} {bounds[at]:g}", kind="number")


def _sets(con: Any, sizes: _Sizes) -> list[Tested]:
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


def _set(key: str, values: Sequence[Mapping[str, Any]], sizes: _Sizes) -> Tested | None:
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
    told = _shares(hits, others, sizes, sum(v["wa"] for v in over), sum(v["wb"] for v in over))
    names = [v["value"] for v in sorted(over, key=lambda v: (-v["a"], v["value"]))]
    said = "one of " + ", ".join(names[:_NUMBERS]) + (", …" if len(names) > _NUMBERS else "")
    return Tested(replace(told, attribute=key, value=said, kind="set"), p)


def _by_chance(support: Any, failing: int, passing: int, seen: float, draws: int) -> float:
    """How often labels that mean nothing part the values as far as was seen, by so many seeded draws."""
    import numpy as np

    drawn = np.random.default_rng(0).multivariate_hypergeometric(support, failing, size=draws, method="marginals")
    apart = np.clip(drawn / failing - (support - drawn) / passing, 0, None).sum(axis=1)
    return (1 + int((apart >= seen - 1e-12).sum())) / (1 + draws)


def _together(con: Any, sizes: _Sizes) -> list[Tested]:
    """Every two values of different attributes, among those of few values and middling support."""
    features = dicts(
        con,
        f"""
        WITH sized AS (SELECT key, value, count(*) AS support FROM pairs GROUP BY ALL),
        few AS (SELECT *, count(*) OVER (PARTITION BY key) AS kinds FROM sized)
        SELECT key, value, list(p.rid) AS rids FROM few JOIN pairs p USING (key, value)
        WHERE kinds BETWEEN 2 AND {_NUMBERS}
          AND support BETWEEN {0.02 * (sizes.failing + sizes.passing)} AND {0.98 * (sizes.failing + sizes.passing)}
        GROUP BY key, value, support
        ORDER BY abs(support - {(sizes.failing + sizes.passing) / 4}), key, value LIMIT {_PAIRED_FEATURES}""",
    )
    return list(_crossed(con, features, sizes))


def _crossed(con: Any, features: Sequence[Mapping[str, Any]], sizes: _Sizes) -> Iterable[Tested]:
    import numpy as np

    if len(features) < 2:
        return []
    members = np.zeros((len(features), sizes.failing + sizes.passing), dtype=bool)
    for n, feature in enumerate(features):
        members[n, feature["rids"]] = True
    found = con.execute("SELECT failing, weight FROM chosen ORDER BY rid").fetchnumpy()
    failing, weight = np.asarray(found["failing"], dtype=bool), np.asarray(found["weight"], dtype=float)
    rows = []
    for one, other in combinations(range(len(features)), 2):
        both = members[one] & members[other]
        support = int(both.sum())
        alone = support in (members[one].sum(), members[other].sum())
        if features[one]["key"] == features[other]["key"] or support < 3 or alone:
            continue
        ordered = sorted((features[one], features[other]), key=lambda f: (f["key"], f["value"]))
        names = {part: " & ".join(f[part] for f in ordered) for part in ("key", "value")}
        weights = {"wa": float(weight[both & failing].sum()), "wb": float(weight[both & ~failing].sum())}
        rows.append({"support": support, "a": int((both & failing).sum()), **weights, **names})
    chances = _fisher(rows, sizes)
    return [Tested(_crossing(row, sizes), p) for row, p in zip(rows, chances, strict=True) if p is not None]


def _crossing(row: Mapping[str, Any], sizes: _Sizes) -> Contrast:
    told = _shares(row["a"], row["support"] - row["a"], sizes, row["wa"], row["wb"])
    return replace(told, attribute=row["key"], value=row["value"], kind="pair")


def _adjusted(tested: Sequence[Tested]) -> list[Contrast]:
    """Benjamini and Hochberg's q of each, in the order of p."""
    ordered = sorted(tested, key=lambda t: (t.p, t.contrast.attribute, t.contrast.value))
    told, least = [], 1.0
    for rank in range(len(ordered), 0, -1):
        least = min(least, ordered[rank - 1].p * len(ordered) / rank)
        told.append(replace(ordered[rank - 1].contrast, q=least))
    return told[::-1]


def _generality(key: str) -> tuple[int, int, str]:
    """The most general key first: region before host before pod."""
    rank = _GENERAL.index(key) if key in _GENERAL else 8
    return rank, len(key), key
