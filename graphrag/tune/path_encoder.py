"""Train an encoder on questions and their relation paths (see :mod:`graphrag.query.planning.encoder`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder
from graphrag.errors import ConfigError
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.query.planning.encoder import SCALE, PathEncoder, path_text
from graphrag.query.planning.examples import PlanExample
from graphrag.tune.encoder import EncoderTraining, fit_encoder, load_encoder, save_tuned, training_record

# Few questions for each of many paths: more passes than a retriever gets, and a higher rate.
PATHS_TRAINING = EncoderTraining(epochs=5, learning_rate=1e-4, max_length=64, seed=0, save_steps=10_000)
_GAIN = 100.0  # how much faster than the encoder's weights the vector and the bias of a path move


def train_path_encoder(
    examples: Sequence[PlanExample],
    source: str,
    out: Path,
    training: EncoderTraining = PATHS_TRAINING,
    *,
    trained_on: str = "",
    progress: Progress | None = None,
) -> PathEncoder:
    """Train the encoder in folder ``source`` on ``examples`` and save the planner into ``out``.

    The loss is the negative log-likelihood of the gold paths among all paths of the examples, half
    of it for the gold paths together and half for each: a spurious one among several then costs
    little, and all of them stay near. The encoder's word vectors stay as they are. Deterministic
    for a seed on one machine. An interrupted run goes on from its last checkpoint.

    Raises:
        ConfigError: no example has a gold path, or the encoder cannot be loaded.
        MissingExtraError: sentence-transformers is not installed.
    """
    usable = [one for one in examples if one.gold]
    if not usable:
        raise ConfigError("There is nothing to train a planner on: no question has a gold path.")
    plans = tuple(sorted({gold for one in usable for gold in one.gold}))
    number = {plan: place for place, plan in enumerate(plans)}
    gold = np.zeros((len(usable), len(plans)), dtype=np.float32)
    for row, one in enumerate(usable):
        gold[row, [number[plan] for plan in one.gold]] = 1.0
    model = load_encoder(source, training)
    for weights in model.transformers_model.get_input_embeddings().parameters():
        weights.requires_grad_(False)
    started = model.encode([path_text(plan) for plan in plans], normalize_embeddings=True)
    loss = _path_softmax(model, np.asarray(started, dtype=np.float32), gold)
    rows: dict[str, list[Any]] = {
        "question": [one.question for one in usable],
        "label": list(range(len(usable))),
    }
    out.mkdir(parents=True, exist_ok=True)
    work = out / f".checkpoints-{content_hash(rows, plans, training_record(training))[-8:]}"
    progress = progress or NoProgress()
    progress.stage("train encoder")
    fit_encoder(model, rows, loss, training, work, progress)
    base = SentenceTransformerEmbedder(source).model_id
    tuned = save_tuned(model, base, "paths", training_record(training, trained_on=trained_on), out)
    vectors, bias = loss.tuned()
    encoder = PathEncoder(SentenceTransformerEmbedder(str(tuned.folder)), plans, vectors, bias)
    encoder.save(out, tuned.folder, trained_on)
    return encoder


def _path_softmax(model: Any, started: np.ndarray, gold: np.ndarray) -> Any:
    """Return the loss: a softmax over paths, whose vectors and biases it holds and trains."""
    import torch
    from torch.nn.functional import normalize

    class PathSoftmax(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.moved = torch.nn.Parameter(torch.zeros(started.shape))
            self.bias = torch.nn.Parameter(torch.zeros(len(started)))
            self.register_buffer("started", torch.from_numpy(started))
            self.register_buffer("gold", torch.from_numpy(gold))

        def vectors(self) -> torch.Tensor:
            return normalize(self.started + _GAIN * self.moved, dim=1)

        def forward(self, features: Any, labels: torch.Tensor) -> torch.Tensor:
            asked = normalize(self.model(next(iter(features)))["sentence_embedding"], dim=1)
            scores = SCALE * asked @ self.vectors().T + _GAIN * self.bias
            likelihood = torch.log_softmax(scores, 1)
            wanted = self.gold[labels.long()]
            together = torch.logsumexp(likelihood.masked_fill(wanted == 0, -torch.inf), 1)
            each = (likelihood * wanted).sum(1) / wanted.sum(1)
            return -(together + each).mean() / 2

        def tuned(self) -> tuple[np.ndarray, np.ndarray]:
            with torch.no_grad():
                return self.vectors().cpu().numpy(), (_GAIN * self.bias).cpu().numpy()

        def kept_state(self) -> dict[str, torch.Tensor]:
            return {"moved": self.moved.detach().clone(), "bias": self.bias.detach().clone()}

        def restore_state(self, state: dict[str, torch.Tensor]) -> None:
            self.moved.data.copy_(state["moved"])
            self.bias.data.copy_(state["bias"])

    return PathSoftmax()
