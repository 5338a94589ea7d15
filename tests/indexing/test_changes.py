"""Only what reads a change is done again, and the result is that of a rebuild."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphrag import FakeChatModel, FakeEmbedder, GraphRAG
from graphrag.indexing.models import ProjectModels
from graphrag.indexing.stage import StageContext
from graphrag.indexing.stages import NAMES, stage_named
from graphrag.indexing.stages.publish import snapshot
from graphrag.llm.usage import UsageLog
from graphrag.settings import Settings, load_settings
from graphrag.store.store import Store
from tests.indexing.endpoint import answer, asked, open_project, published
from tests.openai_server import OpenAIServer

CHAT = {"extract_graph", "resolve_entities", "summarize_descriptions", "report_communities"}
EMBEDDER = {"resolve_entities", "build_graph", "report_communities", "embed_text", "publish"}
NOBODY: set[str] = set()

# Every setting, another value, and the stages that read it when an endpoint extracts and writes.
CHANGES: dict[str, tuple[Any, set[str]]] = {
    "pipeline": ("mine", NOBODY),
    "llm.provider": ("local", CHAT),
    "llm.model": ("another", CHAT),
    "llm.base_url": ("http://127.0.0.1:9/v1", CHAT),
    "chunking.strategy": ("sentences", {"chunk_documents"}),
    "chunking.size": (600, {"chunk_documents"}),
    "chunking.overlap": (77, {"chunk_documents"}),
    "chunking.tokenizer": ("tiktoken:o200k_base", {"chunk_documents"}),
    "embedding.provider": ("local", EMBEDDER),
    "embedding.model": ("another", EMBEDDER),
    "embedding.base_url": ("http://127.0.0.1:9/v1", EMBEDDER),
    "embedding.entity_text": ("title", {"embed_text"}),
    "input.folder": ("texts", {"load_documents"}),
    "input.include": (("*.md",), {"load_documents"}),
    "input.exclude": (("*.md",), {"load_documents"}),
    "input.encoding": ("utf-16", {"load_documents"}),
    "input.text_column": ("body", {"load_documents"}),
    "input.title_column": ("name", {"load_documents"}),
    "input.id_column": ("key", {"load_documents"}),
    "extraction.method": ("nlp", {"extract_graph", "build_graph", "resolve_entities"}),
    "extraction.format": ("lines", {"extract_graph"}),
    "extraction.entity_types": (("ship",), {"extract_graph"}),
    "extraction.max_gleanings": (1, {"extract_graph"}),
    "extraction.claims": (False, {"extract_graph"}),
    "extraction.max_tokens": (900, {"extract_graph"}),
    "extraction.recorded": ("elsewhere", {"load_recording"}),
    "resolution.enabled": (False, {"resolve_entities", "build_graph"}),
    "resolution.fuzzy_threshold": (0.5, {"resolve_entities"}),
    "resolution.embedding_threshold": (0.5, {"resolve_entities"}),
    "resolution.llm_band": ((0.5, 0.6), {"resolve_entities"}),
    "resolution.use_llm": (False, {"resolve_entities"}),
    "resolution.predicate_threshold": (0.5, {"build_graph"}),
    "descriptions.method": ("extractive", {"summarize_descriptions"}),
    "descriptions.max_tokens": (99, {"summarize_descriptions"}),
    "descriptions.max_input_tokens": (999, {"summarize_descriptions"}),
    "communities.max_size": (5, {"detect_communities"}),
    "communities.resolution": (2.0, {"detect_communities"}),
    "communities.quality": ("cpm", {"detect_communities"}),
    "communities.seed": (1, {"detect_communities"}),
    "communities.max_drift": (0.5, {"detect_communities"}),
    "reports.method": ("extractive", {"report_communities"}),
    "reports.max_input_tokens": (999, {"report_communities"}),
    "reports.max_tokens": (999, {"report_communities"}),
    "reports.max_findings": (3, {"report_communities"}),
    "reports.min_llm_size": (9, {"report_communities"}),
    "reports.min_llm_tokens": (9, {"report_communities"}),
    "execution.executor": ("daft", NOBODY),
    "execution.workers": (3, NOBODY),
}
# Who answers, how fast, and at what price changes no result; questions read no stage.
UNREAD = (
    "query.",
    "llm.",
    "embedding.",
    "retrieval.",
    "extraction.spacy_model",
    "extraction.min_pmi",
    "extraction.adapter",
    "extraction.readings",
    "extraction.predicates",
)


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer) as running:
        yield running


@pytest.fixture
def readers(tmp_path: Path) -> Callable[[Settings], dict[str, str]]:
    """Return a function from settings to the fingerprint of every stage."""
    rag = GraphRAG.init(tmp_path)

    class Names(ProjectModels):
        """The models' names, without the models."""

        @property
        def chat_id(self) -> str:
            llm = self._settings.llm
            return f"{llm.provider}/{llm.model}@{llm.base_url}"

        @property
        def embedder_id(self) -> str:
            embedding = self._settings.embedding
            return f"{embedding.provider}/{embedding.model}@{embedding.base_url}"

    def fingerprints(settings: Settings) -> dict[str, str]:
        usage = UsageLog()
        with Store(rag.layout.store) as store:
            context = StageContext(rag.layout, settings, store, Names(settings, rag.layout, usage), usage)
            return {name: stage_named(name).row_fingerprint(context) for name in NAMES}

    return fingerprints


