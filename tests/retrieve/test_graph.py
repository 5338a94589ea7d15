"""The graph retriever over a small index made by the rules, with real vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphrag.api import GraphRAG
from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError, QueryError
from graphrag.retrieve import Retriever, RetrieverSources, make_retriever
from graphrag.retrieve.dense import DenseRetriever
from graphrag.retrieve.facts import facts_of
from graphrag.retrieve.graph import GraphRetriever
from graphrag.retrieve.passage_graph import PassageGraph
from graphrag.settings import RetrievalSettings
from graphrag.store.index import Index

PASSAGES = {
    "The Silver Tide (1954 film)": "The Silver Tide is a 1954 drama film. It was directed by Ada Fenwick. "
    "The film stars Piet Moravec and was shot in Lisbon.",
    "Ada Fenwick": "Ada Fenwick was a painter who later turned to the cinema. She was born in Tromso.",
    "Piet Moravec": "Piet Moravec was an actor. He was born in Brno and loved chess.",
    "Lisbon": "Lisbon is the capital of Portugal. It lies on the Tagus.",
    "The Copper Road": "The Copper Road is a 1961 western film directed by Nils Aberg. It was a failure.",
    "Nils Aberg": "Nils Aberg was a writer and a sailor. He died in Malmo.",
    "Film": "A film is a series of pictures shown so fast that they seem to move.",
    "Director": "The director of a film is born of patience: where a director is born matters to nobody.",
    "Tromso": "Tromso is a city in the north of Norway. It has a cathedral.",
}
QUESTION = "Where was the director of film The Silver Tide born?"


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> GraphRAG:
    root = tmp_path_factory.mktemp("films")
    rag = GraphRAG.init(root, settings={"pipeline": "fast"})
    rows = (
        json.dumps({"id": f"p{place}", "title": title, "text": text})
        for place, (title, text) in enumerate(PASSAGES.items())
    )
    (root / "input" / "films.jsonl").write_text("\n".join(rows))
    rag.index()
    return rag


@pytest.fixture(scope="module")
def films(rag: GraphRAG) -> Index:
    return rag.open_index()


@pytest.fixture(scope="module")
def graph(rag: GraphRAG) -> GraphRetriever:
    made = rag.retriever("graph")
    assert isinstance(made, GraphRetriever)
    assert isinstance(made, Retriever)
    return made


def titles(index: Index, found: list[tuple[str, float]]) -> list[str]:
    rows = index.rows("text_units", [row_id for row_id, _ in found])
    return [row["title"] for row in index.rows("documents", [row["document_id"] for row in rows])]


def test_the_second_hop_follows_the_fact_that_was_asked_for(films: Index, graph: GraphRetriever) -> None:
    found = titles(films, graph.search(QUESTION, 3))
    assert found[:2] == ["The Silver Tide (1954 film)", "Ada Fenwick"]
    by_cosine = titles(films, DenseRetriever(films, graph.embedder).search(QUESTION, 3))
    assert "Ada Fenwick" not in by_cosine  # nothing in her passage is near the question
    both = titles(films, graph.search("Whose director is older, The Silver Tide or The Copper Road?", 4))
    assert set(both) == {"The Silver Tide (1954 film)", "Ada Fenwick", "The Copper Road", "Nils Aberg"}


def test_without_known_names_cosine_decides(films: Index, graph: GraphRetriever) -> None:
    for question in ("who is patient and why", "", "quokka xylophone"):
        found = graph.search(question, 5)
        cosines = DenseRetriever(films, graph.embedder).search(question, 5)
        assert [row_id for row_id, _ in found] == [row_id for row_id, _ in cosines]
        assert [score for _, score in found] == pytest.approx([score for _, score in cosines], abs=1e-6)


def test_the_ranking_is_the_same_every_time(films: Index, graph: GraphRetriever) -> None:
    found = graph.search(QUESTION, 9)
    again = GraphRetriever(Index(films.folder), graph.embedder)
    assert again.search(QUESTION, 9) == graph.search(QUESTION, 9) == found
    assert found == sorted(found, key=lambda pair: (-round(pair[1], 12), pair[0]))
    assert len({row_id for row_id, _ in found}) == len(found) == len(PASSAGES)
    assert graph.search(QUESTION, 2) == found[:2]
    assert graph.search(QUESTION, 0) == []


def test_equal_passages_are_ordered_by_id(tmp_path: Path) -> None:
    rag = GraphRAG.init(tmp_path, settings={"pipeline": "fast"})
    row = {"title": "Ada Fenwick", "text": PASSAGES["Ada Fenwick"]}
    (tmp_path / "input" / "two.jsonl").write_text(
        "\n".join(json.dumps(row | {"id": name}) for name in ("b", "a", "c"))
    )
    rag.index()
    found = rag.retriever("graph").search("Where was Ada Fenwick born?", 3)
    assert len(found) > 1
    assert len({round(score, 12) for _, score in found}) == 1
    assert [row_id for row_id, _ in found] == sorted(row_id for row_id, _ in found)


def test_titles_in_a_question(films: Index) -> None:
    graph = PassageGraph(films)

    def named(text: str) -> list[tuple[str, set[str]]]:
        return [
            (text[one.start : one.end], {graph.titles[unit] for unit in one.units})
            for one in graph.titles_in(text)
        ]

    assert named(QUESTION) == [("The Silver Tide", {"The Silver Tide (1954 film)"})]  # nor "Director"
    assert named("the silver tide (1954 FILM)?") == [
        ("the silver tide (1954 FILM", {"The Silver Tide (1954 film)"})
    ]
    assert named("Is Film an art?") == [("Film", {"Film"})]
    assert named("is lisbon in portugal?") == [("lisbon", {"Lisbon"})]
    assert named("The Silver") == []


def test_a_word_of_a_longer_name_is_no_title(films: Index) -> None:
    graph = PassageGraph(films)
    assert graph.titles_in("Where does the Lisbon Story Orchestra play?") == []
    assert graph.titles_in("Who was Anna Lisbon?") == []
    assert [one.start for one in graph.titles_in("Is it far to Lisbon, Anna?")] == [13]
    assert len(graph.titles_in("In Lisbon and in Tromso")) == 2  # a sentence's first word is no name


@pytest.fixture(scope="module")
def namesakes(tmp_path_factory: pytest.TempPathFactory) -> GraphRAG:
    passages = (
        (
            "Harrow Gate",
            "Harrow Gate is a 1971 film. It was directed by Otto Lindqvist and stars Mia Brandt.",
        ),
        (
            "Harrow Gate (novel)",
            "Harrow Gate is a novel by Ruth Calder. The Fenmark Prize went to it in 1965.",
        ),
        ("Otto Lindqvist", "Otto Lindqvist was born in Uppsala."),
        ("Mia Brandt", "Mia Brandt was a swimmer and an actress. She appeared in the film Harrow Gate."),
        (
            "Prizes of the year 1965",
            "That year the Fenmark Prize went to Ruth Calder, as everybody expected.",
        ),
        *(("Uppsala", f"Part {part} of the history of Uppsala, a town.") for part in ("one", "two", "three")),
    )
    root = tmp_path_factory.mktemp("namesakes")
    rag = GraphRAG.init(root, settings={"pipeline": "fast"})
    rows = (
        json.dumps({"id": f"p{place}", "title": title, "text": text})
        for place, (title, text) in enumerate(passages)
    )
    (root / "input" / "films.jsonl").write_text("\n".join(rows))
    rag.index()
    return rag


def test_a_title_spelled_whole_is_meant(namesakes: GraphRAG) -> None:
    graph = PassageGraph(namesakes.open_index())

    def meant(text: str) -> set[str]:
        return {graph.titles[unit] for one in graph.titles_in(text) for unit in one.units}

    assert meant("Who directed Harrow Gate?") == {"Harrow Gate"}
    assert meant("Who wrote Harrow Gate (novel)?") == {"Harrow Gate (novel)"}


def test_facts_lead_to_titles_and_to_passages_that_share_a_rare_entity(namesakes: GraphRAG) -> None:
    graph = PassageGraph(namesakes.open_index())
    place = {title: unit for unit, title in enumerate(graph.titles)}

    def led(title: str) -> list[tuple[str, str, bool]]:
        return [
            (fact.sentence, graph.titles[fact.target], fact.about) for fact in facts_of(graph, place[title])
        ]

    directed = "Harrow Gate: It was directed by Otto Lindqvist and stars Mia Brandt."
    assert (directed, "Otto Lindqvist", True) in led("Harrow Gate")
    assert (directed, "Mia Brandt", True) in led("Harrow Gate")
    assert not any(
        about and "novel" in target for _, target, about in led("Harrow Gate")
    )  # it speaks of itself
    prize = "Harrow Gate (novel): The Fenmark Prize went to it in 1965."
    assert (prize, "Prizes of the year 1965", False) in led("Harrow Gate (novel)")
    known = {match.place for match in graph.view.named_in("Fenmark Prize, Ruth Calder")}
    assert known
    asked = facts_of(graph, place["Harrow Gate (novel)"], known)
    assert all(graph.titles[fact.target] != "Prizes of the year 1965" for fact in asked)
    back = [(target, about) for _, target, about in led("Otto Lindqvist")]
    assert back == [("Uppsala", True)] * 3 + [("Harrow Gate", False)]


def test_passages_of_one_title_share_what_its_name_gives(namesakes: GraphRAG) -> None:
    graph = namesakes.retriever("graph")
    assert isinstance(graph, GraphRetriever)
    index = namesakes.open_index()
    found = dict(graph.search("Is Uppsala old?", 8))
    cosines = dict(DenseRetriever(index, graph.embedder).search("Is Uppsala old?", 8))
    gained = sorted(
        (found[row_id] - cosines[row_id] for row_id in found if found[row_id] > cosines[row_id] + 1e-6),
        reverse=True,
    )
    assert gained[:3] == pytest.approx([0.3, 0.15, 0.075], abs=1e-6)


def test_a_linked_passage_stays_below_the_one_that_links_it(namesakes: GraphRAG) -> None:
    graph = namesakes.retriever("graph")
    assert isinstance(graph, GraphRetriever)
    index = namesakes.open_index()
    eager = GraphRetriever(index, graph.embedder, replace(graph.weights, linked=5.0))
    question = "Where was the director of Harrow Gate born?"
    cosines = dict(DenseRetriever(index, graph.embedder).search(question, 8))
    found = eager.search(question, 8)
    assert titles(index, found)[:2] == ["Harrow Gate", "Otto Lindqvist"]
    assert found[0][1] == pytest.approx(cosines[found[0][0]] + 0.3, abs=1e-6)
    assert found[1][1] == pytest.approx(found[0][1], abs=1e-5)


def test_the_walk_is_a_distribution_that_prefers_what_is_linked(films: Index) -> None:
    graph = PassageGraph(films)
    place = {title: unit for unit, title in enumerate(graph.titles)}
    ranks = graph.walk({place["The Silver Tide (1954 film)"]: 1.0}, {}, 0.5)
    assert ranks.shape == (len(PASSAGES),)
    assert 0 < ranks.sum() < 1  # the rest lies on the entities
    assert ranks[place["Ada Fenwick"]] > 0
    assert ranks[place["Nils Aberg"]] < ranks[place["Ada Fenwick"]]
    assert np.argmax(ranks) == place["The Silver Tide (1954 film)"]
    assert (graph.rarity <= 1).all()


def test_each_kind_of_evidence_can_be_switched_off(films: Index, graph: GraphRetriever) -> None:
    bare = replace(graph.weights, named=0.0, linked=0.0)
    cosine = DenseRetriever(films, graph.embedder).search(QUESTION, 9)
    off = GraphRetriever(films, graph.embedder, bare).search(QUESTION, 9)
    assert [row_id for row_id, _ in off] == [row_id for row_id, _ in cosine]
    assert [score for _, score in off] == pytest.approx([score for _, score in cosine], abs=1e-6)


def test_the_walk_is_a_setting(films: Index, graph: GraphRetriever) -> None:
    settings = RetrievalSettings(graph_walk=0.5)
    walking = make_retriever("graph", RetrieverSources(films, settings, graph.embedder))
    found = dict(walking.search(QUESTION, 9))
    without = dict(graph.search(QUESTION, 9))
    gained = {row_id: found[row_id] - without[row_id] for row_id in found}
    assert all(0 <= gain <= 0.5 + 1e-9 for gain in gained.values())
    best = max(gained, key=lambda row_id: gained[row_id])
    assert titles(films, [(best, 0.0)]) == ["The Silver Tide (1954 film)"]


def test_what_it_cannot_do_is_refused(films: Index) -> None:
    with pytest.raises(QueryError, match=r"fake-embedder-64"):
        GraphRetriever(films, FakeEmbedder(64))
    entities = RetrieverSources(films, RetrievalSettings(), FakeEmbedder(64), kind="entities")
    with pytest.raises(ConfigError, match="finds text units, not 'entities'"):
        make_retriever("graph", entities)
    with pytest.raises(ConfigError, match="needs an embedder"):
        make_retriever("graph", RetrieverSources(films, RetrievalSettings()))


def test_books_without_telling_titles_are_searched_by_their_names(index: Index) -> None:
    graph = GraphRetriever(index, FakeEmbedder(256))
    found = graph.search("Who commanded the Halcyon until 1899?", 3)
    first = index.row("text_units", found[0][0])
    assert first is not None
    assert first["text"].startswith("Captain Ines Moor commanded")
