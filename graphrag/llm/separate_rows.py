"""Answers decoded side by side on a CPU: attention row by row, everything else for all rows at once.

Padding rows to one length makes each wait for the longest, and PyTorch splits attention over a batch
among threads in ways that depend on the batch. Row by row, an answer's attention has the same shapes alone
and among others, needs no padding, and a row that has ended costs nothing. What is left to depend on the
number of rows is the order in which linear layers sum: :func:`fitting_counts` measures which numbers change
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from graphrag.llm.rows import Layers

ATTENTION = "graphrag_rows"
_MODELS = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})
_COUNTS = (1, 2, 4, 6, 8, 12, 16, 24)


class SeparateRows:
    """The answers being decoded; ``n`` rows are computed, the first of them are answers."""

    def __init__(self, model: Any, prompts: list[tuple[torch.Tensor, Layers]], rows: int, steps: int) -> None:
        import torch
        from transformers import AttentionInterface

        from graphrag.llm.adapters.prefix import ATTENTION as PREFIX

        AttentionInterface.register(ATTENTION, attend)
        usual = model.config._attn_implementation
        self._attention = usual if usual == PREFIX else ATTENTION  # that of prefixes goes on to this one
        self.n = rows
        self._model = model
        self._layers = [
            _RowLayer([layers[number] for _, layers in prompts], steps)
            for number in range(len(prompts[0][1]))
        ]
        spare = rows - len(prompts)
        lengths = [layers[0][0].shape[2] for _, layers in prompts]
        self._positions = torch.tensor(lengths + [0] * spare)[:, None]
        self.logits = torch.stack([last for last, _ in prompts + prompts[:1] * spare])

    def feed(self, tokens: list[int]) -> None:
        """Read one token per row."""
        import torch
        from transformers.cache_utils import Cache

        config = self._model.config
        usual = config._attn_implementation
        config._attn_implementation = self._attention
        try:
            self.logits = self._model(
                input_ids=torch.tensor(tokens)[:, None],
                # Of four dimensions, so transformers makes none; row by row nothing is to be masked.
                attention_mask=torch.ones((self.n, 1, 1, 1), dtype=torch.bool),
                position_ids=self._positions,
                past_key_values=Cache(layers=self._layers),
                use_cache=True,
            ).logits[:, -1]
        finally:
            config._attn_implementation = usual
        self._positions = self._positions + 1

    def keep(self, kept: list[int], rows: int) -> None:
        """Go on with the answers ``kept`` only, in that order, in ``rows`` rows."""
        places = kept + kept[:1] * (rows - len(kept))
        self.n = rows
        self._positions, self.logits = self._positions[places], self.logits[places]
        for layer in self._layers:
            layer.keep(kept)


def separable(model: Any) -> bool:
    """Tell whether ``model`` can be decoded so: on a CPU, every layer attending to every position."""
    config = model.config
    return (
        model.device.type == "cpu"
        and config.model_type in _MODELS
        and not getattr(config, "sliding_window", None)
        and all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or ())
    )


def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **kwargs: Any) -> Any:
    """Compute attention row by row where keys and values are lists, else by PyTorch's fused kernel.

    ``query`` is (rows, heads, 1, size); ``key`` and ``value`` hold (1, groups, positions, size) of each row.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not isinstance(key, list):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    rows, heads, _, size = query.shape
    outputs = [
        # The heads that share keys are so many queries of one head.
        scaled_dot_product_attention(
            query[row].view(1, keys.shape[1], -1, size), keys, values, scale=kwargs.get("scaling")
        )
        for row, (keys, values) in enumerate(zip(key, value, strict=True))
    ]
    joined = torch.cat(outputs).view(len(outputs), 1, heads, -1)
    if len(outputs) < rows:
        joined = torch.cat([joined, joined.new_zeros((rows - len(outputs), *joined.shape[1:]))])
    return joined, None


def fitting_counts(model: Any, most: int) -> tuple[int, ...]:
    """Return the numbers of rows up to ``most`` in which a row is, bit for bit, what it is among ``most``.

    Measured, for the threads that PyTorch has now, on sums that cancel: what is left of them is rounding,
    which tells in what order they were made. With bfloat16 on x86 all from two on fit, in float32 those from
    four or eight.
    """
    import torch

    shapes = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            if type(module).forward is not torch.nn.Linear.forward:
                return (most,)  # quantised, or something else that is not known here
            weight = module.weight
            shapes.add((weight.shape, weight.dtype, weight.requires_grad, module.bias is not None))
    counts = [count for count in _COUNTS if count < most]
    with torch.no_grad():
        for shape in shapes:
            weight, bias, inputs = _cancelling(*shape, rows=most)
            whole = torch.nn.functional.linear(inputs, weight, bias)
            counts = [
                count
                for count in counts
                if torch.equal(torch.nn.functional.linear(inputs[:count], weight, bias), whole[:count])
            ]
    return (*counts, most)


def _cancelling(
    shape: torch.Size, dtype: torch.dtype, trained: bool, biased: bool, *, rows: int
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Return a weight, a bias and inputs of shape (rows, 1, size) whose products are sums of zero."""
    import torch

    dice = torch.Generator().manual_seed(0)
    out, size = shape
    half = size // 2
    order = torch.randperm(2 * half, generator=dice)
    some = torch.randn((min(out, 64), half), generator=dice).to(dtype)
    block = torch.cat([some, -some], dim=1)[:, order]
    weight = torch.zeros(shape, dtype=dtype)
    weight[:, : 2 * half] = block.repeat(-(-out // len(block)), 1)[:out]
    inputs = torch.zeros((rows, 1, size), dtype=dtype)
    values = torch.randn((rows, 1, half), generator=dice).to(dtype)
    inputs[..., : 2 * half] = torch.cat([values, values], dim=2)[..., order]
    return weight.requires_grad_(trained), torch.zeros(out, dtype=dtype) if biased else None, inputs


class _RowLayer:
    """One layer's keys and values of every answer, written in place: room for the answer is there."""

    is_sliding = False

    def __init__(self, parts: list[tuple[torch.Tensor, torch.Tensor]], steps: int) -> None:
        self._rooms = [tuple(_with_room(part, steps) for part in pair) for pair in parts]
        self._at: list[int] = [keys.shape[2] for keys, _ in parts]

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Write one position of every answer; return all of its keys and all of its values so far."""
        for row, (room, at) in enumerate(zip(self._rooms, self._at, strict=True)):
            room[0][0, :, at] = keys[row, :, 0]
            room[1][0, :, at] = values[row, :, 0]
        self._at = [at + 1 for at in self._at]
        return tuple(
            [room[kind][:, :, :at] for room, at in zip(self._rooms, self._at, strict=True)] for kind in (0, 1)
        )

    def keep(self, kept: list[int]) -> None:
        """Go on with the answers ``kept`` only, in that order."""
        self._rooms = [self._rooms[row] for row in kept]
        self._at = [self._at[row] for row in kept]

    def get_seq_length(self) -> int:
        """Return the length of the longest answer with its prompt."""
        return max(self._at)


def _with_room(part: torch.Tensor, steps: int) -> torch.Tensor:
    """Return (1, heads, n, size) with room for ``steps`` positions more."""
    _, heads, n, size = part.shape
    room = part.new_empty((1, heads, n + steps, size))
    room[:, :, :n] = part
    return room
