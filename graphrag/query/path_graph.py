"""The graph of an index as a path graph: entities are nodes, predicates relations, relationships edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder
from graphrag.graph.paths import Ints, PathGraph, Walk
from graphrag.llm.base import ChatModel
from graphrag.query.answer import Account
from graphrag.query.planning.base import Planner
from graphrag.query.planning.registry import fits, known_steps, make_planner, shipped_planner
from graphrag.retrieve.graph_view import GraphView, lookup
from graphrag.settings import QuerySettings

CLAIM_SUBJECT, CLAIM_OBJECT, CLAIM_FACT = "claim about", "claim to", "claim on"
FACT_SUBJECT, FACT_OBJECT, MENTIONED_IN = "fact about", "fact to", "mentioned in"
_OPEN, _SELDOM = 50, 20  # relations, and edges per relation: so many, so seldom is no vocabulary to plan with
UNLABELLED = (
    "related to"  # what extraction writes where it saw that two entities belong together, and not how
)


@dataclass(frozen=True, slots=True)
class IndexGraph:
    """A path graph whose node ``n`` is the entity of that number, as long as there are entities.

    ``rows`` gives for every edge the relationship, the claim or the text unit behind it; ``others`` says
    which of the latter two it is. With claims, each is a node of its own after the entities, and so is
    every relationship between the two entities of a claim. So statements about statements can be walked
    (the triple hypernodes of KG-RAG): :data:`CLAIM_SUBJECT` and :data:`CLAIM_OBJECT` lead from a claim
    to what it is about, :data:`CLAIM_FACT` to the relationship, :data:`FACT_SUBJECT` and
    :data:`FACT_OBJECT` from there to its ends. With text units, :data:`MENTIONED_IN` leads to where an
    entity stands.
    """

    graph: PathGraph
    rows: Ints
    n_relationships: int
    n_entities: int
    others: str = "Claims"

    def reference(self, edge: int) -> tuple[str, int]:
        """Return what an answer cites for an edge: section and number."""
        return ("Relationships" if edge < self.n_relationships else self.others, int(self.rows[edge]))

    def spoken(self, walk: Walk, path: tuple[int, ...]) -> str:
        """Return a walk in words: ``Tracker → directed by → Ian Sharp``."""
        names = [self.graph.names[node] for node in walk.nodes]
        steps = [f"→ {self.graph.step_name(step)} →" for step in path]
        return " ".join(part for pair in zip(names, [*steps, ""], strict=True) for part in pair if part)


def graph_of_index(view: GraphView, *, claims: bool = False) -> IndexGraph:
    """Return the path graph of an index; about a second for 10^6 relationships."""
    parts, labels, names = _relationships(view)
    n_entities = len(names)
    if not claims:
        return _assembled(parts, [], labels, names, n_entities, "Claims")
    index, stated = view.index, parts[0]
    covariates, ids = index.table("covariates"), index.table("entities")["id"]
    steps = {name: len(labels) + place for place, name in enumerate(_CLAIM_STEPS)}
    names += [str(text or "") for text in covariates["description"].to_pylist()]
    about, to = (lookup(covariates[name], ids) for name in ("subject_entity_id", "object_entity_id"))
    others = []
    for step, ends in ((CLAIM_SUBJECT, about), (CLAIM_OBJECT, to)):
        there = np.flatnonzero(ends >= 0)
        others.append(_part(there + n_entities, steps[step], ends[there], there))
    claim, on = _claimed(about, to, stated)
    facts, fact_of = np.unique(on, return_inverse=True)
    nodes = len(names) + np.arange(len(facts))
    others.append(_part(claim + n_entities, steps[CLAIM_FACT], nodes[fact_of], claim))
    heads, relations, tails, rows = (column[facts] for column in stated[:4])
    names += [
        f"“{names[head]} → {labels[relation]} → {names[tail]}”"
        for head, relation, tail in zip(heads.tolist(), relations.tolist(), tails.tolist(), strict=True)
    ]
    parts += [_part(nodes, steps[FACT_SUBJECT], heads, rows), _part(nodes, steps[FACT_OBJECT], tails, rows)]
    return _assembled(parts, others, [*labels, *_CLAIM_STEPS], names, n_entities, "Claims")


def graph_with_texts(view: GraphView) -> IndexGraph:
    """Return the path graph of an index with its text units as nodes: what is mentioned together is joined.

    Extraction misses relations; that two entities stand in one text unit is known all the same. A
    node of a text unit follows the entities, called as its document.
    """
    parts, labels, names = _relationships(view)
    n_entities = len(names)
    index, mentioned = view.index, view.units_of_entities
    documents = index.table("documents")
    titles = dict(zip(documents["id"].to_pylist(), documents["title"].to_pylist(), strict=True))
    names += [f"“{titles.get(one) or one}”" for one in index.table("text_units")["document_id"].to_pylist()]
    owners = np.repeat(np.arange(n_entities, dtype=np.int64), np.diff(mentioned.offsets))
    others = [_part(owners, len(labels), mentioned.values + n_entities, mentioned.values)]
    return _assembled(parts, others, [*labels, MENTIONED_IN], names, n_entities, "Sources")


_CLAIM_STEPS = (CLAIM_SUBJECT, CLAIM_OBJECT, CLAIM_FACT, FACT_SUBJECT, FACT_OBJECT)
_Part = tuple[Ints, Ints, Ints, Ints, npt.NDArray[np.float64]]  # heads, relations, tails, rows, weights


def _part(heads: Ints, relation: int, tails: Ints, rows: Ints) -> _Part:
    """Return edges of one relation that weigh 1 each."""
    return heads, np.full(len(heads), relation, dtype=np.int64), tails, rows, np.ones(len(heads))


def _claimed(about: Ints, to: Ints, stated: _Part) -> tuple[Ints, Ints]:
    """Return pairs (claim, place in ``stated``): a relationship joins what the claim joins, either way."""
    heads, _, tails, _, _ = stated
    n = int(max(heads.max(initial=0), tails.max(initial=0), about.max(initial=0), to.max(initial=0))) + 1
    joined = np.minimum(heads, tails) * n + np.maximum(heads, tails)
    order = np.argsort(joined, kind="stable")
    claims = np.flatnonzero((about >= 0) & (to >= 0))
    pairs = np.minimum(about[claims], to[claims]) * n + np.maximum(about[claims], to[claims])
    ascending = joined[order]
    first, after = (np.searchsorted(ascending, pairs, side=side) for side in ("left", "right"))
    counts = after - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(claims, counts), order[np.repeat(first, counts) + within]


def _relationships(view: GraphView) -> tuple[list[_Part], list[str], list[str]]:
    index = view.index
    relationships, predicates = index.table("relationships"), index.table("predicates")
    source, target = view.relationship_ends
    labels: list[str] = predicates["label"].to_pylist()
    relation = lookup(relationships["predicate_id"], predicates["id"])
    known = np.flatnonzero((source >= 0) & (target >= 0) & (relation >= 0))
    names: list[str] = list(index.table("entities")["title"].to_pylist())
    return [(source[known], relation[known], target[known], known, view.weights[known])], labels, names


def _assembled(
    stated: list[_Part], others: list[_Part], labels: list[str], names: list[str], n_entities: int, kind: str
) -> IndexGraph:
    """Return the graph of edges that stand for relationships, and of others, that stand for ``kind``."""
    columns = zip(*stated, *others, strict=True)
    heads, relations, tails, rows, weights = (np.concatenate(column) for column in columns)
    graph = PathGraph(heads, relations, tails, names, labels, weights)
    return IndexGraph(graph, rows, sum(len(part[0]) for part in stated), n_entities, kind)


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
    def graph_with_texts(self) -> IndexGraph:
        """Return the graph of entities and text units."""
        return graph_with_texts(self._view)

    @cached_property
    def tuned_planner_fits(self) -> bool:
        """Return whether the shipped planner knows most of the graph's relations."""
        return self._automatic(shipped_planner())[0] == "tuned"

    def planner_name(self, settings: QuerySettings) -> tuple[str, str]:
        """Return the name of the planner of the settings, and why it is that one.

        ``auto`` is the tuned planner where it was trained with this embedder and knows most of the
        graph's relations, else ``walks`` where the relations are an open vocabulary, else ``embed``.
        """
        if settings.planner != "auto":
            return settings.planner, "query.planner says so"
        return self._automatic(self._folder(settings) or shipped_planner())

    def planner(
        self, name: str, settings: QuerySettings, chat_model: ChatModel | None, account: Account
    ) -> Planner:
        """Return planner ``name``; those that ask no language model are kept for the next question."""
        folder = self._folder(settings)
        if name == "llm":  # counts its calls for one question: never shared
            return make_planner(
                name,
                self._embedder,
                folder=folder,
                chat_model=chat_model,
                account=account,
                root=self._root,
            )
        key = (name, settings.planner_folder)
        if key not in self._planners:
            self._planners[key] = make_planner(name, self._embedder, folder=folder)
        return self._planners[key]

    def _folder(self, settings: QuerySettings) -> Path | None:
        if settings.planner_folder is None:
            return None
        return (self._root or Path()) / settings.planner_folder

    def _automatic(self, folder: Path) -> tuple[str, str]:
        graph = self.graph.graph
        why = "no tuned planner was trained with this embedder"
        if fits(folder, self._embedder):
            known = {step.removeprefix("~") for step in known_steps(folder)}
            edges = np.bincount(graph.relations, minlength=graph.n_relations)
            shared = sum(int(n) for n, name in zip(edges, graph.relation_names, strict=True) if name in known)
            why = f"the tuned planner knows the relations of {shared} of {graph.n_edges} edges"
            if graph.n_edges and shared * 2 >= graph.n_edges:
                return "tuned", why
        if graph.n_relations >= _OPEN and graph.n_edges < _SELDOM * graph.n_relations:
            return "walks", f"{why}, and {graph.n_edges} edges have {graph.n_relations} relations"
        return "embed", why
