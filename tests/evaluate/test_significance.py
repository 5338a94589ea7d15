"""Significance tests against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from graphrag.evaluate.significance import bootstrap_interval, mcnemar, paired_bootstrap


def test_equal_systems_do_not_differ() -> None:
    same = paired_bootstrap([0.5, 1.0, 0.0], [0.5, 1.0, 0.0])
    assert (same.mean, same.p, same.n) == (0.0, 1.0, 3)
    assert mcnemar([True, False], [True, False]) == 1.0


def test_a_clear_difference_is_found_and_its_sign_kept() -> None:
    ours, theirs = np.ones(60), np.tile([1.0, 0.0, 0.0], 20)
    better = paired_bootstrap(ours, theirs)
    assert better.p < 0.001
    assert 0 < better.low <= better.mean <= better.high
    worse = paired_bootstrap(theirs, ours)
    assert worse.mean == -better.mean
    assert worse.p == pytest.approx(better.p)


def test_noise_is_not_called_a_difference() -> None:
    generator = np.random.default_rng(5)
    ps = [
        paired_bootstrap(generator.random(80), generator.random(80), samples=500, seed=seed).p
        for seed in range(60)
    ]
    assert sum(p < 0.05 for p in ps) <= 9  # three are expected; more than nine have a chance below 0.002


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(1).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    interval = bootstrap_interval(values)
    assert interval.low < interval.mean < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 50**0.5, rel=0.15)


def test_different_numbers_of_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="same questions: 2 and 1"):
        paired_bootstrap([1.0, 0.0], [1.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(pairs: list[tuple[bool, bool]]) -> None:
    wins = sum(a and not b for a, b in pairs)
    losses = sum(b and not a for a, b in pairs)
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx(expected)
