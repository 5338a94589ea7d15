"""A model with any kind of adapter writes what that adapter's training model would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from graphrag.errors import ConfigError
from graphrag.llm.generation import Generation, load_generator
from graphrag.tune.base import choose_path, load_base
from graphrag.tune.methods import METHODS, get_method
from tests.llm.conftest import Shape, tiny_model

ADAPTERS = sorted(name for name, method in METHODS.items() if method.saves == "adapter" and name != "qlora")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), Shape())


def changed(folder: Path, name: str) -> Any:
    """Return the tiny model with an adapter that changes what it writes."""
    model, _ = load_base(str(folder), choose_path(get_method(name), bits=32))
    torch.manual_seed(1)
    tuned = get_method(name).prepare(model, {})
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return tuned.eval()


@pytest.mark.parametrize("name", ADAPTERS)
def test_serves_every_kind(folder: Path, name: str, tmp_path: Path) -> None:
    tuned = changed(folder, name)
    tuned.save_pretrained(tmp_path)
    generator = load_generator(str(folder), adapter=str(tmp_path), dtype=torch.float32, rows=2)
    messages = [("user", "Hello")]
    job = Generation(prompt=generator.encode(messages), max_tokens=8)
    generator.run([job])
    plain = load_generator(str(folder), dtype=torch.float32, rows=2)
    device = next(tuned.parameters()).device
    ids = torch.tensor([plain.encode(messages)], device=device)
    expected: list[int] = []
    with torch.no_grad():
        for _ in range(8):  # no cache: every token anew
            token = int(
                tuned(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
                .logits[0, -1]
                .argmax()
            )
            if token in generator.ends:
                break
            expected.append(token)
            ids = torch.cat([ids, torch.tensor([[token]], device=device)], dim=1)
    assert job.tokens == expected
    untouched = Generation(prompt=plain.encode(messages), max_tokens=8)
    plain.run([untouched])
    assert untouched.tokens != job.tokens


def test_what_is_no_adapter_or_of_another_model_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no adapter"):
        load_generator(str(folder), adapter=str(tmp_path))
    other = tiny_model(tmp_path / "other", Shape(hidden=64))
    changed(other, "lora").save_pretrained(tmp_path / "adapter")
    with pytest.raises(ConfigError, match="another base model"):
        load_generator(str(folder), adapter=str(tmp_path / "adapter"))
