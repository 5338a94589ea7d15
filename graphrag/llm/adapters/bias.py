"""BitFit: biases are all that is trained (Ben Zaken et al. 2022)."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import nn

from graphrag.llm.adapters.layer import WrappingLayer


class BiasLayer(WrappingLayer):
    """A linear layer or a LayerNorm with a trained change of its bias, which begins at zero.

    peft's BEFT does this for linear layers only, and merges only where the layer has a bias already; in a
    llama none has.
    """

    adapter_layer_names = ("stack_bias",)
    other_param_names = ()

    def __init__(self, base_layer: Any, adapter_name: str) -> None:
        super().__init__(base_layer)
        self.stack_bias = nn.ParameterDict()
        self.add(adapter_name)

    def add(self, adapter_name: str) -> None:
        """Add one adapter."""
        base = self.get_base_layer()
        size = base.out_features if isinstance(base, nn.Linear) else base.weight.shape[0]
        self.enter(self.stack_bias, adapter_name, nn.Parameter(torch.zeros(size)))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module and add the active changes."""
        result = self.base_layer(*args, **kwargs)
        for change in self.active(self.stack_bias):
            result = result + change.to(result.dtype)
        return result

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:  # noqa: ARG002
        """Add the change to the module's bias, which is made where there is none."""
        base = self.get_base_layer()
        for name in check_adapters_to_merge(self, adapter_names):
            change = self.stack_bias[name].detach().to(base.weight.dtype)
            if base.bias is None:
                base.bias = nn.Parameter(change.clone(), requires_grad=False)
            else:
                base.bias.data += change
            self.merged_adapters.append(name)
