"""Walks over an index made of texts, each step chosen by the sentence that states it. No LLM.

Open extraction leaves thousands of predicates, most of them seen once, and does not see every
relation: a plan made of labels names little of what the texts say. Here a step is a labelled
relationship or a text unit that mentions both ends, its words are compared with what the question
still leaves open, and the walks with the best words are the plan.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graphrag.embed.base import Vectors
from graphrag.graph.paths import RelationPath, Walk
from graphrag.query.chains import document_title, open_part
from graphrag.query.citations import CitationResolver
from graphrag.query.extractive import candidates_of_units, question_words, word_coverage
from graphrag.query.named import Naming, spell
from graphrag.query.path_graph import MENTIONED_IN, UNLABELLED, IndexGraph
from graphrag.query.relevance import Relevance
from graphrag.retrieve.graph_view import GraphView

_BEAM = 8  # walks that go on after a step
_WALKS = 60  # walks returned at most
_UNITS = 4  # text units read around a node: those nearest to what is asked
_LOOKED_AT = 100  # text units whose titles are looked at, however many mention a node
_LABELLED = 24  # relationships with a label compared at a node, the heaviest
_COMPARED = 64  # texts embedded per step
_WORDS = 0.4  # what it is worth to hold every word of the question, in cosine
_LEAD = 0.15  # a document called as the entity is about it, sentence by sentence
_ELSEWHERE = 0.08  # a sentence that does not name where the walk stands, in a text that does
_BESIDE, _STEM, _SPOKEN_OF = 4, 5, 0.06  # words around an end that are of one root with one of the question
_FITTING = 0.08  # an end of the kind that is asked for
_LONGER = 0.03  # a step more has to bring this much
_KINDS = {"who": ("person", "organization"), "whom": ("person",), "where": ("place",), "whose": ("person",)}
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class TextWalk:
    """A walk, its steps, how well its words answer, and the words of each step.

    ``weakest`` is the least similarity among the steps, each to what was asked there.
    """

    walk: Walk
    path: RelationPath
    score: float
    weakest: float
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Partial:
    walk: Walk
    path: RelationPath
    asked: Relevance
    similarities: tuple[float, ...]
    texts: tuple[str, ...]
    seen: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Fact:
    """A way from a partial walk to ``target``: its text, the nodes, steps and edges passed."""

    partial: int
    target: int
    text: str
    nodes: tuple[int, ...]
    steps: RelationPath
    edges: tuple[int, ...]
    bonus: float


@dataclass(slots=True)
class _Search:
    view: GraphView
    graph: IndexGraph
    relevance: Relevance
    wanted: list[str]
    named: frozenset[int]
    resolver: CitationResolver = field(init=False)
    naming: Naming = field(init=False)

    def __post_init__(self) -> None:
        self.resolver, self.naming = CitationResolver(self.view), Naming(self.view)


def text_walks(
    view: GraphView, graph: IndexGraph, starts: Sequence[int], relevance: Relevance, *, hops: int
) -> list[TextWalk]:
    """Return walks of up to ``hops`` entities from ``starts``, the best first; none where nothing is said.

    ``graph`` holds the text units as nodes, so a step between entities that are mentioned together
    passes one. At most 64 texts are embedded per hop. Deterministic: ties go to the lower node.
    """
    named = frozenset(match.place for match in view.named_in(relevance.question)) | set(starts)
    search = _Search(view, graph, relevance, question_words(relevance.question), named)
    begun = [
        _Partial(Walk((node,), ()), (), relevance, (), (), frozenset((node,))) for node in sorted(set(starts))
    ]
    frontier, found = begun, []
    for hop in range(hops):
        facts = [fact for place, one in enumerate(frontier) for fact in _facts(search, place, one)]
        grown = _grown(search, frontier, facts)
        found += grown
        if hop + 1 < hops:
            frontier = _asked_further(search, [one for one, _ in grown[:_BEAM]])
    return _ranked(search, found)


def _facts(search: _Search, place: int, partial: _Partial) -> list[_Fact]:
    node = partial.walk.end
    return [*_labelled(search, place, node), *_mentioned(search, place, node, partial)]


def _labelled(search: _Search, place: int, node: int) -> list[_Fact]:
    graph = search.graph.graph
    _, steps, targets, edges = graph.edges_at(np.array([node], dtype=np.int64))
    order = np.lexsort((edges, -graph.weights[edges]))
    facts: list[_Fact] = []
    for at in order.tolist():
        step, target, edge = int(steps[at]), int(targets[at]), int(edges[at])
        label = graph.relation_names[step % graph.n_relations]
        if label in (UNLABELLED, MENTIONED_IN) or target == node or len(facts) >= _LABELLED:
            continue
        head, tail = graph.names[int(graph.heads[edge])], graph.names[int(graph.tails[edge])]
        text = f"{head} {label} {tail}"
        facts.append(_Fact(place, target, text, (target,), (step,), (edge,), _beside(search, text, target)))
    return facts


def _mentioned(search: _Search, place: int, node: int, partial: _Partial) -> list[_Fact]:
    """Return what the sentences of the text units around ``node`` name, with the way over the unit."""
    view, graph = search.view, search.graph.graph
    title = spell(search.naming.title(node))
    units = view.units_of_entities.of(node)
    # What stands in a text that an earlier node stands in was one step away before: it is no step further.
    earlier = [view.units_of_entities.of(one) for one in sorted(partial.seen - {node})]
    units = np.setdiff1d(units, np.concatenate(earlier)) if earlier else units
    if not len(units):
        return []
    near = partial.asked.of_rows("text_units", units, "text")
    if len(units) > _LOOKED_AT:
        kept = np.sort(np.lexsort((units, -np.round(near, 6)))[:_LOOKED_AT])
        units, near = units[kept], near[kept]
    leads = np.array([title in spell(document_title(search.resolver, int(unit))) for unit in units])
    order = np.lexsort((units, -np.round(near + _LEAD * leads, 6)))[:_UNITS]
    into = graph.step(MENTIONED_IN)
    assert into is not None
    facts = []
    for at in order.tolist():
        unit = int(units[at])
        passed = unit + search.graph.n_entities
        edge = _mention_edge(search, node, unit)
        for one in candidates_of_units(search.resolver, [unit]):
            named = search.naming.entities_in(unit, one.text)
            away = 0.0 if node in named or leads[at] else _ELSEWHERE
            text = " ".join(one.text.split())
            for target in sorted(named):
                if target == node or target in search.named:
                    continue
                steps = (into, into + graph.n_relations)
                edges = (edge, _mention_edge(search, target, unit))
                bonus = _beside(search, text, target) - away
                facts.append(_Fact(place, target, text, (passed, target), steps, edges, bonus))
    return facts


def _mention_edge(search: _Search, entity: int, unit: int) -> int:
    mentioned = search.view.units_of_entities
    before = int(mentioned.offsets[entity])
    return search.graph.n_relationships + before + int(np.searchsorted(mentioned.of(entity), unit))


def _beside(search: _Search, text: str, target: int) -> float:
    """Return what it adds that an end stands beside a word of the question ("directed by …")."""
    spelled, title = spell(text), spell(search.naming.title(target))
    at = spelled.find(title)
    if at < 0:
        return 0.0
    around = spelled[:at].split()[-_BESIDE:] + spelled[at + len(title) - 1 :].split()[:_BESIDE]
    stems = {word[:_STEM] for word in search.wanted}
    return _SPOKEN_OF * any(len(word) >= _STEM and word[:_STEM] in stems for word in around)


def _grown(
    search: _Search, frontier: Sequence[_Partial], facts: Sequence[_Fact]
) -> list[tuple[_Partial, float]]:
    """Return each partial walk with each target once, by its best fact, the best first."""
    texts = sorted({fact.text for fact in facts})
    if len(texts) > _COMPARED:
        held = word_coverage(search.wanted, texts).mean_held
        texts = [texts[at] for at in sorted(np.argsort(-held, kind="stable")[:_COMPARED].tolist())]
    if not texts:
        return []
    number = {text: at for at, text in enumerate(texts)}
    similar = _similarities(frontier, search.relevance, texts)
    coverage = word_coverage(search.wanted, [*texts, *(text for one in frontier for text in one.texts)])
    rarity = dict(zip(search.wanted, coverage.rarity.tolist(), strict=True))
    best: dict[tuple[int, int], tuple[float, _Partial]] = {}
    for fact in facts:
        if fact.text not in number:
            continue
        before = frontier[fact.partial]
        if fact.target in before.seen:
            continue
        similarities = (*before.similarities, float(similar[fact.partial, number[fact.text]]) + fact.bonus)
        said = (*before.texts, fact.text)
        score = _value(similarities, said, rarity)
        key = (before.walk.end, fact.target)
        if key in best and best[key][0] >= score:
            continue
        walk = Walk((*before.walk.nodes, *fact.nodes), (*before.walk.edges, *fact.edges))
        seen = before.seen | {fact.target}
        path = (*before.path, *fact.steps)
        best[key] = (score, _Partial(walk, path, before.asked, similarities, said, seen))
    ordered = sorted(best.values(), key=lambda one: (-round(one[0], 6), one[1].walk.nodes))
    return [(partial, score) for score, partial in ordered]


def _value(similarities: Sequence[float], said: Sequence[str], rarity: dict[str, float]) -> float:
    held = {word for text in said for word in spell(text).split()}
    covered = sum(weight for word, weight in rarity.items() if word in held)
    return float(np.mean(similarities)) + _WORDS * covered - _LONGER * (len(said) - 1)


def _similarities(frontier: Sequence[_Partial], relevance: Relevance, texts: list[str]) -> Vectors:
    if relevance.embedder is None or relevance.vector is None:
        return np.array([one.asked.of_texts(texts)[0] for one in frontier], dtype=np.float32)
    asked = np.concatenate([one.asked.vector for one in frontier if one.asked.vector is not None])
    return np.asarray(asked @ relevance.embedder.embed(texts).T, dtype=np.float32)


def _asked_further(search: _Search, partials: Sequence[_Partial]) -> list[_Partial]:
    """Give each walk what the question leaves open after it, put with the name of its end."""
    relevance = search.relevance
    asked = [
        f"{open_part(relevance.question, spell(one.texts[-1]))} {search.naming.title(one.walk.end)}"
        for one in partials
    ]
    if relevance.embedder is None or relevance.vector is None or not asked:
        return [
            replace(one, asked=replace(relevance, question=text))
            for one, text in zip(partials, asked, strict=True)
        ]
    vectors = relevance.embedder.embed(asked)
    return [
        replace(one, asked=replace(relevance, question=text, vector=vectors[at : at + 1]))
        for at, (one, text) in enumerate(zip(partials, asked, strict=True))
    ]


def _ranked(search: _Search, found: Sequence[tuple[_Partial, float]]) -> list[TextWalk]:
    types = search.view.index.table("entities")["type"]
    titles = search.graph.graph.names
    words = search.relevance.question.casefold().split()
    kinds = next((_KINDS[word] for word in words if word in _KINDS), ())
    dated = "when" in words or " date " in search.relevance.question or "how many" in " ".join(words[:3])
    walks = []
    for partial, score in found:
        end = partial.walk.end
        fits = types[end].as_py() in kinds or (dated and bool(_NUMBER.search(titles[end])))
        weakest = min(partial.similarities)
        walks.append(TextWalk(partial.walk, partial.path, score + _FITTING * fits, weakest, partial.texts))
    walks.sort(key=lambda one: (-round(one.score, 6), one.walk.nodes))
    best: dict[int, TextWalk] = {}
    for one in walks:
        best.setdefault(one.walk.end, one)
    return list(best.values())[:_WALKS]
