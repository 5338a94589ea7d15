"""Places for the nodes of a picture: communities first, each laid out by itself, then packed as discs.

A force-directed layout of a whole knowledge graph is a hairball around its hubs. Here every community gets
its own disc, laid out by Fruchterman and Reingold, "Graph Drawing by Force-directed Placement" (1991);
large communities are made of the discs of their sub-communities. Discs that share relationships attract
each other, discs may not overlap, and each disc is turned so that its outward relationships are short.
What has no relationship to the rest forms rings around it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2)
Edges = NDArray[np.int64]  # (m, 2)

SPACING = 34.0  # distance between neighbouring small nodes, in units of the page
STRETCH = 1.5  # width by height of the whole
MARGIN = 8.0  # around a node, for its label
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_SPLIT_ABOVE = 90  # nodes; larger communities are built from their sub-communities
_PACKED = 160  # discs packed one by one; more of them form rings
_DIRECTIONS = 32
_DENSE_BELOW = 300  # points; all pairs are cheaper than a sweep


def lay_out(
    radii: Sequence[float],
    edges: Sequence[tuple[int, int]],
    partitions: Sequence[Sequence[int]],
    *,
    seed: int = 42,
) -> list[tuple[float, float]]:
    """Place nodes of the given ``radii``; return their coordinates, centred on (0, 0), rounded to a tenth.

    ``edges`` join node numbers. ``partitions`` name each node's community, coarsest partition first; -1 is
    none. Nodes do not overlap. Deterministic for a seed; half a second for 5,000 nodes in 60 communities.
    """
    if not radii:
        return []
    pairs = np.array([edge for edge in edges if edge[0] != edge[1]], dtype=np.int64).reshape(-1, 2)
    labels = [np.asarray(partition, dtype=np.int64) for partition in partitions]
    with _seeded(seed):
        points = _place(
            np.arange(len(radii)), np.maximum(np.asarray(radii) + MARGIN, SPACING / 2), pairs, labels, STRETCH
        )
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    # Adding zero turns -0.0 into 0.0.
    return [(round(float(x), 1) + 0.0, round(float(y), 1) + 0.0) for x, y in points]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give igraph a generator of its own for a while; its default is Python's global one."""
    import igraph

    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 (a layout, no secret)
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def _place(
    members: NDArray[np.int64],
    sizes: NDArray[np.float64],
    edges: Edges,
    partitions: list[NDArray[np.int64]],
    stretch: float,
) -> Points:
    """Place ``members`` (node numbers); ``sizes`` and ``edges`` go by position in ``members``."""
    groups = _groups(members, edges, partitions)
    if len(groups) == 1:
        deeper = partitions[1:]
        return _place(members, sizes, edges, deeper, stretch) if deeper else _spread(sizes, edges)
    group_of = np.empty(len(members), dtype=np.int64)
    for number, group in enumerate(groups):
        group_of[group] = number
    inside = group_of[edges[:, 0]] == group_of[edges[:, 1]]
    parts = []
    for number, group in enumerate(groups):
        position = np.full(len(members), -1, dtype=np.int64)
        position[group] = np.arange(len(group))
        own = position[edges[inside & (group_of[edges[:, 0]] == number)]]
        deeper = partitions[1:] if len(group) > _SPLIT_ABOVE else []
        part = (
            _place(members[group], sizes[group], own, deeper, 1.0) if deeper else _spread(sizes[group], own)
        )
        parts.append(part - (part.min(axis=0) + part.max(axis=0)) / 2)
    radii = np.array(
        [(np.hypot(*part.T) + sizes[group]).max() for part, group in zip(parts, groups, strict=True)]
    )
    radii += np.where(radii > SPACING, SPACING * 0.4, 0.0)
    centres = _pack(radii, group_of[edges[~inside]], stretch)
    _turn(parts, centres, groups, group_of, edges[~inside])
    points = np.empty((len(members), 2))
    for centre, group, part in zip(centres, groups, parts, strict=True):
        points[group] = part + centre
    return points


