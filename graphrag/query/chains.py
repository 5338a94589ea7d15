"""Sentences for a question of two hops: the second chosen given the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphrag.embed.base import Vectors
from graphrag.query.citations import CitationResolver
from graphrag.query.extractive import (
    Candidate,
    Chosen,
    adjustments,
    candidates_of_units,
    question_words,
    shortlist,
    word_coverage,
)
from graphrag.query.named import Naming, spell
from graphrag.query.relevance import Relevance, Scores
from graphrag.retrieve.graph_view import GraphView

_FIRST_COMPARED = 96  # sentences embedded before bridges are known
_INTRODUCING = 8  # best sentences whose entities may lead on
_BRIDGES = 12
_UNITS_OF_BRIDGE = 3
_SENTENCES_OF_BRIDGE = 6
_LEAD = 0.15  # a sentence that begins with the entity, or whose document is called so, is about it
_BRIDGED = 1.2  # what similarity to the question put with the entity's name counts
_SHARPNESS = 2.0  # how much less sentences that come second may lead on
_SPOKEN_OF = 1.6  # an entity beside a word of the question ("directed by …") leads on more likely
_BESIDE = 4  # words
_STEM = 5  # letters by which words of one root are recognised
_WORDS = 0.45
_COVERED = 0.3  # part that a question's word still counts when a chosen sentence holds it
_REDUNDANCY = 0.35
_SAME = 0.95
_MOST_SENTENCES = 6
_FEWEST_SENTENCES = 3
_FAIRLY_NEAR, _NEAR_THE_BEST = 0.2, 0.3  # parts of the best value below which nothing follows
_BRIDGES_OF_ENTITY = 2


@dataclass(frozen=True, slots=True)
class Bridge:
    """An entity that the question does not name and a good sentence does."""

    entity: int
    strength: float  # 0 to 1, how good the best sentence is that names it
    asked: Relevance  # what the sentence leaves open of the question, put with the entity's name


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """Chosen sentences, best first, the texts that were embedded, and the bridges that were tried."""

    chosen: tuple[Chosen, ...]
    embedded: tuple[str, ...]
    bridges: tuple[str, ...]


@dataclass(slots=True)
class _Pool:
    """Candidates side by side: similarity, gain and vectors of each, and the entities it names."""

    candidates: list[Candidate]
    similarity: Scores
    vectors: Vectors | None
    entities: list[dict[int, int]]

    def with_more(self, other: _Pool) -> _Pool:
        vectors = (
            None
            if self.vectors is None or other.vectors is None
            else np.concatenate([self.vectors, other.vectors])
        )
        return _Pool(
            self.candidates + other.candidates,
            np.concatenate([self.similarity, other.similarity]),
            vectors,
            self.entities + other.entities,
        )


def choose_in_chains(
    view: GraphView,
    resolver: CitationResolver,
    candidates: Sequence[Candidate],
    relevance: Relevance,
    names: Iterable[str] = (),
    *,
    least: float,
    limit: int = _MOST_SENTENCES,
) -> ChainChoice:
    """Choose sentences that answer together: each adds words of the question, or follows from another.

    An entity that a near sentence names and the question does not ("the Fram" for "the ship that
    carried Amundsen") is a bridge; the question put with its name is compared with the sentences
    about it. Then sentences are taken greedily by similarity, by the question's words that no
    taken sentence holds, and by bridges that taken sentences introduce, less redundancy. After
    Yadav, Bethard and Surdeanu (2020, iterative evidence retrieval). At most about 180 texts are
    embedded. Empty when no first sentence comes as near as ``least``. Deterministic.
    """
    first = shortlist(candidates, relevance.question, _FIRST_COMPARED)
    texts = [_one_line(one.text) for one in first]
    similarity, vectors = relevance.of_texts(texts)
    if not len(similarity) or float(similarity.max()) < least:
        return ChainChoice((), tuple(texts), ())
    naming = Naming(view)
    entities = [naming.entities_in(one.unit, one.text) for one in first]
    pool = _Pool(first, similarity, vectors, entities)
    wanted = question_words(relevance.question)
    named = list(names)
    gain = similarity + _WORDS * word_coverage(wanted, texts).mean_held + adjustments(texts, named)
    bridges = _bridges(view, naming, pool, gain, relevance)
    about = _second_sentences(view, resolver, naming, bridges)
    known = {_key(one): place for place, one in enumerate(first)}
    for one, entity in about:
        if _key(one) in known:
            entities[known[_key(one)]].setdefault(entity, 0)
    second = {_key(one): one for one, _ in about if _key(one) not in known}
    if second:
        more = list(second.values())
        second_texts = [_one_line(one.text) for one in more]
        near, second_vectors = relevance.of_texts(second_texts)
        second_entities = [naming.entities_in(one.unit, one.text) for one in more]
        places = {key: place for place, key in enumerate(second)}
        for one, entity in about:
            if _key(one) in places:
                second_entities[places[_key(one)]].setdefault(entity, 0)
        pool = pool.with_more(_Pool(more, near, second_vectors, second_entities))
        texts = [*texts, *second_texts]
    chosen = _greedy(pool, texts, wanted, named, _bridged(pool, texts, bridges), bridges, limit)
    tried = tuple(naming.title(bridge.entity) for bridge in bridges)
    asked = [bridge.asked.question for bridge in bridges]
    return ChainChoice(tuple(chosen), (*texts, *asked), tried)


def _bridges(
    view: GraphView, naming: Naming, pool: _Pool, gain: Scores, relevance: Relevance
) -> list[Bridge]:
    asked = spell(relevance.question)
    best = float(gain.max())
    order = np.lexsort((np.arange(len(gain)), -np.round(gain, 6)))[:_INTRODUCING]
    stems = {word[:_STEM] for word in question_words(relevance.question)}
    total = max(2, len(view.weights))
    strength: dict[int, float] = {}
    worth: dict[int, float] = {}
    said: dict[int, str] = {}
    for place in order.tolist():
        good = (max(0.0, float(gain[place])) / best) ** _SHARPNESS
        spelled = spell(pool.candidates[place].text)
        for entity, at in pool.entities[place].items():
            title = spell(naming.title(entity))
            if title in asked:
                continue
            rarity = float(np.log1p(total / max(1, int(view.degrees[entity]))) / np.log1p(total))
            beside = spelled[:at].split()[-_BESIDE:] + spelled[at + len(title) - 1 :].split()[:_BESIDE]
            spoken = any(len(word) >= _STEM and word[:_STEM] in stems for word in beside)
            value = good * (_SPOKEN_OF if spoken else 1.0) * rarity
            if good > strength.get(entity, -1.0):
                strength[entity], said[entity] = good, spelled
            worth[entity] = max(value, worth.get(entity, 0.0))
    chosen = sorted(worth, key=lambda one: (-round(worth[one], 6), one))[:_BRIDGES]
    texts = [f"{open_part(relevance.question, said[entity])} {naming.title(entity)}" for entity in chosen]
    if relevance.embedder is None or relevance.vector is None or not texts:
        return [
            Bridge(one, strength[one], replace(relevance, question=text))
            for one, text in zip(chosen, texts, strict=True)
        ]
    vectors = relevance.embedder.embed(texts)
    return [
        Bridge(one, strength[one], replace(relevance, question=text, vector=vectors[place : place + 1]))
        for place, (one, text) in enumerate(zip(chosen, texts, strict=True))
    ]


def open_part(question: str, said: str) -> str:
    """Return ``question`` without the words that a sentence (spelled out) has dealt with."""
    open_words = [
        word
        for word in question.rstrip("?. ").split()
        if not (held := question_words(word)) or not all(f" {term} " in said for term in held)
    ]
    return " ".join(open_words)


def _second_sentences(
    view: GraphView,
    resolver: CitationResolver,
    naming: Naming,
    bridges: Sequence[Bridge],
) -> list[tuple[Candidate, int]]:
    """Return sentences about each bridge, the most promising ones, with the bridge."""
    found: list[tuple[Candidate, int]] = []
    for bridge in bridges:
        title = spell(naming.title(bridge.entity))
        units = view.units_of_entities.of(bridge.entity)
        near = bridge.asked.of_rows("text_units", units, "text")
        leads = np.array([_LEAD * (title in spell(document_title(resolver, int(unit)))) for unit in units])
        order = np.lexsort((units, -np.round(near + leads, 6)))[:_UNITS_OF_BRIDGE]
        offered: list[tuple[float, Candidate]] = []
        for place in order.tolist():
            about = bool(leads[place])
            for one in candidates_of_units(resolver, [int(units[place])]):
                at = naming.entities_in(one.unit, one.text).get(bridge.entity)
                if at is None and not about:
                    continue
                words = word_coverage(question_words(bridge.asked.question), [one.text]).mean_held[0]
                offered.append((float(words) + _LEAD * (about + (at == 0)), one))
        offered.sort(key=lambda pair: (-round(pair[0], 6), _key(pair[1])))
        found += [(one, bridge.entity) for _, one in offered[:_SENTENCES_OF_BRIDGE]]
    return found


def _bridged(pool: _Pool, texts: list[str], bridges: Sequence[Bridge]) -> Scores:
    """Return for each bridge and candidate the similarity to the question put with the bridge's name."""
    found = np.zeros((len(bridges), len(texts)))
    for row, bridge in enumerate(bridges):
        vector = bridge.asked.vector
        if pool.vectors is not None and vector is not None:
            found[row] = pool.vectors @ vector[0]
        else:
            found[row] = bridge.asked.of_texts(texts)[0]
    return found


def _greedy(
    pool: _Pool,
    texts: list[str],
    wanted: list[str],
    named: list[str],
    bridged: Scores,
    bridges: Sequence[Bridge],
    limit: int,
) -> list[Chosen]:
    n = len(texts)
    coverage = word_coverage(wanted, texts)
    weight = coverage.rarity.copy()
    base = adjustments(texts, named)
    about = np.zeros((len(bridges), n), dtype=bool)
    for row, bridge in enumerate(bridges):
        about[row] = [bridge.entity in held for held in pool.entities]
    opened = np.zeros(len(bridges), dtype=bool)
    used = np.zeros(len(bridges), dtype=np.int64)
    likeness, left = np.zeros(n), np.ones(n, dtype=bool)
    chosen: list[Chosen] = []
    best = 0.0
    while left.any() and len(chosen) < limit:
        near = pool.similarity.copy()
        for row, bridge in enumerate(bridges):
            if opened[row] and used[row] < _BRIDGES_OF_ENTITY:
                value = _BRIDGED * bridged[row] * bridge.strength
                near = np.where(about[row], np.maximum(near, value), near)
        value = near + _WORDS * (coverage.held @ weight) + base - _REDUNDANCY * likeness
        value = np.round(np.where(left, value, -np.inf), 6)
        place = int(np.argmax(value))
        best = best or float(value[place])
        part = _FAIRLY_NEAR if len(chosen) < _FEWEST_SENTENCES else _NEAR_THE_BEST
        if float(value[place]) < max(0.0, part * best):
            break
        chosen.append(Chosen(pool.candidates[place], float(pool.similarity[place])))
        left[place] = False
        weight = np.where(coverage.held[place] > 0, _COVERED * coverage.rarity, weight)
        if near[place] > pool.similarity[place]:
            used += opened & about[:, place]
        opened |= about[:, place]
        alike = _likeness(pool, texts, place)
        likeness = np.maximum(likeness, alike)
        left &= alike < _SAME
    return chosen


def _likeness(pool: _Pool, texts: list[str], place: int) -> Scores:
    if pool.vectors is not None:
        return np.asarray(pool.vectors @ pool.vectors[place], dtype=np.float64)
    words = [set(text.split()) for text in texts]
    return np.array([len(one & words[place]) / max(1, len(one | words[place])) for one in words])


def document_title(resolver: CitationResolver, unit: int) -> str:
    """Return the title of the document that text unit ``unit`` is cut from."""
    document_id = resolver.document_of_unit(unit)
    row = resolver.view.index.row("documents", document_id)
    return str((row or {}).get("title") or "")


def _key(one: Candidate) -> tuple[str, int]:
    return (one.evidence.document_id, one.evidence.start)


def _one_line(text: str) -> str:
    return " ".join(text.split())
