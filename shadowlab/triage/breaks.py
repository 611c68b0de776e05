"""What errors do: the requests that each root error broke, and the services that see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.ancestry import NOWHERE, Ancestry
from shadowlab.triage.arrays import array
from shadowlab.triage.charge import Charged
from shadowlab.triage.facts import Facts
from shadowlab.triage.raised import Raised
from shadowlab.triage.spans import distinct


@dataclass(frozen=True, slots=True)
class Breaks:
    """A row each broken request of an objective for which an error answers, as arrays."""

    spec: Any
    """The place of the objective."""
    weight: Any
    allowed: Any
    """Bad requests that the objective allows in the window."""
    cause: Any
    """The place of the error."""


def breaks(bad: Any, errors: Raised, near: Any, charged: Charged, ancestry: Ancestry) -> Breaks:
    """Which error broke which request: the root of the request's own last error, else of the deepest one below it.

    `bad` is what `look.broken` gives, `near` the places of the errors in these requests' traces.
    """
    import numpy as np

    told = {name: array(bad.column(name)) for name in ("spec", "sid", "weight", "allowed")}
    cause, fails = charged.roots(told["sid"])
    left = np.flatnonzero(~fails)
    left = left[np.lexsort((told["spec"][left], told["sid"][left]))]
    same = [np.diff(told[name][left], prepend=told[name][left[:1]] + 1) == 0 for name in ("spec", "sid")]
    left = left[~(same[0] & same[1])]
    place = ancestry.find(told["sid"][left])
    wanted = np.zeros(len(ancestry.sid) + 1, dtype=bool)
    wanted[place] = True
    wanted[NOWHERE] = False
    deepest = np.full(len(ancestry.sid) + 1, NOWHERE)
    root, _ = charged.roots(errors.sid[near])
    for of, at in ancestry.up(ancestry.find(errors.sid[near])):
        here = np.flatnonzero(wanted[at])
        here = here[np.argsort(-root[of[here]], kind="stable")]
        deepest[at[here]] = root[of[here]]  # of the deepest, the first one stays
    cause[left] = deepest[place]
    rows = np.concatenate([np.flatnonzero(fails), left[cause[left] != NOWHERE]])
    return Breaks(told["spec"][rows], told["weight"][rows], told["allowed"][rows], cause[rows])


def seen_from(seen: Facts, errors: Raised, rows: Any, group: Any, ancestry: Ancestry) -> Mapping[int, tuple[str, ...]]:
    """Other services that the faults (`group`) of some errors are passed on to, by the fault."""
    import numpy as np

    told: dict[int, set[str]] = defaultdict(set)
    pairs = []
    service = seen.ranked(lambda op: op.service)
    names = dict(zip(service.tolist(), (op.service for op in seen.operations), strict=True))
    rank = {name: n for n, name in names.items()}
    own = np.array([rank.get(name, -1) for name in (*errors.service.words, None)])  # the last stands for none
    for of, at in ancestry.up(ancestry.find(errors.sid[rows])):
        row = ancestry.row_of(at)
        there = row != NOWHERE
        of, above = of[there], service[ancestry.spans.op[row[there]]]
        other = above != own[errors.service.code[rows[of]]]
        pairs.append(distinct(group[rows[of[other]]] * len(names) + above[other]))
    for pair in distinct(np.concatenate(pairs)).tolist():
        if (name := names[pair % len(names)]) is not None:
            told[pair // len(names)].add(name)
    return {fault: tuple(sorted(services)) for fault, services in told.items()}


def torn(errors: Raised, rows: Any, ancestry: Ancestry) -> Any:
    """The traces of some errors that lack a span above them (hashes, ascending)."""
    import numpy as np

    found = [rows[of[ancestry.row_of(at) == NOWHERE]] for of, at in ancestry.up(ancestry.find(errors.sid[rows]))]
    return distinct(errors.tid[np.concatenate(found)])
