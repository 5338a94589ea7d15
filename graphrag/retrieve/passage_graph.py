"""Passages and entities as one graph: who is mentioned where, and which passages are about whom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrag.retrieve.graph_view import GraphView, Neighbours, spellings, words_of
from graphrag.store.index import Index
from graphrag.store.lexical import FUNCTION_WORDS
from graphrag.store.passages import telling_title

_BRACKETS = re.compile(r"\s*\([^)]*\)\s*$")
_LONGEST_TITLE = 12  # words
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class NamedTitle:
    """A title that stands in a text from ``start`` to ``end``, and the text units under it."""

    start: int
    end: int
    units: tuple[int, ...]


class PassageGraph:
    """Arrays over the text units and entities of one index, by place; built lazily, once, read-only."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.view = GraphView(index)

    @property
    def n_units(self) -> int:
        """Return the number of text units."""
        return int(self.index.table("text_units").num_rows)

    @cached_property
    def titles(self) -> list[str]:
        """Return for each text unit the title of its document, empty where it says nothing."""
        columns = ("id", "title", "record_id")
        rows = self.index.table("documents").select(columns).to_pylist()
        telling = {row["id"]: telling_title(row["title"], row["record_id"]) for row in rows}
        return [telling.get(owner, "") for owner in self.index.table("text_units")["document_id"].to_pylist()]

    @cached_property
    def titled(self) -> dict[str, list[int]]:
        """Return the text units by the words of their title, with and without what it has in brackets."""
        found: dict[str, list[int]] = {}
        for place, title in enumerate(self.titles):
            for name in _names_of(title):
                found.setdefault(name, []).append(place)
        return found

    @cached_property
    def units_about(self) -> Neighbours:
        """Return for each entity the text units whose title is its name."""
        pairs = [
            (entity, unit)
            for name, units in self.titled.items()
            for entity in self.view.called(name)
            for unit in units
        ]
        owners, values = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return Neighbours.of_pairs(owners, values, self.view.n_entities)

    @cached_property
    def entities_in(self) -> Neighbours:
        """Return the entities that each text unit mentions."""
        units, entities = self.index.table("text_units"), self.index.table("entities")
        return Neighbours.of_lists(units["entity_ids"], entities["id"])

    def names_of(self, entity: int) -> list[str]:
        """Return the title and the aliases of an entity."""
        row = self.index.table("entities").select(["title", "aliases"]).slice(entity, 1).to_pylist()[0]
        return [row["title"], *(row["aliases"] or ())]

    @cached_property
    def rarity(self) -> npt.NDArray[np.float64]:
        """Return for each entity its inverse document frequency, scaled to at most 1."""
        mentioned = np.diff(self.view.units_of_entities.offsets)
        rarity = np.log1p(self.n_units / np.maximum(mentioned, 1))
        return np.asarray(rarity / np.log1p(max(self.n_units, 1)), dtype=np.float64)

    def titles_in(self, text: str) -> list[NamedTitle]:
        """Return where ``text`` spells titles, in its order, with the text units under each.

        Titles inside longer ones that were found are left out. So is a title of one word that the
        text, where it has capitals, spells without one ("film" is not the passage "Film") or as
        part of a longer name ("Princess Irene" is not the film "Princess"). Where a title is
        spelled whole, those that have it only before their brackets are left out.
        """
        found = list(_WORD.finditer(text))
        spelled = [word.group() for word in found]
        words = [word.casefold() for word in spelled]
        capitals = any(word[0].isupper() for word in spelled[1:])
        covered = [False] * len(words)
        named: list[NamedTitle] = []
        for size in range(min(_LONGEST_TITLE, len(words)), 0, -1):
            for start in range(len(words) - size + 1):
                run = slice(start, start + size)
                if any(covered[run]) or (size == 1 and capitals and not _stands_alone(text, found, start)):
                    continue
                key = next((key for key in spellings(words[run]) if key in self.titled), None)
                if key is not None:
                    first, last = found[start].start(), found[start + size - 1].end()
                    named.append(NamedTitle(first, last, self._best_called(key)))
                    covered[run] = [True] * size
        return sorted(named, key=lambda one: one.start)

    def names_itself(self, unit: int, named: NamedTitle) -> bool:
        """Return whether ``named`` is but the title of ``unit``: a passage that speaks of itself."""
        title = self.titles[unit]
        return any(
            other == unit or set(_names_of(self.titles[other])) & set(_names_of(title))
            for other in named.units
        )

    def _best_called(self, key: str) -> tuple[int, ...]:
        units = self.titled[key]
        whole = tuple(unit for unit in units if " ".join(words_of(self.titles[unit])) == key)
        return whole or tuple(units)

    @cached_property
    def _graph(self) -> Any:
        """Return the undirected graph: text units first, then entities."""
        import igraph

        units, n_units = self.entities_in, self.n_units
        owners = np.repeat(np.arange(n_units), np.diff(units.offsets))
        about = self.units_about
        named = np.repeat(np.arange(self.view.n_entities), np.diff(about.offsets))
        sources = np.concatenate([owners, about.values])
        targets = np.concatenate([units.values, named]) + n_units
        weights = np.concatenate([self.rarity[units.values], np.full(len(named), _ABOUT)])
        graph = igraph.Graph(n=n_units + self.view.n_entities, edges=np.stack([sources, targets], 1).tolist())
        graph.es["weight"] = weights.tolist()
        return graph

    def walk(
        self, units: Mapping[int, float], entities: Mapping[int, float], damping: float
    ) -> npt.NDArray[np.float64]:
        """Return the personalised PageRank of every text unit for a walk that begins anew at the seeds.

        Shape (text units,), float64; PRPACK, exact and deterministic. Seeds need a weight above zero.
        """
        graph = self._graph
        reset = np.zeros(graph.vcount())
        for place, weight in units.items():
            reset[place] += weight
        for place, weight in entities.items():
            reset[self.n_units + place] += weight
        ranks = graph.personalized_pagerank(
            directed=False, damping=damping, reset=reset.tolist(), weights="weight", implementation="prpack"
        )
        return np.asarray(ranks[: self.n_units])


_ABOUT = 3.0  # a passage is more about the entity in its title than about those it mentions


def _stands_alone(text: str, words: Sequence[re.Match[str]], place: int) -> bool:
    """Return whether a word is a capitalised name by itself, not a part of the one around it."""

    def joined(before: int, after: int) -> bool:
        return text[words[before].end() : words[after].start()] in (" ", "-")

    def capital(at: int) -> bool:
        return text[words[at].start()].isupper()

    if text[words[place].start()].islower():
        return False
    if place + 1 < len(words) and capital(place + 1) and joined(place, place + 1):
        return False
    return not (place > 1 and capital(place - 1) and joined(place - 1, place))


def _names_of(title: str) -> list[str]:
    """Return the spellings by which a question may name ``title``."""
    keys = (" ".join(words_of(name)) for name in dict.fromkeys((title, _BRACKETS.sub("", title))))
    return [key for key in dict.fromkeys(keys) if len(key) > 1 and not FUNCTION_WORDS.issuperset(key.split())]
