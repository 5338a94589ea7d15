"""Question files, and retrievers measured on a real index."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import InputError
from graphrag.evaluate.questions import GoldQuestion, PassageIds, half_of, read_questions
from graphrag.evaluate.retrieval import evaluate_retrieval, run_retriever, summary
from graphrag.retrieve.bm25 import BM25Retriever
from graphrag.retrieve.dense import DenseRetriever
from graphrag.store.index import Index
from tests.query.small_index import build_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return build_index(tmp_path_factory.mktemp("evaluate"), FakeEmbedder(256))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def question(text: str, *gold: str) -> GoldQuestion:
    return GoldQuestion("1", text, gold, ())


def unit_that_says(index: Index, words: str) -> str:
    rows = index.table("text_units").to_pylist()
    return next(row["id"] for row in rows if words in row["text"])


def test_halves_are_disjoint_complete_and_do_not_move(tmp_path: Path) -> None:
    rows = [{"question": f"Who built house number {n}?"} for n in range(400)]
    path = write(tmp_path / "q.jsonl", rows)
    parts = {split: {one.text for one in read_questions(path, split=split)} for split in ("dev", "test")}
    assert not parts["dev"] & parts["test"]
    assert len(parts["dev"] | parts["test"]) == 400
    assert 150 < len(parts["dev"]) < 250
    moved = write(tmp_path / "m.jsonl", rows[::-1][:100])
    assert {one.text for one in read_questions(moved, split="dev")} <= parts["dev"]
    assert {half_of(one) for one in read_questions(path, split="test")} == {"test"}


def test_packed_files_limits_and_forms_of_answers(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    rows = [
        {"question": " Who? ", "answer": "Moor", "gold_passage_ids": ["a", "a", "b"]},
        {"question": "What?"},
    ]
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    first, second = read_questions(path)
    assert (first.text, first.answers, first.gold) == ("Who?", ("Moor",), ("a", "b"))
    assert (second.answers, second.gold, second.id) == ((), (), "2")
    assert len(read_questions(path, limit=1)) == 1


@pytest.mark.parametrize(
    ("text", "message"), [("{", "line 1, is not JSON"), ('{"q": 1}', "line 1, has no 'question'")]
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_questions(path)
    with pytest.raises(InputError, match="no question file"):
        read_questions(tmp_path / "missing.jsonl")


def test_gold_may_name_text_units_documents_or_files(index: Index) -> None:
    unit = unit_that_says(index, "Captain Ines Moor")
    document = index.row("text_units", unit)["document_id"]  # type: ignore[index]
    for gold in (unit, document, "ships.md"):
        passages = PassageIds.of(index, [question("Who?", gold)])
        assert passages.ranking([(unit, 1.0)]) == [gold]
    assert PassageIds.of(index, [question("Who?", "ships.md")]).units_per_passage == 3


def test_gold_that_is_not_in_the_index_is_refused(index: Index) -> None:
    with pytest.raises(InputError, match=r"1 of 1 gold passages are not in this index.*'p9'"):
        PassageIds.of(index, [question("Who?", "p9")])
    with pytest.raises(InputError, match="None of the questions has gold"):
        PassageIds.of(index, [question("Who?")])


def test_a_run_is_measured_and_compared(index: Index) -> None:
    asked = [
        question("Who commanded the steamer Halcyon until 1899?", unit_that_says(index, "Captain Ines Moor")),
        question("What does honey cake need?", unit_that_says(index, "Honey cake needs")),
        question("xylophone quokka", unit_that_says(index, "Sourdough must be fed")),
        question("A question without gold?"),
    ]
    passages = PassageIds.of(index, asked)
    lexical, dense = BM25Retriever(index), DenseRetriever(index, FakeEmbedder(256))
    rows, runs = evaluate_retrieval({"bm25": lambda: lexical, "dense": lambda: dense}, asked, passages)
    words, vectors = rows
    assert words["retriever"] == "bm25"
    assert words["n"] == 3
    assert words["recall@5"] == pytest.approx(2 / 3, abs=1e-4)
    assert words["mrr"] == pytest.approx(2 / 3, abs=1e-4)
    assert words["p50_ms"] > 0
    assert set(words["vs_dense"]["all_gold@5"]) == {"difference", "low", "high", "p"}
    assert 0 < words["p_vs_dense"] <= 1
    assert "vs_dense" not in vectors
    assert runs[0].rankings[2] == ()  # unknown words find nothing, and that counts as a miss
    assert words["by_question"]["recall@5"] == [1, 1, 0]
    again = summary(run_retriever("bm25", lexical, asked, passages).scored(), runs[1].scored())
    assert set(words) - set(again) == {"by_question"}
    assert all(again[key] == words[key] for key in set(again) - {"p50_ms", "p95_ms"})


def test_units_of_one_passage_count_once(index: Index) -> None:
    asked = [question("Who commanded the steamer Halcyon until 1899?", "ships.md")]
    run = run_retriever("bm25", BM25Retriever(index), asked, PassageIds.of(index, asked))
    assert len(set(run.rankings[0])) == len(run.rankings[0]) <= 4
    assert run.values("recall@1") == [1.0]
