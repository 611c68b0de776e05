"""Chances are those that scipy tells, and those that counting tells; triage imports no scipy for them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from shadowlab.triage.chances import drawn, hit, normal
from shadowlab.triage.mann_whitney import p_value

SIZES = (1, 2, 3, 10, 100, 1_000, 30_000, 2_000_000)
SHARES = (0.0, 1e-9, 0.003, 0.1, 0.5, 0.97, 1.0)


def around(mean: float, spread: float, most: int) -> list[int]:
    """Counts below the least, near the mean, far from it, and beyond the most."""
    near = [int(mean + far * spread) for far in (-30, -6, -1, 0, 1, 3, 8, 20)]
    return sorted({-1, 0, 1, 2, *(each for each in near if 0 <= each <= most), most - 1, most, most + 1})


def near(told: float, right: float, digits: int = 11) -> bool:
    """Whether so many digits are right; the least of numbers have fewer."""
    return math.isclose(told, right, rel_tol=10.0**-digits, abs_tol=1e-290)


@pytest.mark.parametrize("among", SIZES)
def test_draws_have_the_chances_that_scipy_tells(among: int):
    from scipy.stats import hypergeom

    digits = 11 if among < 104_723 else 7  # scipy counts in primes below that one, else by logarithms of factorials
    for marked in sorted({round(share * among) for share in SHARES} | {1, among}):
        for taken in sorted({round(share * among) for share in SHARES} | {1, among}):
            mean = marked * taken / among
            least = around(mean, math.sqrt(mean * (1 - marked / among)) + 1, min(marked, taken))
            right = hypergeom.sf(np.array(least) - 1, among, marked, taken)
            told = drawn(np.array(least), marked, taken=taken, among=among)
            for n, (ours, theirs) in enumerate(zip(told.tolist(), right.tolist(), strict=True)):
                assert near(ours, theirs, digits), (least[n], among, marked, taken)


@pytest.mark.parametrize("of", [0, *SIZES])
def test_hits_have_the_chances_that_scipy_tells(of: int):
    from scipy.stats import binom

    for share in SHARES:
        for least in around(of * share, math.sqrt(of * share) + 1, of):
            assert near(hit(least, of=of, share=share), binom.sf(least - 1, of, share)), (least, of, share)


def test_draws_have_the_chances_that_counting_tells():
    r = np.random.default_rng(7)
    for among in (*r.integers(1, 400, 200).tolist(), *r.integers(10**5, 10**7, 100).tolist()):
        marked, taken = r.integers(0, among + 1 if among < 400 else 50, 2).tolist()
        least = r.integers(0, min(marked, taken) + 2)
        ways = sum(math.comb(marked, k) * math.comb(among - marked, taken - k)
                   for k in range(least, min(marked, taken) + 1))  # fmt: skip
        right = Fraction(ways, math.comb(among, taken))
        assert math.isclose(drawn(least, marked, taken=taken, among=among), right, rel_tol=1e-12)


def test_many_are_told_at_once_as_each_alone():
    support = np.arange(1, 300)
    held = np.minimum(support // 3 + 2, support)
    told = drawn(held, support, taken=300, among=1_300)
    alone = [float(drawn(a, n, taken=300, among=1_300)) for a, n in zip(held.tolist(), support.tolist(), strict=True)]
    np.testing.assert_allclose(told, alone, rtol=1e-12)


def test_the_normal_distribution_is_the_one_that_scipy_tells():
    from scipy.special import ndtr

    at = [-math.inf, *np.linspace(-37, 37, 1_001).tolist(), math.inf]
    np.testing.assert_allclose([normal(each) for each in at], ndtr(at), rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("least", [3, 9])  # of few the orders are counted
def test_the_rank_test_gives_what_scipy_gives(seed: int, least: int):
    from scipy.stats import mannwhitneyu

    r = np.random.default_rng(seed)
    kinds = int(r.integers(1, 500))  # one: all are equal
    numbers, others = (r.integers(0, kinds, r.integers(least, most)).astype(float) for most in (30, 2_000))
    few, more = r.permutation(50)[: least + 20].astype(float)[:least], r.permutation(900)[: least + 20] + 0.5
    for one, other in ((numbers, others), (numbers, numbers + 0.5), (few, more), (more, few)):
        higher = mannwhitneyu(one, other, alternative="greater").pvalue
        assert math.isclose(p_value(one, other), higher, rel_tol=1e-12)
        assert math.isclose(p_value(one, other, both_ways=True), mannwhitneyu(one, other).pvalue, rel_tol=1e-12)
