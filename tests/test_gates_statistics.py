"""The statistics of the shadow run, and how a report draws them."""

import random

import pytest

from shadowlab.gates import stats
from shadowlab.gates.plots import plot_gates
from shadowlab.records import Gate, GateReport, Verdict
from shadowlab.views import still


def pairs(total, *, both=0, control_only=0, candidate_only=0):
    return stats.Pairs(total=total, both=both, control_only=control_only, candidate_only=candidate_only)


def judged(counted):
    return stats.non_inferior(counted, margin=0.001, alpha=0.05)


def test_no_failure_in_either_arm_is_no_pass_and_says_what_it_takes():
    found = judged(pairs(1500))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "3,688 requests" in found.why
    assert found.statistic is not None
    assert found.statistic.p is not None
    assert found.statistic.p > 0.05


def test_no_failure_in_either_arm_passes_by_the_exact_bound_once_there_is_enough():
    found = judged(pairs(3700))
    assert found.verdict is Verdict.PASS
    assert found.statistic is not None
    assert "exact" in found.statistic.method
    assert 0 < found.statistic.p < 0.05


def test_a_fixed_fault_passes_with_its_interval_below_the_margin():
    found = judged(pairs(1500, control_only=42))
    assert found.verdict is Verdict.PASS
    assert found.statistic.interval[1] < 0.001
    assert (found.statistic.n_control, found.statistic.estimate) == (1500, -0.028)


def test_a_candidate_that_fails_more_fails():
    assert judged(pairs(300, candidate_only=30)).verdict is Verdict.FAIL
    assert judged(pairs(300, both=6, candidate_only=60)).verdict is Verdict.FAIL


def test_few_requests_are_inconclusive():
    assert judged(pairs(50, control_only=2)).verdict is Verdict.INCONCLUSIVE
    assert judged(pairs(0)).verdict is Verdict.INCONCLUSIVE


def test_the_score_test_is_used_when_both_arms_have_failures():
    found = judged(pairs(1500, both=20, control_only=22, candidate_only=1))
    assert found.verdict is Verdict.PASS
    assert "statsmodels" in found.statistic.method
    assert found.statistic.e_value > 0


@pytest.mark.parametrize(("both", "share"), [(0.0, 0.011), (0.05, 0.002)])
def test_a_candidate_that_is_worse_by_the_margin_passes_no_more_often_than_alpha(both, share):
    draw, passed = random.Random(1), 0
    for _ in range(200):
        failing = sum(draw.random() < both for _ in range(800))
        worse = sum(draw.random() < share for _ in range(800))
        found = stats.non_inferior(pairs(800, both=failing, candidate_only=worse), margin=share, alpha=0.05)
        passed += found.verdict is Verdict.PASS
    assert passed <= 10 + 2 * (200 * 0.05 * 0.95) ** 0.5


def durations(seed, *, shift=0.0, size=300):
    draw = random.Random(seed)
    return [draw.gammavariate(4, 1) + shift for _ in range(size)]


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0, Verdict.PASS), (3, Verdict.PASS), (5, Verdict.INCONCLUSIVE), (8, Verdict.FAIL)]
)
def test_a_shift_of_latency_is_held_against_the_limit(shift, verdict):
    found = stats.slower(durations(1), durations(1, shift=shift), limit_ms=5, alpha=0.05, seed=0)
    assert found.verdict is verdict
    assert found.statistic.estimate == pytest.approx(shift, abs=0.01)


def test_a_longer_tail_fails_though_the_middle_is_where_it_was():
    slow = [d + (40 if n % 10 == 0 else 0) for n, d in enumerate(durations(1))]
    assert stats.slower(durations(1), slow, limit_ms=5, alpha=0.05, seed=0).verdict is Verdict.FAIL


def test_the_same_seed_gives_the_same_interval():
    one, two = (stats.median_difference(durations(1), durations(2), limit_ms=5, alpha=0.05, seed=7) for _ in range(2))
    assert one == two


def test_too_few_timings_are_inconclusive():
    assert stats.slower([1.0], [1.0], limit_ms=5, alpha=0.05, seed=0).verdict is Verdict.INCONCLUSIVE
    assert stats.median_difference([], [], limit_ms=5, alpha=0.05, seed=0).verdict is Verdict.INCONCLUSIVE


def test_the_figure_draws_every_interval_with_its_limit():
    found = judged(pairs(1500, control_only=42))
    gate = Gate(name="shadow run: errors", verdict=found.verdict, observed="", limit="", statistic=found.statistic)
    figure = plot_gates(GateReport(verdict=Verdict.PASS, gates=(gate,)))
    assert list(figure.data[0].x) == [-0.028]
    assert 0.001 in [shape.x0 for shape in figure.layout.shapes]
    assert "n = 1,500" in still.draw(figure)


def test_the_figure_of_a_report_without_intervals_says_so():
    assert "no gate with an interval" in still.draw(plot_gates(GateReport(verdict=Verdict.INCONCLUSIVE)))
