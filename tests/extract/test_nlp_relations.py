"""PMI of co-occurring pairs."""

from __future__ import annotations

import math

import numpy as np

from graphrag.extract.nlp_relations import pmi_weights

HEADS = ["a", "b", "a", "a", "c", "c"]
TAILS = ["b", "a", "b", "c", "d", "c"]
UNITS = ["1", "1", "2", "3", "4", "4"]


def test_pmi_counts_text_units_once_and_ignores_direction() -> None:
    first, second, weight, count = pmi_weights(HEADS, TAILS, UNITS, normalised=False)
    assert list(zip(first, second, count, strict=True)) == [("a", "b", 2), ("a", "c", 1), ("c", "d", 1)]
    # units: a in 1,2,3; b in 1,2; c in 3,4; d in 4; four units
    assert np.allclose(
        weight, [math.log(2 * 4 / (3 * 2)), math.log(1 * 4 / (3 * 2)), math.log(1 * 4 / (2 * 1))]
    )


def test_normalised_pmi_is_bounded() -> None:
    _, _, weight, _ = pmi_weights(HEADS, TAILS, UNITS)
    assert (weight <= 1).all()
    assert (weight >= -1).all()
    assert pmi_weights(["a"], ["b"], ["1"])[2].tolist() == [1.0]


def test_no_pairs() -> None:
    assert [len(column) for column in pmi_weights([], [], [])] == [0, 0, 0, 0]
