"""The numbers behind the shadow run: shares of failures in pairs, and differences of durations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shadowlab.gates import canary
from shadowlab.records import Statistic, Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Statistic = Callable[[npt.NDArray[np.float64]], float]

FEW = 5
"""With fewer failures than this in either arm the score test is not relied on alone."""
_RESAMPLES = 2000
_LARGEST = 2000
"""Values of an arm that all pairwise differences are formed of; more are thinned evenly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """The same requests in both arms: how many failed in both, in one, in the other."""

    total: int
    both: int
    control_only: int
    candidate_only: int

    @property
    def control(self) -> int:
        """Failures of the control."""
        return self.both + self.control_only

    @property
    def candidate(self) -> int:
        """Failures of the candidate."""
        return self.both + self.candidate_only


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A verdict with its numbers and its words."""

    verdict: Verdict
    statistic: Statistic | None
    why: str


def non_inferior(pairs: Pairs, *, margin: float, alpha: float) -> Judged:
    """Whether the candidate's error rate is below the control's plus `margin`, one-sided at `alpha`.

    With at least five failures in each arm: the score test for the difference of two proportions (Miettinen and
    Nurminen 1985, as statsmodels computes it), which is careful here because pairs of the same request agree more
    often than strangers do. With fewer: the exact bound as well, because the approximation claims certainty it has not
    (a z-test says p = 0 for no failure in either arm). The exact bound is the upper Clopper-Pearson limit of
    candidate-only failures minus the lower one of control-only failures, at alpha/2 each.
    """
    if not pairs.total:
        return Judged(verdict=Verdict.INCONCLUSIVE, statistic=None, why="no request was mirrored")
    few = min(pairs.control, pairs.candidate) < FEW
    score = None if few else _score(pairs, margin, alpha)
    low, high, p = score or _exact(pairs, margin, alpha)
    if few and (approximate := _score_p(pairs, margin)) is not None:
        p = max(p, approximate)
    log_e = canary.evidence((pairs.control, pairs.total, pairs.candidate, pairs.total), margin)
    statistic = Statistic(
        method="score test of two proportions (Miettinen-Nurminen, statsmodels)" if score
        else "exact bound on discordant pairs (Clopper-Pearson), with the score test (statsmodels) where it is defined",
        estimate=(pairs.candidate - pairs.control) / pairs.total, interval=(low, high), level=1 - 2 * alpha,
        n_control=pairs.total, n_candidate=pairs.total, limit=margin, p=p, e_value=math.exp(min(log_e, 700.0)),
        unit="share of requests",
    )  # fmt: skip
    if p < alpha and high < margin:
        return Judged(verdict=Verdict.PASS, statistic=statistic, why=f"p = {p:.2g} for {margin:g} worse or more")
    if low > margin:
        return Judged(verdict=Verdict.FAIL, statistic=statistic, why=f"worse by more than {margin:g}")
    return Judged(verdict=Verdict.INCONCLUSIVE, statistic=statistic, why=_missing(pairs, margin, alpha))


def _missing(pairs: Pairs, margin: float, alpha: float) -> str:
    if pairs.control or pairs.candidate:
        return f"{pairs.total:,} requests do not tell whether it is {margin:g} worse"
    needed = math.ceil(math.log(alpha / 2) / math.log1p(-margin)) if margin else None
    return "no failure in either arm: " + (
        f"that takes {needed:,} requests to mean anything for a margin of {margin:g}"
        if needed
        else "nothing to compare"
    )


def _score(pairs: Pairs, margin: float, alpha: float) -> tuple[float, float, float] | None:
    """Interval and p of the score test, or None where statsmodels' solution is not a number."""
    import numpy as np
    from statsmodels.stats.proportion import confint_proportions_2indep

    counts = (pairs.candidate, pairs.total, pairs.control, pairs.total)
    p = _score_p(pairs, margin)
    try:
        with np.errstate(all="ignore"):
            low, high = confint_proportions_2indep(*counts, compare="diff", method="score", alpha=2 * alpha)
    except ValueError:
        return None
    return (float(low), float(high), p) if p is not None and math.isfinite(low + high) else None


def _score_p(pairs: Pairs, margin: float) -> float | None:
    import numpy as np
    from statsmodels.stats.proportion import test_proportions_2indep

    counts = (pairs.candidate, pairs.total, pairs.control, pairs.total)
    with np.errstate(all="ignore"):
        test = test_proportions_2indep(*counts, value=margin, compare="diff", method="score", alternative="smaller")
    return float(test.pvalue) if math.isfinite(test.pvalue) else None


def _exact(pairs: Pairs, margin: float, alpha: float) -> tuple[float, float, float]:
    def upper(level: float) -> float:
        return (
            _clopper_pearson(pairs.candidate_only, pairs.total, level / 2)[1]
            - (_clopper_pearson(pairs.control_only, pairs.total, level / 2)[0])
        )

    low = (
        _clopper_pearson(pairs.candidate_only, pairs.total, alpha / 2)[0]
        - (_clopper_pearson(pairs.control_only, pairs.total, alpha / 2)[1])
    )
    a, b = 1e-12, 1.0
    for _ in range(60):
        middle = math.sqrt(a * b)
        a, b = (a, middle) if upper(middle) < margin else (middle, b)
    return low, upper(alpha), b


