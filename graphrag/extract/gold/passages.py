"""Passages: a part of a text with what it states, where names stand in it, how it is written as an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphrag.extract.compact import ExtractionSchema, compact_answer, one_line
from graphrag.extract.gold.corpus import GoldText


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text with what it states: ``(name, type)`` in order, ``(head, predicate, tail)``."""

    text_id: str
    text: str
    entities: tuple[tuple[str, str | None], ...]
    relations: tuple[tuple[str, str, str], ...]

    @property
    def line(self) -> str:
        """Return the text as a prompt has it."""
        return one_line(self.text)

    def answer(self, schema: ExtractionSchema) -> str:
        """Return the answer to ``schema``: what the schema does not ask for is left out."""
        wanted = set(schema.entity_types or ())
        entities = [
            (name, None if schema.entity_types is None else type_ or "other")
            for name, type_ in self.entities
            if not wanted or type_ in wanted
        ]
        order = {name: place for place, (name, _) in reversed(list(enumerate(entities)))}
        relations = [
            (head, predicate, tail)
            for head, predicate, tail in self.relations
            if {head, tail} <= order.keys() and (not schema.predicates or predicate in schema.predicates)
        ]
        relations.sort(key=lambda one: (order[one[0]], order[one[2]], one[1]))
        return compact_answer(entities, relations)


def gold_passage(text: GoldText, start: int, end: int) -> Passage:
    """Return what the part of ``text`` states: entities named there, relations between two of them."""
    body = text.text[start:end]
    places = located(body, [entity.names for entity in text.entities])
    named = sorted((place, number) for number, (place, _) in places.items())
    names = {number: name for number, (_, name) in places.items()}
    entities = dict.fromkeys((names[number], text.entities[number].type) for _, number in named)
    relations = [
        (names[head], predicate, names[tail])
        for head, predicate, tail in text.relations
        if head in names and tail in names
    ]
    return Passage(text.id, body, tuple(entities), tuple(dict.fromkeys(relations)))


def mention_spans(text: str, entities: Sequence[Sequence[str]]) -> list[tuple[int, int, int]]:
    """Return (start, end, number of the entity) of every place where ``text`` names an entity, in order.

    ``entities`` are lists of names. A name inside a longer name is no mention: "Florida" is not named by
    "Florida Supreme Court". Names all in capitals, as some recordings have them, may differ in case.
    """
    spans = []
    for number, names in enumerate(entities):
        for name in names:
            words = r"\s+".join(re.escape(word) for word in name.split())
            folded = re.IGNORECASE if name.isupper() and len(name) > 3 else re.NOFLAG
            if words:
                found = [m.span() for m in re.finditer(rf"(?<!\w){words}(?!\w)", text, folded)]
                spans += [(start - end, start, end, number) for start, end in found]
    kept: list[tuple[int, int, int]] = []
    for _, start, end, number in sorted(spans):  # the longest first
        if not any(start < last and first < end and (first, last) != (start, end) for first, last, _ in kept):
            kept.append((start, end, number))
    return sorted(kept)


def located(text: str, entities: Sequence[Sequence[str]]) -> dict[int, tuple[int, str]]:
    """Return for each entity that ``text`` names where it first does, and its longest name there."""
    places: dict[int, tuple[int, str]] = {}
    for start, end, number in mention_spans(text, entities):
        first, longest = places.get(number, (start, ""))
        places[number] = (first, max(longest, one_line(text[start:end]), key=len))
    return places
