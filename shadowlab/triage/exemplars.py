"""Which failing requests to look at: few, and of different shapes, the ones that can be replayed first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from shadowlab.triage.drawn import Drawn

MOST = 5
_LEAST = 3
_SHOWN = 500
"""Requests of each kind that are looked at."""
_VALUES = 40

Shape = frozenset[int]
"""The features of a request that others share, by their place."""


def choose(
    drawn: Drawn, recorded: Collection[str], *, whole: Mapping[str, bool], most: int = MOST
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Trace ids of failing requests that cover their shapes, and of a passing neighbour for each.

    Greedy over attribute pairs that more than one request has: a recorded trace that shows something new comes first,
    then any trace that does; between equals whole traces win, then recent ones.
    """
    failing, passing = (_shapes(drawn, kind) for kind in (True, False))
    chosen = _cover(failing, recorded, whole, most)
    return chosen, _neighbours([failing[trace][0] for trace in chosen], {t: s for t, (s, _) in passing.items()})


def slowest(
    drawn: Drawn, ranked: Sequence[int], slow: Collection[int], *, most: int = MOST
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Trace ids of slow requests, and of a quick neighbour for each; `ranked` and `slow` are traces by their hashes.

    In the order of `ranked`, each that shows an attribute pair which none before it has, and three at the least.
    """
    named = dict(zip(drawn.order.tolist(), drawn.traces, strict=True))
    failing, passing = (_shapes(drawn, kind) for kind in (True, False))
    order = [trace for tid in dict.fromkeys(ranked) if (trace := named.get(tid)) in failing and trace is not None]
    chosen: list[str] = []
    covered: set[int] = set()
    for trace in order:
        if failing[trace][0] - covered and len(chosen) < most:
            chosen.append(trace)
            covered |= failing[trace][0]
    chosen += [trace for trace in order if trace not in chosen][: max(0, _LEAST - len(chosen))]
    shown = sorted(chosen, key=order.index)
    late = {named[tid] for tid in slow if tid in named}
    quick = {trace: shape for trace, (shape, _) in passing.items() if trace not in late}
    return tuple(shown), _neighbours([failing[trace][0] for trace in shown], quick)


def _shapes(drawn: Drawn, failing: bool) -> dict[str, tuple[Shape, int]]:
    """Of each trace with such a request: the request's shape, and when it ended."""
    import numpy as np

    told = drawn.features
    shared = told.support >= 2
    values = np.bincount(told.key, shared)[told.key] if len(told.key) else np.zeros(0)
    telling = shared & (values >= 2) & (values <= _VALUES)
    named = np.array([trace is not None for trace in drawn.traces], dtype=bool)
    here = np.flatnonzero((drawn.failing == failing) & named)
    shown = np.sort(here[np.lexsort((here, drawn.order[here]))][:_SHOWN])
    held = np.zeros(len(drawn.failing), dtype=bool)
    held[shown] = True
    pairs = np.flatnonzero(telling[drawn.pair] & held[drawn.rid])
    pairs = pairs[np.argsort(drawn.rid[pairs], kind="stable")]
    bounds = np.searchsorted(drawn.rid[pairs], [shown, shown + 1]).T.tolist()
    features = drawn.pair[pairs].tolist()
    return {
        str(drawn.traces[rid]): (frozenset(features[low:high]), int(drawn.at_ns[rid]))
        for rid, (low, high) in zip(shown.tolist(), bounds, strict=True)
    }


def _cover(
    failing: Mapping[str, tuple[Shape, int]], recorded: Collection[str], whole: Mapping[str, bool], most: int
) -> tuple[str, ...]:
    covered: set[int] = set()
    chosen: list[str] = []
    left = set(failing)
    while left and len(chosen) < most:
        best = max(left, key=lambda trace: _worth(trace, *failing[trace], covered, recorded, whole))
        if not failing[best][0] - covered and len(chosen) >= _LEAST:
            break
        chosen.append(best)
        left.remove(best)
        covered |= failing[best][0]
    return tuple(chosen)


def _worth(
    trace: str,
    shape: Shape,
    at_ns: int,
    covered: set[int],
    recorded: Collection[str],
    whole: Mapping[str, bool],
) -> tuple[bool, int, bool, bool, int, str]:
    new = len(shape - covered)
    telling = bool(new) or not covered
    return trace in recorded and telling, new, trace in recorded, whole.get(trace, True), at_ns, trace


def _neighbours(shapes: Sequence[Shape], passing: Mapping[str, Shape]) -> tuple[str, ...]:
    """For each failing shape the passing trace that shares most with it: of all their features together (Jaccard)."""
    import numpy as np

    traces = sorted(passing)
    place = {feature: n for n, feature in enumerate(set().union(*shapes))}
    held = np.zeros((len(traces), len(place)), dtype=bool)
    for n, trace in enumerate(traces):
        held[n, [place[feature] for feature in passing[trace] if feature in place]] = True
    sizes = np.array([len(passing[trace]) for trace in traces])
    told: list[int] = []
    for shape in shapes[: len(traces)]:
        both = held[:, [place[feature] for feature in shape]].sum(axis=1)
        alike = both / np.maximum(1, len(shape) + sizes - both)
        alike[told] = -1
        told.append(int(np.flatnonzero(alike == alike.max())[-1]))  # of equals the last by name
    return tuple(traces[n] for n in told)
