"""Answers measured on a real small index: by hand, by quoting, and by a fake model."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.api import GraphRAG
from graphrag.cli.main import app
from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError, InputError, LLMError
from graphrag.evaluate.answer_measures import any_said, exact_match, says, token_f1
from graphrag.evaluate.answers import MEASURES, measured
from graphrag.evaluate.questions import GoldQuestion, PassageIds
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.query.engine import QueryEngine
from graphrag.query.result import NO_ANSWER, QueryResult
from graphrag.settings import LLMSettings, Settings
from graphrag.store.index import Index
from tests.query.small_index import build_index

QUESTION = GoldQuestion("1", "Who commanded the Halcyon until 1899?", ("ships.md",), ("Ines Moor",))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return build_index(tmp_path_factory.mktemp("answers"), FakeEmbedder(256))


def answered(index: Index, text: str) -> QueryResult:
    """Return the result of a basic question that a model answered with ``text``; {n} is a source with Moor."""

    def answer(request: ChatRequest) -> str:
        number = re.search(r"\n(\d+)\|[^\n]*Captain Ines Moor", request.messages[-1].content)
        assert number is not None
        return text.replace("{n}", number[1])

    settings = Settings(llm=LLMSettings(provider="openai"))
    engine = QueryEngine(index, settings, FakeChatModel(answer), FakeEmbedder(256))
    try:
        return engine.query(QUESTION.text, "basic")
    finally:
        engine.close()


# -- words ----------------------------------------------------------------------------------------------
def test_exact_match_and_f1_are_those_of_squad() -> None:
    assert exact_match("The  Ines Moor!", ["ines moor"]) == 1
    assert exact_match("Captain Ines Moor", ["Ines Moor"]) == 0
    assert exact_match("Moor [Data: Sources (3)]", ["Brack", "Moor"]) == 1
    assert token_f1("Captain Ines Moor", ["Ines Moor"]) == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    assert token_f1("", ["Moor"]) == 0
    assert token_f1("Ines Moor Ines", ["Ines"]) == pytest.approx(2 * (1 / 3) / (1 / 3 + 1))
    assert token_f1("nothing", []) == 0


def test_korean_answers_are_compared_by_letters_as_korquad_does() -> None:
    assert token_f1("임종석이", ["임종석"]) == pytest.approx(2 * (3 / 4) / (3 / 4 + 1))
    assert exact_match("임종석", ["임종석"]) == 1
    assert says("임종석이 주도했다", "임종석")


def test_what_an_answer_says() -> None:
    assert any_said("It was captain Ines MOOR.", ["Brack", "Ines Moor"]) == 1
    assert any_said("It was Moor.", ["Ines Moor"]) == 0


# -- one answer -----------------------------------------------------------------------------------------
def test_a_faithful_answer(index: Index) -> None:
    result = answered(index, "Captain Ines Moor commanded the Halcyon until 1899. [Data: Sources ({n})]")
    found = measured(result, QUESTION, PassageIds.of(index, [QUESTION]))
    assert set(found) == set(MEASURES)
    assert found["answer_in_answer"] == found["answer_in_context"] == found["answered"] == 1
    assert (found["exact_match"], found["f1"]) == (0, pytest.approx(2 * (2 / 7) / (2 / 7 + 1)))
    assert (found["cited"], found["support"]) == (1, 1)
    assert (found["cites_gold"], found["gold_cited"]) == (1, 1)
    two = replace(QUESTION, gold=("ships.md", "bakery.txt"))
    assert measured(result, two, PassageIds.of(index, [two]))["gold_cited"] == 0.5
    other = replace(QUESTION, gold=("bakery.txt",))
    assert measured(result, other, PassageIds.of(index, [other]))["cites_gold"] == 0


def test_an_answer_that_its_source_does_not_say(index: Index) -> None:
    text = (
        "Ines Moor raised penguins aboard. [Data: Sources ({n})] Everybody in the capital envied the parrots."
    )
    found = measured(answered(index, text), QUESTION, None)
    assert found["support"] == pytest.approx(2 / 5)
    assert found["cited"] == 0.5
    assert math.isnan(found["cites_gold"])


def test_no_answer_has_no_citations_to_measure(index: Index) -> None:
    result = replace(answered(index, "Ines Moor. [Data: Sources ({n})]"), answer=NO_ANSWER, citations=())
    found = measured(result, QUESTION, PassageIds.of(index, [QUESTION]))
    assert (found["answered"], found["f1"], found["answer_in_context"]) == (0, 0, 1)
    assert all(math.isnan(found[name]) for name in ("cited", "support", "cites_gold", "gold_cited"))
    assert measured(None, QUESTION, None) == dict.fromkeys(MEASURES, 0.0)


# -- whole runs -----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("asked")
    rag = GraphRAG.init(root, embedder=FakeEmbedder(64))
    towns = ["Ostrel", "Velm", "Karn", "Sudra", "Tolme", "Brask"]
    records = [
        {"id": f"p{n}", "title": f"p{n}", "text": f"The mill of {town} was opened in {1800 + n}. It is old."}
        for n, town in enumerate(towns)
    ]
    questions = [
        {
            "question": f"When was the mill of {town} opened?",
            "answers": [str(1800 + n)],
            "gold_passage_ids": [f"p{n}"],
        }
        for n, town in enumerate(towns)
    ]
    (root / "input" / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    (root / "q.jsonl").write_text("\n".join(map(json.dumps, questions)))
    (root / "none.jsonl").write_text('{"question": "Why?"}\n')
    rag.index(method="fast")
    return root


def test_both_baselines_are_asked_and_everything_is_compared_with_dense(project: Path) -> None:
    rag = GraphRAG.open(project, embedder=FakeEmbedder(64))
    rows = rag.evaluate_answers(project / "q.jsonl", methods=["local"], split="all")
    assert [row["name"] for row in rows] == ["bm25", "dense", "local"]
    assert [row["n"] for row in rows] == [6, 6, 6]
    words = rows[0]
    assert words["answer_in_context"] == words["gold_cited"] == 1
    assert 1 / 6 <= words["cites_gold"] < 1  # it quotes the mills of other towns as well
    assert words["answer_in_answer"] > 0.8
    assert words["support"] == 1
    assert set(words["vs_dense"]) == {"f1", "answer_in_answer", "exact_match"}
    assert "vs_dense" not in rows[1]
    assert (words["failed"], words["split"]) == (0, "all")


def test_a_model_s_failures_are_wrong_answers_and_counted(project: Path) -> None:
    def answer(request: ChatRequest) -> str:
        text = request.messages[-1].content
        if "Karn opened?" in text:
            raise LLMError("overloaded", retryable=True)
        number, year = re.search(r"\n(\d+)\|[^\n]*(18\d\d)", text).groups()  # type: ignore[union-attr]
        return f"In {year}. [Data: Sources ({number})]"

    settings = {"llm": {"provider": "openai", "max_retries": 0}}
    rag = GraphRAG.open(
        project, embedder=FakeEmbedder(64), chat_model=FakeChatModel(answer), settings=settings
    )
    rows = rag.evaluate_answers(project / "q.jsonl", methods=["basic"], split="all")
    assert [row["failed"] for row in rows] == [1, 1, 1]
    assert rows[0]["calls"] == 5
    assert rows[0]["answer_in_answer"] <= 5 / 6 + 1e-4


def test_the_command_prints_every_measure(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("graphrag.indexing.models.make_embedder", lambda _: FakeEmbedder(64))
    common = ["evaluate", "answers", "--root", str(project), "--split", "all"]
    run = CliRunner().invoke(
        app, [*common, "-q", str(project / "q.jsonl"), "--methods", "basic", "--json", "-"],
        catch_exceptions=False,
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert [row["name"] for row in json.loads(run.stdout)] == ["bm25", "dense", "basic"]
    run = CliRunner().invoke(
        app, [*common, "-q", str(project / "q.jsonl"), "--methods", "basic", "--limit", "3"],
        catch_exceptions=False,
    )  # fmt: skip
    for shown in (
        "3 questions with answers",
        "exact match",
        "cited words found",
        "gold cited",
        "bm25",
        "dense",
    ):
        assert shown in run.output
    with pytest.raises(ConfigError, match=r"no query method 'luck'.*basic"):
        CliRunner().invoke(
            app, [*common, "-q", str(project / "q.jsonl"), "--methods", "luck"], catch_exceptions=False
        )
    with pytest.raises(InputError, match=r"None of the 1 questions has answers.*--make-questions"):
        CliRunner().invoke(app, [*common, "-q", str(project / "none.jsonl")], catch_exceptions=False)
    with pytest.raises(ConfigError, match="no split 'half'"):
        CliRunner().invoke(
            app, [*common[:-1], "half", "-q", str(project / "q.jsonl")], catch_exceptions=False
        )
