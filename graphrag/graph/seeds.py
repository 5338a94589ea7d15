"""Communities that stay as they are: start from the partition before, let only what has changed move.

A fresh Leiden run on a graph with a few new edges can shift members all over the graph, and every
community with another member is another community, whose report is paid for again. So an update
starts from the labels of the run before, and entities whose relationships are what they were keep
theirs (``is_membership_fixed`` of leidenalg). Drift is bounded: when a given share of the entities has
changed since the last fresh run, the next one is fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrag.graph.build import Integers

NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Seeds:
    """The partition before.

    ``labels[level]`` has a community number for every entity, in the order of the sorted ids, or -1
    where the entity was in no community of that level; ``fixed`` says which entities keep them.
    """

    labels: tuple[Integers, ...]
    fixed: npt.NDArray[np.bool_]

    def at(self, level: int, members: Integers) -> tuple[Integers, npt.NDArray[np.bool_]] | None:
        """Return the labels of ``members`` at ``level`` and which of them are fixed; None if none has one."""
        if level >= len(self.labels):
            return None
        labels = self.labels[level][members]
        known = labels != NO_LABEL
        return (labels, known & self.fixed[members]) if known.any() else None


def seeds_from(entity_ids: Sequence[str], communities: pa.Table, unchanged: Sequence[bool]) -> Seeds:
    """Read the partition before from the table ``communities``.

    ``entity_ids`` are the ids of today, sorted; ``unchanged`` says for each whether its relationships
    are those that the partition was made on.
    """
    place = {entity_id: number for number, entity_id in enumerate(entity_ids)}
    depth = 1 + max(communities["level"].to_pylist(), default=-1)
    labels = [np.full(len(place), NO_LABEL, dtype=np.int64) for _ in range(depth)]
    columns = (communities[name].to_pylist() for name in ("level", "community", "entity_ids"))
    for level, number, members in zip(*columns, strict=True):
        still = [place[member] for member in members if member in place]
        labels[level][still] = number
    return Seeds(tuple(labels), np.asarray(unchanged, dtype=bool))


def connected_labels(pairs: Integers, labels: Integers) -> Integers:
    """Split every label into the connected parts of its vertices (``pairs``: (m, 2) vertex numbers).

    Leiden guarantees connected communities; one that lost a member, or was not allowed to move, may
    have fallen apart.
    """
    import igraph

    inside = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]]
    graph = igraph.Graph(n=len(labels), edges=inside.tolist())
    return np.asarray(graph.connected_components().membership, dtype=np.int64)