def with_setting(path: str, value: Any) -> dict[str, Any]:
    found: Any = value
    for part in reversed(path.split(".")):
        found = {part: found}
    return dict(found)


def test_every_setting_reruns_exactly_the_stages_that_read_it(
    readers: Callable[[Settings], dict[str, str]], tmp_path: Path
) -> None:
    base = {"llm": {"provider": "openai", "model": "m"}, "embedding": {"provider": "openai", "model": "v"}}
    settings = Settings.model_validate(base)
    before = readers(settings)
    for path in leaves(Settings):
        if path not in CHANGES:
            assert path.startswith(UNREAD), f"{path}: which stages read it? Add it to CHANGES."
            continue
        value, expected = CHANGES[path]
        assert settings.value(path) != value, path
        changed = with_setting(path, value)
        merged = {
            key: {**base.get(key, {}), **part} if isinstance(part, dict) else part
            for key, part in changed.items()
        }
        after = readers(Settings.model_validate({**base, **merged}))
        assert {name for name in NAMES if after[name] != before[name]} == expected, path


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("extraction.spacy_model", None, NOBODY),
        ("extraction.spacy_model", "rules", {"extract_graph"}),
        ("extraction.spacy_model", "shipped", {"extract_graph"}),
        ("extraction.adapter", "elsewhere", NOBODY),
        ("extraction.readings", 3, NOBODY),
        ("extraction.predicates", ("built",), NOBODY),
        ("extraction.max_gleanings", 2, NOBODY),
        ("extraction.max_tokens", 900, NOBODY),
        ("extraction.min_pmi", 0.2, {"build_graph"}),
        ("extraction.claims", False, {"extract_graph"}),
        ("reports.max_tokens", 900, NOBODY),
        ("reports.max_findings", 3, {"report_communities"}),
        ("llm.model", "another", NOBODY),
    ],
)
def test_without_a_model_its_settings_rerun_nothing(
    readers: Callable[[Settings], dict[str, str]], path: str, value: Any, expected: set[str]
) -> None:
    base = {
        "extraction": {"method": "nlp"},
        "descriptions": {"method": "extractive"},
        "reports": {"method": "extractive"},
    }
    before = readers(Settings.model_validate(base))
    section, _, name = path.partition(".")
    after = readers(Settings.model_validate({**base, section: {**base.get(section, {}), name: value}}))
    assert {name for name in NAMES if after[name] != before[name]} == expected


def test_secrets_and_limits_are_not_published() -> None:
    shown = str(snapshot(Settings.model_validate({"llm": {"api_key": "secret", "budget": "77777"}})))
    assert "secret" not in shown
    assert "77777" not in shown


