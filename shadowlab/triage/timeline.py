"""Requests and errors over time, in slices of a round length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from shadowlab.records import ErrorBucket
from shadowlab.telemetry import questions
from shadowlab.triage import burn
from shadowlab.triage.facts import Facts
from shadowlab.triage.scene import Scene
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.spans import BAD
from shadowlab.triage.tables import Store

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
MOST = 60

Counts = dict[int, Mapping[str, float]]
"""Weights of all requests (`total`) and of those that failed (`bad`), by slice."""


def timeline(
    scene: Scene,
    store: Store,
    seen: Facts,
    spec: ObjectiveSpec,
    shown: Collection[str],
    *,
    low_ns: int,
    high_ns: int,
    weight: str,
) -> tuple[ErrorBucket, ...]:
    """Requests that `spec` counts from `low_ns` to `high_ns`, and how many the fingerprints `shown` broke, per slice.

    Slices without a request are there, with zeros.
    """
    if high_ns <= low_ns:
        return ()
    width = next((s for s in _STEPS if (high_ns - low_ns) / 1e9 / s <= MOST), 86400 * 7) * 10**9
    count = _counted if spec.whole else _asked
    counted = count(store, seen, spec, weight, width, low_ns=low_ns, high_ns=high_ns)
    broken = _by_fault(scene, width, shown, low_ns=low_ns, high_ns=high_ns)
    told = []
    for at in range((low_ns + 1) // width, high_ns // width + 1):
        row = counted.get(at, {"total": 0, "bad": 0})
        sums = {name: round(row[name]) for name in ("total", "bad")}
        told.append(ErrorBucket(at=burn.moment(at * width), **sums, by_fingerprint=broken.get(at, {})))
    return tuple(told)


def _by_fault(scene: Scene, width: int, shown: Collection[str], **ends: int) -> dict[int, dict[str, int]]:
    """Errors of some faults that are their own, by slice and fingerprint."""
    import numpy as np

    group, names = scene.signed.group, scene.signed.fingerprints
    own = np.array([name in shown for name in names], dtype=bool)[group] & scene.charged.causing
    rows = np.flatnonzero(own & scene.errors.within(**ends))
    key, place = np.unique((scene.errors.at_ns[rows] // width) * len(names) + group[rows], return_inverse=True)
    counts = np.bincount(place, scene.places.weight[rows], len(key))
    told: dict[int, dict[str, int]] = defaultdict(dict)
    for at, fault, count in zip(
        *(each.tolist() for each in (key // len(names), key % len(names), counts)), strict=True
    ):
        told[at][names[fault]] = int(count + 0.5)
    return told


def _counted(store: Store, seen: Facts, spec: ObjectiveSpec, weight: str, width: int, **ends: int) -> Counts:
    """Requests and failures of a whole service, by slice."""
    import numpy as np

    spans = seen.answered(**ends)
    spans = spans.take(np.flatnonzero(seen.run_by(spec.service)[spans.op]))
    slices, place = np.unique(spans.at_ns // width, return_inverse=True)
    total, bad = (np.bincount(place, each, len(slices)) for each in (spans.weight, spans.weight * spans.marked(BAD)))
    return {at: {"total": total[n], "bad": bad[n]} for n, at in enumerate(slices.tolist())}


def _asked(store: Store, seen: Facts, spec: ObjectiveSpec, weight: str, width: int, **ends: int) -> Counts:
    """The same of what else an objective counts."""
    query, values = burn.requests(spec, weight)
    end_ns = (ends["high_ns"] // width + 1) * width - 1
    text = questions.statement(
        "slots", {"requests": query}, end_ns=end_ns, step_ns=width, since_ns=ends["low_ns"], until_ns=ends["high_ns"]
    )
    return {(end_ns - row["age_ns"]) // width: row for row in store.sql(text, values).rows()}
