"""Passages through the graph: by the names in a question, the facts that lead on from them, and a walk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder, Vectors, question_vectors
from graphrag.errors import QueryError
from graphrag.retrieve.base import Found, ranked
from graphrag.retrieve.dense import DenseRetriever
from graphrag.retrieve.facts import Fact, facts_of
from graphrag.retrieve.passage_graph import NamedTitle, PassageGraph
from graphrag.store.index import Index

_BELOW = 1e-6  # a passage that a fact leads to stands below the one that states it
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GraphWeights:
    """How much each kind of evidence counts beside the cosine; docs/experiments/retrieval.md tells why.

    ``named``: the title stands in the question; of several passages under one title the nearest
    gets all of it, each further one ``repeated`` times what the one before it got. ``first``:
    passages that the second hop starts from. ``linked``: a fact of theirs leads here; ``guessed``
    times that where the question names no title and the hop starts from the nearest passage;
    ``shared`` times where the fact does not name the passage but an entity that both mention, and
    ``about`` further ahead in cosine counts a passage that is named. ``sharpness``: how much a
    better fact is preferred to a worse one. ``walk``: PageRank, relative to the best; ``prior``:
    share of it that begins anew at passages near the question, ``damping`` the chance that it goes
    on, ``depth``: passages taken from the cosine and from the walk at least.
    """

    named: float = 0.3
    repeated: float = 0.5
    first: int = 4
    linked: float = 0.3
    guessed: float = 0.7
    shared: float = 0.8
    about: float = 0.2
    sharpness: float = 10.0
    walk: float = 0.0
    prior: float = 0.2
    damping: float = 0.5
    depth: int = 100


@dataclass(frozen=True, slots=True)
class Link:
    """How a text unit is reached: ``share`` of the best, as much of the fact's cosine, its ceiling."""

    share: float
    reach: float
    ceiling: float

    def joined(self, other: Link) -> Link:
        """Return the better of each."""
        return Link(
            max(self.share, other.share), max(self.reach, other.reach), max(self.ceiling, other.ceiling)
        )


