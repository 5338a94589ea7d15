"""Every method on tiny models of every family: what it changes at the start, what it trains, and its files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    BloomConfig,
    BloomForCausalLM,
    GPTJConfig,
    GPTJForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

import graphrag.llm.adapters
from graphrag.errors import ConfigError
from graphrag.llm.adapter import load_adapter, merge
from graphrag.llm.adapters.stack import flatten_folder
from graphrag.tune.base import checkpoint_activations, count_parameters
from graphrag.tune.methods import METHODS, get_method

D, FFN, LAYERS, VOCAB, KV = 32, 64, 2, 99, 16
IDS = torch.arange(2 * 7).reshape(2, 7)


def llama() -> Any:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=D, intermediate_size=FFN, num_hidden_layers=LAYERS,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        )
    )  # fmt: skip


def gptj() -> Any:
    return GPTJForCausalLM(
        GPTJConfig(vocab_size=VOCAB, n_embd=D, n_inner=FFN, n_layer=LAYERS, n_head=4, rotary_dim=4, n_positions=64,
                   bos_token_id=0, eos_token_id=1)
    )  # fmt: skip


def bloom() -> Any:
    return BloomForCausalLM(BloomConfig(vocab_size=VOCAB, hidden_size=D, n_layer=LAYERS, n_head=4))


def bert() -> Any:
    return BertModel(
        BertConfig(vocab_size=VOCAB, hidden_size=D, intermediate_size=FFN, num_hidden_layers=LAYERS,
                   num_attention_heads=4, max_position_embeddings=64),
        add_pooling_layer=False,
    )  # fmt: skip


FAMILIES: dict[str, Callable[[], Any]] = {"llama": llama, "gptj": gptj, "bloom": bloom, "bert": bert}


def fresh(family: str) -> Any:
    torch.manual_seed(0)
    model = FAMILIES[family]()
    model.eval()
    return model


def prepared(family: str, name: str, **settings: Any) -> Any:
    torch.manual_seed(1)
    return get_method(name).prepare(fresh(family), {**SMALL.get(name, {}), **settings}).eval()


SMALL: dict[str, dict[str, Any]] = {
    name: {
        option: value
        for option, value in {"rank": 4, "attention_rank": 3, "length": 5}.items()
        if option in method.options
    }
    for name, method in METHODS.items()
}
for with_network in ("prefix-mlp",):
    SMALL[with_network]["middle"] = 12


def loaded(model: Any, folder: Path) -> Any:
    return load_adapter(model, str(folder))


def logits(model: Any) -> Any:
    with torch.no_grad():
        output = model(input_ids=IDS)
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


# Parameters of each method on the llama above, from the papers' formulas.
R, L = 4, 5
LINEARS = [(D, D), (D, KV), (D, KV), (D, D), (D, FFN), (D, FFN), (FFN, D)]
BOTTLENECK = 2 * D * R + R + D
PREFIX = 2 * L * KV
FFN_LORA = R * sum(a + b for a, b in LINEARS[4:])
FORMULAS = {
    "full": None,
    "head": D * VOCAB,
    "bitfit": LAYERS * sum(b for _, b in LINEARS),
    "prompt": L * D,
    "prefix": LAYERS * PREFIX,
    "prefix-mlp": L * D + (D * 12 + 12) + LAYERS * (12 * 2 * KV + 2 * KV),
    "houlsby": LAYERS * 2 * BOTTLENECK,
    "pfeiffer": LAYERS * BOTTLENECK,
    "pa-attn": LAYERS * BOTTLENECK,
    "pa-ffn": LAYERS * BOTTLENECK,
    "pa-attn-ffn": LAYERS * (BOTTLENECK + 2 * D * 3 + 3 + D),
    "scaled-pa": LAYERS * BOTTLENECK,
    "prefix-lora": LAYERS * (PREFIX + FFN_LORA),
    "mam": LAYERS * (PREFIX + BOTTLENECK),
    "llma-series": LAYERS * 2 * 2 * D * R,
    "llma-parallel": LAYERS * 2 * R * (D + FFN),
    "lora": LAYERS * R * sum(a + b for a, b in LINEARS),
    "lora-attn": LAYERS * R * (D + D + D + KV),
    "lora-ffn": LAYERS * FFN_LORA,
    "qlora": LAYERS * R * sum(a + b for a, b in LINEARS),
}
TUNERS = sorted(name for name, method in METHODS.items() if method.saves == "adapter")
# The papers begin these exactly at the frozen model (a zero factor), those nearly (small random factors).
SAME = {
    "head",
    "bitfit",
    "pa-attn",
    "pa-ffn",
    "pa-attn-ffn",
    "scaled-pa",
    "lora",
    "lora-attn",
    "lora-ffn",
    "qlora",
}
NEAR = {"houlsby": 0.01, "pfeiffer": 0.01, "llma-series": 0.05, "llma-parallel": 0.05}
ON_ALL = [
    "bitfit",
    "houlsby",
    "pfeiffer",
    "pa-attn",
    "pa-ffn",
    "pa-attn-ffn",
    "scaled-pa",
    "llma-series",
    "llma-parallel",
    "lora",
    "lora-attn",
    "lora-ffn",
]
# What is more than that: of decoders the output layer, prompts and (by peft) prefixes; of an encoder prefixes of ours.
ON_FAMILY = {
    "gptj": [*ON_ALL, "full", "head", "prompt", "prefix", "prefix-mlp"],
    "bloom": [*ON_ALL, "full", "head", "prompt", "prefix", "prefix-mlp"],
    "bert": [*ON_ALL, "full", "prefix", "prefix-mlp", "prefix-lora", "mam"],
}


INSIDE = sorted(name for name, method in METHODS.items() if method.trains_model)


@pytest.mark.parametrize("name", INSIDE)
def test_trains_what_it_claims(name: str) -> None:
    model = prepared("llama", name)
    counts = count_parameters(model)
    assert counts.trainable == (FORMULAS[name] or counts.total)
    if name in SAME:
        assert torch.equal(logits(model), logits(fresh("llama")))
    if name in NEAR:
        difference = (logits(model) - logits(fresh("llama"))).norm() / logits(fresh("llama")).norm()
        assert 0 < difference < NEAR[name]


@pytest.mark.parametrize("name", INSIDE)
def test_reduces_the_loss_and_leaves_the_rest_alone(name: str, tmp_path: Path) -> None:
    model = prepared("llama", name).train()
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5 * get_method(name).learning_rate)
    losses = []
    for _ in range(12):
        loss = model(input_ids=IDS, labels=IDS, attention_mask=torch.ones_like(IDS)).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    assert all(torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen)
    if name == "full":
        return
    # Saved and loaded again: the same numbers; switched off: the frozen model's.
    model.eval().save_pretrained(tmp_path)
    again = loaded(fresh("llama"), tmp_path).eval()
    if name == "prefix-mlp":
        before = logits(model)
        flatten_folder(tmp_path)
        flat = loaded(fresh("llama"), tmp_path).eval()
        assert torch.allclose(logits(flat), before, atol=1e-5)
        assert (
            sum(t.numel() for t in load_file(tmp_path / "adapter_model.safetensors").values())
            == LAYERS * PREFIX
        )
    assert torch.equal(logits(again), logits(model))
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(fresh("llama")))


def scrambled(model: Any) -> Any:
    """Give every trained number another value: what begins as nothing would hide mistakes."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


