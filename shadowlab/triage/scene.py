"""What triage looks at: the errors of a case, what each says, where it lies, and what it did in the window."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.affected import Affected, affected
from shadowlab.triage.ancestry import Ancestry, ancestry
from shadowlab.triage.arrays import array
from shadowlab.triage.breaks import Breaks, breaks
from shadowlab.triage.charge import Charged, charge
from shadowlab.triage.facts import Facts
from shadowlab.triage.fingerprint import Corrections, Signed, sign
from shadowlab.triage.places import Places, placed
from shadowlab.triage.raised import Raised, raised
from shadowlab.triage.readings import readings
from shadowlab.triage.spans import among, distinct


@dataclass(frozen=True, slots=True)
class Scene:
    """Errors, of the whole case, as arrays; and what those near the window are part of."""

    errors: Raised
    signed: Signed
    places: Places
    charged: Charged
    near: Any
    """The places of the errors whose traces are near the window."""
    ancestry: Ancestry
    """The spans of these traces."""
    breaks: Breaks
    affected: Affected


def scene(
    pool: Executor,
    seen: Facts,
    bad: Any,
    told: Collection[int],
    *,
    low_ns: int,
    high_ns: int,
    prefixes: Sequence[str] = (),
    corrections: Corrections | None = None,
    known: Any = None,
) -> Scene:
    """The errors of a case, and what those after `low_ns` and not after `high_ns` did.

    `bad` is what `look.broken` gives; its traces, and those that are `told` (hashes), are near, too. What was read of
    errors before, by this process or as `known`, is not read again.
    """
    import numpy as np

    errors = raised(seen)
    late = errors.tid[errors.within(low_ns, high_ns)]
    others = np.array(sorted(told), dtype=np.uint64)
    traces = distinct(late, array(bad.column("tid").drop_null()), others)
    calling = pool.submit(ancestry, seen, traces)
    affecting = pool.submit(affected, seen, distinct(late[late != 0]), low_ns=low_ns, high_ns=high_ns)
    signed = sign(errors.service, readings(seen, errors, prefixes, known), corrections)
    places = placed(seen, errors)
    charged = charge(errors, signed, places)
    near, above = np.flatnonzero(among(errors.tid, traces)), calling.result()
    broken = breaks(bad, errors, near, charged, above)
    return Scene(errors, signed, places, charged, near, above, broken, affecting.result())
