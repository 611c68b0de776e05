"""Control against candidate from counts alone, as often as one likes to look.

>>> judge((0, 10), (7, 10)).verdict.value
'fail'
>>> judge((4, 40), (0, 40)).verdict.value
'inconclusive'
"""

from __future__ import annotations

import math

from shadowlab import errors
from shadowlab.records import Judgement, Verdict

METHOD = "e-process on both counts (Beta mixture over profile likelihood), valid at every look"

# Prior Beta(1/2, b) for each arm, averaged over b: error rates near one half, near one in a hundred and near one in
# ten thousand are all met by one of them, so that few failures do not need many more requests than they must.
_SCALES = (0.5, 50.0, 5000.0)
_FARTHEST = 10_000_000


def judge(
    control: tuple[int, int], candidate: tuple[int, int], *, margin: float = 0.001, alpha: float = 0.05
) -> Judgement:
    """Whether the candidate's error rate is worse than the control's by `margin` or more; counts are (failures, total).

    Pass when the interval of candidate minus control lies below `margin`, fail when it lies above, else inconclusive.
    The interval is a confidence sequence: over any number of looks at growing counts, the chance that it ever misses
    the true difference is at most `alpha`. It is exact for small counts, zeros and ties, and draws nothing at random.
    It takes requests to be independent, with one error rate an arm.

    Why: (1) for fixed rates (p, q) the mixture likelihood over the likelihood at (p, q) is a nonnegative martingale
    that starts at 1 (Robbins 1970). (2) Dividing by the largest likelihood over all pairs with q - p = d can only make
    it smaller (universal inference, Wasserman, Ramdas and Balakrishnan, PNAS 2020). (3) By Ville's inequality it
    reaches 1/alpha with probability at most alpha where d is the true difference. The caller owes independence.

    Raises `UsageError` for counts, a margin or an alpha that cannot be.
    """
    counts = _checked(control, candidate, margin, alpha)
    verdict = decide(counts, margin=margin, alpha=alpha)
    return Judgement(
        verdict=verdict,
        samples_needed=0 if verdict is not Verdict.INCONCLUSIVE else _needed(counts, margin, alpha),
        interval=interval(counts, alpha=alpha),
        method=METHOD,
        control=control,
        candidate=candidate,
        margin=margin,
        alpha=alpha,
        e_value=_finite(evidence(counts, margin)),
    )


Counts = tuple[int, int, int, int]
"""Failures and total of the control, then of the candidate."""


def evidence(counts: Counts, difference: float) -> float:
    """Natural logarithm of the e-value against "candidate minus control is `difference`"."""
    x0, n0, x1, n1 = counts
    return _mixture(x0, n0) + _mixture(x1, n1) - _profile(counts, difference)


def decide(counts: Counts, *, margin: float, alpha: float) -> Verdict:
    """The verdict alone: on which side of `margin` the interval lies, without drawing its ends."""
    x0, n0, x1, n1 = counts
    if not n0 or not n1 or evidence(counts, margin) < -math.log(alpha):
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if x1 / n1 - x0 / n0 < margin else Verdict.FAIL


def interval(counts: Counts, *, alpha: float) -> tuple[float, float]:
    """Every difference whose e-value is still below 1/alpha: an interval, because the profile likelihood is concave."""
    x0, n0, x1, n1 = counts
    if not n0 or not n1:
        return -1.0, 1.0
    best, bar = x1 / n1 - x0 / n0, -math.log(alpha)
    return _edge(counts, bar, best, -1.0), _edge(counts, bar, best, 1.0)


def _edge(counts: Counts, bar: float, inside: float, outside: float) -> float:
    if evidence(counts, outside) < bar:
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        if evidence(counts, middle) < bar:
            inside = middle
        else:
            outside = middle
    return outside  # the outer end of the bracket: rounding never makes the interval too short


def _mixture(failures: int, total: int) -> float:
    terms = [_log_beta(0.5 + failures, b + total - failures) - _log_beta(0.5, b) for b in _SCALES]
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms) / len(terms))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _profile(counts: Counts, difference: float) -> float:
    """The largest log likelihood with candidate minus control equal to `difference`."""
    x0, n0, x1, n1 = counts
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def likelihood(p: float) -> float:
        q = min(max(p + difference, 0.0), 1.0)
        return _xlog(x0, p) + _xlog(n0 - x0, 1 - p) + _xlog(x1, q) + _xlog(n1 - x1, 1 - q)

    def rising(p: float) -> bool:
        q = min(max(p + difference, 0.0), 1.0)
        return _over(x0, p) + _over(x1, q) > _over(n0 - x0, 1 - p) + _over(n1 - x1, 1 - q)

    a, b = low, high
    for _ in range(60):
        middle = (a + b) / 2
        a, b = (middle, b) if rising(middle) else (a, middle)
    return max(likelihood((a + b) / 2), likelihood(low), likelihood(high))


def _xlog(count: int, share: float) -> float:
    if not count:
        return 0.0
    return count * math.log(share) if share > 0 else -math.inf


def _over(count: int, share: float) -> float:
    if not count:
        return 0.0
    return count / share if share > 0 else math.inf


def _needed(counts: Counts, margin: float, alpha: float) -> int | None:
    """More candidate requests until a verdict, if the rates seen so far go on; None when none is in sight."""
    x0, n0, x1, n1 = counts
    if not n0 or not n1:
        return None

    def decided(n: int) -> bool:
        grown = (round(x0 * n / n1), round(n0 * n / n1), round(x1 * n / n1), n)
        return decide(grown, margin=margin, alpha=alpha) is not Verdict.INCONCLUSIVE

    low, high = n1, n1 * 2
    while not decided(high):
        low, high = high, high * 2
        if high > _FARTHEST:
            return None
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high - n1


def _finite(log_e: float) -> float:
    return math.exp(min(log_e, 700.0))


def _checked(control: tuple[int, int], candidate: tuple[int, int], margin: float, alpha: float) -> Counts:
    for name, pair in (("control", control), ("candidate", candidate)):
        whole = len(pair) == 2 and all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
        if not whole or not 0 <= pair[0] <= pair[1]:
            counts = "/".join(str(n) for n in pair)
            raise errors.UsageError(
                f"{name} counts {counts} cannot be", hint="write failures/total, such as 3/1200, failures first"
            )
    if not 0 < alpha < 1:
        raise errors.UsageError(f"alpha {alpha} is not between 0 and 1", hint="0.05 is usual")
    if not 0 <= margin < 1:
        raise errors.UsageError(f"margin {margin} is not from 0 up to 1", hint="0.001 allows one more failure in 1,000")
    return (*control, *candidate)
