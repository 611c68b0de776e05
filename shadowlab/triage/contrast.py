"""What sets failing requests apart from passing ones of the same operation and window, with honest statistics.

Every attribute value is tested with Fisher's exact test (one-sided: more common among the failing), every attribute of
many numbers with a rank test (Mann and Whitney), every attribute of some values as a whole (total variation, by seeded
permutation), every two attributes of few values together. Benjamini and Hochberg's procedure runs over all of these.
What cannot be significant whatever the outcome is not tested (Tarone 1990); that choice, and every other one made
before testing, does not look at who failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

from shadowlab.records import Contrast
from shadowlab.triage.drawn import Drawn, evened, read
from shadowlab.triage.shares import Q, Sizes, Tested, fisher, shares, sizes
from shadowlab.triage.spread import NUMBERS, measures, sets

_LEAST_EFFECT = 0.1
_MOST_SHOWN = 10
_PAIRED_FEATURES = 40
_GENERAL = (
    "cloud.provider", "cloud.region", "region", "cloud.availability_zone", "zone", "deployment.environment.name",
    "deployment.environment", "tenant", "service.version", "vcs.ref.head.revision", "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name", "k8s.node.name", "host.name", "k8s.pod.name", "service.instance.id", "container.id",
    "process.pid",
)  # fmt: skip


def contrast(con: Any, *, q: float = Q) -> tuple[Contrast, ...]:
    """What sets the failing requests of `chosen` apart; reads tables `chosen` and `pairs` of a scene (see `drawn`)."""
    return apart(read(con), q=q)


def apart(drawn: Drawn, *, q: float = Q) -> tuple[Contrast, ...]:
    """What sets the failing requests apart, strongest first; () when nothing does.

    Under labels that mean nothing, the chance of any finding is at most `q`.
    """
    drawn = evened(drawn)
    counted = sizes(drawn)
    if min(counted.failing, counted.passing) < 3:
        return ()
    tested = _values(drawn, counted) + measures(drawn, counted) + sets(drawn, counted) + _together(drawn, counted)
    found = [c for c in _adjusted(tested, q) if c.effect >= _LEAST_EFFECT]
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


def _values(drawn: Drawn, sizes: Sizes) -> list[Tested]:
    """Each value that three requests have and not all of them; those that the same ones have are one."""
    import numpy as np

    told, words = drawn.features, drawn.words
    same: dict[bytes, list[int]] = defaultdict(list)
    for n in np.flatnonzero((told.support >= 3) & (told.support < sizes.failing + sizes.passing)).tolist():
        same[drawn.rid[told.low[n] : told.high[n]].tobytes()].append(n)
    rows = [
        {
            "support": int(told.support[first]),
            "a": int(told.failing[first]),
            "same": [(words.keys[told.key[n]], words.values[told.value[n]]) for n in (first, *others)],
        }
        for first, *others in same.values()
    ]
    chances = fisher(rows, sizes)
    return [Tested(partial(_value, row, sizes), p) for row, p in zip(rows, chances, strict=True) if p is not None]


def _value(row: Mapping[str, Any], sizes: Sizes) -> Contrast:
    pairs = sorted(row["same"], key=lambda pair: (_generality(pair[0]), pair))
    (key, value), *others = pairs
    told = shares(row["a"], row["support"] - row["a"], sizes)
    return replace(told, attribute=key, value=value, same_as=tuple(f"{k}={v}" for k, v in others))


def _together(drawn: Drawn, sizes: Sizes) -> list[Tested]:
    """Every two values of different attributes, among those of few values and middling support."""
    import numpy as np

    features = _middling(drawn, sizes)
    if len(features) < 2:
        return []
    told, words = drawn.features, drawn.words
    members = np.zeros((len(features), sizes.failing + sizes.passing), dtype=bool)
    for place, n in enumerate(features):
        members[place, drawn.rid[told.low[n] : told.high[n]]] = True
    both = members.astype(np.float32) @ members.T.astype(np.float32)
    failing = members.astype(np.float32) @ (members & drawn.failing).T.astype(np.float32)
    pairs, rows = [], []
    for one, other in combinations(range(len(features)), 2):
        support = int(both[one, other])
        alone = support in (both[one, one], both[other, other])
        if told.key[features[one]] == told.key[features[other]] or support < 3 or alone:
            continue
        pairs.append((one, other))
        rows.append({"support": support, "a": int(failing[one, other])})
    found = []
    for (one, other), row, p in zip(pairs, rows, fisher(rows, sizes), strict=True):
        if p is not None:
            names = sorted(
                (words.keys[told.key[n]], words.values[told.value[n]]) for n in (features[one], features[other])
            )
            found.append(Tested(partial(_crossing, row, names, sizes), p))
    return found


def _middling(drawn: Drawn, sizes: Sizes) -> list[int]:
    """Features of attributes with few values that are neither rare nor common, the most balanced first."""
    import numpy as np

    told, words, every = drawn.features, drawn.words, sizes.failing + sizes.passing
    kinds = np.bincount(told.key)[told.key]
    few = (kinds >= 2) & (kinds <= NUMBERS) & (told.support >= 0.02 * every) & (told.support <= 0.98 * every)
    found = np.flatnonzero(few).tolist()
    found.sort(key=lambda n: (abs(told.support[n] - every / 4), words.keys[told.key[n]], words.values[told.value[n]]))
    return found[:_PAIRED_FEATURES]


def _crossing(row: Mapping[str, Any], names: Sequence[tuple[str, str]], sizes: Sizes) -> Contrast:
    """Two features together, as shares of the requests that have both."""
    told = shares(row["a"], row["support"] - row["a"], sizes)
    key, value = (" & ".join(name[part] for name in names) for part in (0, 1))
    return replace(told, attribute=key, value=value, kind="pair")


def _adjusted(tested: Sequence[Tested], most: float) -> list[Contrast]:
    """Those whose q (Benjamini and Hochberg's) is `most` at the most, in the order of p."""
    ordered = sorted(tested, key=lambda each: each.p)
    told, least = [], 1.0
    for rank in range(len(ordered), 0, -1):
        least = min(least, ordered[rank - 1].p * len(ordered) / rank)
        if least <= most:
            told.append((ordered[rank - 1].p, replace(ordered[rank - 1].contrast(), q=least)))
    return [each for _, each in sorted(told, key=lambda pair: (pair[0], pair[1].attribute, pair[1].value))]


def _generality(key: str) -> tuple[int, int, str]:
    """The most general key first: region before host before pod."""
    rank = _GENERAL.index(key) if key in _GENERAL else 8
    return rank, len(key), key
