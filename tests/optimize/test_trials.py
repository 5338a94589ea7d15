"""Trials on a real small project: what is shared, what another index takes, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from graphrag.api import GraphRAG
from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError
from graphrag.evaluate.answer_measures import says
from graphrag.evaluate.questions import read_questions
from graphrag.llm.fake import FakeChatModel
from graphrag.optimize.memory import Memory
from graphrag.optimize.report import report, write_report, write_settings
from graphrag.optimize.search import Search
from graphrag.optimize.space import Configuration, Node, start
from graphrag.optimize.trials import Trials

TOWNS = ["Ostrel", "Velm", "Karn", "Sudra", "Tolme", "Brask", "Immen", "Luvo", "Perra", "Nacht"]
TRADES = ["harbour", "bakery", "lighthouse", "mill", "school"]
RETRIEVER = Node("retriever", "retrieval", {"retrieval.retriever": ["bm25", "dense", "hybrid", "rerank"]})
FUSION = Node(
    "fusion", "retrieval", {"retrieval.hybrid_weights": [[1.0, 2.0], [1.0, 4.0]]},
    when={"retrieval.retriever": ["hybrid"]},
)  # fmt: skip
CHUNKING = Node("chunking", "retrieval", {"chunking.size": [1200, 16], "chunking.overlap": [0]})
ANSWERS = Node("method", "answers", {"method": ["basic", "local"], "query.top_k_text_units": [1, 5]})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("optimize")
    rag = GraphRAG.init(root, embedder=FakeEmbedder(64))
    records, questions = [], []
    for number in range(40):
        town, trade, year = TOWNS[number % 10], TRADES[number // 8], 1800 + number
        text = f"The {trade} of {town} was opened in {year}. It stands beside the river. Many people came."
        records.append({"id": f"p{number}", "title": f"{town} {number}", "text": text})
        asked = f"When was the {trade} of {town} opened, asks visitor {number}?"
        questions.append({"question": asked, "gold_passage_ids": [f"p{number}"], "answers": [str(year)]})
    for name, rows in (("input/records", records), ("questions", questions)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rag.index(method="fast")
    return root


def trials(project: Path, split: str = "dev", **options: object) -> Trials:
    asked = read_questions(project / "questions.jsonl", split=split)  # type: ignore[arg-type]
    return Trials(project, asked, embedder=FakeEmbedder(64), **options)  # type: ignore[arg-type]


def test_rankings_and_vectors_are_made_once(project: Path) -> None:
    memory, embedder = Memory(), FakeEmbedder(64)
    asked = read_questions(project / "questions.jsonl", split="dev")
    tried = Trials(project, asked, embedder=embedder, memory=memory, measure="mrr")
    beginning = Configuration.of({"retrieval.retriever": "hybrid"})
    first = tried.outcome(beginning, "retrieval")
    searches, embedded = memory.searches, embedder.calls
    assert searches == 2 * len(asked)  # BM25 and dense, each question once
    for weights in ([1.0, 2.0], [1.0, 4.0], [3.0, 1.0]):
        tried.outcome(beginning.with_values({"retrieval.hybrid_weights": weights}), "retrieval")
    tried.outcome(beginning.with_values({"retrieval.retriever": "bm25"}), "retrieval")
    assert (memory.searches, embedder.calls) == (searches, embedded)
    assert tried.evaluated == 5
    assert tried.outcome(beginning, "retrieval") == first
    assert tried.evaluated == 5
    rerank = Configuration.of({"retrieval.retriever": "rerank"})
    tried.outcome(rerank, "retrieval")
    judged = memory.judged
    assert judged > 0
    tried.outcome(rerank.with_values({"retrieval.rerank_first_stage": 1.0}), "retrieval")
    assert memory.judged == judged
    tried.close()


def test_memory_changes_no_figure(project: Path) -> None:
    asked = read_questions(project / "questions.jsonl", split="dev")
    for name in ("bm25", "dense", "hybrid", "rerank"):
        expected = GraphRAG(project, embedder=FakeEmbedder(64)).evaluate_retrieval(
            project / "questions.jsonl", retrievers=[name], split="dev"
        )
        ours = Trials(project, asked, embedder=FakeEmbedder(64), measure="mrr")
        found = ours.outcome(Configuration.of({"retrieval.retriever": name}), "retrieval")
        assert found.mean == pytest.approx(
            next(r["mrr"] for r in expected if r["retriever"] == name), abs=1e-4
        )


def test_another_chunking_is_indexed_in_a_copy(project: Path) -> None:
    before = GraphRAG(project).open_index()
    tried = trials(project)
    beginning = start([CHUNKING], GraphRAG(project).settings)
    smaller = beginning.with_values({"chunking.size": 16, "chunking.overlap": 0})
    assert len(tried.outcome(smaller, "retrieval").values) == len(tried.questions)
    index, _ = tried._index(smaller)
    assert index.counts["text_units"] > before.counts["text_units"]
    assert index.folder.is_relative_to(project / ".graphrag" / "optimize")
    assert GraphRAG(project).open_index().generation == before.generation


def test_the_search_is_reported_on_questions_it_did_not_see(project: Path, tmp_path: Path) -> None:
    seen = trials(project)
    unseen = seen.asked(read_questions(project / "questions.jsonl", split="test"))
    assert not {one.text for one in seen.questions} & {one.text for one in unseen.questions}
    nodes = [RETRIEVER, FUSION]
    beginning = start(nodes, seen.settings(Configuration()))
    search = Search(nodes, beginning, seen)
    best = search.global_(search.greedy(), 5)
    found = report(search.made, best, beginning, search.whole, seen, unseen)
    assert found.chosen.seen >= found.beginning.seen
    assert found.chosen.unseen is not None
    assert found.difference.n == found.n_unseen == len(unseen.questions)
    assert [one.seen for one in found.leaderboard] == sorted(
        (one.seen for one in found.leaderboard), reverse=True
    )
    assert all(one.low <= one.seen <= one.high for one in found.leaderboard)
    assert {one.configuration for one in found.leaderboard if one.unseen is not None} == {best, beginning}
    write_report(found, tmp_path / "optimize.json")
    assert json.loads((tmp_path / "optimize.json").read_text())["questions"]["unseen"] == found.n_unseen
    other = beginning.with_values({"retrieval.retriever": "bm25"})
    changed = write_settings(project, other, beginning, tmp_path / "optimized.yaml")
    assert changed == {"retrieval.retriever": "bm25"}
    written = yaml.safe_load((tmp_path / "optimized.yaml").read_text())
    assert written["retrieval"] == {"retriever": "bm25"}
    assert written["llm"]["api_key"] == "${GRAPHRAG_API_KEY}"


def test_answers_are_judged_by_what_they_say(project: Path) -> None:
    tried = trials(project)
    outcome = tried.outcome(start([ANSWERS], tried.settings(Configuration())), "answers")
    assert set(outcome.values) <= {0.0, 1.0}
    assert np.mean(outcome.values) > 0.3
    assert says("Opened in 1,871 by Marta VELDEN.", "Marta Velden")
    assert not says("It was Marta.", "Marta Velden")
    assert not says("It is 18711.", "1871")
    assert not says("anything", "")


def test_prompt_and_order_reach_a_writing_model(project: Path) -> None:
    model = FakeChatModel(lambda request: "1800 " + request.messages[-1].content[-60:])
    tried = trials(project, chat_model=model)
    asked = Configuration.of(
        {"query.method": "llm", "query.prompt": "full", "query.context_order": "best_first"}
    )
    tried.outcome(asked, "answers")
    first = model.history[0].messages
    tried.outcome(asked.with_values({"query.prompt": "brief", "query.context_order": "best_last"}), "answers")
    second = model.history[len(tried.questions)].messages
    assert "as briefly as possible" in second[0].content
    assert "as briefly as possible" not in first[0].content
    rows = [[line for line in one[-1].content.splitlines() if line[:1].isdigit()] for one in (first, second)]
    assert rows[0] == rows[1][::-1] != rows[1]


def test_questions_without_gold_or_answers_say_so(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"question": "What?"}\n')
    empty = Trials(project, read_questions(file), embedder=FakeEmbedder(64))
    with pytest.raises(ConfigError, match="gold_passage_ids"):
        empty.outcome(Configuration(), "retrieval")
    with pytest.raises(ConfigError, match="No question has answers"):
        empty.outcome(Configuration(), "answers")
    with pytest.raises(ConfigError, match="no measure"):
        Trials(project, [], embedder=FakeEmbedder(64), measure="luck")


def test_the_command_writes_settings_and_leaderboard(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphrag.cli.main import app
    from graphrag.optimize import trials as module

    monkeypatch.setattr(module, "make_embedder", lambda _: FakeEmbedder(64))
    command = ["optimize", "-r", str(project), "-q", str(project / "questions.jsonl"), "-o", str(tmp_path)]
    run = CliRunner().invoke(app, [*command, "--budget", "3"], catch_exceptions=False)
    assert run.exit_code == 0
    assert "left out: chunking" in run.output
    assert "unseen" in run.output
    assert "by hand: bm25" in run.output
    assert (tmp_path / "optimized.yaml").is_file()
    assert json.loads((tmp_path / "optimize.json").read_text())["evaluated"] >= 4
    with pytest.raises(ConfigError, match="no node 'nothing'"):
        CliRunner().invoke(app, [*command, "--nodes", "nothing"], catch_exceptions=False)
