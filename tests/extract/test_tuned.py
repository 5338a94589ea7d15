"""The embedded model with an adapter as the extractor of an index; the model itself is a fake here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphrag import FakeEmbedder, GraphRAG
from graphrag.errors import ConfigError
from graphrag.extract import tuned
from graphrag.indexing.stages import extract_graph
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel

TEXT = "Colin Archer built the Fram in Larvik. Fridtjof Nansen sailed the Fram into the ice in 1893."
ANSWER = " Colin Archer| person\n> built| Fram\n Fram| product\n Larvik| place"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeChatModel:
    def answer(request: ChatRequest) -> str:
        return ANSWER if "Colin" in request.messages[-1].content else "NONE"

    fake = FakeChatModel(answer, model_id="fake+adapter@1")
    monkeypatch.setattr(tuned, "tuned_model", lambda _folder: fake)
    extract_graph._tuned_extractor.cache_clear()
    return fake


def test_an_index_is_extracted_by_the_tuned_model_and_quotes_its_source(
    tmp_path: Path, model: FakeChatModel
) -> None:
    GraphRAG.init(tmp_path)
    (tmp_path / "input" / "fram.md").write_text(TEXT, encoding="utf-8")
    rag = GraphRAG.open(tmp_path, embedder=FakeEmbedder(), settings={"extraction": {"method": "tuned"}})
    rag.index(method="fast")
    index = rag.open_index()
    (request,) = model.history
    types, relations = request.messages[0].content.splitlines()
    assert types == "entities: person, organization, place, event, work, product, concept"
    assert relations == "relations: any"
    assert request.grammar is not None
    (relation,) = index.table("relationships").to_pylist()
    assert relation["description"] == TEXT.partition(". ")[0] + "."
    rag.index(method="fast")
    assert len(model.history) == 1  # nothing changed: nothing is read again


@pytest.mark.parametrize("changed", [{"readings": 3}, {"predicates": ["built", "sailed"]}])
def test_another_schema_or_number_of_readings_reads_again(
    tmp_path: Path, model: FakeChatModel, changed: dict[str, Any]
) -> None:
    GraphRAG.init(tmp_path)
    (tmp_path / "input" / "fram.md").write_text(TEXT, encoding="utf-8")
    for more in ({}, changed, changed):
        settings = {"extraction": {"method": "tuned", **more}}
        GraphRAG.open(tmp_path, embedder=FakeEmbedder(), settings=settings).index(method="fast")
    assert len(model.history) == 2
    asked = [request.messages[0].content.splitlines()[1] for request in model.history]
    expected = "relations: built, sailed" if "predicates" in changed else "relations: any"
    assert asked == ["relations: any", expected]


def test_a_folder_without_an_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"adapter_config\.json"):
        tuned.tuned_model(tmp_path)


def test_the_shipped_adapter_is_complete_and_small() -> None:
    folder = tuned.shipped_extractor()
    assert {"adapter_config.json", "adapter_model.safetensors", "tune.json", "README.md"} <= {
        file.name for file in folder.iterdir()
    }
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000
