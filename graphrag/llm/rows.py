"""Answers decoded side by side: their keys and values, and the step that reads one token for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Layers = list[tuple[torch.Tensor, torch.Tensor]]
    """Keys and values of each layer, of shape (1, heads, positions, size)."""


class Rows:
    """The answers being decoded: caches side by side, the last logits, and what masks the padding."""

    def __init__(
        self, model: Any, prompts: list[tuple[torch.Tensor, Layers]], rows: int, width: int, steps: int
    ) -> None:
        import torch

        self.n = rows
        filled = prompts + [prompts[0]] * (rows - len(prompts))
        self._model = model
        self._at = width
        self._cache = _roomy_cache(
            (
                (_padded([layers[number][kind] for _, layers in filled], width, steps) for kind in (0, 1))
                for number in range(len(filled[0][1]))
            ),
            width,
        )
        lengths = [layers[0][0].shape[2] for _, layers in filled]
        self._positions = torch.tensor(lengths, device=model.device)[:, None]
        self._mask = torch.ones((rows, width + steps), dtype=torch.long, device=model.device)
        for row, length in enumerate(lengths):
            self._mask[row, : width - length] = 0
        self.logits = torch.stack([last for last, _ in filled])

    def feed(self, tokens: list[int]) -> None:
        """Read one token per row."""
        import torch

        self._at += 1
        self.logits = self._model(
            input_ids=torch.tensor(tokens, device=self._model.device)[:, None],
            attention_mask=self._mask[:, : self._at],
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        self._positions = self._positions + 1


def _roomy_cache(layers: Iterable[Iterable[torch.Tensor]], filled: int) -> Any:
    """Return a cache over keys and values that have room after the ``filled`` positions.

    A growing cache is copied at every step, which costs a quarter of the step's time.
    """
    from transformers.cache_utils import Cache, DynamicLayer

    class Roomy(DynamicLayer):  # type: ignore[misc]
        """Keys and values that are written in place."""

        def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
            super().__init__()
            self.lazy_initialization(keys, values)
            self._all, self._at = (keys, values), filled
            self._show()

        def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> Any:
            start, self._at = self._at, self._at + keys.shape[2]
            for room, new in zip(self._all, (keys, values), strict=True):
                room[:, :, start : self._at] = new
            self._show()
            return self.keys, self.values

        def _show(self) -> None:
            self.keys, self.values = (room[:, :, : self._at] for room in self._all)

    return Cache(layers=[Roomy(*pair) for pair in layers])


def _padded(parts: list[torch.Tensor], width: int, room: int) -> torch.Tensor:
    """Put caches of shape (1, heads, n, size) together, padded on the left to ``width``, with room behind."""
    _, heads, _, size = parts[0].shape
    joined = parts[0].new_zeros((len(parts), heads, width + room, size))
    for row, part in enumerate(parts):
        joined[row, :, width - part.shape[2] : width] = part[0]
    return joined
