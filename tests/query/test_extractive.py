"""Answers that are copied."""

from __future__ import annotations

import pytest

from graphrag.query.citations import CitationResolver, Evidence
from graphrag.query.extractive import Candidate, candidates_of_units, choose, in_reading_order, says_something
from graphrag.query.relevance import Relevance
from graphrag.retrieve.graph_view import GraphView
from graphrag.store.index import Index


def candidate(text: str, unit: int = 0, group: int = -1) -> Candidate:
    return Candidate(unit, Evidence("d", unit * 100, unit * 100 + len(text)), text, group=group)


def test_sentences_of_overlapping_units_come_once(index: Index, view: GraphView) -> None:
    resolver = CitationResolver(view)
    found = candidates_of_units(resolver, [3, 4, 3])
    assert len({(one.evidence.document_id, one.evidence.start) for one in found}) == len(found)
    assert [one.text for one in found] == [resolver.text_of(one.evidence) for one in found]
    assert found[0].text.startswith("The harbour of Ostrel")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The harbour was built in 1871.", True),
        ("세종은 1443년에 훈민정음을 만들었다.", True),
        ("# The harbour of Ostrel town", False),
        ("Who built the harbour of Ostrel?", False),
        ("Too short.", False),
        ("| a | b | c | d | e |", False),
        ("word " * 200, False),
    ],
)
def test_what_can_stand_in_an_answer(sentence: str, expected: bool) -> None:
    assert says_something(sentence) is expected


def test_the_nearest_sentence_comes_first_and_doubles_do_not_follow(index: Index) -> None:
    relevance = Relevance(index, "Who commanded the Halcyon?")
    texts = [
        "Salt and mail were carried every single week.",
        "Ines Moor commanded the Halcyon until 1899.",
        "Ines Moor commanded the Halcyon until 1899!",
        "The Halcyon sailed to the southern islands.",
    ]
    chosen = choose([candidate(text, unit) for unit, text in enumerate(texts)], relevance, least=0.3)
    assert [one.candidate.unit for one in chosen][:2] == [1, 3]
    assert chosen[0].similarity == 1.0
    assert 0 not in [one.candidate.unit for one in chosen]
    assert chosen[0].cited == "Ines Moor commanded the Halcyon until 1899. [Data: Sources (1)]"


def test_nothing_near_enough_is_no_answer(index: Index) -> None:
    relevance = Relevance(index, "What is the population of Brazil?")
    assert choose([candidate("The Halcyon sailed to the southern islands.")], relevance, least=0.3) == []
    assert choose([], relevance, least=0.0) == []


def test_a_group_gives_only_its_share(index: Index) -> None:
    relevance = Relevance(index, "harbour lamp storm ships")
    texts = ["The harbour had a lamp.", "A storm took the ships.", "Ships left the harbour early."]
    candidates = [candidate(text, unit, group=0) for unit, text in enumerate(texts)]
    candidates.append(candidate("The lamp went out in the night.", 9, group=1))
    chosen = choose(candidates, relevance, least=0.1, per_group=2)
    assert sorted(one.candidate.group for one in chosen) == [0, 0, 1]


def test_reading_order_keeps_the_best_first(index: Index) -> None:
    relevance = Relevance(index, "harbour lamp storm ships")
    texts = [
        "Ships left early that day.",
        "The harbour lamp and the storm.",
        "A storm took the harbour ships.",
    ]
    chosen = choose([candidate(text, unit) for unit, text in enumerate(texts)], relevance, least=0.1)
    ordered = in_reading_order(chosen)
    assert ordered[0] == chosen[0]
    units = [one.candidate.unit for one in ordered[1:]]
    assert units == sorted(units)


def test_a_mark_inside_a_source_is_not_taken_for_a_citation() -> None:
    from graphrag.query.extractive import Chosen

    text = "The harbour [Data: Reports (1)] was\nbuilt in 1871."
    assert Chosen(candidate(text, 3), 1.0).cited == "The harbour was built in 1871. [Data: Sources (3)]"
