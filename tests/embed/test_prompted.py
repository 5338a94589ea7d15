"""Models that want words in front of questions and texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphrag.embed import FakeEmbedder, TokenEmbedder, make_embedder, question_vectors
from graphrag.embed.prompted import PromptedEmbedder
from graphrag.errors import QueryError
from graphrag.optimize.memory import RememberingEmbedder
from graphrag.retrieve.dense import DenseRetriever
from graphrag.retrieve.graph import GraphRetriever
from graphrag.settings import EmbeddingSettings
from tests.query.small_index import build_index


class Recording(FakeEmbedder):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(64)
        self.asked: list[str] = []

    def embed(self, texts: list[str]) -> np.ndarray:  # type: ignore[override]
        self.asked += texts
        return super().embed(texts)


def test_questions_and_texts_get_what_the_model_wants() -> None:
    inner = Recording()
    model = PromptedEmbedder(inner, question="query: ", text="passage: ")
    assert np.array_equal(model.embed(["a", "b"]), FakeEmbedder(64).embed(["passage: a", "passage: b"]))
    assert np.array_equal(question_vectors(model, ["a"]), FakeEmbedder(64).embed(["query: a"]))
    assert np.array_equal(question_vectors(inner, ["a"]), FakeEmbedder(64).embed(["a"]))
    assert (model.dimension, model.calls) == (64, inner.calls)
    remembering = RememberingEmbedder(model)
    asked = len(inner.asked)
    for _ in range(2):
        assert not np.array_equal(remembering.embed(["c"]), remembering.embed_questions(["c"]))
    assert inner.asked[asked:] == ["passage: c", "query: c"]


def test_what_stands_before_texts_makes_another_model() -> None:
    plain = FakeEmbedder(64)
    only_questions = PromptedEmbedder(plain, question="query: ", text="")
    assert only_questions.model_id == plain.model_id
    ids = {PromptedEmbedder(plain, question="", text=text).model_id for text in ("", "passage: ", "p: ")}
    assert len(ids) == 3


def test_the_settings_name_it_and_an_index_remembers_it(tmp_path: Path) -> None:
    settings = EmbeddingSettings(question_prefix="query: ", text_prefix="passage: ")
    made = make_embedder(settings)
    assert isinstance(made, PromptedEmbedder)
    assert isinstance(made, TokenEmbedder)
    assert made.model_id.startswith("all-minilm-l6-v2@")
    inner = Recording()
    index = build_index(tmp_path, PromptedEmbedder(inner, question="query: ", text="passage: "))
    assert all(text.startswith("passage: ") for text in inner.asked)
    DenseRetriever(index, PromptedEmbedder(inner, question="query: ", text="passage: ")).search("Who?", 3)
    assert inner.asked[-1] == "query: Who?"
    before = len(inner.asked)
    GraphRetriever(index, PromptedEmbedder(inner, question="query: ", text="passage: ")).search("Who?", 3)
    assert "query: Who?" in inner.asked[before:]
    assert "passage: Who?" not in inner.asked[before:]
    with pytest.raises(QueryError, match="were made by"):
        DenseRetriever(index, inner)
