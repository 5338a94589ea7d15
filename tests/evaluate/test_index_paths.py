"""Paths measured on an index made of texts, and the commands that measure them."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError, InputError
from graphrag.evaluate.index_paths import ask_index, explore_index
from graphrag.evaluate.path_questions import PathQuestion
from graphrag.evaluate.questions import GoldQuestion
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.query.engine import QueryEngine
from graphrag.retrieve.bm25 import BM25Retriever
from graphrag.retrieve.dense import DenseRetriever
from graphrag.settings import Settings
from graphrag.store.index import Index
from tests.query.small_index import build_index

KNOWN = [
    ("Who taught Ines Moor?", "Jonas Brack", "Captain Ines Moor commanded", "1 hop"),
    ("Who taught the captain of Halcyon?", "Jonas Brack", "Captain Ines Moor commanded", "2 hops"),
    ("Who baked on the moon?", "Neil", "Pieter Lund baked with", "no entity"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return build_index(tmp_path_factory.mktemp("paths"), FakeEmbedder(256))


def questions(index: Index) -> list[GoldQuestion]:
    rows = index.table("text_units").to_pylist()
    texts = {row["text"]: row["id"] for row in rows}
    return [
        GoldQuestion(
            str(n), text, (next(unit for one, unit in texts.items() if one.startswith(said)),), (answer,),
            {"type": kind},
        )
        for n, (text, answer, said, kind) in enumerate(KNOWN)
    ]  # fmt: skip


def figures(index: Index, **overrides: Any) -> dict[str, Any]:
    embedder = FakeEmbedder(256)
    engine = QueryEngine(index, Settings(), embedder=embedder)
    baselines = {"bm25": BM25Retriever(index), "dense": DenseRetriever(index, embedder)}
    seen = []
    with closing(engine):
        found = asyncio.run(
            ask_index(engine, questions(index), baselines, advance=lambda: seen.append(1), **overrides)
        )
    assert len(seen) == found["n"] == 3
    return found


def test_explorations_by_a_model_are_measured_with_what_they_cost(index: Index) -> None:
    def answer(request: ChatRequest) -> str:
        if request.task == "explore_plan":
            return json.dumps({"steps": []})
        facts = request.messages[-1].content.split("Facts:")[1].strip().splitlines()
        found = [int(fact.split(".")[0]) for fact in facts if "~taught" in fact]
        decision = "answer" if found else "abstain"
        return json.dumps({"keep": [], "decision": decision, "answers": found, "next": ""})

    asked = [
        PathQuestion("1", "Who taught Ines Moor?", "Ines Moor", ("Jonas Brack",)),
        PathQuestion("2", "Who paid Pieter Lund?", "Pieter Lund", ("Marta Velden",)),
    ]
    engine = QueryEngine(index, Settings(), FakeChatModel(answer), FakeEmbedder(256))
    with closing(engine):
        found = asyncio.run(explore_index(engine, asked, mode="llm"))
    assert (found["n"], found["hit"], found["answered"]) == (2, 0.5, 0.5)
    assert found["llm_calls"] == 2  # a plan and a decision for each question
    assert found["llm_tokens"] > 0
    assert found["nodes_visited"] >= 1


def test_walks_over_texts_are_measured_by_kind_beside_retrievers_and_ceilings(index: Index) -> None:
    found = figures(index, planner="walks")
    assert found["planner_used"] == "walks"
    assert found["answer_in_ends"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["answered_by_path"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["fell_back"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["answer_is_entity"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["answer_within_texts"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["llm_calls"] == 0
    assert {name for name in found if name.startswith("recall@5")} == {
        "recall@5_path", "recall@5_bm25", "recall@5_dense", "recall@5_path_against_bm25",
        "recall@5_path_against_dense",
    }  # fmt: skip
    kinds = found["by_kind"]
    assert sorted(kinds) == ["1 hop", "2 hops", "no entity"]
    assert kinds["2 hops"]["answer_in_ends"] == 1
    assert kinds["2 hops"]["recall@5_path"] == 1
    assert kinds["no entity"]["answered_by_path"] == 0
    assert kinds["no entity"]["recall@5_path"] == kinds["no entity"]["recall@5_dense"]


def test_a_ceiling_lies_no_lower_over_texts_and_planners_can_be_named(index: Index) -> None:
    found = figures(index, planner="embed", max_hops=1)
    assert found["planner_used"] == "embed"
    assert found["answer_within_relations"] == pytest.approx(1 / 3, abs=1e-6)  # two hops are not walked
    assert found["answer_within_texts"] >= found["answer_within_relations"]


def write_graph(folder: Path) -> tuple[Path, Path]:
    people = ["ann", "bob", "cid", "dan", "eve", "fay"]
    rows = [f"{a}\tparent\t{b}" for a, b in zip(people, people[1:], strict=False)]
    rows += [f"{one}\tlives in\t{one}ville" for one in people]
    asked = [
        {"question": f"where does [{one}] live", "topic": one, "answers": [f"{one}ville"],
         "relation_path": ["lives in"]}
        for one in people
    ] + [
        {"question": f"where does the parent of [{a}] live", "topic": a, "answers": [f"{b}ville"],
         "relation_path": ["parent", "lives in"]}
        for a, b in zip(people, people[1:], strict=False)
    ]  # fmt: skip
    (folder / "kb.tsv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    return folder / "kb.tsv", folder / "q.jsonl"


def test_the_command_trains_and_explores(tmp_path: Path) -> None:
    graph, asked = write_graph(tmp_path)
    common = ["evaluate", "paths", "-g", str(graph), "-q", str(asked), "--root", str(tmp_path)]
    common += ["--train", str(asked), "--max-hops", "2", "--json", str(tmp_path / "out.json")]
    run = CliRunner().invoke(
        app, [*common, "--method", "explore", "--counterfactual"], catch_exceptions=False
    )
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["method"], found["n"], found["trained_on"], found["llm_calls"]) == ("explore", 11, 11, 0)
    assert found["oracle"]["hit"] == 1
    assert found["hit"] == found["path_exact"] == 1
    assert found["abstained"] == 0
    assert "abstained_without_gold_edges" in found  # six batches do not teach to doubt
    assert found["nodes_visited"] <= 9
    CliRunner().invoke(app, [*common, "--train-limit", "3", "--limit", "2"], catch_exceptions=False)
    assert json.loads((tmp_path / "out.json").read_text())["trained_on"] == 3
    with pytest.raises(ConfigError, match="on an index"):
        CliRunner().invoke(app, [*common, "--method", "explore", "--planner", "llm"], catch_exceptions=False)
    with pytest.raises(InputError):
        CliRunner().invoke(app, [*common[:-1], "-", "-q", "none.jsonl"], catch_exceptions=False)


def test_the_command_explores_an_imported_index(tmp_path: Path) -> None:
    graph, asked = write_graph(tmp_path)
    root = tmp_path / "project"
    CliRunner().invoke(app, ["import", "-t", str(graph), "-r", str(root)], catch_exceptions=False)
    common = ["evaluate", "paths", "-q", str(asked), "--root", str(root), "--method", "explore"]
    run = CliRunner().invoke(app, [*common, "--limit", "3", "--json", str(tmp_path / "out.json")])
    assert run.exit_code == 0, run.output
    assert "nodes_visited" in run.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["mode"], found["planner"], found["n"], found["llm_calls"]) == ("extractive", "tuned", 3, 0)
    with pytest.raises(ConfigError, match="does not explore"):
        CliRunner().invoke(app, [*common, "--planner", "embed"], catch_exceptions=False)
