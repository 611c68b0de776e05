"""When a rate went up: one change point in a row of requests, by likelihood, judged by an exact test.

The row is split where two constant rates explain it best. Given how many requests failed, and were the rate constant,
which ones failed is a matter of chance: Fisher's exact test says how odd the split is, times the number of splits that
could have been best (Bonferroni). The interval holds every split whose likelihood is within a factor of 150 of the
best one's: a fault that shows in some requests only began before the first that failed; once in 150 times it is missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from shadowlab.triage import chances
from shadowlab.triage.clocks import Clock

_WITHIN = 150.0
ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Onset:
    """A proved rise of a rate."""

    low_ns: int
    high_ns: int
    """Ends of the interval in which it began."""
    before: float
    after: float
    """Shares of failing requests on both sides."""
    p: float

    def corrected(self, clock: Clock) -> Onset:
        """The same in the time that most services have; the interval grows by what is not known of the clock."""
        low, high = (clock.right(at_ns) for at_ns in (self.low_ns, self.high_ns))
        return replace(self, low_ns=low - clock.within_ns, high_ns=high + clock.within_ns)


def onset(at_ns: Any, failing: Any) -> Onset | None:
    """When the share of `failing` (booleans) rose along `at_ns` (integers, ascending); None when no rise is proved."""
    import numpy as np

    at_ns, failing = np.asarray(at_ns, dtype=np.int64), np.asarray(failing, dtype=bool)
    n, total = len(failing), int(failing.sum())
    if total < 3 or total == n:
        return None
    before = np.concatenate([[0], np.cumsum(failing)])[:-1]  # failures among the first k requests, k = 0 … n-1
    k = np.arange(n)
    likelihood = _log_likelihood(before, k) + _log_likelihood(total - before, n - k)
    rising = before * (n - k) < (total - before) * k
    likelihood = np.where(rising, likelihood, -np.inf)
    if not rising.any():
        return None
    best = int(np.argmax(likelihood))
    candidates = 2 * total
    p = min(1.0, float(chances.drawn(total - before[best], total, taken=n - best, among=n)) * candidates)
    if p > ALPHA:
        return None
    within = np.flatnonzero(likelihood >= likelihood[best] - np.log(_WITHIN))
    low, high = int(within[0]), int(within[-1])
    return Onset(
        low_ns=int(at_ns[max(low - 1, 0)]),
        high_ns=int(at_ns[high]),
        before=float(before[best] / best) if best else 0.0,
        after=float((total - before[best]) / (n - best)),
        p=p,
    )


def _log_likelihood(hits: Any, of: Any) -> Any:
    """Of `hits` among `of` at their own rate; 0 log 0 is 0."""
    import numpy as np

    return sum(sign * each * np.log(np.maximum(each, 1)) for sign, each in ((1, hits), (1, of - hits), (-1, of)))
