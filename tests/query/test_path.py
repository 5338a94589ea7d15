from __future__ import annotations

import json
from dataclasses import replace

import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.graph.paths import PathGraph, PathTrie
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.query.engine import QueryEngine
from graphrag.query.linking import Link, starts_of
from graphrag.query.path_graph import PathResources, graph_of_index, graph_with_texts
from graphrag.query.relevance import Relevance
from graphrag.query.result import NO_ANSWER
from graphrag.query.route import route
from graphrag.query.text_walks import text_walks
from graphrag.retrieve.graph_view import GraphView
from graphrag.settings import QuerySettings, Settings
from graphrag.store.index import Index


@pytest.fixture
def engine(index: Index, embedder: FakeEmbedder) -> QueryEngine:
    return QueryEngine(index, Settings(), embedder=embedder)


def events(result: object, name: str) -> list[dict[str, object]]:
    return [event for event in result.trace if event["event"] == name]  # type: ignore[attr-defined]


def test_the_graph_of_an_index_keeps_every_relationship(view: GraphView) -> None:
    found = graph_of_index(view)
    table = view.index.table("relationships")
    rows = {
        (found.graph.names[h], found.graph.relation_names[r], found.graph.names[t])
        for h, r, t in zip(found.graph.heads, found.graph.relations, found.graph.tails, strict=True)
    }
    columns = (table[name].to_pylist() for name in ("source", "predicate", "target"))
    assert rows == set(zip(*columns, strict=True))


def test_a_claim_is_a_node_that_can_be_walked(view: GraphView) -> None:
    found = graph_of_index(view, claims=True)
    brack = found.graph.node("Jonas Brack")
    assert brack is not None
    path = found.graph.path(["~claim about"])
    assert path is not None
    (walk,) = PathTrie(found.graph, [brack]).walks(path)
    assert found.graph.names[walk.end] == "slept on duty"
    assert found.reference(walk.edges[0]) == ("Claims", 0)


def test_a_relationship_that_a_claim_is_about_is_a_node_that_can_be_walked(view: GraphView) -> None:
    found = graph_of_index(view, claims=True)
    moor = found.graph.node("Ines Moor")
    assert moor is not None
    path = found.graph.path(["~claim about", "claim on", "fact about"])
    assert path is not None
    (walk,) = PathTrie(found.graph, [moor]).walks(path)
    assert found.spoken(walk, path) == (
        "Ines Moor → ~claim about → owed him what she knew of the coast → claim on → "
        "“Jonas Brack → taught → Ines Moor” → fact about → Jonas Brack"
    )
    kinds = [found.reference(edge)[0] for edge in walk.edges]
    assert kinds == ["Claims", "Claims", "Relationships"]
    number = found.reference(walk.edges[2])[1]
    assert view.index.table("relationships")["predicate"][number].as_py() == "taught"
    # Only what is claimed about becomes a node, and no entity's number moves.
    assert sum("→" in name for name in found.graph.names) == 1
    plain = graph_of_index(view)
    assert found.graph.names[: plain.graph.n_nodes] == plain.graph.names
    assert found.n_relationships == plain.n_relationships + 2


