"""Hierarchical communities by the Leiden algorithm.

Level 0 is a Leiden partition of the whole graph (Traag, Waltman and van Eck, "From Louvain to
Leiden: guaranteeing well-connected communities", 2019). Every community that is too large is
partitioned again on the graph of its members alone, which makes the next level, until it is small
enough or does not fall apart any more.

An update starts from the partition before (:mod:`graphrag.graph.seeds`).

Nothing is left out: every component stays, and an entity without relationships is a community of
one at level 0. ``max_comm_size`` of leidenalg is not used, because version 0.12 ignores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrag.graph.build import Floats, FoldedEdges, Integers, fold_edges
from graphrag.graph.seeds import NO_LABEL, Seeds, connected_labels
from graphrag.hashing import content_hash
from graphrag.schema import COMMUNITIES
from graphrag.settings import CommunitySettings

_ITERATIONS = 2  # more change little and cost as much again
_CPM_STEPS = 40  # doublings of the resolution; beyond, no weight is left to hold anything together


@dataclass(slots=True)
class _Community:
    members: Integers  # vertex numbers, ascending
    level: int
    parent: _Community | None
    number: int = -1
    children: list[int] = field(default_factory=list)


def detect_communities(
    entity_ids: Sequence[str] | pa.ChunkedArray,
    relationships: pa.Table,
    settings: CommunitySettings,
    seeds: Seeds | None = None,
) -> pa.Table:
    """Find the hierarchy of communities (``schema.COMMUNITIES``, sorted by ``community``).

    Level 0 partitions all entities; the children of a community partition its members; a
    community without children is either not larger than ``settings.max_size`` or Leiden found
    nothing to split in it. Numbers run over all levels, by level, then size (largest first), then
    smallest member id. Titles are "Community N".

    Deterministic: the same entities, relationships and seeds give the same table, whatever the order
    of the rows and in every process. With ``seeds`` in which every entity is fixed the partition is the
    one before. CPM communities are optimal at their own resolution, so each
    deeper level doubles it.
    """
    edges = fold_edges(entity_ids, relationships)
    found = _hierarchy(edges, settings, seeds)
    found.sort(key=lambda one: (one.level, -len(one.members), one.members[0]))
    for number, community in enumerate(found):
        community.number = number
        if community.parent is not None:
            community.parent.children.append(number)
    return _table(found, edges.ids)


def _hierarchy(edges: FoldedEdges, settings: CommunitySettings, seeds: Seeds | None) -> list[_Community]:
    everything = _Community(np.arange(len(edges.ids), dtype=np.int64), level=-1, parent=None)
    found: list[_Community] = []
    parents = [everything] if edges.ids else []
    while parents:
        level: list[_Community] = []
        for parent, subgraph in zip(parents, _subgraphs(parents, edges), strict=True):
            labels = _leiden(subgraph, parent.members, parent.level + 1, settings, seeds)
            parts = _parts(parent.members, labels)
            if parent is everything:
                level.extend(_Community(part, 0, None) for part in parts)
            elif len(parts) > 1:
                level.extend(_Community(part, parent.level + 1, parent) for part in parts)
        found.extend(level)
        parents = [community for community in level if len(community.members) > settings.max_size]
    return found


def _subgraphs(parents: list[_Community], edges: FoldedEdges) -> list[tuple[Integers, Integers, Floats]]:
    """Return the edges inside each of the disjoint ``parents``, by places within its members.

    One pass over all edges for a whole level, not one per community.
    """
    owner = np.full(len(edges.ids), -1, dtype=np.int64)
    place = np.zeros(len(edges.ids), dtype=np.int64)
    for index, parent in enumerate(parents):
        owner[parent.members] = index
        place[parent.members] = np.arange(len(parent.members))
    of_edge = np.where(owner[edges.low] == owner[edges.high], owner[edges.low], -1)
    order = np.argsort(of_edge, kind="stable")
    bounds = np.searchsorted(of_edge[order], np.arange(len(parents) + 1))
    slices = (order[begin:end] for begin, end in pairwise(bounds))
    return [(place[edges.low[rows]], place[edges.high[rows]], edges.weight[rows]) for rows in slices]


def _leiden(
    edges: tuple[Integers, Integers, Floats],
    members: Integers,
    level: int,
    settings: CommunitySettings,
    seeds: Seeds | None,
) -> Integers:
    """Return a community label for each of ``members``; vertices without edges stay alone."""
    low, high, weight = edges
    size = len(members)
    labels = np.full(size, NO_LABEL, dtype=np.int64)
    connected, ends = np.unique(np.concatenate((low, high)), return_inverse=True)
    if len(connected):
        pairs = ends.reshape(2, -1).T
        before = seeds.at(level, members[connected]) if seeds is not None else None
        labels[connected] = (
            _optimise(pairs, weight, len(connected), level, settings)
            if before is None
            else _move_free(pairs, weight, before, level, settings)
        )
    alone = np.flatnonzero(labels == NO_LABEL)
    labels[alone] = len(connected) + np.arange(len(alone))
    return labels


def _move_free(
    pairs: Integers,
    weight: Floats,
    before: tuple[Integers, npt.NDArray[np.bool_]],
    level: int,
    settings: CommunitySettings,
) -> Integers:
    """Start from the labels before; only vertices that are not fixed may move."""
    labels, fixed = before
    start = labels.copy()
    new = np.flatnonzero(start == NO_LABEL)
    start[new] = start.max() + 1 + np.arange(len(new))
    _, start = np.unique(start, return_inverse=True)
    if not fixed.all() and weight.any():
        import igraph
        import leidenalg

        graph = igraph.Graph(n=len(start), edges=pairs.tolist())
        partition = _quality(settings)(
            graph,
            initial_membership=start.tolist(),
            weights=weight.tolist(),
            resolution_parameter=_resolution(settings, level),
        )
        optimiser = leidenalg.Optimiser()
        optimiser.set_rng_seed(settings.seed)
        optimiser.optimise_partition(partition, n_iterations=_ITERATIONS, is_membership_fixed=fixed.tolist())
        start = np.asarray(partition.membership, dtype=np.int64)
    return connected_labels(pairs, start)


def _quality(settings: CommunitySettings) -> Any:
    import leidenalg

    modularity = settings.quality == "modularity"
    return leidenalg.RBConfigurationVertexPartition if modularity else leidenalg.CPMVertexPartition


def _resolution(settings: CommunitySettings, level: int, step: int = 0) -> float:
    """Return the resolution of a level: CPM communities are optimal at their own, so it is doubled."""
    return settings.resolution * (1.0 if settings.quality == "modularity" else 2.0 ** (level + step))


def _optimise(
    pairs: Integers, weight: Floats, size: int, level: int, settings: CommunitySettings
) -> Integers:
    import igraph
    import leidenalg

    graph = igraph.Graph(n=size, edges=pairs.tolist())
    if not weight.any():  # modularity of a weightless graph is 0 / 0
        return np.asarray(graph.connected_components().membership, dtype=np.int64)
    for step in range(1 if settings.quality == "modularity" or level == 0 else _CPM_STEPS):
        partition = leidenalg.find_partition(
            graph,
            _quality(settings),
            weights=weight.tolist(),
            n_iterations=_ITERATIONS,
            seed=settings.seed,
            resolution_parameter=_resolution(settings, level, step),
        )
        if len(partition) > 1:
            break
    if level > 0 and len(partition) == size:
        return np.zeros(size, dtype=np.int64)  # crumbs are no communities: it stays as it is
    return np.asarray(partition.membership, dtype=np.int64)


def _parts(members: Integers, labels: Integers) -> list[Integers]:
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order])) + 1
    return list(np.split(members[order], bounds))


def _table(found: list[_Community], ids: list[str]) -> pa.Table:
    names = np.array(ids, dtype=object)
    members = [names[community.members].tolist() for community in found]
    columns = {
        "id": [
            content_hash("community", community.level, inside)
            for community, inside in zip(found, members, strict=True)
        ],
        "community": [community.number for community in found],
        "level": [community.level for community in found],
        "parent": [-1 if community.parent is None else community.parent.number for community in found],
        "children": [community.children for community in found],
        "title": [f"Community {community.number}" for community in found],
        "entity_ids": members,
        "size": [len(inside) for inside in members],
    }
    return pa.table(columns, schema=COMMUNITIES.schema)