@pytest.mark.parametrize("name", [name for name in TUNERS if METHODS[name].merges])
def test_merges_where_it_is_defined(name: str) -> None:
    model = scrambled(prepared("llama", name))
    before = logits(model)
    assert not torch.allclose(before, logits(fresh("llama")), atol=1e-3)
    merged = merge(model)
    assert type(merged) is LlamaForCausalLM
    assert torch.allclose(logits(merged), before, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in TUNERS if not METHODS[name].merges])
def test_does_not_pretend_to_merge(name: str) -> None:
    with pytest.raises((NotImplementedError, AttributeError)):
        prepared("llama", name).merge_and_unload()


@pytest.mark.parametrize("family", ["gptj", "bloom", "bert"])
@pytest.mark.parametrize("name", ON_ALL)
def test_every_family_has_its_places(family: str, name: str, tmp_path: Path) -> None:
    model = prepared(family, name)
    if name in SAME:
        assert torch.allclose(logits(model), logits(fresh(family)), atol=1e-6)
    scrambled(model)
    assert not torch.allclose(logits(model), logits(fresh(family)), atol=1e-4)
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    if name in ("houlsby", "pa-attn-ffn"):  # two in every block
        assert len(names) == LAYERS * 2 * 4
    elif name in ("pfeiffer", "scaled-pa"):
        assert len(names) == LAYERS * 4
    elif name == "bitfit":
        base = [n for n, _ in fresh(family).named_parameters() if n.endswith("bias") and "lm_head" not in n]
        assert len(names) == len(base)
    model.save_pretrained(tmp_path)
    again = loaded(fresh(family), tmp_path).eval()
    assert torch.equal(logits(again), logits(model))


@pytest.mark.parametrize(("family", "name"), [(f, n) for f, names in ON_FAMILY.items() for n in names])
def test_every_family_learns_by_every_method_it_has(family: str, name: str) -> None:
    model = prepared(family, name).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW(trained, lr=5 * get_method(name).learning_rate)
    torch.manual_seed(3)
    target = torch.randn(2, 7, D)
    mask = torch.ones_like(IDS)
    losses = []
    for _ in range(8):
        if family == "bert":  # it has no labels of its own: states are moved towards random ones
            loss = (model(input_ids=IDS, attention_mask=mask).last_hidden_state - target).pow(2).mean()
        else:
            loss = model(input_ids=IDS, labels=IDS, attention_mask=mask).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    assert all(torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen)


