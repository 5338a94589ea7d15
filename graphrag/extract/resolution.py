"""Which mentions are the same entity: rules first, every merge logged, every merge revocable.

Cheap and certain before costly and doubtful: equal normal forms, one name under two types,
acronyms and shortened names, similar spellings inside blocks, neighbours among name vectors, and a
judge for the doubtful band. Merges form clusters by union-find; a union that would join what was
kept apart, or two different types, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Embedder
from graphrag.extract.blocking import (
    NameForm,
    compatible,
    content,
    similar_pairs,
    similarity,
    words_agree,
)
from graphrag.extract.resolution_clusters import Clusters, Edge, Protos, Resolution, types_meet
from graphrag.extract.resolution_rules import (
    exact_edges,
    initial_edges,
    qualifier_edges,
    surname_edges,
    type_edges,
)
from graphrag.settings import ResolutionSettings

__all__ = ["DEFAULT_METHODS", "METHODS", "Candidate", "Judge", "Resolution", "resolve_entities"]

METHODS = ("manual", "exact", "type", "initials", "qualifier", "surname", "fuzzy", "embedding", "llm")
DEFAULT_METHODS = METHODS
_SINGLE_WORD = 0.03  # single words need this much more similarity
_NEIGHBOURS = 8
_EXACT_SEARCH_UP_TO = 20_000  # names; beyond it vectors are searched by cells (IVF)
_CELLS_SEARCHED = 4
_TRAINED_PER_CELL, _TRAINING_ROUNDS = (
    40,
    4,
)  # what is alike enough to merge lies in one cell of a rough cut too


@dataclass(frozen=True, slots=True)
class Candidate:
    """One side of a doubtful pair, for the judge."""

    name: str
    type: str
    frequency: int


Judge = Callable[[list[tuple[Candidate, Candidate]]], list[bool]]


def resolve_entities(
    mentions: pa.Table,
    *,
    embedder: Embedder | None,
    settings: ResolutionSettings,
    keep_apart: Collection[tuple[str, str]] = (),
    merge: Collection[tuple[str, str]] = (),
    judge: Judge | None = None,
    methods: Collection[str] = DEFAULT_METHODS,
) -> Resolution:
    """Group entity mentions into entities.

    The result does not depend on the order of ``mentions``. About linear in the number of distinct
    names. Calls ``judge`` at most once, with all doubtful pairs.

    Args:
        embedder: for neighbours among name vectors; None leaves them out.
        settings: thresholds, the doubtful band, and whether anything but equal forms may merge.
        mentions: columns id, name, type, text_unit_id; with document_id, surnames are looked for
            in the same document instead of the same text unit.
        keep_apart: pairs of entity ids (of ENTITY_MERGES or ENTITIES) that never become one, not
            even by way of a third; this is how a merge is undone.
        merge: pairs of entity ids that become one (method ``manual``), unless they are kept apart.
        judge: says for each doubtful pair whether it is one entity.
        methods: of METHODS, those that may merge; ``manual`` and ``exact`` always do.
    """
    protos = Protos(mentions)
    clusters = Clusters(protos, keep_apart)
    clusters.join(
        Edge(protos.of_id[a], protos.of_id[b], 1.0, "manual")
        for a, b in sorted(merge)
        if a in protos.of_id and b in protos.of_id
    )
    clusters.join(exact_edges(protos, generic=settings.enabled))
    if settings.enabled:
        _by_rules(protos, clusters, methods)
        _by_likeness(protos, clusters, embedder=embedder, settings=settings, judge=judge, methods=methods)
    return clusters.result(mentions)


def _by_rules(protos: Protos, clusters: Clusters, methods: Collection[str]) -> None:
    if "type" in methods:
        clusters.join(type_edges(protos))
    nodes = clusters.leaders()
    for method, find in (
        ("initials", initial_edges),
        ("qualifier", qualifier_edges),
        ("surname", surname_edges),
    ):
        if method in methods:
            clusters.join(find(protos, nodes))


def _by_likeness(
    protos: Protos,
    clusters: Clusters,
    *,
    embedder: Embedder | None,
    settings: ResolutionSettings,
    judge: Judge | None,
    methods: Collection[str],
) -> None:
    """Join by spelling, by name vectors, and by the judge's word on what both leave in doubt."""
    near: list[Edge] = []
    floor = settings.llm_band[0] if judge is not None else 1.0
    if "fuzzy" in methods:
        near = _fuzzy_edges(protos, clusters.leaders(), min(floor, settings.fuzzy_threshold))
        clusters.join([edge for edge in near if _is_sure(protos, edge, settings.fuzzy_threshold)])
    if "embedding" in methods and embedder is not None:
        low = min(floor, settings.embedding_threshold)
        close = _embedding_edges(protos, clusters.leaders(), embedder, low)
        clusters.join([edge for edge in close if _is_confirmed(protos, edge, settings.embedding_threshold)])
        near += close
    if judge is not None:
        clusters.join(_judged(protos, clusters, near, judge, settings.llm_band))


