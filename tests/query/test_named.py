"""Entities that sentences name."""

from __future__ import annotations

from graphrag.query.named import Naming, spell
from graphrag.retrieve.graph_view import GraphView


def test_titles_and_aliases_are_found_as_whole_words_only(view: GraphView) -> None:
    naming = Naming(view)
    titles = view.index.table("entities")["title"].to_pylist()
    texts = view.index.table("text_units")["text"].to_pylist()
    unit = next(place for place, text in enumerate(texts) if "Ines Moor" in text)
    found = naming.entities_in(unit, "Captain Ines Moor commanded the Halcyon until 1899.")
    assert {titles[place] for place in found} == {"Ines Moor", "Halcyon"}
    assert found[titles.index("Ines Moor")] < found[titles.index("Halcyon")]
    assert naming.entities_in(unit, "The Halcyonic days of Ines Moorland.") == {}
    assert naming.entities_in(unit, "Sourdough keeps.") == {}  # its unit does not hold that entity


def test_spelled_names_stand_between_blanks() -> None:
    assert spell("The S.S. Halcyon!") == " the s s halcyon "