@pytest.mark.parametrize("name", ["prefix", "mam", "prefix-lora"])
def test_prefix_in_an_encoder_is_seen_from_everywhere(name: str) -> None:
    model = prepared("bert", name, start="random")
    difference = (scrambled(model) and logits(model) - logits(fresh("bert"))).abs().amax(dim=2)
    assert (difference > 1e-4).all()


@pytest.mark.parametrize("family", ["gptj", "bloom"])
def test_where_attention_takes_no_prefix(family: str) -> None:
    with pytest.raises(ConfigError, match="scaled-pa"):
        prepared(family, "mam")
    assert prepared(family, "prefix").peft_config["default"].peft_type.value == "PREFIX_TUNING"


def test_sequential_adapters_stand_before_the_residual_and_parallel_ones_read_the_input() -> None:
    x = torch.randn(1, 3, D)
    for family, end, block in (
        ("llama", "model.layers.0.mlp.down_proj", "model.layers.0.mlp"),
        ("bloom", "transformer.h.0.mlp.dense_4h_to_h", "transformer.h.0.mlp"),
        ("bert", "encoder.layer.0.output.dense", "encoder.layer.0.output"),
    ):
        plain = fresh(family)
        tuned = scrambled(prepared(family, "pfeiffer")).get_base_model()
        wide = torch.randn(1, 3, plain.get_submodule(end).in_features)
        h = plain.get_submodule(end)(wide)
        adapter = tuned.get_submodule(end).stack_bottleneck["default"]
        assert torch.allclose(tuned.get_submodule(end)(wide), h + adapter(h), atol=1e-5)
        tuned = scrambled(prepared(family, "scaled-pa")).get_base_model()
        adapter = tuned.get_submodule(block).stack_bottleneck["default"]
        if family == "bert":  # LayerNorm(dense(wide) + x + 4 A(x))
            expected = plain.get_submodule(block).LayerNorm(h + x + adapter(x))
            actual = tuned.get_submodule(block)(wide, x)
        else:
            rest = (x,) if family == "bloom" else ()
            expected = plain.get_submodule(block)(x, *rest) + adapter(x)
            actual = tuned.get_submodule(block)(x, *rest)
        assert torch.allclose(actual, expected, atol=1e-5), family
        inner = torch.relu(adapter.down(x))
        assert torch.allclose(adapter(x), 4 * adapter.up(inner), atol=1e-6)


@pytest.mark.parametrize("name", ["prefix", "mam"])
def test_a_prefix_equals_a_cache_that_was_read_before(name: str) -> None:
    """Keys and values taken from real words act as those words in the cache, at the same positions."""
    from transformers import DynamicCache

    model = prepared("llama", name)
    plain = fresh("llama")
    cache = DynamicCache(config=plain.config)
    for number, layer in enumerate(model.get_base_model().model.layers):
        prefix = layer.self_attn.stack_prefix["default"]
        keys, values = (
            p.detach().view(1, L, 2, KV // 2).transpose(1, 2) for p in (prefix.keys, prefix.values)
        )
        cache.update(keys, values, number)
    positions = torch.arange(7)[None]
    with torch.no_grad():
        expected = plain(input_ids=IDS[:1], past_key_values=cache, position_ids=positions).logits
    assert torch.allclose(logits(model)[:1], expected, atol=1e-5)


def test_prefix_with_checkpointing_padding_and_cache() -> None:
    model = scrambled(prepared("llama", "mam"))
    whole = logits(model)
    # Left padding, and a cache filled in two steps, give what one reading without padding gives.
    padded = torch.cat([torch.zeros((2, 3), dtype=torch.long), IDS], dim=1)
    mask = torch.cat([torch.zeros((2, 3), dtype=torch.long), torch.ones_like(IDS)], dim=1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        left = model(input_ids=padded, attention_mask=mask, position_ids=positions).logits[:, 3:]
        first = model(input_ids=IDS[:, :4], use_cache=True)
        rest = model(input_ids=IDS[:, 4:], past_key_values=first.past_key_values, use_cache=True).logits
    assert torch.allclose(left, whole, atol=1e-5)
    assert torch.allclose(rest, whole[:, 4:], atol=1e-5)
    model.train()
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            checkpoint_activations(model)
        model.zero_grad()
        model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert gradients[0]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ConfigError, match="llama-style"):
        get_method("lora").prepare(torch.nn.Linear(2, 2), {})


def test_initial_distributions() -> None:
    torch.manual_seed(0)
    down = graphrag.llm.adapters.bottleneck.Bottleneck(
        512, 512, rank=64, activation="relu", scaling="learned", init="near", bias=True
    )
    assert down.down.weight.abs().max() <= 0.02
    assert math.isclose(float(down.down.weight.detach().std()), 0.0088, abs_tol=3e-4)  # cut at two deviations
    assert float(down.scale.detach()) == 1.0
    assert json.dumps(dict(get_method("mam").options))


def test_full_model_is_a_plain_model(tmp_path: Path) -> None:
    model = prepared("llama", "full")
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path).eval()), logits(model))
