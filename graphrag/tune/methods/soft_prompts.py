"""Prompt tuning, by peft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphrag.tune.methods.method import Method


def _prompt(model: Any, options: Mapping[str, Any]) -> Any:
    """Return ``model`` with trained embeddings before the input, begun as words of the vocabulary."""
    from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model

    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM,
        num_virtual_tokens=options["length"],
        prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB,
    )
    return get_peft_model(model, config)


METHODS = (
    Method(
        "prompt",
        "embeddings before the input",
        "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning, arXiv 2104.08691",
        3e-2,
        _prompt,
        {"length": 20},
        packs=False,  # a packed row would have one prompt for all its examples
    ),
)
