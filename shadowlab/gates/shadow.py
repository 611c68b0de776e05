"""The shadow run: control and candidate side by side on the same mirrored requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shadowlab.gates import stats, tapes
from shadowlab.gates.bench import Bench
from shadowlab.records import Gate, Verdict
from shadowlab.replay import MirrorResult

NAMES = ("speed", "shadow run: errors", "shadow run: latency")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """The same requests through both arms, each arm twice: control, candidate, candidate, control."""

    control: tuple[Sequence[MirrorResult], Sequence[MirrorResult]]
    candidate: tuple[Sequence[MirrorResult], Sequence[MirrorResult]]

    @property
    def pairs(self) -> stats.Pairs:
        """Failures of the first run of each arm, request by request."""
        both = [(_failed(a), _failed(b)) for a, b in zip(self.control[0], self.candidate[0], strict=True)]
        return stats.Pairs(
            total=len(both),
            both=sum(a and b for a, b in both),
            control_only=sum(a and not b for a, b in both),
            candidate_only=sum(b and not a for a, b in both),
        )

    @property
    def durations(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each request that no run failed, the mean of an arm's two runs.

        An arm's two runs lie around the other arm's, so that a machine that grows slower or faster favours neither.
        """
        runs = zip(*self.control, *self.candidate, strict=True)
        well = [four for four in runs if not any(map(_failed, four))]
        return (
            [(a.latency_ms + b.latency_ms) / 2 for a, b, _, _ in well],
            [(c.latency_ms + d.latency_ms) / 2 for _, _, c, d in well],
        )

    @property
    def other_answers(self) -> int:
        """Requests that both arms answered, but not alike."""
        pairs = zip(self.control[0], self.candidate[0], strict=True)
        return sum(
            not _failed(a) and not _failed(b) and (a.status, a.body_sha256) != (b.status, b.body_sha256)
            for a, b in pairs
        )

    @property
    def unsteady(self) -> int:
        """Requests that one arm did not answer twice alike: what the comparison itself cannot tell apart."""
        return sum(
            (a.status, a.error, a.body_sha256) != (b.status, b.error, b.body_sha256)
            for arm in (self.control, self.candidate)
            for a, b in zip(*arm, strict=True)
        )


def shadow_run(bench: Bench, *, progress: Callable[[str, int, int], None] | None = None) -> tuple[Gate, ...]:
    """Mirror the recorded traffic through both arms; judge speed, errors and latency."""
    fixtures, database = tapes.mirrored(bench)
    if not fixtures:
        why = "no stretch of recorded traffic can be mirrored"
        return tuple(Gate(name=name, verdict=Verdict.INCONCLUSIVE, observed="did not run", limit="", detail=why)
                     for name in NAMES)  # fmt: skip
    with tapes.runner(bench, bench.base) as control, tapes.runner(bench, bench.patched) as candidate:
        turns = (control, candidate, candidate, control)
        a, b, c, d = (runner.mirror(fixtures, database, progress=progress) for runner in turns)
    run = Mirrored(control=(a, d), candidate=(b, c))
    return (_speed(bench, run), _errors(bench, run), _latency(bench, run))


def _speed(bench: Bench, run: Mirrored) -> Gate:
    budget = bench.limits.perf_regression_budget_ms
    judged = stats.median_difference(*run.durations, limit_ms=budget, alpha=bench.alpha, seed=bench.seed)
    keeps = {Verdict.PASS: "keeps", Verdict.FAIL: "does not keep", Verdict.INCONCLUSIVE: "may not keep"}
    estimate = judged.statistic.estimate if judged.statistic else None
    told = "" if estimate is None else f": median {estimate:+.2f} ms a request"
    return Gate(
        name="speed", verdict=judged.verdict, observed=f"{keeps[judged.verdict]} {budget:g} ms{told}",
        limit=f"{budget:g} ms", detail=judged.why, statistic=judged.statistic,
    )  # fmt: skip


def _errors(bench: Bench, run: Mirrored) -> Gate:
    pairs, margin = run.pairs, bench.limits.error_margin
    judged = stats.non_inferior(pairs, margin=margin, alpha=bench.alpha)
    worse = f"; {pairs.candidate_only} fail with the candidate alone" if pairs.candidate_only else ""
    other = f"; {run.other_answers} answered differently" if run.other_answers else ""
    unsteady = f"; {run.unsteady} differ between two runs of one arm" if run.unsteady else ""
    return Gate(
        name="shadow run: errors", verdict=judged.verdict,
        observed=f"error rate of control {_rate(pairs.control, pairs.total)}, "
        f"of candidate {_rate(pairs.candidate, pairs.total)}",
        limit=f"not {margin:g} worse",
        detail=f"{judged.why}{worse}{other}{unsteady}", statistic=judged.statistic,
    )  # fmt: skip


def _latency(bench: Bench, run: Mirrored) -> Gate:
    budget = bench.limits.perf_regression_budget_ms
    judged = stats.slower(*run.durations, limit_ms=budget, alpha=bench.alpha, seed=bench.seed)
    estimate = judged.statistic.estimate if judged.statistic else None
    return Gate(
        name="shadow run: latency", verdict=judged.verdict,
        observed="did not run" if estimate is None else f"shift {estimate:+.2f} ms", limit=f"{budget:g} ms",
        detail=judged.why, statistic=judged.statistic,
    )  # fmt: skip


def _rate(failures: int, total: int) -> str:
    return f"{failures}/{total} ({failures / total:.1%})" if failures else f"0/{total} (0)"


def _failed(result: MirrorResult) -> bool:
    return result.error is not None or result.status is None or result.status >= 500
