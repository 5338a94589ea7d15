"""Full fine-tuning, and training of the output layer alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrag.tune.methods.method import Method


def _full(model: Any, _options: Mapping[str, Any]) -> Any:
    model.requires_grad_(True)
    return model


def _head(model: Any, _options: Mapping[str, Any]) -> Any:
    """Return ``model`` with a trainable copy of the output layer; peft unties, saves and swaps it."""
    from peft import LoraConfig, get_peft_model
    from peft.utils.constants import DUMMY_TARGET_MODULES

    head = model.get_output_embeddings()
    name = next(name for name, module in model.named_modules() if module is head)
    config = LoraConfig(target_modules=DUMMY_TARGET_MODULES, modules_to_save=[name.rpartition(".")[2]])
    return get_peft_model(model, config)


METHODS = (
    Method("full", "every weight", "", 5e-5, _full, saves="model", bits=32, quantizes=False),
    Method("head", "the output layer only, untied from the embeddings", "", 5e-4, _head, merges=True),
)
