"""Prefix tuning inside the attention call: trained keys and values that every position can look at.

peft's prefix rides on the cache of keys and values: it excludes gradient checkpointing, packed rows and a
second adapter beside it. Here the keys and values are put in front where attention is computed,
through transformers' attention interface, and none of that is excluded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from graphrag.llm.adapters.layer import Part, WrappingLayer

ATTENTION = "graphrag_prefix"


class Prefix(nn.Module):  # type: ignore[misc]
    """Keys and values of ``length`` positions, as they are or computed (Li & Liang 2021).

    Without ``middle``: 2·length·size parameters, size being heads of keys times their width. With it,
    they are W₂·tanh(W₁·E + b₁) + b₂ with one E (length × width) and one W₁ (width × middle) for all layers,
    which the first layer's prefix holds; after training only their values matter (:func:`flatten`).
    """

    def __init__(self, length: int, size: int, middle: int, width: int, first: Prefix | None) -> None:
        super().__init__()
        self.trunk: Any = None
        if middle:
            self.__dict__["first"] = first or self  # not a submodule of every layer
            if first is None:
                self.embedding = nn.Parameter(torch.randn(length, width))
                self.trunk = nn.Sequential(nn.Linear(width, middle), nn.Tanh())
            self.head = nn.Linear(middle, 2 * size)
        else:
            self.keys = nn.Parameter(torch.randn(length, size) * 0.02)
            self.values = nn.Parameter(torch.randn(length, size) * 0.02)

    def forward(self) -> tuple[Any, Any]:
        """Return keys and values, each (length, size)."""
        if "first" not in self.__dict__:
            return self.keys, self.values
        first = self.__dict__["first"]
        keys, values = self.head(first.trunk(first.embedding)).chunk(2, dim=1)
        return keys, values


class PrefixLayer(WrappingLayer):
    """An attention module whose call finds the active prefix."""

    adapter_layer_names = ("stack_prefix",)
    other_param_names = ()

    def __init__(
        self, base_layer: Any, adapter_name: str, part: Part, width: int, first: PrefixLayer | None
    ) -> None:
        super().__init__(base_layer)
        self.stack_prefix = nn.ModuleDict()
        self.add(adapter_name, part, width, first)

    def add(self, adapter_name: str, part: Part, width: int, first: PrefixLayer | None) -> None:
        """Add one adapter; ``first`` is the first layer's, which holds what all layers share."""
        shared = None if first is None else first.stack_prefix[adapter_name]
        prefix = Prefix(part["length"], part["size"], part["middle"], width, shared)
        self.enter(self.stack_prefix, adapter_name, prefix)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the attention module, with the prefix where :func:`attend` looks for it."""
        prefixes = [prefix() for prefix in self.active(self.stack_prefix)]
        if not prefixes:
            return self.base_layer(*args, **kwargs)
        joined = tuple(torch.cat(parts) for parts in zip(*prefixes, strict=True))
        self.base_layer.__dict__["prefix"] = joined
        try:
            return self.base_layer(*args, **kwargs)
        finally:
            del self.base_layer.__dict__["prefix"]


def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **kwargs: Any) -> Any:
    """Compute attention by PyTorch's fused kernel, with the module's prefix before keys and values."""
    from graphrag.llm.separate_rows import attend as attend_rows

    prefix = module.__dict__.get("prefix")
    if prefix is not None:
        if isinstance(key, list):
            joined = [_before(prefix, *pair) for pair in zip(key, value, strict=True)]
            key, value = [keys for keys, _ in joined], [values for _, values in joined]
        else:
            key, value = _before(prefix, key, value)
            if attention_mask is not None:
                length = prefix[0].shape[0]
                seen = attention_mask.new_full((*attention_mask.shape[:3], length), _seen(attention_mask))
                attention_mask = torch.cat([seen, attention_mask], dim=3)
        kwargs["is_causal"] = False
    return attend_rows(module, query, key, value, attention_mask, **kwargs)


def _before(prefix: Any, key: Any, value: Any) -> tuple[Any, Any]:
    """Return keys and values of shape (rows, heads, positions, width) with the prefix in front."""
    rows, heads, _, width = key.shape
    keys, values = (
        part.to(key.dtype).view(1, -1, heads, width).transpose(1, 2).expand(rows, -1, -1, -1)
        for part in prefix
    )
    return torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)


def _seen(mask: Any) -> bool | float:
    """Return the value by which a mask lets a position be seen."""
    return True if mask.dtype == torch.bool else 0.0


def written_mask(*args: Any, **kwargs: Any) -> Any:
    """Make the mask of the fused kernel, written out also where it could be implied.

    An implied causal mask would be aligned with the first key, which now belongs to the prefix.
    """
    from transformers.masking_utils import sdpa_mask

    kwargs["allow_is_causal_skip"] = kwargs["allow_is_bidirectional_skip"] = False
    return sdpa_mask(*args, **kwargs)


def register_attention() -> None:
    """Make :func:`attend` known to transformers under the name that models are set to."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, written_mask)


def flatten(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return a saved adapter's tensors with computed prefixes replaced by their values."""
    trunks = [name for name in tensors if name.endswith(".stack_prefix.embedding")]
    if not trunks:
        return tensors
    at = trunks[0].removesuffix("embedding")
    hidden = torch.tanh(
        nn.functional.linear(tensors[trunks[0]], tensors[f"{at}trunk.0.weight"], tensors[f"{at}trunk.0.bias"])
    )
    flat = {}
    for name, tensor in tensors.items():
        if ".stack_prefix." not in name:
            flat[name] = tensor
        elif name.endswith(".head.weight"):
            layer = name.removesuffix("head.weight")
            joined = nn.functional.linear(hidden, tensor, tensors[f"{layer}head.bias"])
            keys, values = joined.chunk(2, dim=1)
            flat[f"{layer}keys"], flat[f"{layer}values"] = keys.contiguous(), values.contiguous()
    return flat