def _groups(
    members: NDArray[np.int64], edges: Edges, partitions: list[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """Split into connected pieces of communities; each group holds positions in ``members``, ascending."""
    import igraph

    labels = partitions[0][members] if partitions else np.full(len(members), -1, dtype=np.int64)
    joined = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    component = igraph.Graph(n=len(members), edges=joined.tolist()).connected_components().membership
    groups: dict[tuple[int, int], list[int]] = {}
    for position, (label, part) in enumerate(zip(labels.tolist(), component, strict=True)):
        # A community stays together even when its members are joined only through others.
        groups.setdefault((label, -1) if label >= 0 else (label, part), []).append(position)
    return [np.array(group, dtype=np.int64) for group in groups.values()]


def _spread(sizes: NDArray[np.float64], edges: Edges) -> Points:
    """Lay out one group by itself so that neighbours are about ``SPACING`` apart."""
    import igraph

    n = len(sizes)
    start = _spiral(n)
    if n < 3:
        return _push_apart(start * SPACING, sizes)
    graph = igraph.Graph(n=n, edges=edges.tolist()).simplify()
    layout = graph.layout_fruchterman_reingold(seed=start.tolist(), niter=500, grid=n > 400)
    points: Points = np.asarray(layout.coords, dtype=np.float64)
    points -= points.mean(axis=0)
    return _push_apart(_fill_disc(points, sizes), sizes)


def _fill_disc(points: Points, sizes: NDArray[np.float64]) -> Points:
    """Keep every direction and bring the distances nearer to those of an evenly filled disc."""
    n = len(points)
    distance = np.hypot(*points.T)
    reach = 1.12 * math.sqrt(float((sizes**2).sum()) * 1.5)
    rank = np.empty(n)
    rank[np.argsort(distance, kind="stable")] = np.arange(n)
    even = np.sqrt((rank + 0.3) / n)
    own = np.sqrt(distance / (float(distance.max()) or 1.0))
    scale = reach * (0.65 * even + 0.35 * own) / np.maximum(distance, 1e-9)
    filled: Points = points * scale[:, None]
    return filled


def _spiral(n: int) -> Points:
    """Return ``n`` points as seeds stand in a sunflower, one unit apart."""
    index = np.arange(n)
    angle = index * _GOLDEN_ANGLE
    spiral: Points = 0.6 * np.sqrt(index)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return spiral


def _push_apart(points: Points, radii: NDArray[np.float64], rounds: int = 60) -> Points:
    """Move overlapping discs apart, each pair by half its overlap, until none overlaps or rounds are over."""
    for _ in range(rounds):
        step = _overlap_step(points, radii)
        if step is None:
            break
        points = points + step
    return points


def _overlap_step(points: Points, radii: NDArray[np.float64]) -> Points | None:
    heads, tails = _near(points, 2 * float(radii.max()))
    apart = points[heads] - points[tails]
    distance = np.hypot(*apart.T)
    overlap = radii[heads] + radii[tails] - distance
    touching = overlap > 1e-6
    if not touching.any():
        return None
    heads, tails, apart = heads[touching], tails[touching], apart[touching]
    distance, overlap = distance[touching], overlap[touching]
    # Points in the same place need some direction: the golden angle of their number gives each its own.
    same = distance < 1e-9
    apart[same] = np.column_stack([np.cos(heads[same] * _GOLDEN_ANGLE), np.sin(heads[same] * _GOLDEN_ANGLE)])
    push = apart * (overlap / 2 / np.where(same, 1.0, distance))[:, None]
    n = len(points)
    return np.column_stack(
        [np.bincount(heads, push[:, axis], n) - np.bincount(tails, push[:, axis], n) for axis in (0, 1)]
    )


def _near(points: Points, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every pair of points that may be closer than ``reach``, by a sweep along x for large sets."""
    n = len(points)
    if n <= _DENSE_BELOW:
        return np.triu_indices(n, 1)
    order = np.argsort(points[:, 0], kind="stable")
    x, y = points[order, 0], points[order, 1]
    heads, tails = [], []
    for offset in range(1, n):
        close = x[offset:] - x[:-offset] < reach
        if not close.any():
            break
        found = np.flatnonzero(close & (np.abs(y[offset:] - y[:-offset]) < reach))
        heads.append(order[found])
        tails.append(order[found + offset])
    return np.concatenate(heads or [order[:0]]), np.concatenate(tails or [order[:0]])


def _pack(radii: NDArray[np.float64], links: Edges, stretch: float) -> Points:
    """Place discs without overlap: the largest in the middle, each next one where it costs least.

    The cost of a place is its distance from the middle, measured so that the whole comes out ``stretch``
    times as wide as high, and from the discs it is linked to. After the ``_PACKED`` largest the rest form
    rings.
    """
    n = len(radii)
    stretch = stretch if n <= _PACKED else 1.0  # rings are round
    weights = np.zeros((n, n))
    np.add.at(weights, (links[:, 0], links[:, 1]), 1.0)
    weights = np.log1p(weights + weights.T)
    # Linked discs first among those of one size, so that the ones without a tie end up outside.
    order = np.lexsort((np.arange(n), weights.sum(axis=1) == 0, -np.round(radii / SPACING)))
    centres = np.zeros((n, 2))
    around = np.arange(_DIRECTIONS) * (2 * math.pi / _DIRECTIONS)
    ring = np.column_stack([np.cos(around), np.sin(around)])
    for count in range(1, min(n, _PACKED)):
        own, there = order[count], order[:count]
        reach = radii[there] + radii[own]
        places = (centres[there][:, None, :] + ring[None, :, :] * (reach * 1.0001)[:, None, None]).reshape(
            -1, 2
        )
        cost = np.hypot(places[:, 0] / stretch, places[:, 1])
        pull = weights[own, there]
        if pull.any():
            tied = np.flatnonzero(pull)
            away = np.hypot(*(places[:, None, :] - centres[there[tied]][None, :, :]).transpose(2, 0, 1))
            cost = cost + 0.9 * (away @ pull[tied]) / pull.sum()
        centres[own] = _first_free(places[np.argsort(cost, kind="stable")], centres[there], reach)
    packed, rest = order[:_PACKED], order[_PACKED:]
    reach_of_all = float((np.hypot(*centres[packed].T) + radii[packed]).max())
    centres[rest] = _rings(radii[rest], reach_of_all)
    return centres


def _first_free(places: Points, centres: Points, reach: NDArray[np.float64]) -> Points:
    """Return the first place that keeps its distance to all centres; far enough out there always is one."""
    for start in range(0, len(places), 128):
        batch = places[start : start + 128]
        apart = batch[:, None, :] - centres[None, :, :]
        free = ((apart**2).sum(axis=2) >= reach**2).all(axis=1)
        if free.any():
            found: Points = batch[int(np.argmax(free))]
            return found
    raise AssertionError("a place touching the outermost disc from outside is free")


def _rings(radii: NDArray[np.float64], reach: float) -> Points:
    """Place discs in rings around a disc of radius ``reach``, large ones first, each ring evenly spread."""
    centres = np.zeros((len(radii), 2))
    order = np.argsort(-radii, kind="stable")
    at = 0
    while at < len(order):
        widest = float(radii[order[at]])
        ring = reach + widest
        taken, turn = at, 0.0
        while taken < len(order):
            angle = 2 * math.asin(min(1.0, float(radii[order[taken]]) / ring))
            if taken > at and turn + angle > 2 * math.pi:
                break
            turn += angle
            taken += 1
        # The last ring may be short: it keeps its gaps small and is centred at the bottom.
        slack = (2 * math.pi - turn) / (taken - at) if taken < len(order) or turn > math.pi else 0.0
        cursor = math.pi / 2 - turn / 2 if slack == 0.0 else -math.pi / 2
        for number in order[at:taken]:
            angle = 2 * math.asin(min(1.0, float(radii[number]) / ring))
            middle = cursor + angle / 2
            centres[number] = ring * math.cos(middle), ring * math.sin(middle)
            cursor += angle + slack
        at, reach = taken, reach + 2 * widest
    return centres


def _turn(
    parts: list[Points],
    centres: Points,
    groups: list[NDArray[np.int64]],
    group_of: NDArray[np.int64],
    links: Edges,
) -> None:
    """Turn each disc so that its members face those they are linked to outside (three sweeps)."""
    place = np.empty(len(group_of), dtype=np.int64)
    for group in groups:
        place[group] = np.arange(len(group))
    both = np.concatenate([links, links[:, ::-1]])
    by_group = [both[group_of[both[:, 0]] == number] for number in range(len(groups))]
    for _ in range(3):
        for number, own in enumerate(by_group):
            if len(own) == 0 or len(parts[number]) == 1:
                continue
            inner = parts[number][place[own[:, 0]]]
            far = group_of[own[:, 1]]
            outer = np.array(
                [parts[g][p] for g, p in zip(far.tolist(), place[own[:, 1]].tolist(), strict=True)]
            )
            outer = outer + centres[far] - centres[number]
            outer /= np.maximum(np.hypot(*outer.T), 1e-9)[:, None]
            parts[number] = _best_rotation(parts[number], inner, outer)


def _best_rotation(part: Points, inner: Points, outer: Points) -> Points:
    """Rotate ``part``, mirrored or not, so that the dot products of inner and outer sum to the most."""
    best: tuple[float, Points] | None = None
    for mirror in (1.0, -1.0):
        flipped = inner * (1.0, mirror)
        along = float((flipped * outer).sum())
        across = float((flipped[:, 0] * outer[:, 1] - flipped[:, 1] * outer[:, 0]).sum())
        gain = math.hypot(along, across)
        if best is None or gain > best[0] + 1e-9:
            angle = math.atan2(across, along)
            turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
            best = gain, (part * (1.0, mirror)) @ turn
    assert best is not None
    return best[1]
