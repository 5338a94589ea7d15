"""Contrastive learning without labels: two crops of a passage, a momentum encoder, a queue of negatives.

Izacard et al., "Unsupervised Dense Information Retrieval with Contrastive Learning", 2021 (crops);
He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", 2020 (queue, average).
"""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_FEWEST_WORDS = 4
_DELETED = 0.1  # part of a crop's words left out, as in the paper


def two_crops(text: str, generator: random.Random, low: float = 0.1, high: float = 0.5) -> tuple[str, str]:
    """Return two spans of ``text``, each of ``low`` to ``high`` of its words, a tenth of them left out.

    The spans are drawn independently of each other: they may overlap. A text without spaces is cut
    by letters.
    """
    words = text.split()
    joint = " "
    if len(words) < _FEWEST_WORDS:
        words, joint = list(text.strip()), ""
    return _crop(words, joint, generator, low, high), _crop(words, joint, generator, low, high)


def _crop(words: list[str], joint: str, generator: random.Random, low: float, high: float) -> str:
    length = min(len(words), max(_FEWEST_WORDS, round(len(words) * generator.uniform(low, high))))
    start = generator.randint(0, len(words) - length)
    span = words[start : start + length]
    kept = [word for word in span if generator.random() >= _DELETED]
    return joint.join(kept or span)


class KeyQueue:
    """The last ``size`` keys, first in first out; ``rows`` are those that are there."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: torch.Tensor | None = None
        self._next = 0
        self._count = 0

    @property
    def rows(self) -> torch.Tensor | None:
        """Return a copy of the keys, shape (count, dimension), or None while there are none."""
        return None if self._rows is None else self._rows[: self._count].clone()

    def put(self, keys: torch.Tensor) -> None:
        """Add ``keys``; the oldest go where there is no room. More than ``size`` keys: the last ones stay."""
        import torch

        keys = keys.detach()[-self.size :]
        if self._rows is None:
            self._rows = keys.new_zeros((self.size, keys.shape[1]))
        places = (torch.arange(len(keys), device=keys.device) + self._next) % self.size
        self._rows[places] = keys
        self._next = (self._next + len(keys)) % self.size
        self._count = min(self.size, self._count + len(keys))

    def state(self) -> dict[str, torch.Tensor]:
        """Return the queue as tensors."""
        import torch

        if self._rows is None:
            return {}
        return {"rows": self._rows.clone(), "place": torch.tensor([self._next, self._count])}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put the queue back as :meth:`state` gave it."""
        if "rows" in state:
            self._rows = state["rows"].clone()
            self._next, self._count = (int(value) for value in state["place"])


def follow(key_model: Any, query_model: Any, momentum: float) -> None:
    """Move every weight of ``key_model`` to ``momentum * its own + (1 - momentum) * the query model's``."""
    import torch

    with torch.no_grad():
        for key, query in zip(key_model.parameters(), query_model.parameters(), strict=True):
            key.mul_(momentum).add_(query.to(key.device), alpha=1.0 - momentum)


def contrast(
    queries: torch.Tensor, keys: torch.Tensor, negatives: torch.Tensor | None, temperature: float
) -> torch.Tensor:
    """Return ``-log(exp(q.k/t) / (exp(q.k/t) + sum over negatives of exp(q.n/t)))``, mean over the rows.

    A row's only positive is its own key; the keys of the other rows are no negatives until they are
    in the queue.
    """
    import torch

    own = (queries * keys).sum(dim=1, keepdim=True)
    scores = own if negatives is None else torch.cat([own, queries @ negatives.T], dim=1)
    target = torch.zeros(len(queries), dtype=torch.long, device=queries.device)
    return torch.nn.functional.cross_entropy(scores / temperature, target)


def momentum_loss(model: Any, *, queue_size: int, momentum: float = 0.99, temperature: float = 0.05) -> Any:
    """Return the loss of Contriever for the trainer of sentence-transformers.

    Columns: two crops of one passage. Each training step first moves the key encoder (:func:`follow`),
    then compares, then queues the keys: no key is ever a negative of its own batch. The paper's
    momentum of 0.9995 is for half a million steps; over a few hundred the key encoder would stand still.
    """
    import torch
    from torch.nn.functional import normalize

    class MomentumLoss(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.key_model = copy.deepcopy(model).requires_grad_(False).eval()
            self.queue = KeyQueue(queue_size)

        def forward(self, features: Any, _labels: Any = None) -> torch.Tensor:
            first, second = features
            queries = normalize(self.model(first)["sentence_embedding"], dim=1)
            with torch.no_grad():
                if self.training:
                    follow(self.key_model, self.model, momentum)
                keys = normalize(self.key_model(second)["sentence_embedding"], dim=1)
            loss = contrast(queries, keys, self.queue.rows, temperature)
            self.queue.put(keys)
            return loss

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.key_model.eval()  # dropout would make the keys noisy for as long as they are queued
            return self

        def kept_state(self) -> dict[str, torch.Tensor]:
            weights = {f"key.{name}": one.contiguous() for name, one in self.key_model.state_dict().items()}
            return {**weights, **{f"queue.{name}": one for name, one in self.queue.state().items()}}

        def restore_state(self, state: dict[str, torch.Tensor]) -> None:
            parts: dict[str, dict[str, torch.Tensor]] = {"key": {}, "queue": {}}
            for name, one in state.items():
                kind, _, rest = name.partition(".")
                parts[kind][rest] = one
            self.key_model.load_state_dict(parts["key"])
            self.queue.restore(parts["queue"])

    return MomentumLoss()
