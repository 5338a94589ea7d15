from __future__ import annotations

import math
import random

import numpy as np
import pytest

from graphrag.export.layout import lay_out


def _graph(n: int, seed: int = 5) -> tuple[list[tuple[int, int]], list[int]]:
    chance = random.Random(seed)
    community = [i % 7 if i < n - 10 else -1 for i in range(n)]
    edges = [(i, chance.randrange(i)) for i in range(1, n - 10)]
    return [*edges, (0, 0), (1, 2), (1, 2)], community


def test_same_input_same_places_and_the_global_generator_is_left_alone() -> None:
    edges, community = _graph(200)
    random.seed(9)
    first = lay_out([6.0] * 200, edges, [community])
    after = random.random()
    random.seed(9)
    assert random.random() == after
    assert lay_out([6.0] * 200, edges, [community]) == first


@pytest.mark.parametrize("n", [1, 2, 3, 40, 400])
def test_nodes_do_not_overlap(n: int) -> None:
    edges, community = _graph(n) if n > 20 else ([(i, i + 1) for i in range(n - 1)], [0] * n)
    radii = [4.0 + i % 9 for i in range(n)]
    points = np.array(lay_out(radii, edges, [community]))
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
    distance = np.hypot(*(points[:, None] - points[None, :]).transpose(2, 0, 1))
    touching = distance < np.add.outer(radii, radii)
    assert touching.sum() == n  # each node with itself


def test_communities_lie_apart_from_each_other() -> None:
    edges, community = _graph(300)
    points = np.array(lay_out([5.0] * 300, edges, [community]))
    labels = np.array(community)
    centres = {label: points[labels == label].mean(axis=0) for label in range(7)}
    own = [
        math.dist(point, centres[label]) for point, label in zip(points, community, strict=True) if label >= 0
    ]
    other = [math.dist(centres[a], centres[b]) for a in range(7) for b in range(a)]
    assert np.mean(own) < min(other) / 2


def test_nothing_and_nothing_but_loose_nodes() -> None:
    assert lay_out([], [], []) == []
    points = lay_out([5.0] * 600, [], [])
    assert len(set(points)) == 600
    xs, ys = zip(*points, strict=True)
    assert max(map(abs, (*xs, *ys))) < 1500
