"""Where in the graph it starts: services ranked by the requests that they break, leave unanswered or slow down.

Five kinds of evidence, each counted in requests of the window: errors that start in the service and break an objective,
more than before the window; calls that it answered before and does not answer now; its own share of the time by which
requests grew slower; error records that it writes and did not before; and that it ran full, by its metrics. Own time is
a span's time without its children's, inside the request, so that a slow callee does not blame its callers. What is no
worse than before counts nothing, and a ranking of nothing is an answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.records import Blamed
from shadowlab.triage import chances, error_logs, saturation
from shadowlab.triage.ancestry import NOWHERE
from shadowlab.triage.burn import USUAL, since
from shadowlab.triage.coded import NONE
from shadowlab.triage.facts import Facts
from shadowlab.triage.look import Look
from shadowlab.triage.mann_whitney import p_value
from shadowlab.triage.sampled import Call, Sampled, Times, calls, lengths, own_times
from shadowlab.triage.scene import Scene
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.tables import Store
from shadowlab.triage.tallies import Tally

ALPHA = 0.001
"""Chance of one wrongly blamed service, over all of them and each kind of evidence."""
SIGNS = 0.5
"""What services that ran full, or whose records in no trace came up, explain between them, over what all other evidence
counts: these are signs, no proof."""
NOTED = 0.05
"""The share of a request's time by which a service must have grown slower; for one that ran full, any will do."""
_LEAST = 50
"""Requests that a period must hold to be compared."""

_LOUD = f"""
SELECT DISTINCT CASE WHEN trace_id IS NOT NULL THEN hash(trace_id) END AS tid FROM logs
WHERE severity_number >= {error_logs.ERROR} AND at_ns > $first AND at_ns <= $high"""

Evidence = dict[str, list[tuple[float, str]]]
"""Requests and words, per service."""


def blame(
    store: Store,
    scene: Scene,
    sampled: Sampled,
    look: Look,
    specs: Sequence[ObjectiveSpec],
    tallies: Sequence[Tally],
) -> tuple[Blamed, ...]:
    """Services by the share of what went wrong in the window that starts with them, ties with equal scores.

    Services that only had errors which broke nothing, or passed some on, come last with a score of 0.
    """
    usual = calls(sampled)
    evidence: Evidence = defaultdict(list)
    heard = error_logs.NOTHING
    if loud(store, look.seen, low_ns=look.low_ns, high_ns=look.high_ns):
        heard = error_logs.listen(store, scene, sampled, look)
    full = saturation.saturated(store, look.seen, low_ns=look.low_ns, high_ns=look.high_ns)
    _erring(_broken(scene, look, usual, heard.tellers), look, specs, tallies, evidence)
    _silent(usual, evidence)
    _slower(lengths(sampled), own_times(sampled, usual), evidence, full)
    for service, found in heard.told.items():
        evidence[service].append((found.requests, found.words))
    _signs(evidence, full, heard.untraced)
    for service, (caused, passed_on) in _started(scene, look).items():
        words = [f"{caused:,} errors start here"] if caused else []
        words += [f"{passed_on:,} errors are passed on from below"] if passed_on else []
        evidence[service].append((0.0, "; ".join(words)))
    return _ranked(evidence)


def loud(store: Store, seen: Facts, *, low_ns: int, high_ns: int) -> set[int | None]:
    """Hashes of the traces with error records in the window or in as long before it; None: of records in no trace."""
    if not seen.loud:
        return set()
    return {row["tid"] for row in store.sql(_LOUD, {"first": 2 * low_ns - high_ns, "high": high_ns}).rows()}


def _signs(evidence: Evidence, *signs: Mapping[str, Sequence[str]]) -> None:
    """Signs explain a part of what else broke or slowed; while nothing did, they are shown and count nothing."""
    whole = sum(weight for found in evidence.values() for weight, _ in found)
    words = {service: [word for sign in signs for word in sign.get(service, ())] for sign in signs for service in sign}
    for service, found in words.items():
        evidence[service] += [(whole * SIGNS / len(words), found[0]), *((0.0, more) for more in found[1:])]


def _ranked(evidence: Evidence) -> tuple[Blamed, ...]:
    weights = {service: sum(weight for weight, _ in found) for service, found in evidence.items()}
    whole = sum(weights.values()) or 1.0
    told = [
        Blamed(
            service=service,
            score=round(weights[service] / whole, 4),
            evidence=tuple(words for _, words in sorted(found, key=lambda f: -f[0]) if words),
        )
        for service, found in evidence.items()
    ]
    return tuple(sorted(told, key=lambda b: (-b.score, b.service)))


@dataclass(slots=True)
class _Broken:
    """Requests of an objective that errors of a service broke."""

    service: str
    spec: int
    teller: bool
    """Whether its log records tell of them, and no error of its own."""
    weight: float = 0.0
    silent: int = 0
    """Of how many the error is a call without an answer."""
    callee: str = ""
    """Who used to answer it."""


