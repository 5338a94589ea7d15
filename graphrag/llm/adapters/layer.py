"""What our adapter layers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

Part = Mapping[str, Any]
"""One entry of ``StackConfig.parts``: ``kind``, ``targets`` (a regular expression), and the kind's own."""


class WrappingLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A module in the place of another, which it calls; each named adapter adds its own part."""

    def __init__(self, base_layer: Any) -> None:
        super().__init__()
        self.base_layer = base_layer
        self._disable_adapters = False
        self._active_adapter: Any = []
        self.merged_adapters: list[str] = []

    def enter(self, container: Any, adapter_name: str, item: Any) -> None:
        """Add one adapter's parameters and make them active, on the device of the wrapped module.

        They stay in float32 whatever the wrapped numbers are: small steps vanish in bfloat16's rounding.
        """
        container[adapter_name] = item
        device = next((p.device for p in self.base_layer.parameters()), None)
        if device is not None and device.type != "meta":
            item = container[adapter_name] = item.to(device)
        self.set_adapter([*self.active_adapters, adapter_name])

    def active(self, container: Any) -> Iterator[Any]:
        """Yield the parameters of the adapters that are switched on."""
        if not self.disable_adapters:
            for name in self.active_adapters:
                if name in container and name not in self.merged_adapters:
                    yield container[name]


def base_device(module: Any) -> torch.device:
    """Return where a module's parameters are."""
    return next(p.device for p in module.parameters())
