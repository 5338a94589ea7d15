"""The strongest paths between several nodes: resource flows from each and decays at every step.

After PathRAG (Chen et al. 2025, arXiv 2502.14902), whose flow is pruned at a threshold; made
deterministic and bounded: nodes are visited in order, the graph is never loaded anew, and weights do
not accumulate between calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphrag.graph.paths import PathGraph, RelationPath, Walk

DECAY = 0.8
LEAST_FLOW = 0.005  # of the resource that a source begins with
_MOST_VISITED = 5_000  # partial walks kept per source


@dataclass(frozen=True, slots=True)
class FlowPath:
    """A simple walk between two of the nodes; ``score`` is the mean resource along it."""

    walk: Walk
    path: RelationPath
    score: float


def flow_paths(
    graph: PathGraph,
    nodes: Sequence[int],
    *,
    max_hops: int = 3,
    k: int = 15,
    decay: float = DECAY,
    least: float = LEAST_FLOW,
) -> list[FlowPath]:
    """Return the ``k`` strongest simple walks between any two of ``nodes``, strongest first.

    A source holds 1; a node passes ``decay`` times what it holds to its neighbours in equal parts,
    and a walk ends where less than ``least`` arrives. So hubs pass little on. Each pair is
    walked once, from the lower number; ties by nodes and edges. At most 5,000 partial walks a source.
    """
    wanted = sorted(set(nodes))
    found: list[FlowPath] = []
    for source in wanted:
        targets = {node for node in wanted if node > source}
        partial: list[tuple[float, float, Walk, RelationPath]] = [(1.0, 1.0, Walk((source,), ()), ())]
        for _ in range(max_hops):
            grown = []
            for held, total, walk, path in partial:
                _, steps, ends, edges = graph.edges_at(np.array([walk.end]))
                passed = held * decay / max(1, len(ends))
                if passed < least:
                    continue
                for step, end, edge in zip(steps.tolist(), ends.tolist(), edges.tolist(), strict=True):
                    if end in walk.nodes:
                        continue
                    longer = Walk((*walk.nodes, end), (*walk.edges, edge))
                    one = (passed, total + passed, longer, (*path, step))
                    if end in targets:
                        found.append(FlowPath(longer, one[3], one[1] / len(longer.nodes)))
                    else:
                        grown.append(one)
            grown.sort(key=lambda one: (-one[0], one[2].nodes, one[2].edges))
            partial = grown[:_MOST_VISITED]
    found.sort(key=lambda one: (-one.score, one.walk.nodes, one.walk.edges))
    return found[:k]
