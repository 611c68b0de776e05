"""What sets failing requests apart from passing ones of the same operation and window, with honest statistics.

Every attribute value is tested with Fisher's exact test (one-sided: more common among the failing), every attribute of
many numbers with a rank test (Mann and Whitney), every attribute of some values as a whole (total variation, by seeded
permutation), every two attributes of few values together. Benjamini and Hochberg's procedure runs over all of these.
What cannot be significant whatever the outcome is not tested (Tarone 1990); that choice, and every other one made
before testing, does not look at who failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from shadowlab.records import Contrast
from shadowlab.telemetry import questions
from shadowlab.triage.scene import dicts
from shadowlab.triage.shares import Q, Sizes, Tested, fisher, shares, sizes
from shadowlab.triage.spread import NUMBERS, measures, sets

_LEAST_EFFECT = 0.1
_MOST_SHOWN = 10
_PAIRED_FEATURES = 40
_TRAITS = "SELECT p.key AS attribute, p.value, c.failing, c.weight FROM pairs p JOIN chosen c USING (rid)"
_VALUES = """
WITH counted AS ({apart}),
borne AS (
    SELECT key AS attribute, value, bit_xor(hash(rid)) AS members, sum(hash(rid, 7) % 1000003) AS members_too
    FROM pairs SEMI JOIN chosen USING (rid) GROUP BY ALL HAVING count(*) >= 3)
SELECT failing + passing AS support, failing AS a, members, members_too,
       list([attribute, value] ORDER BY attribute, value) AS same, any_value(failing_weight) AS wa,
       any_value(passing_weight) AS wb
FROM counted JOIN borne USING (attribute, value) GROUP BY ALL ORDER BY same"""

_GENERAL = (
    "cloud.provider", "cloud.region", "region", "cloud.availability_zone", "zone", "deployment.environment.name",
    "deployment.environment", "tenant", "service.version", "vcs.ref.head.revision", "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name", "k8s.node.name", "host.name", "k8s.pod.name", "service.instance.id", "container.id",
    "process.pid",
)  # fmt: skip


def contrast(con: Any, *, q: float = Q) -> tuple[Contrast, ...]:
    """What sets the failing requests of `chosen` apart, strongest first; () when nothing does.

    Reads tables `chosen` and `pairs` of a scene (see `shapes`). Under labels that mean nothing, the chance of any
    finding is at most `q`.
    """
    counted = sizes(con)
    if min(counted.failing, counted.passing) < 3:
        return ()
    tested = _values(con, counted) + measures(con, counted) + sets(con, counted) + _together(con, counted)
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
    whole = {c.attribute: c for c in found if c.kind == "set"}
    better = {key: c for key, c in whole.items() if c.effect >= best.get(key, 0.0) + _LEAST_EFFECT}
    return [c for c in values if c.attribute not in better] + list(better.values())


def _values(con: Any, sizes: Sizes) -> list[Tested]:
    query = _VALUES.format(apart=questions.statement("apart", {"traits": _TRAITS}))
    rows = [row for row in dicts(con, query) if row["support"] < sizes.failing + sizes.passing]
    chances = fisher(rows, sizes)
    return [Tested(_value(row, sizes), p) for row, p in zip(rows, chances, strict=True) if p is not None]


def _value(row: Mapping[str, Any], sizes: Sizes) -> Contrast:
    pairs = sorted(((key, value) for key, value in row["same"]), key=lambda pair: (_generality(pair[0]), pair))
    (key, value), *others = pairs
    told = shares(row["a"], row["support"] - row["a"], sizes, row["wa"], row["wb"])
    return replace(told, attribute=key, value=value, same_as=tuple(f"{k}={v}" for k, v in others))


def _together(con: Any, sizes: Sizes) -> list[Tested]:
    """Every two values of different attributes, among those of few values and middling support."""
    features = dicts(
        con,
        f"""
        WITH sized AS (SELECT key, value, count(*) AS support FROM pairs GROUP BY ALL),
        few AS (SELECT *, count(*) OVER (PARTITION BY key) AS kinds FROM sized)
        SELECT key, value, list(p.rid) AS rids FROM few JOIN pairs p USING (key, value)
        WHERE kinds BETWEEN 2 AND {NUMBERS}
          AND support BETWEEN {0.02 * (sizes.failing + sizes.passing)} AND {0.98 * (sizes.failing + sizes.passing)}
        GROUP BY key, value, support
        ORDER BY abs(support - {(sizes.failing + sizes.passing) / 4}), key, value LIMIT {_PAIRED_FEATURES}""",
    )
    return list(_crossed(con, features, sizes))


def _crossed(con: Any, features: Sequence[Mapping[str, Any]], sizes: Sizes) -> Iterable[Tested]:
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
    chances = fisher(rows, sizes)
    return [Tested(_crossing(row, sizes), p) for row, p in zip(rows, chances, strict=True) if p is not None]


def _crossing(row: Mapping[str, Any], sizes: Sizes) -> Contrast:
    told = shares(row["a"], row["support"] - row["a"], sizes, row["wa"], row["wb"])
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
