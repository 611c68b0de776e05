"""The shadow run: control and candidate side by side on the same mirrored requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shadowlab.gates import sequence, stats, tapes, timing
from shadowlab.gates.bench import Bench, did_not_run
from shadowlab.records import Gate, Verdict
from shadowlab.replay import Fixture, MirrorResult

NAMES = ("speed", timing.NAME, "shadow run: errors", "shadow run: latency")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirrored:
    """The same requests through both arms, at the same time."""

    fixtures: Sequence[Fixture]
    control: Sequence[MirrorResult]
    candidate: Sequence[MirrorResult]

    def pairs(self, operations: Set[str] = frozenset()) -> stats.Pairs:
        """Failures request by request, of some operations or of all."""
        both = [
            (_failed(a), _failed(b))
            for fixture, a, b in zip(self.fixtures, self.control, self.candidate, strict=True)
            if not operations or tapes.operation(fixture) in operations
        ]
        return stats.Pairs(
            total=len(both),
            both=sum(a and b for a, b in both),
            control_only=sum(a and not b for a, b in both),
            candidate_only=sum(b and not a for a, b in both),
        )

    @property
    def well(self) -> list[tuple[MirrorResult, MirrorResult]]:
        """Requests that neither arm failed."""
        return [(a, b) for a, b in zip(self.control, self.candidate, strict=True) if not _failed(a) and not _failed(b)]

    @property
    def durations(self) -> tuple[list[float], list[float]]:
        """Milliseconds of each request that neither arm failed."""
        return [a.latency_ms for a, _ in self.well], [b.latency_ms for _, b in self.well]

    @property
    def other_answers(self) -> int:
        """Requests that both arms answered, but not alike."""
        pairs = zip(self.control, self.candidate, strict=True)
        return sum(
            not _failed(a) and not _failed(b) and (a.status, a.body_sha256) != (b.status, b.body_sha256)
            for a, b in pairs
        )

    @property
    def failing_alike(self) -> list[tuple[Fixture, str | None]]:
        """Requests that both arms failed in the same way, with the type of the error."""
        runs = zip(self.fixtures, self.control, self.candidate, strict=True)
        return [(f, a.error) for f, a, b in runs if _failed(a) and (a.status, a.error) == (b.status, b.error)]

    @property
    def unanswerable(self) -> int:
        """Requests in which the candidate asked others for more that was never recorded than the control did."""
        return sum(b.unrecorded > a.unrecorded for a, b in zip(self.control, self.candidate, strict=True))


def shadow_run(bench: Bench, *, progress: Callable[[str, int, int], None] | None = None) -> tuple[Gate, ...]:
    """Mirror the recorded traffic through both arms; judge speed, that of the changed functions, errors and latency."""
    fixtures, database = tapes.mirrored(bench)
    if not fixtures:
        why = "no stretch of recorded traffic can be mirrored"
        return tuple(did_not_run(name, "", why) for name in NAMES)
    functions = timing.changed(bench)
    timed = timing.named(functions)
    # At the same time, so that whatever else the machine does slows both.
    with (
        tapes.runner(bench, bench.base) as control,
        tapes.runner(bench, bench.patched) as candidate,
        ThreadPoolExecutor(max_workers=2) as pool,
    ):
        for runner in (control, candidate):
            runner.launch(fixtures[:1])
        first = pool.submit(control.mirror, fixtures, database, timed=timed, progress=progress)
        second = pool.submit(candidate.mirror, fixtures, database, timed=timed)
        run = Mirrored(fixtures=fixtures, control=first.result(), candidate=second.result())
        worn = sequence.worn(control, candidate, run.failing_alike)
    changed = timing.speed(bench, functions, [(a.timed, b.timed) for a, b in run.well])
    return (_speed(bench, run), changed, _errors(bench, run, worn), _latency(bench, run))


def _speed(bench: Bench, run: Mirrored) -> Gate:
    budget = bench.limits.perf_regression_budget_ms
    judged = stats.median_difference(*run.durations, limit_ms=budget, alpha=bench.alpha, seed=bench.seed)
    keeps = {Verdict.PASS: "keeps", Verdict.FAIL: "does not keep", Verdict.INCONCLUSIVE: "may not keep"}
    estimate = judged.statistic.estimate if judged.statistic else None
    difference = "" if estimate is None else f": median {estimate:+z.2f} ms a request"
    return Gate(
        name="speed", verdict=judged.verdict, observed=f"{keeps[judged.verdict]} {budget:g} ms{difference}",
        limit=f"{budget:g} ms", detail=judged.why, statistic=judged.statistic,
    )  # fmt: skip


def _errors(bench: Bench, run: Mirrored, worn: Sequence[str]) -> Gate:
    """Judged on the operations that failed; the rest of the service may not be shown to be worse either."""
    margin = bench.limits.error_margin
    operations = {tapes.operation(fixture) for fixture in tapes.failing(bench)}
    pairs, everything = run.pairs(operations), run.pairs()
    judged = stats.non_inferior(pairs, margin=margin, alpha=bench.alpha)
    whole = stats.non_inferior(everything, margin=margin, alpha=bench.alpha)
    notes = [
        *(f"{recording[:8]} fails with the candidate as without it, though not alone" for recording in worn),
        judged.why,
        f"of all operations {everything.control} and {everything.candidate} of {everything.total} fail",
    ]
    counted = (
        (everything.candidate_only, "fail with the candidate alone"),
        (run.other_answers, "answered differently"),
        (run.unanswerable, "asked for what was never recorded"),
    )
    notes += [f"{count} {what}" for count, what in counted if count]
    return Gate(
        name="shadow run: errors", verdict=Verdict.FAIL if worn or whole.verdict is Verdict.FAIL else judged.verdict,
        observed=f"error rate of control {_rate(pairs.control, pairs.total)}, "
        f"of candidate {_rate(pairs.candidate, pairs.total)} on {', '.join(sorted(operations)[:3]) or 'all requests'}",
        limit=f"not {margin:g} worse", detail="; ".join(notes), statistic=judged.statistic,
    )  # fmt: skip


def _latency(bench: Bench, run: Mirrored) -> Gate:
    budget = bench.limits.perf_regression_budget_ms
    judged = stats.slower(*run.durations, limit_ms=budget, alpha=bench.alpha, seed=bench.seed)
    estimate = judged.statistic.estimate if judged.statistic else None
    return Gate(
        name="shadow run: latency", verdict=judged.verdict,
        observed="did not run" if estimate is None else f"shift {estimate:+z.2f} ms", limit=f"{budget:g} ms",
        detail=judged.why, statistic=judged.statistic,
    )  # fmt: skip


def _rate(failures: int, total: int) -> str:
    return f"{failures}/{total} ({failures / total:.1%})" if failures else f"0/{total} (0)"


def _failed(result: MirrorResult) -> bool:
    return result.error is not None or result.status is None or result.status >= 500
