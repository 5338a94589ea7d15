"""The graph of an index as a path graph: entities are nodes, predicates relations, relationships edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphrag.graph.paths import PathGraph, Walk
from graphrag.query.graph_view import GraphView, lookup


@dataclass(frozen=True, slots=True)
class IndexGraph:
    """A path graph whose node ``n`` is the entity of that number, as far as there are entities.

    ``edge_rows`` gives for every edge the relationship behind it, or -1 for a claim; ``claims`` gives
    for every edge the claim behind it, or -1. A claim is a node of its own after the entities
    (statements about statements can be walked): ``claim subject`` and ``claim object`` lead from it
    to what it is about.
    """

    graph: PathGraph
    edge_rows: tuple[int, ...]
    claims: tuple[int, ...]

    def relationships(self, walk: Walk) -> list[int]:
        """Return the relationships behind the steps of ``walk``, in order."""
        return [self.edge_rows[edge] for edge in walk.edges if self.edge_rows[edge] >= 0]


CLAIM_SUBJECT, CLAIM_OBJECT = "claim subject", "claim object"


def graph_of_index(view: GraphView) -> IndexGraph:
    """Return the path graph of an index: built once, about a second for 10^6 relationships."""
    index = view.index
    relationships, predicates = index.table("relationships"), index.table("predicates")
    source, target = view.relationship_ends
    labels: list[str] = predicates["label"].to_pylist()
    relation = lookup(relationships["predicate_id"], predicates["id"])
    names: list[str] = list(index.table("entities")["title"].to_pylist())
    n_entities = len(names)
    known = np.flatnonzero((source >= 0) & (target >= 0) & (relation >= 0))
    heads, tails, relations = source[known], target[known], relation[known]
    weights = view.weights[known]
    covariates = index.table("covariates")
    claim_edges = _claim_edges(view, n_entities, len(labels))
    names += [str(text or "") for text in covariates["description"].to_pylist()]
    heads = np.concatenate([heads, claim_edges[0]])
    relations = np.concatenate([relations, claim_edges[1]])
    tails = np.concatenate([tails, claim_edges[2]])
    graph = PathGraph(
        heads,
        relations,
        tails,
        names,
        [*labels, CLAIM_SUBJECT, CLAIM_OBJECT],
        np.concatenate([weights, np.ones(len(claim_edges[0]))]),
    )
    n_claims = len(claim_edges[0])
    rows = (*known.tolist(), *[-1] * n_claims)
    claims = (*[-1] * len(known), *(int(node) - n_entities for node in claim_edges[0]))
    return IndexGraph(graph, rows, claims)


def _claim_edges(
    view: GraphView, n_entities: int, n_labels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    covariates, ids = view.index.table("covariates"), view.index.table("entities")["id"]
    heads: list[np.ndarray] = []
    relations: list[np.ndarray] = []
    tails: list[np.ndarray] = []
    places = np.arange(covariates.num_rows, dtype=np.int64) + n_entities
    columns: Sequence[str] = ("subject_entity_id", "object_entity_id")
    for offset, column in enumerate(columns):
        about = lookup(covariates[column], ids)
        there = np.flatnonzero(about >= 0)
        heads.append(places[there])
        tails.append(about[there])
        relations.append(np.full(len(there), n_labels + offset, dtype=np.int64))
    return np.concatenate(heads), np.concatenate(relations), np.concatenate(tails)
