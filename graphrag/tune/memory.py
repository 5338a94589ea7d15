"""What a run will need, from the configuration alone: no weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphrag.errors import ConfigError
from graphrag.tune.base import ComputePath, Counts, count_parameters
from graphrag.tune.methods import Method

NF4_BITS = 4.127
"""Bits of a weight in NF4 with double quantisation: 4 + 8/64 + 32/(64·256) (Dettmers et al. 2023)."""
_ACTIVATION_BYTES = 34
"""Bytes per token, layer and hidden unit in 16 bit (Korthikanti et al. 2022, eq. 1, attention not stored)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Parameters, and bytes by what holds them. Activations are an estimate, the rest is arithmetic."""

    counts: Counts
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Return all bytes together."""
        return self.weights + self.gradients + self.optimizer + self.activations


def estimate(
    source: str,
    method: Method,
    path: ComputePath,
    settings: dict[str, Any],
    *,
    row_tokens: int,
    gradient_checkpointing: bool,
) -> Estimate:
    """Estimate the memory of tuning ``source`` by ``method`` on ``path``.

    Raises:
        ConfigError: there is no configuration at ``source``.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The base model {source!r} could not be found: {error}.") from error
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, path.dtype))
        linear = _block_linear_parameters(model)
        base = count_parameters(model).total
        model = method.prepare(model, settings)
    counts = count_parameters(model)
    width = 4 if path.dtype == "float32" else 2
    weights = base * width
    if path.bits == 4:
        weights = round((base - linear) * width + linear * NF4_BITS / 8)
    added = 0 if method.saves == "model" else counts.total - base
    layers, hidden = config.num_hidden_layers, config.hidden_size
    held = hidden * 2 if gradient_checkpointing else hidden * _ACTIVATION_BYTES
    activations = layers * held * row_tokens * width // 2
    if gradient_checkpointing:  # one layer is computed anew at a time
        activations += hidden * _ACTIVATION_BYTES * row_tokens * width // 2
    logits = 3 * row_tokens * config.vocab_size * 4  # logits, their softmax and its gradient, in float32
    return Estimate(
        counts=counts,
        weights=weights + added * 4,
        gradients=counts.trainable * 4,
        optimizer=counts.trainable * 8,
        activations=activations + logits,
    )


def _block_linear_parameters(model: Any) -> int:
    """Return the parameters that 4-bit loading quantises: all linear layers but the output layer."""
    import torch

    head = model.get_output_embeddings()
    return sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    )
