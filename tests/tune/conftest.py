"""Pairs that a tiny random llama can learn in seconds, and that llama."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graphrag.tune.examples import Pair
from tests.llm.conftest import Shape, tiny_model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch from spending more on starting threads than on so small a model."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), Shape())


@pytest.fixture(scope="session")
def pairs() -> list[Pair]:
    return [(f"say {word} {n % 3}", word[::-1]) for n, word in enumerate(["ab", "cde", "fg", "hijk"] * 4)]