@dataclass(slots=True)
class GraphRetriever:
    """Ranks text units by cosine, named titles, facts that lead on, and, if asked to, PageRank.

    First hop: passages whose title the question names, else the nearest one. Second hop: every
    passage that a sentence of a first passage leads to, by how near that sentence is to the
    question, and the passage itself to what the question asks once the names are taken out of it.
    The best one gets at least the score of the fact that leads there, but never more than the
    passage that states the fact. With a ``walk`` weight also PageRank: it starts from all of these,
    the named entities by their inverse document frequency, and the nearest passages. A question
    that names nothing known is answered by cosine alone. Costs one embedding of the question, of
    the question without names, and of the sentences that lead on from at most ``first`` passages;
    no LLM call. Deterministic. After Gutiérrez et al. 2025 (HippoRAG 2).

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
        titles = graph.titles_in(query)
        entities = {match.place: float(graph.rarity[match.place]) for match in graph.view.named_in(query)}
        units = sorted({unit for one in titles for unit in one.units})
        # Few enough to go on from all of them: then everything is embedded at once.
        facts = self._facts(units, set(entities)) if len(units) <= weights.first else {}
        asked = asked_in(query, titles)
        vectors = self._embed(_sentences(facts), [query, asked])
        question = vectors[query]
        depth = max(k, weights.depth)
        near = self.index.vectors("text_units").search(question[None], depth)[0]
        if not titles and not entities:
            return near[:k]
        cosines = {self._place(row_id): score for row_id, score in near}
        nearest = next(iter(cosines))
        self._look_up(units, question, cosines)
        named, first = self._named(titles, cosines)
        if not facts:
            facts = self._facts(first or [nearest], set(entities))
            vectors |= self._embed(_sentences(facts))
        linked = self._second_hop(facts, vectors, question, vectors[asked], named, cosines)
        scores = dict(cosines)
        for unit, link in linked.items():
            if unit not in named:
                reached = max(cosines[unit] + weights.linked * link.share, link.reach)
                scores[unit] = max(cosines[unit], min(reached, link.ceiling))
        for unit, weight in named.items():
            scores[unit] += weight
        if weights.walk:
            ranks = self._ranks(named, entities, linked, cosines)
            top = float(ranks.max()) or 1.0
            for unit in np.argsort(-ranks, kind="stable")[:depth].tolist():
                if unit not in scores:
                    self._look_up([unit], question, cosines)
                    scores[unit] = cosines[unit]
            for unit in scores:
                scores[unit] += weights.walk * float(ranks[unit]) / top
        ids = self.index.vectors("text_units").ids
        # What single precision cannot tell apart is equal, and ordered by id.
        return ranked({ids[unit]: round(score, 6) for unit, score in scores.items()}, k)

    def _named(
        self, titles: Sequence[NamedTitle], cosines: Mapping[int, float]
    ) -> tuple[dict[int, float], list[int]]:
        """Return what each named text unit gets, and which to go on from, nearest first."""
        named: dict[int, float] = {}
        turns: list[tuple[int, float, int]] = []
        for one in titles:
            nearness = {unit: round(cosines[unit], 6) for unit in one.units}
            for unit, near in nearness.items():
                turn = sum(other > near for other in nearness.values())  # equal passages get the same
                weight = self.weights.named * self.weights.repeated**turn
                named[unit] = max(weight, named.get(unit, 0.0))
                turns.append((turn, -near, unit))
        return named, list(dict.fromkeys(unit for _, _, unit in sorted(turns)))[: self.weights.first]

    def _embed(self, texts: Sequence[str], questions: Sequence[str] = ()) -> dict[str, Vector]:
        """Return vectors by text; in one batch, unless the model tells questions from texts."""
        if not hasattr(self.embedder, "embed_questions"):
            texts, questions = [*questions, *texts], ()
        found: dict[str, Vector] = {}
        for some, embed in ((texts, self.embedder.embed), (questions, self._embed_questions)):
            different = list(dict.fromkeys(some))
            if different:
                found.update(zip(different, embed(different), strict=True))
        return found

    def _embed_questions(self, questions: Sequence[str]) -> Vectors:
        return question_vectors(self.embedder, questions)

    def _facts(self, units: Iterable[int], known: set[int]) -> dict[int, list[Fact]]:
        """Return what ``units`` say that leads on; nothing if links count nothing."""
        return {unit: facts_of(self._graph, unit, known) for unit in units} if self.weights.linked else {}

    def _second_hop(
        self,
        facts: Mapping[int, list[Fact]],
        vectors: Mapping[str, Vector],
        question: Vector,
        asked: Vector,
        named: Mapping[int, float],
        cosines: dict[int, float],
    ) -> dict[int, Link]:
        """Return the text units that ``facts`` lead to; the best one of each first passage has share 1.

        ``vectors`` has those of their sentences; ``cosines`` gets those of the units.
        """
        weights = self.weights
        targets = sorted({fact.target for some in facts.values() for fact in some})
        if not targets:
            return {}
        self._look_up(targets, question, cosines)
        found = self.index.vectors("text_units").vectors_of(targets) @ asked
        answers = dict(zip(targets, map(float, found), strict=True))
        near = {text: float(vectors[text] @ question) for text in _sentences(facts)}
        linked: dict[int, Link] = {}
        for unit, some in facts.items():
            ceiling = cosines[unit] + named.get(unit, 0.0) - _BELOW
            scored = [(near[fact.sentence] + answers[fact.target], fact) for fact in some]
            best = max((score for score, fact in scored if fact.about), default=-np.inf)
            best_shared = max((score for score, fact in scored if not fact.about), default=-np.inf)
            best_shared = max(best_shared, best + weights.about)
            for score, fact in scored:
                share = float(np.exp(weights.sharpness * (score - (best if fact.about else best_shared))))
                share *= (1.0 if fact.about else weights.shared) * (1.0 if named else weights.guessed)
                link = Link(share, share * near[fact.sentence], ceiling)
                linked[fact.target] = link.joined(linked.get(fact.target, link))
        return linked

    def _ranks(
        self,
        titled: Iterable[int],
        named: Mapping[int, float],
        linked: Mapping[int, Link],
        cosines: Mapping[int, float],
    ) -> npt.NDArray[np.float64]:
        """Return the PageRank of every text unit from all that the question was linked to."""
        low, high = min(cosines.values()), max(cosines.values())
        spread = (high - low) or 1.0
        units = dict.fromkeys(titled, 1.0)
        for unit, link in linked.items():
            units[unit] = max(units.get(unit, 0.0), self.weights.linked * link.share)
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


def asked_in(query: str, titles: Sequence[NamedTitle]) -> str:
    """Return what a question asks: itself without the ``titles`` in it; itself if nothing else is left."""
    ends = [0, *(one.end for one in titles)]
    starts = [*(one.start for one in titles), len(query)]
    rest = " ".join("".join(query[end:start] for end, start in zip(ends, starts, strict=True)).split())
    return rest if any(sign.isalnum() for sign in rest) else query


def _sentences(facts: Mapping[int, list[Fact]]) -> list[str]:
    return list(dict.fromkeys(fact.sentence for some in facts.values() for fact in some))