def _fuzzy_edges(protos: Protos, nodes: Sequence[int], minimum: float) -> list[Edge]:
    pairs, scores = similar_pairs([protos.forms[i] for i in nodes], minimum)
    edges = []
    for (a, b), score in zip(pairs.tolist(), scores.tolist(), strict=True):
        left, right = nodes[a], nodes[b]
        if types_meet(protos, left, right) and compatible(protos.forms[left], protos.forms[right]):
            edges.append(Edge(left, right, score, "fuzzy"))
    return edges


def _is_sure(protos: Protos, edge: Edge, threshold: float) -> bool:
    left, right = protos.forms[edge.left], protos.forms[edge.right]
    if left.key == right.key:
        return False  # equal names of different types were decided before
    if left.key.replace(" ", "") == right.key.replace(" ", ""):
        return len(left.key) >= 5
    if content(left) != content(right) and sorted(content(left).split()) == sorted(content(right).split()):
        return _may_swap(left, right, {protos.types[edge.left], protos.types[edge.right]})
    single = min(len(left.tokens), len(right.tokens)) == 1
    if single and min(len(left.key), len(right.key)) < 7:
        return False
    return edge.score >= threshold + (_SINGLE_WORD if single else 0.0) and words_agree(left, right)


def _may_swap(left: NameForm, right: NameForm, types: set[str]) -> bool:
    """Return whether the same words in another order are the same name.

    "Clinton, Hillary" is, "Philip John" and "John Philip" are not; "Senate of the United States" is,
    "The Princess and the Frog" and "The Frog Princess" are not.
    """
    if "person" in types:
        return bool(left.qualifier or right.qualifier)
    return {"of", "the"} >= (set(left.tokens) ^ set(right.tokens))


def _is_confirmed(protos: Protos, edge: Edge, threshold: float) -> bool:
    left, right = protos.forms[edge.left], protos.forms[edge.right]
    shared = set(left.tokens) & set(right.tokens)
    return (
        edge.score >= threshold
        and bool(shared)
        and similarity(left, right) >= 0.7
        and words_agree(left, right, 60.0)
    )


def _embedding_edges(protos: Protos, nodes: Sequence[int], embedder: Embedder, minimum: float) -> list[Edge]:
    """Return pairs of names that are neighbours among their vectors and not told apart by a mark."""
    if len(nodes) < 2:
        return []
    vectors = np.ascontiguousarray(embedder.embed([protos.names[i] for i in nodes]), dtype=np.float32)
    scores, found = _nearest(vectors, min(_NEIGHBOURS, len(nodes)))
    best: dict[tuple[int, int], float] = {}
    rows, columns = np.nonzero((scores >= minimum) & (found >= 0))
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        other = int(found[row, column])
        if other != row:
            pair = (nodes[min(row, other)], nodes[max(row, other)])
            best[pair] = max(best.get(pair, 0.0), round(float(min(scores[row, column], 1.0)), 4))
    return [
        Edge(a, b, score, "embedding")
        for (a, b), score in sorted(best.items())
        if types_meet(protos, a, b) and compatible(protos.forms[a], protos.forms[b])
    ]


def _nearest(vectors: Any, k: int) -> tuple[Any, Any]:
    """Return for each row the cosines and places of its ``k`` nearest; exact up to a size, then by cells."""
    import faiss

    n, dimension = vectors.shape
    if n <= _EXACT_SEARCH_UP_TO:
        exact: Any = faiss.IndexFlatIP(dimension)
        exact.add(vectors)
        return cast(tuple[Any, Any], exact.search(vectors, k))
    cells = int(4 * np.sqrt(n))
    quantizer: Any = faiss.IndexFlatIP(dimension)
    index: Any = faiss.IndexIVFFlat(quantizer, dimension, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 42
    index.cp.niter = _TRAINING_ROUNDS
    index.cp.max_points_per_centroid = _TRAINED_PER_CELL
    index.nprobe = _CELLS_SEARCHED
    index.train(vectors)
    near_scores, near = quantizer.search(vectors, _CELLS_SEARCHED)  # once, for adding and for searching
    home = np.ascontiguousarray(near[:, 0])
    index.add_core(n, faiss.swig_ptr(vectors), None, faiss.swig_ptr(home))
    scores, found = index.search_preassigned(vectors, k, near, near_scores)
    return scores, found


def _judged(
    protos: Protos, clusters: Clusters, near: list[Edge], judge: Judge, band: tuple[float, float]
) -> list[Edge]:
    """Ask the judge about pairs of the doubtful band that are still apart; each pair once, best first."""
    doubtful: dict[tuple[int, int], Edge] = {}
    for edge in sorted(near, key=lambda e: (-e.score, e.left, e.right)):
        if band[0] <= edge.score <= band[1] and clusters.may_join(edge.left, edge.right):
            doubtful.setdefault((edge.left, edge.right), edge)
    edges = list(doubtful.values())
    if not edges:
        return []
    verdicts = judge([(_candidate(protos, e.left), _candidate(protos, e.right)) for e in edges])
    return [
        Edge(edge.left, edge.right, edge.score, "llm")
        for edge, same in zip(edges, verdicts, strict=True)
        if same
    ]


def _candidate(protos: Protos, i: int) -> Candidate:
    return Candidate(protos.names[i], protos.types[i], protos.frequencies[i])
