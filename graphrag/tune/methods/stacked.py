"""Bottleneck adapters, prefixes, biases, and their combinations: our tuner on peft's base classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrag.errors import ConfigError
from graphrag.tune.methods.low_rank import target_pattern
from graphrag.tune.methods.method import Method
from graphrag.tune.methods.placement import Placement, placement_of

_UNIFIED = "He et al. 2022, Towards a Unified View of Parameter-Efficient Transfer Learning, arXiv 2110.04366"
_HOULSBY = "Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, arXiv 1902.00751"
_PFEIFFER = "Pfeiffer et al. 2021, AdapterFusion, arXiv 2005.00247"
_PREFIX = "Li & Liang 2021, Prefix-Tuning, arXiv 2101.00190"
_LLMA = "Hu et al. 2023, LLM-Adapters, arXiv 2304.01933"
_BITFIT = "Ben Zaken et al. 2022, BitFit, arXiv 2106.10199"

Options = Mapping[str, Any]
Part = dict[str, Any]


def _stack(model: Any, *parts: Part) -> Any:
    from peft import get_peft_model

    from graphrag.llm.adapters import StackConfig

    tuned = get_peft_model(model, StackConfig(parts=list(parts)))
    for part in parts:
        if part["kind"] == "prefix" and part["start"] == "words" and not part["middle"]:
            _begin_with_words(tuned, part["length"])
    return tuned


def _bottleneck(targets: tuple[str, ...], side: str, options: Options, **fixed: Any) -> Part:
    names = ("rank", "activation", "scaling", "init", "bias")
    chosen = {name: options[name] for name in names if name in options}
    part = {"kind": "bottleneck", "targets": target_pattern(targets), "side": side, **chosen, **fixed}
    return {"bias": True, "scaling": 1.0, **part}


def _side(place: Placement) -> str:
    return "residual" if place.joins_residual else "parallel"


def _houlsby(model: Any, options: Options) -> Any:
    place = placement_of(model)
    return _stack(model, _bottleneck((place.attention_end, place.ffn_end), "sequential", options))


def _pfeiffer(model: Any, options: Options) -> Any:
    return _stack(model, _bottleneck((placement_of(model).ffn_end,), "sequential", options))


def _parallel_attention(model: Any, options: Options) -> Any:
    place = placement_of(model)
    return _stack(model, _bottleneck((place.attention_parallel,), _side(place), options))


def _parallel_ffn(model: Any, options: Options) -> Any:
    place = placement_of(model)
    return _stack(model, _bottleneck((place.ffn_parallel,), _side(place), options))


def _parallel_both(model: Any, options: Options) -> Any:
    place = placement_of(model)
    attention = _bottleneck(
        (place.attention_parallel,), _side(place), options, rank=options["attention_rank"]
    )
    return _stack(model, attention, _bottleneck((place.ffn_parallel,), _side(place), options))


def _series(model: Any, options: Options) -> Any:
    """Put adapters before the linear layers that enter the feed-forward block, as LLM-Adapters does.

    For llama these are up and gate; in GPT-J and BLOOM its scripts adapt the output of the last one.
    """
    place = placement_of(model)
    if place.family == "llama-style":
        return _stack(model, _bottleneck(place.ffn_in, "input", options, bias=False))
    return _stack(model, _bottleneck((place.ffn_end,), "sequential", options, bias=False))


def _parallel_linears(model: Any, options: Options) -> Any:
    """Put an adapter beside each linear layer up and down, not beside the block, as LLM-Adapters does."""
    place = placement_of(model)
    linears = (place.ffn_in[-1], place.ffn_end)
    return _stack(model, _bottleneck(linears, "parallel", options, bias=False))


def _prefix_part(model: Any, options: Options) -> Part:
    place, config = placement_of(model), model.config
    if not place.interface:
        raise ConfigError(
            f"In {place.family} models attention cannot take a prefix beside another adapter.",
            hint="transformers computes it outside its interface there; take prefix, lora or scaled-pa.",
        )
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return {
        "kind": "prefix",
        "targets": target_pattern((place.attention,)),
        "length": options["length"],
        "size": heads * width,
        "middle": options["middle"],
        "start": options["start"],
    }


def _prefix(model: Any, options: Options) -> Any:
    if not placement_of(model).interface:
        return _prefix_by_peft(model, options)
    return _stack(model, _prefix_part(model, options))


def _prefix_by_peft(model: Any, options: Options) -> Any:
    """Fall back to peft's prefix, in the cache, where attention is computed outside the interface."""
    from peft import PrefixTuningConfig, TaskType, get_peft_model

    config = PrefixTuningConfig(
        task_type=TaskType.CAUSAL_LM,
        num_virtual_tokens=options["length"],
        prefix_projection=options["middle"] > 0,
        encoder_hidden_size=options["middle"] or model.config.hidden_size,
    )
    return get_peft_model(model, config)


def _prefix_lora(model: Any, options: Options) -> Any:
    place = placement_of(model)
    lora = {
        "kind": "lora",
        "targets": target_pattern(place.ffn_linears),
        "rank": options["rank"],
        "alpha": options["alpha"],
    }
    return _stack(model, _prefix_part(model, options), lora)


