"""LoRA on attention, on the feed-forward layers or on all linear layers, and QLoRA: all by peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrag.tune.methods.method import Method
from graphrag.tune.methods.placement import placement_of

_PAPER = "Hu et al. 2021, LoRA, arXiv 2106.09685"


def _lora(model: Any, targets: tuple[str, ...], options: Mapping[str, Any]) -> Any:
    """Return ``model`` with W + (alpha/r)·B·A on the ``targets``; A Kaiming-uniform, B zero."""
    from peft import LoraConfig, get_peft_model

    layers = getattr(getattr(model, "config", None), "num_hidden_layers", 0)
    config = LoraConfig(
        r=options["rank"],
        lora_alpha=options["alpha"],
        lora_dropout=options["dropout"],
        use_rslora=options["rslora"],
        target_modules=target_pattern(targets, range(options["from_layer"], layers)),
    )
    return get_peft_model(model, config)


def target_pattern(suffixes: tuple[str, ...], layers: range | None = None) -> str:
    """Return the regular expression of module paths in ``layers`` that end with one of ``suffixes``."""
    escaped = (suffix if "\\" in suffix else suffix.replace(".", r"\.") for suffix in suffixes)
    place = r"(.*\.)?" if not layers or not layers.start else rf".*\.({'|'.join(map(str, layers))})\."
    return rf"{place}({'|'.join(escaped)})"


def _attention(model: Any, options: Mapping[str, Any]) -> Any:
    return _lora(model, placement_of(model).query_value, options)


def _ffn(model: Any, options: Mapping[str, Any]) -> Any:
    return _lora(model, placement_of(model).ffn_linears, options)


def _linears(model: Any, options: Mapping[str, Any]) -> Any:
    return _lora(model, placement_of(model).linears, options)


_OPTIONS = {"rank": 16, "alpha": 32, "dropout": 0.0, "rslora": False, "from_layer": 0}
METHODS = (
    Method("lora", "LoRA on all linear layers", _PAPER, 5e-4, _linears, _OPTIONS, merges=True),
    Method("lora-attn", "LoRA on query and value", _PAPER, 1e-3, _attention, _OPTIONS, merges=True),
    Method("lora-ffn", "LoRA on the feed-forward layers", _PAPER, 5e-4, _ffn, _OPTIONS, merges=True),
    Method(
        "qlora",
        "LoRA on all linear layers over NF4 weights, double quantisation",
        "Dettmers et al. 2023, QLoRA, arXiv 2305.14314",
        5e-4,
        _linears,
        _OPTIONS,
        merges=True,
        bits=4,
    ),
)
