"""The small index, published once."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.retrieve.graph_view import GraphView
from graphrag.store.index import Index
from tests.query.small_index import build_index


@pytest.fixture(scope="session")
def embedder() -> FakeEmbedder:
    return FakeEmbedder(256)


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory, embedder: FakeEmbedder) -> Index:
    return build_index(tmp_path_factory.mktemp("small"), embedder)


@pytest.fixture(scope="session")
def view(index: Index) -> GraphView:
    return GraphView(index)


@pytest.fixture
def empty_root(tmp_path: Path) -> Path:
    return tmp_path