def test_an_answer_carries_its_path_and_each_step_its_text_unit(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query("Who commanded Halcyon?", method="path", planner="embed", max_hops=1)
    assert result.answer.startswith("Ines Moor.")
    assert "Halcyon → ~commanded → Ines Moor" in result.answer
    assert result.removed_citations == 0
    (citation,) = [one for one in result.citations if "Captain Ines Moor" in one.text]
    assert citation.kind == "Relationships"
    (path,) = events(result, "path")
    steps = path["steps"]
    assert isinstance(steps, list)
    unit = steps[0]["text_units"][0]
    assert "Captain Ines Moor commanded the Halcyon" in str(
        engine.index.table("text_units")["text"][unit].as_py()
    )


def engine_closed(engine: QueryEngine):
    from contextlib import closing

    return closing(engine)


def test_without_a_path_it_says_so_and_answers_as_local(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query("How is honey cake baked?", method="path")
        unknown = engine.query("zzz qqq?", method="path")
    (fallback,) = events(result, "fallback")
    assert fallback["method"] == "local"
    assert result.answer == NO_ANSWER or result.answer.startswith("No relation path answers this")
    assert events(unknown, "fallback")[0]["why"] == "the question names no entity of the graph"
    assert unknown.answer == NO_ANSWER


def test_a_slip_in_a_name_is_forgiven(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query("Who commanded Halcion?", method="path", planner="embed", max_hops=1)
    assert events(result, "linked")[0]["how"] == "spelling"
    assert result.answer.startswith("Ines Moor.")


def test_walks_start_at_proper_names_the_longest_first() -> None:
    def link(place: int, matched: str, how: str = "name", score: float = 1.0) -> Link:
        return Link(place, score, how, matched)

    found = [link(0, "film"), link(1, "ines moor"), link(2, "halcyon"), link(3, "", "description")]
    named = starts_of(found, "Which film shows Ines Moor on the Halcyon?", 3)
    assert [one.place for one in named] == [1, 2]
    lower = starts_of(found, "which film shows ines moor on the halcyon?", 3)
    assert [one.place for one in lower] == [1, 2, 0]
    assert starts_of([link(0, "film")], "Film of the year?", 3) == [link(0, "film")]
    assert starts_of([link(0, "film", score=0.5)], "Which film?", 3) == []


def test_a_walk_over_texts_cites_where_its_ends_stand_together(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query(
            "What does the keeper of the lighthouse of Ostrel light?", method="path", planner="walks"
        )
    graph = engine.paths.graph_with_texts
    assert graph.graph.n_nodes == graph.n_entities + engine.index.table("text_units").num_rows
    paths = events(result, "path")
    assert "Ostrel → mentioned in → “harbour” → ~mentioned in → " in str([one["path"] for one in paths])
    assert all(step["text_units"] for one in paths for step in one["steps"])  # type: ignore[attr-defined]
    assert {one.kind for one in result.citations} >= {"Sources"}
    assert result.removed_citations == 0
    assert not events(result, "fallback")


def test_walks_over_texts_are_walks_of_the_graph(
    index: Index, view: GraphView, embedder: FakeEmbedder
) -> None:
    graph = graph_with_texts(view)
    start = graph.graph.node("Halcyon")
    assert start is not None
    for relevance in (
        Relevance.of(index, "Who taught the captain of Halcyon?", embedder),
        Relevance(index, "Who taught the captain of Halcyon?"),  # without vectors words are compared
    ):
        found = text_walks(view, graph, [start], relevance, hops=2)
        assert found
        assert found == text_walks(view, graph, [start], relevance, hops=2)
        assert all(graph.graph.is_walk(one.walk, one.path) for one in found)
        assert len({one.walk.end for one in found}) == len(found)
        assert all(one.walk.end < graph.n_entities and one.walk.end != start for one in found)
        assert any(len(one.texts) == 2 for one in found)
    spoken = [graph.spoken(one.walk, one.path) for one in found]
    assert any("Halcyon" in one and one.endswith("Ines Moor → ~taught → Jonas Brack") for one in spoken)


def test_an_open_vocabulary_is_walked_by_its_texts(view: GraphView, embedder: FakeEmbedder) -> None:
    resources = PathResources(view, embedder, None)
    assert resources.planner_name(QuerySettings(planner="llm"))[0] == "llm"
    assert resources.planner_name(QuerySettings())[0] == "embed"
    few = resources.graph
    labels = [f"was number {n} of" for n in range(60)]
    many = PathGraph(few.graph.heads, few.graph.relations, few.graph.tails, few.graph.names, labels)
    resources.__dict__["graph"] = replace(few, graph=many)
    name, why = resources.planner_name(QuerySettings())
    assert name == "walks"
    assert "60 relations" in why


def test_several_entities_are_connected(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query("Marta Velden and Sourdough?", method="path", planner="embed")
    paths = [event["path"] for event in events(result, "connection")]
    assert paths == ["Sourdough → ~baked with → Pieter Lund → ~paid for the flour of → Marta Velden"]


def test_a_model_writes_from_the_walks(index: Index, embedder: FakeEmbedder) -> None:
    def answer(request: ChatRequest) -> str:
        assert "Halcyon → ~commanded → Ines Moor" in request.messages[-1].content
        return "Ines Moor did [Data: Relationships (0, 99)]."

    model = FakeChatModel(answer)
    engine = QueryEngine(index, Settings(), model, embedder)
    with engine_closed(engine):
        result = engine.query(
            "Who commanded Halcyon?", method="path", mode="llm", planner="embed", max_hops=1
        )
    assert [request.task for request in model.history] == ["path_answer"]
    assert result.removed_citations == 1


def exploring(decisions: list[dict[str, object]]) -> FakeChatModel:
    return FakeChatModel([json.dumps({"steps": ["captain of the Halcyon"]}), *map(json.dumps, decisions)])


def decide(
    decision: str, keep: list[int] = (), answers: list[int] = (), next_: str = ""
) -> dict[str, object]:  # type: ignore[assignment]
    return {"keep": list(keep), "decision": decision, "answers": list(answers), "next": next_}


def explore(index: Index, embedder: FakeEmbedder, model: FakeChatModel, **settings: object):
    engine = QueryEngine(index, Settings(), model, embedder)
    with engine_closed(engine):
        return engine.query("Who taught the captain of Halcyon?", method="explore", mode="llm", **settings)


def test_exploring_answers_with_a_visited_entity_and_its_walk(index: Index, embedder: FakeEmbedder) -> None:
    def number(request: ChatRequest, fact: str) -> int:
        line = next(
            line for line in request.messages[-1].content.splitlines() if fact in line and line[0].isdigit()
        )
        return int(line.split(".")[0])

    def answer(request: ChatRequest) -> str:
        if request.task == "explore_plan":
            return json.dumps({"steps": ["captain", "teacher"]})
        if "~commanded" in request.messages[-1].content.split("Facts:")[1]:
            return json.dumps(decide("continue", [number(request, "~commanded")]))
        return json.dumps(decide("answer", answers=[number(request, "~taught")]))

    result = explore(index, embedder, FakeChatModel(answer))
    assert result.answer.startswith("Jonas Brack.")
    assert "Halcyon → ~commanded → Ines Moor → ~taught → Jonas Brack" in result.answer
    assert {one.kind for one in result.citations} == {"Relationships"}
    (explored,) = events(result, "explored")
    assert explored["calls"] == 3
    (path,) = events(result, "path")
    assert (path["answer"], path["why"]) == ("Jonas Brack", "the model answered")


def test_exploring_walks_through_a_claim_about_a_relationship(index: Index, embedder: FakeEmbedder) -> None:
    def answer(request: ChatRequest) -> str:
        if request.task == "explore_plan":
            return json.dumps({"steps": ["claims", "what they are about"]})
        facts = request.messages[-1].content.split("Facts:")[1].strip().splitlines()
        for wanted, decision in (("claim on", "answer"), ("owed him", "continue")):
            numbers = [int(line.split(".")[0]) for line in facts if wanted in line]
            if numbers:
                return json.dumps(
                    decide(decision, numbers[:1], answers=numbers[:1] if decision == "answer" else [])
                )
        return json.dumps(decide("abstain"))

    model = FakeChatModel(answer)
    with engine_closed(QueryEngine(index, Settings(), model, embedder)) as engine:
        result = engine.query("What is said of Ines Moor?", method="explore", mode="llm")
    assert result.answer.startswith("“Jonas Brack → taught → Ines Moor”.")
    (path,) = events(result, "path")
    assert path["answer"] == "“Jonas Brack → taught → Ines Moor”"
    steps = path["steps"]
    assert isinstance(steps, list)
    texts = index.table("text_units")["text"].to_pylist()
    assert ["She had learned the coast" in texts[step["text_units"][0]] for step in steps] == [True, True]
    assert {one.kind for one in result.citations} == {"Claims"}
    assert "She had learned the coast from Jonas Brack." in {one.text for one in result.citations}


def test_exploring_abstains_and_keeps_its_budget(index: Index, embedder: FakeEmbedder) -> None:
    told = explore(index, embedder, exploring([decide("abstain")]))
    assert told.answer == NO_ANSWER
    assert events(told, "abstained")[0]["why"] == "the model found that the graph does not tell"
    unseen = explore(index, embedder, exploring([decide("answer", answers=[999])]))
    assert unseen.answer == NO_ANSWER  # a fact that was not offered is no answer
    endless = FakeChatModel(
        lambda request: json.dumps(
            {"steps": []} if request.task == "explore_plan" else decide("refine", [1], next_="more")
        )
    )
    stopped = explore(index, embedder, endless, explore_hops=9, explore_calls=2)
    assert stopped.answer == NO_ANSWER
    assert len(endless.history) == 2
    assert "budget is spent" in str(events(stopped, "abstained")[0]["why"])
    broken = explore(index, embedder, FakeChatModel(lambda _: "no JSON"))
    assert broken.answer == NO_ANSWER


def test_exploring_without_a_model_quotes_or_abstains(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query("Captain Ines Moor commanded the Halcyon until", method="explore")
        unknown = engine.query("zzz qqq?", method="explore")
    assert "Captain Ines Moor commanded the Halcyon until 1899." in result.answer
    assert unknown.answer == NO_ANSWER
    assert events(unknown, "abstained")


@pytest.mark.parametrize(
    ("text", "n_named", "method"),
    [
        ("What are the main themes?", 0, "global"),
        ("Summarise the collection", 0, "global"),
        ("Who is Ines Moor?", 1, "local"),
        ("Who taught the captain of the ship that sailed from Ostrel?", 1, "path"),
        ("When did Lothair II's mother die?", 1, "path"),
        ("Who is Lothair II's mother?", 1, "local"),
        ("Who is the maternal grandmother of Lothair II?", 1, "path"),
        ("Who was born earlier, the director of Tracker or the director of Snatch?", 2, "local"),
        ("Are both the director of Tracker and the director of Snatch from Wales?", 2, "local"),
        ("What is the role of imaging in the diagnosis of cancer?", 1, "local"),
        ("What is the name of Lothair II's mother's birthplace?", 1, "path"),
        ("Whose bell hangs near Ostrel?", 1, "path"),
        ("How long does sourdough keep?", 0, "basic"),
    ],
)
def test_questions_are_routed_by_their_form(text: str, n_named: int, method: str) -> None:
    assert route(text, n_named).method == method


def test_auto_says_which_method_it_took(engine: QueryEngine) -> None:
    with engine_closed(engine):
        result = engine.query("Who is Ines Moor?", method="auto")
    assert result.method == "local"
    assert events(result, "route")[0]["method"] == "local"
    assert route("Who is Ines Moor?", 1, planned=True).method == "path"
