"""The graph of an index as a path graph: entities are nodes, predicates relations, relationships edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from graphrag.embed.base import Embedder
from graphrag.graph.paths import Ints, PathGraph, Walk
from graphrag.llm.base import ChatModel
from graphrag.query.answer import Account
from graphrag.query.planning.base import Planner
from graphrag.query.planning.registry import fits, known_steps, make_planner, shipped_planner
from graphrag.retrieve.graph_view import GraphView, lookup
from graphrag.settings import QuerySettings

CLAIM_SUBJECT, CLAIM_OBJECT = "claim about", "claim to"


@dataclass(frozen=True, slots=True)
class IndexGraph:
    """A path graph whose node ``n`` is the entity of that number, as long as there are entities.

    ``rows`` gives for every edge the relationship or the claim behind it, ``claims`` says which.
    With claims, each is a node of its own after the entities, so statements about statements can be
    walked: :data:`CLAIM_SUBJECT` and :data:`CLAIM_OBJECT` lead from a claim to what it is about.
    """

    graph: PathGraph
    rows: Ints
    n_relationships: int
    n_entities: int

    def reference(self, edge: int) -> tuple[str, int]:
        """Return what an answer cites for an edge: section and number."""
        return ("Relationships" if edge < self.n_relationships else "Claims", int(self.rows[edge]))

    def spoken(self, walk: Walk, path: tuple[int, ...]) -> str:
        """Return a walk in words: ``Tracker → directed by → Ian Sharp``."""
        names = [self.graph.names[node] for node in walk.nodes]
        steps = [f"→ {self.graph.step_name(step)} →" for step in path]
        return " ".join(part for pair in zip(names, [*steps, ""], strict=True) for part in pair if part)


def graph_of_index(view: GraphView, *, claims: bool = False) -> IndexGraph:
    """Return the path graph of an index; about a second for 10^6 relationships."""
    index = view.index
    relationships, predicates = index.table("relationships"), index.table("predicates")
    source, target = view.relationship_ends
    labels: list[str] = predicates["label"].to_pylist()
    relation = lookup(relationships["predicate_id"], predicates["id"])
    names: list[str] = list(index.table("entities")["title"].to_pylist())
    n_entities = len(names)
    known = np.flatnonzero((source >= 0) & (target >= 0) & (relation >= 0))
    parts = [(source[known], relation[known], target[known], known, view.weights[known])]
    if claims:
        covariates, ids = index.table("covariates"), index.table("entities")["id"]
        names += [str(text or "") for text in covariates["description"].to_pylist()]
        for offset, column in enumerate(("subject_entity_id", "object_entity_id")):
            about = lookup(covariates[column], ids)
            there = np.flatnonzero(about >= 0)
            step = np.full(len(there), len(labels) + offset, dtype=np.int64)
            parts.append((there + n_entities, step, about[there], there, np.ones(len(there))))
        labels = [*labels, CLAIM_SUBJECT, CLAIM_OBJECT]
    heads, relations, tails, rows, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    graph = PathGraph(heads, relations, tails, names, labels, weights)
    return IndexGraph(graph, rows, len(known), n_entities)


class PathResources:
    """What questions by paths share: the graphs and the planners of one index, made when first needed."""

    def __init__(self, view: GraphView, embedder: Embedder | None, root: Path | None) -> None:
        self._view = view
        self._embedder = embedder
        self._root = root
        self._planners: dict[tuple[str, str | None], Planner] = {}

    @cached_property
    def graph(self) -> IndexGraph:
        """Return the graph of entities."""
        return graph_of_index(self._view)

    @cached_property
    def graph_with_claims(self) -> IndexGraph:
        """Return the graph of entities and claims."""
        return graph_of_index(self._view, claims=True)

    @cached_property
    def tuned_planner_fits(self) -> bool:
        """Return whether the shipped planner knows most of the graph's relations."""
        return self._automatic(shipped_planner())[0] == "tuned"

    def planner(
        self, settings: QuerySettings, chat_model: ChatModel | None, account: Account
    ) -> tuple[Planner, str]:
        """Return the planner of the settings, and why it is that one.

        ``auto`` is the tuned planner where it was trained with this embedder and knows most of the
        graph's relations, else the untuned one.
        """
        folder = None
        if settings.planner_folder is not None:
            folder = (self._root or Path()) / settings.planner_folder
        name: str = settings.planner
        why = "query.planner says so"
        if name == "auto":
            name, why = self._automatic(folder or shipped_planner())
        if name == "llm":  # counts its calls for one question: never shared
            planner = make_planner(
                name,
                self._embedder,
                folder=folder,
                chat_model=chat_model,
                account=account,
                root=self._root,
            )
            return planner, why
        key = (name, settings.planner_folder)
        if key not in self._planners:
            self._planners[key] = make_planner(name, self._embedder, folder=folder)
        return self._planners[key], why

    def _automatic(self, folder: Path) -> tuple[str, str]:
        if not fits(folder, self._embedder):
            return "embed", "no tuned planner was trained with this embedder"
        graph = self.graph.graph
        known = {step.removeprefix("~") for step in known_steps(folder)}
        edges = np.bincount(graph.relations, minlength=graph.n_relations)
        shared = sum(int(n) for n, name in zip(edges, graph.relation_names, strict=True) if name in known)
        if shared * 2 < graph.n_edges or not graph.n_edges:
            return "embed", f"the tuned planner knows the relations of {shared} of {graph.n_edges} edges"
        return "tuned", f"the tuned planner knows the relations of {shared} of {graph.n_edges} edges"
