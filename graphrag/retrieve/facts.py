"""Sentences of a text unit that lead on to other text units."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from graphrag.retrieve.passage_graph import PassageGraph
from graphrag.text.sentences import sentence_spans

RARE = 4  # text units that mention an entity; one in more of them does not say which is meant


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence of a text unit, its title before it, and a text unit that it leads to.

    ``about``: the sentence spells the other's title. Otherwise both mention a rare entity.
    """

    sentence: str
    target: int
    about: bool


def facts_of(graph: PassageGraph, unit: int, known: Set[int] = frozenset()) -> list[Fact]:
    """Return the facts of ``unit``, in the order of its sentences, titles first.

    A title leads to the text units under it, unless it is the unit's own. An entity leads to the
    others that mention it, if they are few and it is not in ``known`` (what the question named
    already). Deterministic; no embedding, no LLM call.
    """
    text = graph.index.table("text_units")["text"][unit].as_py()
    title = graph.titles[unit]
    said = [text[start:end] for start, end in sentence_spans(text)] or [text]
    spoken = [f"{title}: {sentence}" if title else sentence for sentence in said]
    facts = [
        Fact(whole, target, about=True)
        for sentence, whole in zip(said, spoken, strict=True)
        for named in graph.titles_in(sentence)
        if not graph.names_itself(unit, named)
        for target in named.units
    ]
    titled = {fact.target for fact in facts}
    shared = [
        Fact(spoken[number], target, about=False)
        for number, target in _shared(graph, unit, said, known)
        if target not in titled
    ]
    return list(dict.fromkeys((*facts, *shared)))


def _shared(graph: PassageGraph, unit: int, said: list[str], known: Set[int]) -> Iterator[tuple[int, int]]:
    """Yield (sentence, other text unit that mentions an entity of this sentence)."""
    for entity in graph.entities_in.of(unit).tolist():
        others = graph.view.units_of_entities.of(entity)
        if entity in known or not 1 < len(others) <= RARE:
            continue
        names = graph.names_of(entity)
        for number, sentence in enumerate(said):
            if any(name in sentence for name in names):
                yield from ((number, other) for other in others.tolist() if other != unit)