@pytest.mark.parametrize(
    ("prompt", "stages"),
    [
        ("extract_graph", {"extract_graph"}),
        ("extract_graph_lines", NOBODY),
        ("extract_more", NOBODY),
        ("same_entity", {"resolve_entities"}),
        ("summarize_descriptions", {"summarize_descriptions"}),
        ("community_report", {"report_communities"}),
        ("local_answer", NOBODY),
    ],
)
def test_a_changed_prompt_reruns_what_uses_it(
    readers: Callable[[Settings], dict[str, str]], tmp_path: Path, prompt: str, stages: set[str]
) -> None:
    settings = Settings.model_validate({"llm": {"provider": "openai", "model": "m"}})
    before = readers(settings)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / f"{prompt}.j2").write_text("Another.\n---\n{{ text }}", encoding="utf-8")
    after = readers(settings)
    assert {name for name in NAMES if after[name] != before[name]} == stages


def _move(folder: Path) -> None:
    (folder / "deeper").mkdir()
    shutil.move(folder / "pole.txt", folder / "deeper" / "pole.txt")


EDITS: dict[str, tuple[Callable[[Path], object], int]] = {
    "add": (lambda folder: (folder / "new.md").write_text("Robert Scott sailed the Terra Nova."), 1),
    "edit": (lambda folder: (folder / "gjoa.txt").write_text("Robert Scott never met Colin Archer."), 1),
    "delete": (lambda folder: (folder / "gjoa.txt").unlink(), 0),
    "rename": (lambda folder: (folder / "gjoa.txt").rename(folder / "renamed.txt"), 0),
    "save again": (lambda folder: (folder / "gjoa.txt").write_bytes((folder / "gjoa.txt").read_bytes()), 0),
    "move": (_move, 0),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_pays_for_itself_alone_and_equals_a_rebuild(
    tmp_path: Path, server: OpenAIServer, edit: str
) -> None:
    rag = open_project(tmp_path / "kept", server)
    rag.index()
    whole = asked(server)
    change, extractions = EDITS[edit]
    change(tmp_path / "kept" / "input")
    expected = rag.estimate()
    assert asked(server) == {}
    report = rag.index()
    paid = asked(server)
    assert paid.get("ExtractedGraphWithClaims", 0) == extractions == expected["extract_graph"].calls
    assert paid.get("ReportAnswer", 0) < whole["ReportAnswer"] or edit in ("add", "edit")
    assert report.failed == ()
    if edit == "save again":
        assert report.ran == ()
        assert paid == {}
    # From scratch in another folder, with every answer asked for anew.
    rebuilt = open_project(tmp_path / "rebuilt", server)
    shutil.rmtree(tmp_path / "rebuilt" / "input")
    shutil.copytree(tmp_path / "kept" / "input", tmp_path / "rebuilt" / "input")
    rebuilt.index()
    assert published(tmp_path / "rebuilt") == published(tmp_path / "kept")


def test_a_document_from_elsewhere_costs_the_other_communities_nothing(
    tmp_path: Path, server: OpenAIServer
) -> None:
    rag = open_project(tmp_path, server)
    rag.index()
    asked(server)
    before = {row["id"]: row for row in _reports(rag)}
    text = (
        "Grace Hopper taught Alan Turing. Alan Turing wrote to Ada Lovelace. Ada Lovelace met Grace Hopper."
    )
    (tmp_path / "input" / "elsewhere.txt").write_text(text, encoding="utf-8")
    rag.index()
    paid = asked(server)
    after = {row["id"]: row for row in _reports(rag)}
    kept = before.keys() & after.keys()
    assert kept == before.keys()
    assert paid["ReportAnswer"] == sum(row["method"] == "llm" for row in after.values()) - sum(
        row["method"] == "llm" for row in before.values()
    )


def _reports(rag: GraphRAG) -> list[dict[str, Any]]:
    return rag.open_index().table("community_reports").to_pylist()


def test_what_was_recomputed_for_a_setting_alone(tmp_path: Path) -> None:
    """The stages that really run are those whose fingerprints say so, and what follows from them."""
    model = FakeChatModel(lambda request: "NONE")
    rag = GraphRAG.init(tmp_path, chat_model=model, embedder=FakeEmbedder())
    (tmp_path / "input" / "a.txt").write_text("Ada Lovelace met Alan Turing in London.", encoding="utf-8")
    rag.index(method="fast")
    settings, _ = load_settings(tmp_path)
    changed = GraphRAG.open(
        tmp_path, settings={"communities": {"seed": 7}}, chat_model=model, embedder=FakeEmbedder()
    )
    assert settings.communities.seed != 7
    assert set(changed.index(method="fast").ran) == {"detect_communities", "publish"}
