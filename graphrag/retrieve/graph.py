"""Passages through the graph: by the names in a question, the facts that lead on from them, and a walk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder
from graphrag.errors import QueryError
from graphrag.retrieve.base import Found, ranked
from graphrag.retrieve.dense import DenseRetriever
from graphrag.retrieve.passage_graph import PassageGraph
from graphrag.store.index import Index
from graphrag.text.sentences import sentence_spans

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GraphWeights:
    """How much each kind of evidence counts beside the cosine; docs/experiments/retrieval.md tells why.

    ``named``: the title stands in the question. ``linked``: a fact of a first passage leads here.
    ``walk``: PageRank, relative to the best. ``first``: passages that the second hop starts from.
    ``sharpness``: how much a nearer fact is preferred to a farther one. ``prior``: share of the
    walk that begins anew at passages near the question, ``damping`` the chance that it goes on,
    ``target``: weight of the cosine of the passage a fact leads to beside that of the fact, ``depth``:
    passages taken from the cosine and from the walk at least.
    """

    named: float = 0.3
    linked: float = 0.3
    walk: float = 0.0
    target: float = 1.0
    first: int = 4
    sharpness: float = 10.0
    prior: float = 0.2
    damping: float = 0.5
    depth: int = 100


@dataclass(slots=True)
class GraphRetriever:
    """Ranks text units by cosine, named titles, facts that lead on, and, if asked to, PageRank.

    First hop: passages whose title the question names. Second hop: every passage about an entity
    that a first passage mentions, by how near the sentence that mentions it is to the question, and
    the passage itself to the question. With a ``walk`` weight also PageRank: it starts from all of
    these, the named entities by their inverse document frequency, and the nearest passages. A
    question that names nothing known is answered by cosine alone. Costs one embedding of the question
    and of the sentences of at most ``first`` passages; no LLM call. Deterministic. After Gutiérrez et
    al. 2025 (HippoRAG 2).

    Raises:
        QueryError: the index was made with another embedder.
    """

    index: Index
    embedder: Embedder
    weights: GraphWeights = GraphWeights()
    _dense: DenseRetriever = field(init=False, repr=False)
    _graph: PassageGraph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._dense = DenseRetriever(self.index, self.embedder)
        self._graph = PassageGraph(self.index)

    def search(self, query: str, k: int) -> Found:
        """Return the ``k`` best (text unit id, score), best first, ties by id."""
        if k <= 0:
            return []
        weights, graph = self.weights, self._graph
        titled = graph.titles_named_in(query)
        named = {match.place: float(graph.rarity[match.place]) for match in graph.view.named_in(query)}
        depth = max(k, weights.depth)
        question = self.embedder.embed([query])[0]
        near = self.index.vectors("text_units").search(question[None], depth)[0]
        if not titled and not named:
            return near[:k]
        cosines = {self._place(row_id): score for row_id, score in near}
        self._look_up(titled, question, cosines)
        first = sorted(titled, key=lambda unit: (-cosines[unit], unit))[: weights.first]
        linked = self._second_hop(question, first or list(cosines)[:1], cosines)
        scores = dict(cosines)
        for unit in titled:
            scores[unit] += weights.named
        for unit, share in linked.items():
            if unit not in titled:
                scores[unit] += weights.linked * share
        if weights.walk:
            ranks = self._ranks(titled, named, linked, cosines)
            top = float(ranks.max()) or 1.0
            for unit in np.argsort(-ranks, kind="stable")[:depth].tolist():
                if unit not in scores:
                    self._look_up([unit], question, cosines)
                    scores[unit] = cosines[unit]
            for unit in scores:
                scores[unit] += weights.walk * float(ranks[unit]) / top
        ids = self.index.vectors("text_units").ids
        return ranked({ids[unit]: score for unit, score in scores.items()}, k)

    def _second_hop(self, question: Vector, first: list[int], cosines: dict[int, float]) -> dict[int, float]:
        """Return the passages that facts in ``first`` lead to, the best one of each first passage 1."""
        graph, texts = self._graph, self.index.table("text_units")["text"]
        sentences: list[str] = []
        steps: list[tuple[int, int, int]] = []  # (first passage, sentence, passage it leads to)
        for unit in first:
            text = texts[unit].as_py()
            said = [text[a:b] for a, b in sentence_spans(text)] or [text]
            places: dict[int, list[int]] = {}
            for entity in graph.entities_in.of(unit).tolist():
                about = [other for other in graph.units_about.of(entity).tolist() if other != unit]
                if not about:
                    continue
                names = graph.names_of(entity)
                for number, sentence in enumerate(said):
                    if any(name in sentence for name in names):
                        places.setdefault(number, []).extend(about)
            for number, others in sorted(places.items()):
                title = graph.titles[unit]
                steps += [(unit, len(sentences), other) for other in dict.fromkeys(others)]
                sentences.append(f"{title}: {said[number]}")
        if not steps:
            return {}
        near = self.embedder.embed(sentences) @ question
        self._look_up([other for _, _, other in steps], question, cosines)
        best: dict[int, dict[int, float]] = {}
        for unit, sentence, other in steps:
            score = float(near[sentence]) + self.weights.target * cosines[other]
            runs = best.setdefault(unit, {})
            runs[other] = max(score, runs.get(other, -9.0))
        linked: dict[int, float] = {}
        for runs in best.values():
            top = max(runs.values())
            for other, score in runs.items():
                share = float(np.exp(self.weights.sharpness * (score - top)))
                linked[other] = max(share, linked.get(other, 0.0))
        return linked

    def _ranks(
        self,
        titled: Iterable[int],
        named: Mapping[int, float],
        linked: Mapping[int, float],
        cosines: Mapping[int, float],
    ) -> npt.NDArray[np.float64]:
        """Return the PageRank of every text unit from all that the question was linked to."""
        low, high = min(cosines.values()), max(cosines.values())
        spread = (high - low) or 1.0
        units = dict.fromkeys(titled, 1.0)
        for unit, share in linked.items():
            units[unit] = max(units.get(unit, 0.0), self.weights.linked * share)
        total = sum(units.values()) + sum(named.values())
        near = {unit: (score - low) / spread for unit, score in cosines.items()}
        scale = self.weights.prior * total / (sum(near.values()) or 1.0)
        for unit, score in near.items():
            units[unit] = units.get(unit, 0.0) + scale * score
        return self._graph.walk(units, named, self.weights.damping)

    def _look_up(self, units: Iterable[int], question: Vector, cosines: dict[int, float]) -> None:
        """Add the cosines of ``units`` that are not known yet."""
        unknown = sorted({unit for unit in units if unit not in cosines})
        if unknown:
            found = self.index.vectors("text_units").vectors_of(unknown) @ question
            cosines.update(zip(unknown, map(float, found), strict=True))

    def _place(self, row_id: str) -> int:
        place = self.index.place("text_units", row_id)
        if place is None:
            raise QueryError(f"The vectors of this index hold {row_id!r}, its table of text units does not.")
        return place
