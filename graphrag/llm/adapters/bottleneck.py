"""Bottleneck adapters: h + s·W_up·f(W_down·x), in sequence with a module or parallel to it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from graphrag.llm.adapters.layer import Part, WrappingLayer

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


class Bottleneck(nn.Module):  # type: ignore[misc]
    """s·W_up·f(W_down·x), with 2·d·r weights and, with ``bias``, r + d biases.

    ``init``: ``lora`` draws W_down Kaiming-uniformly and sets W_up to zero, so the adapter begins as
    nothing at all (He et al. 2022); ``near`` draws both from a normal distribution of deviation 0.01 cut
    at two deviations (Houlsby et al. 2019); ``bert`` from one of 0.02 (LLM-Adapters). Biases begin at 0.
    ``scaling`` is a number, or ``learned``: one trained number that begins at 1.
    """

    def __init__(
        self, inputs: int, outputs: int, *, rank: int, activation: str, scaling: Any, init: str, bias: bool
    ) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, rank, bias=bias)
        self.up = nn.Linear(rank, outputs, bias=bias)
        self.activation = _ACTIVATIONS[activation]()
        self.scale = nn.Parameter(torch.ones(1)) if scaling == "learned" else None
        self.scaling = 1.0 if scaling == "learned" else float(scaling)
        if init == "lora":
            nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
            nn.init.zeros_(self.up.weight)
        else:
            for linear in (self.down, self.up):
                if init == "near":
                    nn.init.trunc_normal_(linear.weight, std=0.01, a=-0.02, b=0.02)
                else:
                    nn.init.normal_(linear.weight, std=0.02)
        if bias:
            nn.init.zeros_(self.down.bias)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Any) -> Any:
        """Return what is to be added, in the numbers of ``x``."""
        y = self.up(self.activation(self.down(x.to(self.down.weight.dtype))))
        y = y * (self.scaling if self.scale is None else self.scale)
        return y.to(x.dtype)


class BottleneckLayer(WrappingLayer):
    """A module with bottlenecks at its ``side``.

    ============ ======================================================================================
    sequential   the module's output goes through the adapter: h + A(h)
    parallel     the adapter reads the module's input and is added to its output: h + A(x)
    input        the module's input goes through the adapter: module(x + A(x))
    residual     the module's second argument, the residual stream, goes through it: as ``parallel``, for
                 blocks that add the residual themselves
    ============ ======================================================================================
    """

    adapter_layer_names = ("stack_bottleneck",)
    other_param_names = ()

    def __init__(self, base_layer: Any, adapter_name: str, part: Part, width: int) -> None:
        super().__init__(base_layer)
        self.stack_bottleneck = nn.ModuleDict()
        self._sides: dict[str, str] = {}
        self.add(adapter_name, part, width)

    def add(self, adapter_name: str, part: Part, width: int) -> None:
        """Add one adapter; ``width`` is the size of the hidden state."""
        base = self.get_base_layer()
        linear = isinstance(base, nn.Linear)
        inputs, outputs = (base.in_features, base.out_features) if linear else (width, width)
        side = part["side"]
        if side == "sequential":
            inputs = outputs
        elif side == "input":
            outputs = inputs
        bottleneck = Bottleneck(
            inputs,
            outputs,
            rank=part["rank"],
            activation=part["activation"],
            scaling=part["scaling"],
            init=part["init"],
            bias=part["bias"],
        )
        self._sides[adapter_name] = side
        self.enter(self.stack_bottleneck, adapter_name, bottleneck)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module with the active adapters around it; a tuple's first element is its output."""
        if self.disable_adapters:
            return self.base_layer(*args, **kwargs)
        active = [
            (self._sides[name], self.stack_bottleneck[name])
            for name in self.active_adapters
            if name in self.stack_bottleneck
        ]
        x = args[0] if args else kwargs["hidden_states"]
        for side, bottleneck in active:
            if side == "input":
                args = (args[0] + bottleneck(args[0]), *args[1:])
            elif side == "residual":
                args = (args[0], args[1] + bottleneck(args[1]), *args[2:])
        result = self.base_layer(*args, **kwargs)
        output = result[0] if isinstance(result, tuple) else result
        for side, bottleneck in active:
            if side == "sequential":
                output = output + bottleneck(output)
            elif side == "parallel":
                output = output + bottleneck(x)
        return (output, *result[1:]) if isinstance(result, tuple) else output
