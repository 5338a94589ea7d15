"""A recording in place of documents and a model: complete, repeatable, rewritten only where it differs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from graphrag import FakeChatModel, FakeEmbedder, GraphRAG
from graphrag.errors import ConfigError
from graphrag.indexing.stage import StageContext
from graphrag.indexing.stages.load_recording import STAGE
from graphrag.llm.base import ChatRequest
from graphrag.llm.usage import UsageLog
from graphrag.settings import Settings
from graphrag.store.layout import Layout
from graphrag.store.store import Store

TABLES = (
    "documents",
    "text_units",
    "entity_mentions",
    "relation_mentions",
    "claim_mentions",
    "ledger",
    "skipped_inputs",
)
LINES: list[dict[str, Any]] = [
    {
        "id": "a",
        "text": "Colin Archer built the Fram.",
        "entities": [{"name": "Colin Archer", "type": "person"}, {"name": "Fram", "type": "ship"}],
        "relationships": [
            {"source": "Colin Archer", "predicate": "built", "target": "Fram", "description": "He built her."}
        ],
        "claims": [
            {
                "subject": "Fram",
                "type": "origin",
                "status": "TRUE",
                "description": "Built by Archer.",
                "source_text": "the Fram",
            }
        ],
    },
    {
        "id": "b",
        "text": "Nansen sailed the Fram into the ice.",
        "entities": [{"name": "Nansen", "type": "person"}, {"name": "Fram", "type": "ship"}],
        "relationships": [
            {"source": "Nansen", "predicate": "sailed", "target": "Fram"},
            {"source": "Nansen"},
        ],
    },
    {"id": "c", "text": "It was cold.", "entities": []},
]


class NoModels:
    """No stage that reads a recording may ask for a model."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def no_answer(request: ChatRequest) -> str:
    raise AssertionError(f"the model was asked: {request.task}")


def write(root: Path, lines: list[dict[str, Any]]) -> None:
    (root / "facts.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")


def run_stage(
    root: Path, recorded: str | None = "facts.jsonl"
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    settings = Settings.model_validate({"extraction": {"recorded": recorded}})
    with Store(Layout(root).store) as store:
        models: Any = NoModels()
        asyncio.run(STAGE.run(StageContext(Layout(root), settings, store, models, UsageLog())))
        rows = {name: store.table(name).to_pylist() for name in TABLES}
        return rows, {name: store.version(name) for name in TABLES}


def test_the_stage_fills_the_tables_and_the_ledger(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    rows, _ = run_stage(tmp_path)
    assert {name: len(found) for name, found in rows.items()} == {
        "documents": 3, "text_units": 3, "entity_mentions": 4, "relation_mentions": 2, "claim_mentions": 1,
        "ledger": 3, "skipped_inputs": 1,
    }  # fmt: skip
    texts = {unit["id"]: unit["text"] for unit in rows["text_units"]}
    assert {texts[row["row_id"]]: row["status"] for row in rows["ledger"]} == {
        LINES[0]["text"]: "done", LINES[1]["text"]: "done", LINES[2]["text"]: "empty",
    }  # fmt: skip
    assert {row["stage"] for row in rows["ledger"]} == {"extract_graph"}
    (problem,) = rows["skipped_inputs"]
    assert problem["uri"] == "facts.jsonl"
    assert problem["reason"].startswith("1 of 3 relationships lack a source or target")
    for mention in rows["entity_mentions"]:
        assert texts[mention["text_unit_id"]][mention["start_char"] : mention["end_char"]] == mention["name"]


def test_the_same_recording_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, LINES)
    _, first = run_stage(tmp_path)
    written: list[str] = []
    insert = Store._insert
    monkeypatch.setattr(
        Store, "_insert", lambda self, name, rows: (written.append(name), insert(self, name, rows))
    )
    _, second = run_stage(tmp_path, str(tmp_path / "facts.jsonl"))
    assert second == first
    assert set(written) <= {"skipped_inputs"}


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    before, _ = run_stage(tmp_path)
    changed = json.loads(json.dumps(LINES))
    changed[1]["relationships"][0]["strength"] = 7  # no id changes with it
    del changed[2]
    write(tmp_path, changed)
    after, versions = run_stage(tmp_path)
    assert [row["strength"] for row in after["relation_mentions"]].count(7.0) == 1
    assert after["claim_mentions"] == before["claim_mentions"]
    assert len(after["documents"]) == len(after["text_units"]) == len(after["ledger"]) == 2
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    write(fresh, changed)
    assert run_stage(fresh)[1] == versions


def test_a_missing_setting_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--extraction"):
        run_stage(tmp_path, None)
    with pytest.raises(ConfigError, match="no recorded extraction at"):
        run_stage(tmp_path)


@pytest.fixture
def model() -> FakeChatModel:
    return FakeChatModel(no_answer)


@pytest.fixture
def rag(tmp_path: Path, model: FakeChatModel) -> GraphRAG:
    GraphRAG.init(tmp_path)
    (tmp_path / "input" / "gjoa.txt").write_text(
        "Roald Amundsen sailed the Gjoa to Alaska.", encoding="utf-8"
    )
    write(tmp_path, LINES)
    return GraphRAG.open(tmp_path, chat_model=model, embedder=FakeEmbedder())


def test_the_whole_pipeline_runs_without_a_call(rag: GraphRAG, model: FakeChatModel, tmp_path: Path) -> None:
    report = rag.index(extraction=tmp_path / "facts.jsonl")
    assert report.pipeline == "recorded"
    assert model.history == []
    assert (report.counts["entities"], report.counts["relationships"], report.counts["claims"]) == (3, 2, 1)
    assert (report.counts["text units done"], report.counts["text units empty"]) == (2, 1)
    assert report.skipped_inputs[0]["uri"] == "facts.jsonl"
    index = rag.open_index()
    assert {row["record_id"] for row in index.table("documents").to_pylist()} == {"a", "b", "c"}
    relationships = {
        (row["source"], row["predicate"], row["target"]) for row in index.table("relationships").to_pylist()
    }
    assert relationships == {("Colin Archer", "built", "Fram"), ("Nansen", "sailed", "Fram")}
    again = rag.index(extraction=tmp_path / "facts.jsonl")
    assert set(again.ran) <= {"publish"}


def test_recording_and_input_folder_can_take_turns(rag: GraphRAG, tmp_path: Path) -> None:
    folder = rag.index(method="fast")
    recorded = rag.index(extraction=tmp_path / "facts.jsonl")
    assert recorded.counts["documents"] == 3
    back = rag.index(method="fast")
    assert back.counts == folder.counts
    assert back.skipped_inputs == ()


def test_a_real_recording_goes_all_the_way(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "msgraphrag_dulce"
    if not folder.is_dir():
        pytest.skip("msgraphrag_dulce is not here")
    GraphRAG.init(tmp_path)
    rag = GraphRAG.open(
        tmp_path,
        settings={"resolution": {"enabled": False}},
        chat_model=FakeChatModel(no_answer),
        embedder=FakeEmbedder(),
    )
    report = rag.index(extraction=folder)
    assert report.counts["claims"] == 41
    assert report.counts["entities"] == 47  # 39, and 8 names of claims that are none of them
    assert report.counts["relationships"] == 107
