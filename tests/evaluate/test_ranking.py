"""Measures by hand, and their bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.evaluate.ranking import all_gold_at, ndcg_at, recall_at, reciprocal_rank

IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)


def test_by_hand() -> None:
    ranking, gold = ["x", "a", "y", "b"], ("a", "b")
    assert recall_at(ranking, gold, 2) == 0.5
    assert recall_at(ranking, gold, 4) == 1.0
    assert not all_gold_at(ranking, gold, 3)
    assert all_gold_at(ranking, gold, 4)
    assert reciprocal_rank(ranking, gold) == 0.5
    assert reciprocal_rank(["x"], gold) == 0.0
    best = 1 + 1 / math.log2(3)
    assert ndcg_at(ranking, gold, 4) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)


@given(IDS, IDS.filter(bool), st.integers(1, 8))
def test_bounds(ranking: list[str], gold: list[str], k: int) -> None:
    assert 0 <= recall_at(ranking, gold, k) <= recall_at(ranking, gold, k + 1) <= 1
    assert 0 <= ndcg_at(ranking, gold, k) <= 1 + 1e-12
    assert all_gold_at(ranking, gold, k) == (recall_at(ranking, gold, k) == 1)


@given(IDS.filter(bool), st.integers(1, 8))
def test_the_perfect_ranking_is_perfect(gold: list[str], k: int) -> None:
    assert ndcg_at(gold, gold, k) == pytest.approx(1)
    assert reciprocal_rank(gold, gold) == 1
