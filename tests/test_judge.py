"""Control against candidate, from counts alone."""

import random

import pytest

from shadowlab import errors
from shadowlab.gates import judge
from shadowlab.gates.canary import decide
from shadowlab.records import Verdict


def test_seven_of_ten_against_none_fails():
    judged = judge((0, 10), (7, 10))
    assert judged.verdict is Verdict.FAIL
    assert judged.interval[0] > judged.margin
    assert judged.e_value is not None
    assert judged.e_value >= 1 / judged.alpha


@pytest.mark.parametrize("counts", [((3, 6), (0, 6)), ((0, 6), (3, 6)), ((4, 60), (0, 60)), ((0, 60), (4, 60))])
def test_sparse_errors_are_inconclusive_and_say_how_many_more(counts):
    judged = judge(*counts)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.samples_needed
    assert judged.samples_needed > 0


def test_no_failure_anywhere_passes_only_with_enough_requests():
    assert judge((0, 1000), (0, 1000)).verdict is Verdict.INCONCLUSIVE
    assert judge((0, 8000), (0, 8000)).verdict is Verdict.PASS


def test_samples_needed_are_enough_when_the_rates_go_on():
    judged = judge((0, 1000), (0, 1000))
    assert judged.samples_needed is not None
    n = 1000 + judged.samples_needed
    assert judge((0, n), (0, n)).verdict is Verdict.PASS


def test_no_request_at_all_is_inconclusive_and_nothing_can_be_said():
    judged = judge((0, 0), (0, 0))
    assert (judged.verdict, judged.interval, judged.samples_needed) == (Verdict.INCONCLUSIVE, (-1.0, 1.0), None)


def test_a_fixed_fault_passes():
    judged = judge((42, 1500), (0, 1500))
    assert judged.verdict is Verdict.PASS
    assert judged.interval[1] < 0


@pytest.mark.parametrize("candidate", [0, 3, 9, 30, 80])
def test_the_verdict_is_the_side_of_the_margin_on_which_the_interval_lies(candidate):
    judged = judge((10, 200), (candidate, 200), margin=0.01)
    low, high = judged.interval
    sides = {high < 0.01: Verdict.PASS, low > 0.01: Verdict.FAIL}
    assert judged.verdict is sides.get(True, Verdict.INCONCLUSIVE)


def test_ties_and_certain_failures_have_intervals_inside_minus_one_and_one():
    for counts in (((5, 5), (5, 5)), ((0, 5), (5, 5)), ((5, 5), (0, 5)), ((1, 1), (0, 0))):
        low, high = judge(*counts).interval
        assert low is not None
        assert high is not None
        assert -1 <= low <= high <= 1


def test_the_same_counts_give_the_same_record():
    assert judge((3, 200), (9, 210)).digest == judge((3, 200), (9, 210)).digest


def _ever_wrong(rate: float, difference: float, wrong: Verdict, *, seed: int, looks: int, step: int) -> bool:
    draw = random.Random(seed)
    control = candidate = total = 0
    for _ in range(looks):
        control += sum(draw.random() < rate for _ in range(step))
        candidate += sum(draw.random() < rate + difference for _ in range(step))
        total += step
        if decide((control, total, candidate, total), margin=0.001, alpha=0.05) is wrong:
            return True
    return False


def test_thirty_looks_raise_no_more_false_alarms_than_alpha():
    # A fixed-sample 5 % test looked at thirty times at these rates rejects about one time in four.
    alarms = sum(_ever_wrong(0.01, 0.0, Verdict.FAIL, seed=n, looks=30, step=100) for n in range(300))
    assert alarms <= 15 + 2 * (300 * 0.05 * 0.95) ** 0.5


def test_thirty_looks_let_no_more_bad_candidates_pass_than_alpha():
    passes = sum(_ever_wrong(0.01, 0.001, Verdict.PASS, seed=n, looks=30, step=100) for n in range(300))
    assert passes <= 15 + 2 * (300 * 0.05 * 0.95) ** 0.5


@pytest.mark.parametrize("control", [(-1, 5), (6, 5), (True, 5), (1, 2, 3), (0.5, 2)])
def test_counts_that_cannot_be_are_refused(control):
    with pytest.raises(errors.UsageError, match="control counts"):
        judge(control, (0, 5))


@pytest.mark.parametrize(
    ("margin", "alpha", "told"), [(0.001, 0, "alpha"), (0.001, 1, "alpha"), (-0.1, 0.05, "margin")]
)
def test_a_margin_or_alpha_that_cannot_be_is_refused(margin, alpha, told):
    with pytest.raises(errors.UsageError, match=told):
        judge((0, 5), (0, 5), margin=margin, alpha=alpha)
