"""Which entities a sentence names, by the names of the entities of its text unit. No model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphrag.retrieve.graph_view import GraphView
from graphrag.store.lexical import FUNCTION_WORDS, terms

_SHORTEST_NAME = 3  # characters


@dataclass(slots=True)
class Naming:
    """Finds the entities of sentences for one question; keeps the names of the units that it read."""

    view: GraphView
    _units: dict[int, list[tuple[int, str]]] = field(default_factory=dict)

    def entities_in(self, unit: int, sentence: str) -> dict[int, int]:
        """Return the entities that ``sentence`` of text unit ``unit`` names, and where (first to last).

        The place counts characters of the spelled-out search terms, so 0 is the first word.
        """
        spelled = spell(sentence)
        found: dict[int, int] = {}
        for entity, name in self._of_unit(unit):
            at = spelled.find(name)
            if at >= 0 and at < found.get(entity, len(spelled)):
                found[entity] = at
        return found

    def title(self, entity: int) -> str:
        """Return the title of an entity."""
        return str(self.view.index.table("entities")["title"][entity].as_py())

    def _of_unit(self, unit: int) -> list[tuple[int, str]]:
        if unit not in self._units:
            index = self.view.index
            ids = index.table("text_units")["entity_ids"][unit].as_py() or ()
            places = sorted(place for one in ids if (place := index.place("entities", one)) is not None)
            self._units[unit] = [(place, name) for place in places for name in self._names_of(place)]
        return self._units[unit]

    def _names_of(self, entity: int) -> tuple[str, ...]:
        known = self.view.spelled_names  # of earlier questions too
        if entity not in known:
            table = self.view.index.table("entities")
            names = (self.title(entity), *(table["aliases"][entity].as_py() or ()))
            words = [terms(name) for name in names]
            spelled = dict.fromkeys(_framed(one) for one in words if not FUNCTION_WORDS.issuperset(one))
            known[entity] = tuple(name for name in spelled if len(name.strip()) >= _SHORTEST_NAME)
        return known[entity]


def spell(text: str) -> str:
    """Return the search terms of ``text`` with a blank around each, so that names are found whole."""
    return _framed(terms(text))


def _framed(words: Sequence[str]) -> str:
    return f" {' '.join(words)} "
