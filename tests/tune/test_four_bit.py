"""Over 4-bit weights, training goes on after an evaluation, and nothing is merged into the 4-bit grid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphrag.llm.generation import Generation, load_generator
from graphrag.tune.base import choose_path, count_parameters, load_base
from graphrag.tune.examples import Pair
from graphrag.tune.methods import get_method
from graphrag.tune.trainer import TuneOptions, tune
from tests.llm.conftest import Shape, tiny_model

pytest.importorskip("bitsandbytes", reason="4 bit needs bitsandbytes")
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:bitsandbytes", "ignore::UserWarning:bitsandbytes"
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("wide"), Shape(hidden=128))


@pytest.mark.parametrize("name", ["qlora", "mam", "bitfit", "prompt"])
def test_training_goes_on_after_an_evaluation(
    wide: Path, pairs: list[Pair], name: str, tmp_path: Path
) -> None:
    options = TuneOptions(
        method=name, bits=4, row_tokens=96, rows_per_step=2, max_steps=4, evaluate_every=1, warmup=0.0
    )
    result = tune(str(wide), pairs, tmp_path / "a", dev=pairs[:4], options=options)
    losses = [entry["eval_loss"] for entry in result.history if "eval_loss" in entry]
    assert len(losses) == 4
    assert losses[3] < losses[2] < losses[1] < losses[0]
    assert "NF4" in result.path


def test_the_weights_are_four_bit_and_kept_trainable(wide: Path) -> None:
    from bitsandbytes.nn import Linear4bit

    method = get_method("qlora")
    model, _ = load_base(str(wide), choose_path(method))
    whole, _ = load_base(str(wide), choose_path(method, bits=16))
    linears = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(linears) == 14
    assert not any(module.support_avx512bf16_for_cpu for module in linears)
    assert {(m.weight.quant_type, m.weight.quant_state.nested) for m in linears} == {("nf4", True)}
    assert count_parameters(model).total == count_parameters(whole).total


def test_serving_over_four_bit_does_not_merge(wide: Path, tmp_path: Path) -> None:
    model, _ = load_base(str(wide), choose_path(get_method("qlora")))
    torch.manual_seed(0)
    tuned = get_method("qlora").prepare(model, {})
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    tuned.save_pretrained(tmp_path)
    answers = []
    for adapter in (None, str(tmp_path)):
        generator = load_generator(str(wide), adapter=adapter, load_in_4bit=True, rows=1)
        job = Generation(prompt=generator.encode([("user", "Hello")]), max_tokens=6)
        generator.run([job])
        answers.append(job.tokens)
    assert answers[0] != answers[1]
    assert any("lora" in name for name, _ in generator.model.named_modules())
