"""An index is a function of its inputs: complete, repeatable, and recomputed only where they changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from graphrag import FakeChatModel, FakeEmbedder, GraphRAG
from graphrag.errors import ConfigError, LLMError, NotIndexedError, StoreError
from graphrag.schema import PUBLISHED_TABLES
from tests.indexing.conftest import DOCUMENTS, answer


def published(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "output").glob("*.parquet"))}


def calls(model: FakeChatModel, task: str) -> int:
    return sum(request.task == task for request in model.history)


def test_everything_is_published_in_the_order_that_users_know(project) -> None:
    rag = project()
    report = rag.index()
    assert report.counts["documents"] == 3
    assert report.counts["text units done"] == 3
    assert report.counts["claims"] == 2
    index = rag.open_index()
    for table in PUBLISHED_TABLES:
        found = index.table(table.name)
        assert found.schema.names == list(table.names)
        assert found["human_readable_id"].to_pylist() == list(range(found.num_rows))
    entities = {row["title"]: row for row in index.table("entities").to_pylist()}
    assert entities["Fram"]["frequency"] == 2
    assert entities["Fram"]["type"] == "ship"
    relationships = index.table("relationships").to_pylist()
    assert {"Colin Archer", "Fram"} in [{row["source"], row["target"]} for row in relationships]


def test_every_offset_points_at_what_it_says(project) -> None:
    rag = project()
    rag.index()
    index = rag.open_index()
    text = {row["id"]: row["text"] for row in index.table("documents").to_pylist()}
    for unit in index.table("text_units").to_pylist():
        assert text[unit["document_id"]][unit["start_char"] : unit["end_char"]] == unit["text"]
    mentions = index.table("entity_mentions").to_pylist()
    assert mentions
    for mention in mentions:
        assert text[mention["document_id"]][mention["start_char"] : mention["end_char"]] == mention["name"]
    for mention in index.table("relation_mentions").to_pylist():
        sentence = text[mention["document_id"]][mention["start_char"] : mention["end_char"]]
        relationship = index.row("relationships", mention["relationship_id"])
        assert relationship is not None
        assert relationship["source"] in sentence
        assert relationship["target"] in sentence


def test_every_entity_is_in_one_community_per_level_and_has_a_report(project) -> None:
    rag = project()
    rag.index()
    index = rag.open_index()
    communities = index.table("communities").to_pylist()
    reports = {row["community"] for row in index.table("community_reports").to_pylist()}
    assert reports == {row["community"] for row in communities}
    top = [entity for row in communities if row["level"] == 0 for entity in row["entity_ids"]]
    assert sorted(top) == sorted(index.table("entities")["id"].to_pylist())


def test_citations_that_lead_nowhere_are_removed_and_counted(project, model: FakeChatModel) -> None:
    rag = project()
    rag.index()
    assert calls(model, "community_report") > 0
    written = [
        row for row in rag.open_index().table("community_reports").to_pylist() if row["method"] == "llm"
    ]
    entities = set(rag.open_index().table("entities")["id"].to_pylist())
    for row in written:
        assert set(row["findings"][0]["citations"]) <= entities
        assert "99" not in row["full_content"]


def test_a_second_run_does_nothing(project, model: FakeChatModel) -> None:
    rag = project()
    rag.index()
    before, asked = published(rag.layout.root), len(model.history)
    report = rag.index()
    assert report.ran == ()
    assert len(model.history) == asked
    assert published(rag.layout.root) == before


def test_only_the_changed_document_is_asked_about(project, model: FakeChatModel) -> None:
    rag = project()
    rag.index()
    asked = calls(model, "extract_graph")
    (rag.layout.root / "input" / "gjoa.txt").write_text(
        "Robert Scott never met Colin Archer.", encoding="utf-8"
    )
    report = rag.index()
    assert calls(model, "extract_graph") == asked + 1
    assert "extract_graph" in report.ran
    titles = rag.open_index().table("entities")["title"].to_pylist()
    assert "Gjoa" not in titles


def test_update_and_delete_equal_a_rebuild(project, tmp_path: Path) -> None:
    rag = project()
    rag.index()
    (tmp_path / "input" / "gjoa.txt").unlink()
    (tmp_path / "input" / "new.md").write_text("Robert Scott sailed the Terra Nova.", encoding="utf-8")
    rag.index()
    updated = published(tmp_path)
    for name in (".graphrag/store.duckdb",):
        (tmp_path / name).unlink()
    (tmp_path / "output").unlink()
    rag.index()
    assert published(tmp_path) == updated


@pytest.mark.parametrize("concurrency", [1, 7])
def test_concurrency_changes_nothing(project, tmp_path: Path, concurrency: int) -> None:
    rag = project(llm={"concurrency": concurrency})
    rag.index()
    reference = GraphRAG.init(
        tmp_path / "other",
        settings={
            "pipeline": "standard",
            "extraction": {"format": "lines"},
            "reports": {"method": "llm", "min_llm_size": 2, "min_llm_tokens": 0},
            "resolution": {"use_llm": False},
        },
        chat_model=FakeChatModel(answer=answer),
        embedder=FakeEmbedder(),
    )
    for name, text in reversed(DOCUMENTS.items()):
        (tmp_path / "other" / "input" / name).write_text(text, encoding="utf-8")
    reference.index()
    assert published(tmp_path) == published(tmp_path / "other")


def test_an_unusable_answer_is_retried_once_then_reported(project, model: FakeChatModel) -> None:
    broken = {"on": True}

    def sometimes(request) -> str:
        if broken["on"] and request.task == "extract_graph" and "Gjoa" in request.messages[1].content:
            return "I would rather not."
        return answer(request)

    rag = project()
    rag._chat_model = FakeChatModel(answer=sometimes)
    report = rag.index()
    asked = [
        r for r in rag._chat_model.history if r.task == "extract_graph" and "Gjoa" in r.messages[1].content
    ]
    assert len(asked) == 2
    assert report.counts["text units failed"] == 1
    (failure,) = report.failed
    assert failure["uri"] == "gjoa.txt"
    assert "I would rather not" in failure["reason"]
    assert rag.index().counts["text units failed"] == 1  # not asked again unless told to
    broken["on"] = False
    report = rag.index(retry_failed=True)
    assert report.counts["text units failed"] == 0
    assert report.counts["text units done"] == 3


def test_a_stopped_run_is_continued(project, model: FakeChatModel) -> None:
    rag = project(llm={"concurrency": 1})
    seen: list[str] = []
    stopping = asyncio.Event()

    def stop_after_one(request) -> str:
        seen.append(request.task)
        stopping.set()
        return answer(request)

    rag._chat_model = FakeChatModel(answer=stop_after_one)
    report = asyncio.run(rag.aindex(stopping=stopping))
    assert report.stopped
    assert seen == ["extract_graph"]
    with pytest.raises(NotIndexedError):
        rag.open_index()
    rag._chat_model = model
    report = rag.index()
    assert not report.stopped
    assert calls(model, "extract_graph") == 2


def test_a_fatal_error_stops_the_run_and_keeps_what_was_done(project, model: FakeChatModel) -> None:
    def no_key(request) -> str:
        if "Gjoa" in request.messages[1].content:
            raise LLMError("The key was refused.", retryable=False)
        return answer(request)

    rag = project(llm={"concurrency": 1})
    rag._chat_model = FakeChatModel(answer=no_key)
    with pytest.raises(LLMError, match="refused"):
        rag.index()
    rag._chat_model = model
    rag.index()
    assert calls(model, "extract_graph") < 3


def test_a_changed_prompt_recomputes_what_reads_it(project, model: FakeChatModel) -> None:
    rag = project()
    rag.index()
    prompts = rag.layout.root / "prompts"
    prompts.mkdir()
    shipped = (Path(__file__).resolve().parents[2] / "prompts" / "community_report.j2").read_text(
        encoding="utf-8"
    )
    (prompts / "community_report.j2").write_text("Be brief. " + shipped, encoding="utf-8")
    model.history.clear()
    report = rag.index()
    assert set(report.ran) <= {"report_communities", "embed_text", "publish"}
    assert calls(model, "extract_graph") == 0
    assert calls(model, "community_report") > 0


def test_merges_can_be_undone(project) -> None:
    from graphrag.indexing.overrides import add_override

    rag = project()
    (rag.layout.root / "input" / "alias.txt").write_text("FRAM met Roald Amundsen.", encoding="utf-8")
    (rag.layout.root / "input" / "variant.txt").write_text(
        "Roald Amundsens met Robert Scott.", encoding="utf-8"
    )
    rag.index()
    merges = rag.open_index().table("entity_merges").to_pylist()
    assert merges
    first = merges[0]
    add_override(rag.layout, "keep_apart", first["id"], first["to_id"], "test")
    rag.index()
    left = {row["id"] for row in rag.open_index().table("entity_merges").to_pylist()}
    assert first["id"] not in left
    assert first["id"] in rag.open_index().table("entities")["id"].to_pylist()


def test_foreign_output_is_not_overwritten(project, tmp_path: Path) -> None:
    rag = project()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "entities.parquet").write_bytes(b"another engine's")
    with pytest.raises(StoreError, match="was not written by this engine"):
        rag.index()
    assert (tmp_path / "output" / "entities.parquet").read_bytes() == b"another engine's"


def test_an_empty_input_folder_says_what_to_do(tmp_path: Path) -> None:
    rag = GraphRAG.init(tmp_path, embedder=FakeEmbedder())
    with pytest.raises(ConfigError, match="no readable document"):
        rag.index()


def test_the_estimate_spends_nothing(project, model: FakeChatModel) -> None:
    rag = project()
    found = rag.estimate()
    assert found["extract_graph"].calls == 3
    assert found["extract_graph"].prompt_tokens > 100
    assert model.history == []
    assert not (rag.layout.root / "output").exists()


def test_published_parquet_opens_without_this_library(project) -> None:
    rag = project()
    rag.index()
    table = pq.read_table(rag.layout.root / "output" / "entities.parquet")
    assert table.column_names[:8] == [
        "id",
        "human_readable_id",
        "title",
        "type",
        "description",
        "text_unit_ids",
        "frequency",
        "degree",
    ]


def test_entity_types_are_discovered_once_and_kept(project, model: FakeChatModel) -> None:
    def discovering(request) -> str:
        if request.task == "discover_entity_types":
            return '{"types": ["Ship", "explorer", "ship"]}'
        return answer(request)

    rag = project(extraction={"entity_types": []})
    rag._chat_model = FakeChatModel(answer=discovering)
    rag.index()
    history = rag._chat_model.history
    prompts = [request.messages[0].content for request in history if request.task == "extract_graph"]
    assert len(prompts) == 3
    assert all("explorer, ship" in prompt for prompt in prompts)
    (rag.layout.root / "input" / "more.txt").write_text("Robert Scott met Roald Amundsen.", encoding="utf-8")
    rag.index()
    assert sum(request.task == "discover_entity_types" for request in history) == 1
    assert sum(request.task == "extract_graph" for request in history) == 4


def test_gleanings_ask_again_and_add(project, model: FakeChatModel) -> None:
    def forgetful(request) -> str:
        if request.task == "extract_graph" and len(request.messages) > 2:
            return "E|Larvik|place|A town." if "Larvik" in request.messages[1].content else "NONE"
        return answer(request)

    rag = project(extraction={"max_gleanings": 1})
    rag._chat_model = FakeChatModel(answer=forgetful)
    rag.index()
    assert calls(rag._chat_model, "extract_graph") == 6
    assert "Larvik" in rag.open_index().table("entities")["title"].to_pylist()
