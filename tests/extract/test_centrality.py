from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.extract import centrality
from graphrag.extract.centrality import central_sentences

# 0, 1, 2 speak of one thing, 3 of another, 4 of a third.
VECTORS = np.array([[1, 0.2, 0, 0], [1, 0, 0, 0], [1, -0.2, 0, 0], [0, 0, 1, 0.2], [0, 0, 0, 1.0]])


def test_the_sentence_between_its_like_is_most_central() -> None:
    assert central_sentences(VECTORS, 1) == [1]


def test_without_redundancy_the_like_follow_and_with_it_the_unlike() -> None:
    assert set(central_sentences(VECTORS, 3, redundancy=0.0)) == {0, 1, 2}
    second = central_sentences(VECTORS, 2, redundancy=0.7)[1]
    assert second in {3, 4}


def test_prior_moves_the_choice() -> None:
    assert central_sentences(VECTORS, 1, prior=[1, 1, 1, 1, 100])[0] == 4
    assert central_sentences(np.eye(3), 3, prior=[1, 3, 2]) == [1, 2, 0]


def test_equal_scores_go_by_position() -> None:
    assert central_sentences(np.eye(4), 4) == [0, 1, 2, 3]
    assert central_sentences(np.zeros((3, 5)), 2) == [0, 1]


def test_nothing_to_choose() -> None:
    assert central_sentences(np.zeros((0, 8)), 3) == []
    assert central_sentences(np.array([]), 3) == []
    assert central_sentences(np.eye(2), 0) == []


def test_unusable_arguments_are_errors() -> None:
    for prior in ([1.0], [0.0, 0.0], [1.0, -1.0]):
        with pytest.raises(ValueError, match="prior"):
            central_sentences(np.eye(2), 1, prior=prior)
    with pytest.raises(ValueError, match="redundancy"):
        central_sentences(np.eye(2), 1, redundancy=1.5)
    with pytest.raises(ValueError, match="shape"):
        central_sentences(np.ones(3), 1)


def test_scores_solve_their_equation() -> None:
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    score = centrality._centrality(unit, np.full(5, 0.2))
    similarity = np.clip(unit @ unit.T, 0, None) - np.eye(5)
    links = similarity / similarity.sum(axis=1).max()
    assert score == pytest.approx(np.linalg.solve(np.eye(5) - 0.85 * links, np.full(5, 0.03)), abs=1e-8)


def test_two_odd_sentences_that_agree_do_not_beat_many() -> None:
    rng = np.random.default_rng(2)
    many = np.hstack([np.ones((20, 1)), rng.normal(size=(20, 4)) * 0.5, np.zeros((20, 1))])
    odd = np.array([[0, 0, 0, 0, 0, 1.0]] * 2)
    assert not set(central_sentences(np.vstack([odd, many]), 10, redundancy=0.0)) & {0, 1}


def test_many_sentences_are_ranked_by_their_centroid() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 16))
    rows[:2000] = rng.normal(size=(2000, 16)) * 0.05 + np.eye(16)[0]
    chosen = central_sentences(rows, 5, redundancy=0.0)
    assert all(number < 2000 for number in chosen)
    assert chosen == central_sentences(rows, 5, redundancy=0.0)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(0, 15), st.integers(0, 1000))
def test_choices_are_distinct_and_repeatable(count: int, k: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    chosen = central_sentences(rows, k)
    assert len(chosen) == len(set(chosen)) == min(k, count)
    assert chosen == central_sentences(rows * 3.0, k)
    assert chosen[: k // 2] == central_sentences(rows, k // 2)