def _broken(scene: Scene, look: Look, usual: Sequence[Call], tellers: Mapping[int, str]) -> list[_Broken]:
    """What errors broke, by the service that they are charged to."""
    import numpy as np

    callees = {(call.service, call.name, call.kind): call.callee for call in usual}
    breaks, ancestry = scene.breaks, scene.ancestry
    causes, of = np.unique(breaks.cause, return_inverse=True)
    place = ancestry.find(scene.errors.sid[scene.charged.call[causes]])
    row = ancestry.row_of(place)
    answered = np.zeros(len(ancestry.sid) + 1, dtype=bool)
    answered[ancestry.above] = True
    silent = {}
    for n in np.flatnonzero((row != NOWHERE) & ~answered[place]).tolist():
        op = look.seen.operations[ancestry.spans.op[row[n]]]
        silent[n] = callees.get((op.service or "", op.called or "", op.kind or ""))
    services = scene.errors.service.of(causes).texts()
    told: dict[tuple[str, int, bool], _Broken] = {}
    for n, spec, weight in zip(*(each.tolist() for each in (of, breaks.spec, breaks.weight)), strict=True):
        teller = tellers.get(int(causes[n]))
        key = teller or services[n] or "", spec, teller is not None
        one = told.setdefault(key, _Broken(*key))
        one.weight += weight
        if callee := silent.get(n):
            one.silent += 1
            one.callee = min(one.callee or callee, callee)
    return sorted(told.values(), key=lambda one: (one.service, one.spec, one.weight, one.teller))


def _started(scene: Scene, look: Look) -> dict[str, tuple[int, int]]:
    """Errors of the window that start in each service, and those that it passes on."""
    import numpy as np

    rows = np.flatnonzero(scene.errors.within(look.low_ns, look.high_ns))
    code, words = scene.errors.service.code[rows], scene.errors.service.words
    weight, causing = scene.places.weight[rows], scene.charged.causing[rows]
    both = (np.bincount(code - NONE, weight * each, len(words) + 1) for each in (causing, ~causing))
    counts = zip(*((each + 0.5).astype(int).tolist() for each in both), strict=True)
    there = set((code - NONE).tolist())
    return {name: told for n, (name, told) in enumerate(zip(("", *words), counts, strict=True)) if n in there}


def _erring(
    broken: Sequence[_Broken],
    look: Look,
    specs: Sequence[ObjectiveSpec],
    tallies: Sequence[Tally],
    evidence: Evidence,
) -> None:
    """Requests that a service's own errors broke, where that is more than all errors broke before the window."""
    for one in broken:
        tally, name = tallies[one.spec], specs[one.spec].name
        bad, total = tally.between(since(look.low_ns, USUAL), look.low_ns)
        _, late = tally.between(look.low_ns, look.high_ns)
        if total >= _LEAST and _more(one.weight, late, bad, total) > ALPHA:
            continue
        callee = "" if one.teller else one.callee
        words = f"its errors break {one.weight:,.0f} requests of {name}"
        if one.teller:
            words = f"{one.weight:,.0f} broken requests of {name} hold its error records"
        elif callee:
            words = f"{one.silent:,} broken requests wait for its answer"
        evidence[callee or one.service].append((one.weight, words))


def _more(seen: float, late: float, before: float, early: float) -> float:
    """The chance of so many of all broken requests in the window, were its rate that of before."""
    return chances.hit(round(seen), of=round(seen + before), share=late / (late + early))


def _silent(usual: Sequence[Call], evidence: Evidence) -> None:
    """Calls that a service answered before the window and does not answer now."""
    for call in usual:
        both, silent = call.late + call.early, call.late_silent + call.early_silent
        if min(call.late, call.early) < 10:
            continue
        p = float(chances.drawn(call.late_silent, silent, taken=call.late, among=both))
        before = call.early_silent / call.early
        more = call.late_silent - before * call.late
        if p * len(usual) <= ALPHA and more >= 0.01 * call.late:
            words = f"{call.late_silent:,} of {call.late:,} calls from {call.service} find no answer"
            evidence[call.callee].append((more, f"{words} (before: {before:.1%})"))


def _slower(lengths: Times, times: Mapping[str | None, Times], evidence: Evidence, full: Collection[str]) -> None:
    """Own time that grew, as the share of the requests that grew slower; that of a `full` service however little."""
    import numpy as np

    if len(lengths) < 2 or min(map(len, lengths.values())) < _LEAST:
        return
    slowed = _apart(lengths[False], lengths[True]) * len(lengths[True])
    grown: dict[str, float] = {}
    for service, own in times.items():
        if service is None or len(own) < 2 or min(map(len, own.values())) < _LEAST:
            continue
        p = _longer(own[False], own[True])
        more = (own[True].mean() - own[False].mean()) * len(own[True]) / len(lengths[True])
        if p * len(times) <= ALPHA and more >= (0 if service in full else NOTED) * lengths[False].mean():
            grown[service] = float(more)
    for service, more in grown.items():
        before, after = (np.quantile(times[service][late], [0.5, 0.95]) / 1e6 for late in (False, True))
        words = (
            f"its own time in a request went from {before[0]:,.1f} ms to {after[0]:,.1f} ms (median), "
            f"from {before[1]:,.1f} ms to {after[1]:,.1f} ms in the slowest twentieth"
        )
        evidence[service].append((slowed * more / sum(grown.values()), words))


def _longer(early: Any, late: Any) -> float:
    """The chance of late times so long, were they as the early ones: by rank, or by those beyond 98 % of the early.

    The second sees what strikes few requests; twice the smaller of both (Bonferroni).
    """
    import numpy as np

    by_rank = p_value(late, early)
    bound = np.quantile(early, 0.98)
    beyond = int((late > bound).sum()), int((early > bound).sum())
    by_tail = float(chances.drawn(beyond[0], sum(beyond), taken=len(late), among=len(late) + len(early)))
    return 2 * min(by_rank, by_tail)


def _apart(early: Any, late: Any) -> float:
    """The largest share of requests by which the late ones are longer (Youden's index)."""
    import numpy as np

    bounds = np.sort(np.concatenate([early, late]))
    longer = [1 - np.searchsorted(np.sort(times), bounds, side="right") / len(times) for times in (late, early)]
    return float(max(0.0, np.max(longer[0] - longer[1])))
