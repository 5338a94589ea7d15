"""Who matters in the graph: personalised PageRank and degree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import igraph


def personalized_pagerank(
    graph: igraph.Graph, seeds: Mapping[str, float], *, damping: float = 0.85
) -> npt.NDArray[np.float64]:
    """Return the personalised PageRank of every vertex, in vertex order; the scores add up to 1.

    The walk restarts at ``seeds`` (vertex name to weight; zeros are passed over). Haveliwala,
    "Topic-Sensitive PageRank" (2002), solved exactly by PRPACK: no iterations to choose and no
    randomness. Edges count by their ``weight``.

    Raises:
        KeyError: a seed is no vertex of ``graph``.
        ValueError: no seed has a weight above zero, or one is below zero.
    """
    if any(weight < 0 for weight in seeds.values()) or not any(seeds.values()):
        raise ValueError("Personalised PageRank needs seeds with weights above zero, and none below.")
    reset = np.zeros(graph.vcount())
    for name, weight in sorted(seeds.items()):
        try:
            reset[graph.vs.find(name=name).index] = weight
        except ValueError:
            raise KeyError(f"The graph has no vertex {name!r}.") from None
    scores = graph.personalized_pagerank(
        reset=reset.tolist(),
        damping=damping,
        directed=False,
        weights=graph.es["weight"] if graph.ecount() else None,
        implementation="prpack",
    )
    return np.asarray(scores, dtype=np.float64)


def combined_degrees(relationships: pa.Table, degrees: pa.Table) -> pa.Array:
    """Return, for each relationship in order, the degrees of its two ends added up.

    ``degrees`` is what :func:`graphrag.graph.build.degrees` counted over the same relationships.
    """
    entities = (
        pa.concat_arrays(degrees["entity_id"].chunks) if degrees.num_rows else pa.array([], pa.string())
    )
    counts = np.append(degrees["degree"].to_numpy(), 0)  # the last place answers for "not there"
    total = np.zeros(relationships.num_rows, dtype=np.int64)
    for column in ("source_id", "target_id"):
        at = pc.fill_null(pc.index_in(relationships[column], value_set=entities), len(counts) - 1)
        total += counts[at.to_numpy()]
    return pa.array(total, pa.int64())


def rank_by_degree(degrees: pa.Table) -> list[str]:
    """Return entity ids, highest degree first, ties by id."""
    ranked = degrees.sort_by([("degree", "descending"), ("entity_id", "ascending")])
    ids: list[str] = ranked["entity_id"].to_pylist()
    return ids
