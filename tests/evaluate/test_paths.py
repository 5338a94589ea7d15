from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import InputError
from graphrag.evaluate.path_questions import PathQuestion, read_path_questions, split_questions
from graphrag.evaluate.paths import (
    answers_may_be_topics,
    ask_paths,
    examples_of,
    follow_gold,
    gold_edges,
    score_answers,
    summary,
)
from graphrag.evaluate.plans import (
    PlanQuestion,
    best_plans,
    hits,
    most_frequent,
    nearest_questions,
    plan_examples,
    read_plans,
    together,
    training_file,
)
from graphrag.query.planning.embed import EmbedPlanner
from tests.query.planning.test_planners import small_graph

ASKED = [
    PathQuestion("1", "directed by of [Tracker]", "Tracker", ("Ian",), ("directed_by",), True),
    PathQuestion("2", "starred actors of [Tracker]", "Tracker", ("Ray",), ("starred_actors",), True),
    PathQuestion("3", "starred actors of [Nobody]", "Nobody", ("Ray",), ("starred_actors",), True),
]


def test_strict_and_lenient_hits_differ_where_they_should() -> None:
    assert score_answers(["The Fram!", "Gjoa"], ["the fram"])["hits@1"] == 1
    second = score_answers(["Gjoa", "Fram"], ["Fram"])
    assert (second["hits@1"], second["hits@1_lenient"], second["hit"]) == (0, 1, 1)
    inside = score_answers(["New York City"], ["York"])
    assert (inside["hits@1"], inside["hits@1_lenient"], inside["hit"]) == (0, 1, 0)
    assert score_answers(["a", "b"], ["b", "c"])["f1"] == pytest.approx(0.5)
    assert score_answers(["b", "a"], ["a", "b"])["exact_set"] == 1
    assert score_answers([], ["a"]) == {"hits@1": 0, "hits@1_lenient": 0, "hit": 0, "exact_set": 0, "f1": 0}


def test_paths_are_asked_and_the_gold_edge_can_be_taken_away() -> None:
    graph, planner = small_graph(), EmbedPlanner(FakeEmbedder(256), least=-1)
    found = asyncio.run(ask_paths(graph, ASKED, planner, max_hops=1))
    assert [one.values["hits@1"] for one in found] == [1, 1, 0]
    assert [one.answered for one in found] == [True, True, False]
    figures = summary(found)
    assert (figures["n"], figures["hits@1"]) == (3, pytest.approx(2 / 3, abs=1e-6))
    ceiling = follow_gold(graph, ASKED)
    assert ceiling is not None
    assert [one.values["exact_set"] for one in ceiling] == [1, 1, 0]
    assert gold_edges(graph, ASKED[0]) == [0]
    assert gold_edges(graph, ASKED[2]) == []
    without = asyncio.run(ask_paths(graph, ASKED[:1], planner, max_hops=1, counterfactual=True))
    assert without[0].values["hit"] == 0


def test_examples_come_from_gold_or_from_shortest_paths() -> None:
    graph = small_graph()
    by_gold, by_answers = examples_of(graph, ASKED), examples_of(graph, ASKED, labels="agree")
    assert [one.gold for one in by_gold] == [(("directed_by",),), (("starred_actors",),)]
    assert [one.gold for one in by_answers] == [one.gold for one in by_gold]


def test_both_question_forms_are_read(tmp_path: Path) -> None:
    row = {
        "question": "q [a]",
        "topic": "a",
        "answers": ["b"],
        "relation_path": ["~r"],
        "kb_consistent": True,
    }
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    read = read_path_questions(tmp_path / "q.jsonl.gz")
    assert read == [PathQuestion("1", "q [a]", "a", ("b",), ("~r",), True)]
    (tmp_path / "pq.txt").write_text("what is x 's y ?\tz(z/w)\tx#r#n#s#z#<end>#z\n")
    assert read_path_questions(tmp_path / "pq.txt") == [
        PathQuestion("1", "what is x 's y ?", "x", ("z", "w"), ("r", "s"))
    ]
    (tmp_path / "bad.jsonl").write_text('{"question": "q"}\n')
    with pytest.raises(InputError, match="topic, answers"):
        read_path_questions(tmp_path / "bad.jsonl")
    with pytest.raises(InputError, match="no question file"):
        read_path_questions(tmp_path / "none.jsonl")


@pytest.mark.parametrize("by", ["random", "start", "path"])
def test_splits_keep_apart_what_they_name(by: str) -> None:
    questions = [
        PathQuestion(str(n), f"q{n}", f"topic {n % 10}", ("a",), (f"r{n % 7}", "s")) for n in range(140)
    ]
    train, test = split_questions(questions, by)  # type: ignore[arg-type]
    assert len(train) + len(test) == 140
    assert test
    assert (train, test) == split_questions(questions, by)  # type: ignore[arg-type]
    if by == "start":
        assert not {one.topic for one in train} & {one.topic for one in test}
    if by == "path":
        assert not {one.path for one in train} & {one.path for one in test}


def test_recorded_plans_are_scored(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "question": "where", "gold_paths": [["a"], []], "rog_paths": [["b"], ["a"]]},
        {"id": "2", "question": "who", "gold_paths": [], "rog_paths": [["b"]]},
    ]
    file = tmp_path / "x_val_plans.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    read = read_plans(file)
    assert read[0].gold == (("a",),)
    assert hits([one.recorded for one in read[:1]], read[:1]) == {"hit@1": [0.0], "hit@3": [1.0]}
    assert [one.gold for one in plan_examples(read)] == [(("a",),)]
    assert most_frequent(read) == [("a",)]
    assert training_file(file) is None
    beside = tmp_path / "x_train_plans.jsonl"
    beside.write_text("")
    assert training_file(file) == beside


def test_planners_add_up_and_neighbours_vote() -> None:
    known = [("a",), ("b",), ("b", "c")]
    one, two = np.array([[3.0, 2.9, 0.0]]), np.array([[103.0, 105.0, 101.0]])  # each of its own scale
    added = together(one, two)
    assert np.exp(together(one)).sum() == pytest.approx(1)
    assert best_plans(added, known) == [[("b",), ("a",), ("b", "c")]]
    assert best_plans(one, known)[0][0] == ("a",)
    training = [
        PlanQuestion("1", "where is the mill", (("a",),), ()),
        PlanQuestion("2", "who built the tower", (("b",), ("b", "c")), ()),
    ]
    asked = [PlanQuestion("3", "who built the tower", (), ())]
    votes = nearest_questions(training, asked, known, FakeEmbedder(64))
    assert votes[0, 1] == votes[0, 2] == pytest.approx(np.exp(12))
    assert votes[0, 0] < votes[0, 1]


def test_walks_may_return_where_the_questions_say_so() -> None:
    graph, planner = small_graph(), EmbedPlanner(FakeEmbedder(256), least=-1)
    back = PathQuestion(
        "1", "directed by inverse directed by", "Tracker", ("Tracker",), ("directed_by", "~directed_by")
    )
    assert answers_may_be_topics([back])
    assert not answers_may_be_topics(ASKED)
    for may_return, hit in ((True, 1), (False, 0)):
        ceiling = follow_gold(graph, [back], may_return=may_return)
        assert ceiling is not None
        assert ceiling[0].values["hit"] == hit
        found = asyncio.run(ask_paths(graph, [back], planner, max_hops=2, may_return=may_return))
        assert found[0].values["hit"] == hit
