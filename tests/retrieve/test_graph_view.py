"""Arrays over the index, and names in questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrag.query.linking import link_entities
from graphrag.query.relevance import Relevance
from graphrag.retrieve.graph_view import GraphView, Neighbours
from graphrag.store.index import Index
from tests.query import small_index
from tests.query.small_index import build_index

PAIRS = st.lists(st.tuples(st.integers(-1, 6), st.integers(-1, 9)), max_size=30)


def titles(index: Index, places: list[int]) -> list[str]:
    names = index.table("entities")["title"].to_pylist()
    return [names[place] for place in places]


@given(PAIRS)
def test_neighbours_are_the_pairs_once_each(pairs: list[tuple[int, int]]) -> None:
    owners, values = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    runs = Neighbours.of_pairs(owners, values, 7)
    expected = [sorted({v for o, v in pairs if o == owner and v >= 0}) for owner in range(7)]
    assert [runs.of(owner).tolist() for owner in range(7)] == expected
    together, which = runs.of_many(np.array([3, 0]))
    assert together.tolist() == expected[3] + expected[0]
    assert which.tolist() == [0] * len(expected[3]) + [1] * len(expected[0])


def test_relationships_stand_at_both_ends(index: Index, view: GraphView) -> None:
    table = index.table("relationships").to_pylist()
    for place, entity in enumerate(index.table("entities").to_pylist()):
        expected = [i for i, row in enumerate(table) if entity["id"] in (row["source_id"], row["target_id"])]
        assert view.relationships_of.of(place).tolist() == expected
        assert view.degrees[place] == entity["degree"] == len(expected)


def test_units_claims_and_mentions_follow_the_tables(index: Index, view: GraphView) -> None:
    for place, entity in enumerate(index.table("entities").to_pylist()):
        units = [
            index.table("text_units")["id"][int(unit)].as_py() for unit in view.units_of_entities.of(place)
        ]
        assert sorted(units) == sorted(entity["text_unit_ids"])
        assert len(view.mentions_of.of(place)) == len(units)
    brack = index.table("entities")["title"].to_pylist().index("Jonas Brack")
    assert view.claims_of.of(brack).tolist() == [0, 1]  # as subject, and as object
    stated = index.table("covariates")["text_unit_id"].to_pylist()
    assert [index.table("text_units")["id"][int(unit)].as_py() for unit in view.unit_of_claims] == stated


def test_the_deepest_report_of_each_entity(index: Index, view: GraphView) -> None:
    reports = index.table("community_reports")["title"].to_pylist()
    found = {
        title: reports[report]
        for title, report in zip(
            index.table("entities")["title"].to_pylist(), view.deepest_report, strict=True
        )
    }
    assert found["Ines Moor"] == "Halcyon and Ines Moor"
    assert found["Ostrel"] == "Ostrel and Marta Velden"
    assert found["Honey cake"] == "Pieter Lund and Sourdough"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("who was JONAS BRACK'S pupil?", ["Jonas Brack"]),
        ("Did Marta Velden and Pieter Lund meet?", ["Marta Velden", "Pieter Lund"]),
        ("Which cargo did the S.S. Halcyon carry?", ["Halcyon"]),
        ("What did the steamer carry?", ["Halcyon"]),
        ("Is there rye-bread?", ["Rye bread"]),
        ("And who are you?", []),
        ("", []),
    ],
)
def test_names_in_a_question(index: Index, view: GraphView, question: str, expected: list[str]) -> None:
    assert sorted(titles(index, [match.place for match in view.named_in(question)])) == expected


def test_a_distinctive_part_of_a_name(index: Index, view: GraphView) -> None:
    found = view.partly_named_in("Where did Velden live?")
    assert titles(index, [match.place for match in found]) == ["Marta Velden"]
    assert 0.3 < found[0].score < 0.8
    assert view.partly_named_in("Where did she rye the velden, Ostrich?") == []
    assert titles(index, [match.place for match in view.partly_named_in("where is velden")]) == [
        "Marta Velden"
    ]


def test_names_with_korean_particles_and_without_spaces(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = dict(
        zip(small_index.ENTITIES, ["세종", "장영실", "東京", "東京大学", "훈민 정음"], strict=False)
    )
    names = {renamed.get(name, name): value for name, value in small_index.ENTITIES.items()}
    monkeypatch.setattr(small_index, "ENTITIES", names)
    monkeypatch.setattr(small_index, "RELATIONS", [])
    monkeypatch.setattr(small_index, "CLAIMS", [])
    monkeypatch.setattr(small_index, "COMMUNITIES", [])
    index = build_index(tmp_path_factory.mktemp("korean"), None)
    view = GraphView(index)

    def named(text: str) -> list[str]:
        return sorted(titles(index, [match.place for match in view.named_in(text)]))

    assert named("세종은 장영실에게 무엇을 시켰나?") == ["세종", "장영실"]
    assert named("훈민 정음을 만든 사람은?") == ["훈민 정음"]
    assert named("東京大学はどこですか") == ["東京大学"]
    assert named("東京はどこですか") == ["東京"]


def test_links_say_how_sure_they_are(index: Index, view: GraphView, embedder: object) -> None:
    relevance = Relevance.of(index, "Which captain commanded the Halcyon, like Velden?", embedder)  # type: ignore[arg-type]
    links, more = link_entities(view, relevance, 3)
    assert len(links) == 3
    assert more == 0
    assert link_entities(view, relevance, 2) == (links[:2], 1)
    assert (titles(index, [links[0].place]), links[0].how, links[0].matched) == (
        ["Halcyon"],
        "name",
        "halcyon",
    )
    assert (titles(index, [links[1].place]), links[1].how) != (["Halcyon"], "name")
    assert {link.how for link in links} == {"name", "part of name", "description"}
    assert [link.score for link in links] == sorted((link.score for link in links), reverse=True)
    assert (links, more) == link_entities(GraphView(index), relevance, 3)


def test_without_vectors_only_names_are_linked(tmp_path: Path) -> None:
    index = build_index(tmp_path, None)
    links, _ = link_entities(GraphView(index), Relevance.of(index, "Who taught Ines Moor?", None), 5)
    assert titles(index, [link.place for link in links]) == ["Ines Moor"]
