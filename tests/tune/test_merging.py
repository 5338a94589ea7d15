"""A merged model is the adapted one, and loads as any model does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import ConfigError
from graphrag.llm.adapter import load_adapter
from graphrag.tune.base import choose_path, load_base
from graphrag.tune.merging import merge_adapter
from graphrag.tune.methods import get_method
from tests.llm.conftest import Shape, tiny_model

IDS = torch.arange(12).reshape(1, 12)


def changed(base: Path, name: str, folder: Path) -> None:
    """Write an adapter whose change is too large to be taken for rounding."""
    model, _ = load_base(str(base), choose_path(get_method(name), bits=32))
    torch.manual_seed(1)
    tuned = get_method(name).prepare(model, {})
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    tuned.save_pretrained(folder)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS.to(next(model.parameters()).device)).logits.cpu()


@pytest.mark.parametrize("name", ["lora", "bitfit", "head"])
def test_a_merged_folder_is_the_adapted_model(tiny: Path, name: str, tmp_path: Path) -> None:
    changed(tiny, name, tmp_path / "adapter")
    arguments = [
        str(tmp_path / "adapter"),
        "-m",
        str(tiny),
        "-o",
        str(tmp_path / "merged"),
        "--dtype",
        "float32",
    ]
    run = CliRunner().invoke(app, ["tune", "merge", *arguments], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    adapted = load_adapter(AutoModelForCausalLM.from_pretrained(tiny), str(tmp_path / "adapter"))
    assert torch.allclose(logits(merged), logits(adapted), atol=1e-4)
    assert not torch.allclose(logits(merged), logits(AutoModelForCausalLM.from_pretrained(tiny)), atol=1e-2)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer("ab")["input_ids"] == AutoTokenizer.from_pretrained(tiny)("ab")["input_ids"]


def test_what_is_no_change_of_weights_is_refused(tiny: Path, tmp_path: Path) -> None:
    changed(tiny, "houlsby", tmp_path / "adapter")
    with pytest.raises(ConfigError, match="no change of weights"):
        merge_adapter(str(tiny), tmp_path / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    with pytest.raises(ConfigError, match="no number format"):
        merge_adapter(str(tiny), tmp_path / "adapter", tmp_path / "merged", dtype="int3")
    with pytest.raises(ConfigError, match="not empty"):
        merge_adapter(str(tiny), tmp_path / "adapter", tmp_path / "adapter")


@pytest.mark.filterwarnings("ignore::FutureWarning:bitsandbytes", "ignore::UserWarning:bitsandbytes")
def test_an_adapter_over_four_bits_is_merged_into_them_made_whole(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="4 bit needs bitsandbytes")
    wide = tiny_model(tmp_path / "wide", Shape(hidden=128))
    changed(wide, "lora", tmp_path / "adapter")
    merge_adapter(str(wide), tmp_path / "adapter", tmp_path / "merged", dtype="float32", bits=4)
    merge_adapter(str(wide), tmp_path / "adapter", tmp_path / "other", dtype="float32", bits=16)
    # In float32 on every processor: bfloat16's rounding is larger than the difference that is looked for.
    path = replace(choose_path(get_method("qlora")), dtype="float32")
    four, _ = load_base(str(wide), path)
    served = logits(load_adapter(four, str(tmp_path / "adapter")))
    merged, other = (logits(AutoModelForCausalLM.from_pretrained(tmp_path / n)) for n in ("merged", "other"))
    assert (merged - served).norm() < 0.02 * (other - served).norm()