def _clopper_pearson(count: int, total: int, tail: float) -> tuple[float, float]:
    """Limits that the true share lies below, or above, with probability at most `tail` each."""
    from scipy.special import betaincinv

    low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
    return low, high


def slower(control: Sequence[float], candidate: Sequence[float], *, limit_ms: float, alpha: float, seed: int) -> Judged:
    """Whether the candidate's durations (ms) are shifted by less than `limit_ms`, and its 95th percentile not more.

    Shift: the Hodges-Lehmann estimate with its rank interval, and the Mann-Whitney test against a shift of `limit_ms`.
    95th percentile: a percentile bootstrap of the difference over requests that are drawn as pairs. It is shown, and
    fails the candidate where its whole interval lies above the limit.
    """
    import numpy as np
    from scipy.stats import mannwhitneyu

    a, b = np.asarray(control, dtype=float), np.asarray(candidate, dtype=float)
    if min(a.size, b.size) < 20:
        why = f"{min(a.size, b.size)} requests were answered in both arms; 20 are needed"
        return Judged(verdict=Verdict.INCONCLUSIVE, statistic=None, why=why)
    shift, low, high = _hodges_lehmann(a, b, alpha)
    p = float(mannwhitneyu(b - limit_ms, a, alternative="less").pvalue)
    tail = tuple(_bootstrap(np.stack([a, b]), lambda s: np.percentile(s[1], 95) - np.percentile(s[0], 95), alpha, seed))
    statistic = Statistic(
        method="Mann-Whitney against the limit, Hodges-Lehmann shift", estimate=shift, interval=(low, high),
        level=1 - 2 * alpha, n_control=a.size, n_candidate=b.size, limit=limit_ms, p=p, unit="ms",
    )  # fmt: skip
    both = f"{np.percentile(a, 95):.2f} ms and {np.percentile(b, 95):.2f} ms"
    why = f"95th percentile {both}, difference {_between(tail)} ms"
    if low > limit_ms or tail[0] > limit_ms:
        return Judged(verdict=Verdict.FAIL, statistic=statistic, why=why)
    passed = p < alpha and high < limit_ms
    return Judged(verdict=Verdict.PASS if passed else Verdict.INCONCLUSIVE, statistic=statistic, why=why)


def median_difference(
    control: Sequence[float], candidate: Sequence[float], *, limit_ms: float, alpha: float, seed: int
) -> Judged:
    """Whether the median of paired differences of durations (ms) stays below `limit_ms`, by a percentile bootstrap."""
    import numpy as np

    differences = np.asarray(candidate, dtype=float) - np.asarray(control, dtype=float)
    if differences.size < 5:
        why = f"{differences.size} recordings could be timed; 5 are needed"
        return Judged(verdict=Verdict.INCONCLUSIVE, statistic=None, why=why)
    low, high = _bootstrap(differences[None, :], lambda s: np.median(s[0]), alpha, seed)
    statistic = Statistic(
        method=f"bootstrap of the median paired difference ({_RESAMPLES} resamples)",
        estimate=float(np.median(differences)), interval=(low, high), level=1 - 2 * alpha,
        n_control=differences.size, n_candidate=differences.size, limit=limit_ms, unit="ms",
    )  # fmt: skip
    verdict = Verdict.PASS if high < limit_ms else Verdict.FAIL if low > limit_ms else Verdict.INCONCLUSIVE
    return Judged(verdict=verdict, statistic=statistic, why=f"median difference {_between((low, high))} ms")


def _hodges_lehmann(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], alpha: float) -> tuple[float, float, float]:
    import numpy as np
    from scipy.special import ndtri

    a, b = (side[:: -(-side.size // _LARGEST)] for side in (a, b))
    differences = np.sort((b[:, None] - a[None, :]).ravel())
    spread = float(ndtri(1 - alpha)) * math.sqrt(a.size * b.size * (a.size + b.size + 1) / 12)
    first = max(0, math.floor(differences.size / 2 - spread))
    return float(np.median(differences)), float(differences[first]), float(differences[-1 - first])


def _bootstrap(rows: npt.NDArray[np.float64], of: _Statistic, alpha: float, seed: int) -> tuple[float, float]:
    import numpy as np

    draw = np.random.default_rng(seed)
    size = rows.shape[1]
    found = [float(of(rows[:, draw.integers(0, size, size)])) for _ in range(_RESAMPLES)]
    low, high = np.percentile(found, [100 * alpha, 100 * (1 - alpha)])
    return float(low), float(high)


def _between(interval: Sequence[float]) -> str:
    return f"{interval[0]:+z.2f} to {interval[1]:+z.2f}"