def _mam(model: Any, options: Options) -> Any:
    place = placement_of(model)
    ffn = _bottleneck((place.ffn_parallel,), _side(place), options)
    return _stack(model, _prefix_part(model, options), ffn)


def _bitfit(model: Any, options: Options) -> Any:
    """Train every bias of the body; blocks without any, as in a llama, get biases of zero first."""
    del options
    head = model.get_output_embeddings()
    biased = tuple(
        name
        for name, module in model.named_modules()
        if getattr(module, "bias", None) is not None and hasattr(module, "weight") and module is not head
    )
    targets = biased or placement_of(model).linears
    return _stack(model, {"kind": "bias", "targets": target_pattern(targets)})


def _begin_with_words(tuned: Any, length: int) -> None:
    """Set a prefix to keys and values that the frozen model has for words drawn from its vocabulary.

    Li & Liang 2021 (section 7.4) found real words far better than random numbers to begin with.
    """
    import torch

    from graphrag.llm.adapters.prefix import PrefixLayer

    model = tuned.get_base_model()
    if model.device.type == "meta" or getattr(model.config, "is_encoder_decoder", False):
        return
    layers = [module for module in model.modules() if isinstance(module, PrefixLayer)]
    words = torch.randint(model.config.vocab_size, (1, length), device=model.device)
    caught: list[tuple[Any, Any]] = []

    def catch(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        caught.append((key, value))
        return attend(module, query, key, value, *args, **kwargs)

    from transformers import AttentionInterface

    from graphrag.llm.adapters.prefix import ATTENTION, attend

    AttentionInterface.register(ATTENTION, catch)
    try:
        with torch.no_grad(), tuned.disable_adapter():
            model(input_ids=words, use_cache=False)
    finally:
        AttentionInterface.register(ATTENTION, attend)
    with torch.no_grad():
        for layer, (keys, values) in zip(layers, caught, strict=True):
            prefix = layer.stack_prefix["default"]
            prefix.keys.copy_(keys[0].transpose(0, 1).reshape(length, -1))
            prefix.values.copy_(values[0].transpose(0, 1).reshape(length, -1))


_ADAPTER = {"rank": 64, "activation": "gelu"}
_SCALED = {"rank": 128, "activation": "relu", "scaling": 4.0, "init": "lora"}
_FLAT = {"length": 30, "middle": 0, "start": "words"}
METHODS = (
    Method("bitfit", "every bias", _BITFIT, 5e-3, _bitfit, merges=True),
    Method("prefix", "keys and values before every layer's own", _PREFIX, 1e-2, _prefix, _FLAT),
    Method(
        "prefix-mlp",
        "the same, computed by a small network during training",
        _PREFIX,
        1e-3,
        _prefix,
        {**_FLAT, "middle": 512},
    ),
    Method(
        "houlsby",
        "adapters in sequence after attention and after the feed-forward block",
        _HOULSBY,
        1e-3,
        _houlsby,
        {**_ADAPTER, "init": "near"},
    ),
    Method(
        "pfeiffer",
        "adapters in sequence after the feed-forward block",
        _PFEIFFER,
        1e-3,
        _pfeiffer,
        {"rank": 128, "activation": "relu", "init": "near"},
    ),
    Method(
        "pa-attn",
        "adapters parallel to attention",
        _UNIFIED,
        1e-3,
        _parallel_attention,
        {**_SCALED, "scaling": 1.0},
    ),
    Method(
        "pa-ffn",
        "adapters parallel to the feed-forward block",
        _UNIFIED,
        1e-3,
        _parallel_ffn,
        {**_SCALED, "scaling": 1.0},
    ),
    Method(
        "pa-attn-ffn",
        "adapters parallel to both",
        _UNIFIED,
        1e-3,
        _parallel_both,
        {**_SCALED, "scaling": 1.0, "rank": 96, "attention_rank": 32},
    ),
    Method(
        "scaled-pa",
        "scaled adapters parallel to the feed-forward block",
        _UNIFIED,
        1e-3,
        _parallel_ffn,
        _SCALED,
    ),
    Method(
        "prefix-lora",
        "a prefix in attention, LoRA on the feed-forward layers",
        _UNIFIED,
        1e-3,
        _prefix_lora,
        {**_FLAT, "rank": 16, "alpha": 32},
    ),
    Method(
        "mam",
        "a prefix in attention, scaled adapters parallel to the feed-forward block",
        _UNIFIED,
        1e-3,
        _mam,
        {**_FLAT, **_SCALED},
    ),
    Method(
        "llma-series",
        "adapters before the layers that enter the feed-forward block",
        _LLMA,
        1e-3,
        _series,
        {"rank": 64, "activation": "tanh", "init": "bert"},
    ),
    Method(
        "llma-parallel",
        "adapters beside the linear layers up and down",
        _LLMA,
        1e-3,
        _parallel_linears,
        {"rank": 32, "activation": "tanh", "init": "bert"},
    ),
)
