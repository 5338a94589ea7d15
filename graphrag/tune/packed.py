"""The forward pass of a packed row: segments apart, the frozen lower layers computed once.

* Attention is computed segment by segment, not over the whole row with most of it masked: on a CPU that
  mask costs a quarter of a step. Other devices and attention of another kind get the mask.
* Below the first layer that is trained nothing changes from step to step. Those layers take no
  gradient, and on a CPU what they make of a row is kept for its next turn.

This module is imported when training begins, for it needs heavy libraries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

ATTENTION = "graphrag_packed"
_KEPT_BYTES = 4 * 2**30

Segment = tuple[int, int, int, int]
"""First and last position, and those of the opening that it goes on from; last ones are exclusive."""


class PackedForward:
    """Computes logits of packed rows for ``model``, a causal language model with or without an adapter.

    ``frozen`` is how many layers are computed without gradients, ``kept`` what they made of the rows so far.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._decoder: Any = getattr(base, base.base_model_prefix, None)
        self.frozen = frozen_layers(model)
        self.kept: dict[bytes, Tensor] = {}
        self._bytes = 0
        on_cpu = base.device.type == "cpu"
        self._keeps = on_cpu
        self._by_segment = on_cpu and base.config._attn_implementation == "sdpa"
        if self._by_segment:
            register_attention()
            base.set_attn_implementation(ATTENTION)

    def __call__(self, row: dict[str, Any], at: Tensor) -> Tensor:
        """Return the logits at the positions ``at`` of ``row`` (of ``packed_row``), a row for each."""
        apart: dict[str, Any] = (
            {"segments": row["segments"]}
            if self._by_segment
            else {"attention_mask": segment_mask(row["segments"], self._model.dtype, row["input_ids"].device)}
        )
        shared = {"position_ids": row["position_ids"], "use_cache": False, **apart}
        if not self.frozen:
            output = self._model(input_ids=row["input_ids"], logits_to_keep=at, **shared)
        else:
            hidden = self._below(row, shared)
            with _layers_only(self._decoder, slice(self.frozen, None)):
                output = self._model(inputs_embeds=hidden, logits_to_keep=at, **shared)
        logits: Tensor = output.logits[0]
        return logits

    def _below(self, row: dict[str, Any], shared: dict[str, Any]) -> Tensor:
        key = row["input_ids"].cpu().numpy().tobytes()
        if key in self.kept:
            return self.kept[key]
        with torch.no_grad(), _layers_only(self._decoder, slice(0, self.frozen), normed=False):
            hidden: Tensor = self._decoder(input_ids=row["input_ids"], **shared).last_hidden_state
        size = hidden.numel() * hidden.element_size()
        if self._keeps and self._bytes + size <= _KEPT_BYTES:
            self.kept[key] = hidden
            self._bytes += size
        return hidden


def frozen_layers(model: Any) -> int:
    """Return how many of the first layers neither learn nor feed on anything that does; 0 where unsure."""
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder = getattr(base, base.base_model_prefix, None)
    layers, norm = getattr(decoder, "layers", None), getattr(decoder, "norm", None)
    if not isinstance(layers, nn.ModuleList) or norm is None:
        return 0
    above = {id(one) for module in (norm, base.get_output_embeddings()) for one in module.parameters()}
    if base.get_input_embeddings().weight.requires_grad:
        return 0
    learning = {id(one) for one in model.parameters() if one.requires_grad} - above
    count = 0
    for layer in layers:
        own = {id(one) for one in layer.parameters()}
        drops = any(isinstance(part, nn.Dropout) and part.p > 0 for part in layer.modules())
        drops = drops or getattr(base.config, "attention_dropout", 0) > 0
        if drops or own & learning:
            break
        count += 1
    within = {id(one) for layer in layers[count:] for one in layer.parameters()}
    return count if learning <= within else 0


@contextmanager
def _layers_only(decoder: Any, part: slice, *, normed: bool = True) -> Iterator[None]:
    """Let ``decoder`` consist of some of its layers for a while, with or without its last norm."""
    layers, norm = decoder.layers, decoder.norm
    decoder.layers = layers[part]
    if not normed:
        decoder.norm = nn.Identity()
    try:
        yield
    finally:
        decoder.layers, decoder.norm = layers, norm


def segment_mask(segments: Sequence[Segment], dtype: Any, device: Any) -> Tensor:
    """Return what attention adds to its scores: 0 where a position is seen, else the lowest number.

    Of shape (1, 1, positions, positions).
    """
    length = segments[-1][1]
    seen = torch.zeros((length, length), dtype=torch.bool, device=device)
    for first, last, start, end in segments:
        seen[first:last, start:end] = True
        seen[first:last, first:last] = True
    mask = torch.zeros((length, length), dtype=dtype, device=device)
    return mask.masked_fill(~seen.tril(), torch.finfo(dtype).min)[None, None]


def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **kwargs: Any) -> Any:
    """Compute attention segment by segment; without segments, as PyTorch's fused kernel does.

    Queries have the shape (1, heads, positions, width), keys and values (1, their heads, positions,
    width). Returns (1, positions, heads, width), and None for the weights.
    """
    segments = kwargs.get("segments")
    if segments is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, mask, **kwargs)
    _, heads, _, width = query.shape
    groups = key.shape[1]
    lengths = [last - first for first, last, _, _ in segments]
    scale = kwargs.get("scaling") or width**-0.5
    queries, keys, values = ((part[0].split(lengths, dim=1)) for part in (query * scale, key, value))
    places = {first: number for number, (first, *_) in enumerate(segments)}
    outputs = []
    for number, (_, _, start, end) in enumerate(segments):
        near_keys, near_values = keys[number], values[number]
        if end > start:
            opening = places[start]
            near_keys = torch.cat([keys[opening], near_keys], dim=1)
            near_values = torch.cat([values[opening], near_values], dim=1)
        length, seen = lengths[number], near_keys.shape[1]
        scores = queries[number].reshape(groups, -1, width) @ near_keys.transpose(1, 2)
        later = torch.ones((length, seen), dtype=torch.bool).triu(seen - length + 1)
        scores = scores.view(groups, -1, length, seen).masked_fill(later, float("-inf"))
        weights = scores.softmax(dim=-1).view(groups, -1, seen)
        outputs.append((weights @ near_values).view(heads, length, width))
    return torch.cat(outputs, dim=1).transpose(0, 1)[None], None


def register_attention() -> None:
    """Make :func:`attend` known to transformers under the name that models are set to."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
