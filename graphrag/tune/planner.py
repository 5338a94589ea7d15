"""Train the step scorer, the planner called ``tuned`` (see :mod:`graphrag.query.planning.scorer`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrag.embed.base import TokenEmbedder
from graphrag.errors import ConfigError
from graphrag.query.planning.base import MASK, step_text
from graphrag.query.planning.examples import PlanExample
from graphrag.query.planning.scorer import (
    HOPS_SCALE,
    MARGIN,
    MOST_HOPS,
    PAIR_SCALE,
    REACH,
    ROLES,
    SHARPNESS,
    StepScorer,
    positions,
)

if TYPE_CHECKING:
    import torch

_PAIR_SIZE = 32
_MOST_PATHS = 1024  # compared in one batch


@dataclass(frozen=True, slots=True)
class PlannerTraining:
    """How the scorer is trained; the defaults are those of the shipped planner.

    ``forget`` is the share of steps that lose their own weights in a batch, so that the words of a
    relation have to be read too; ``elsewhere`` weighs the loss over all paths of the batch (also
    those that do not exist from the start), which is what lets the planner notice a missing path.

    A path that no question of the training asks for is unlabelled, not wrong: it counts ``exp(-unasked)`` as
    much as another question's path does. Without that the planner learns which paths are asked for,
    and refuses the others for good (``docs/experiments/paths.md``). ``margin`` is what the planner doubts by.
    """

    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    size: int = 96
    forget: float = 0.3
    elsewhere: float = 0.5
    unasked: float = 4.0
    margin: float = MARGIN
    seed: int = 0


# Many relations, one question or two for each, and no graph: longer, with more weight decay.
PLANS_TRAINING = PlannerTraining(epochs=15, batch_size=128, weight_decay=1e-2, forget=0.2, unasked=0.0)


def train_step_scorer(
    examples: Sequence[PlanExample],
    embedder: TokenEmbedder,
    training: PlannerTraining | None = None,
    *,
    trained_on: str = "",
    advance: Callable[[int, float], None] | None = None,
) -> StepScorer:
    """Train on ``examples`` and return the scorer; ``advance(rows, loss)`` is told of every batch.

    The loss is the negative log-likelihood of the gold paths (together) among the paths that exist
    from the start, and among all paths of the batch. The encoder stays frozen; its readings of the
    distinct questions are made once (4 bytes x dimension x tokens of memory). Deterministic for a
    seed on one machine.

    Raises:
        ConfigError: no example has a gold path among its paths.
    """
    import torch

    training = training or PlannerTraining()
    usable = [one for one in examples if set(one.gold) & set(one.paths)]
    if not usable:
        raise ConfigError(
            "There is nothing to train a planner on: no question has a gold path that exists in the graph.",
            hint="Check that questions and graph belong together (topic and relation names).",
        )
    names = sorted({name for one in usable for path in (*one.paths, *one.gold) for name in path})
    plans = tuple(sorted({gold for one in usable for gold in one.gold}))
    questions = sorted({one.question for one in usable})
    readings = dict(zip(questions, embedder.embed_tokens(questions), strict=True))
    texts = torch.from_numpy(embedder.embed([step_text(name) for name in names]))
    place_of = {name: place for place, name in enumerate(names)}
    asked = frozenset(plans)
    dice = np.random.default_rng(training.seed)
    generator = torch.Generator().manual_seed(training.seed)
    weights = _fresh(embedder.dimension, len(names), training.size, generator)
    optimiser = torch.optim.AdamW(
        weights.values(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    for _ in range(training.epochs):
        order = dice.permutation(len(usable))
        for at in range(0, len(order), training.batch_size):
            rows = [usable[place] for place in order[at : at + training.batch_size]]
            batch = _batch(rows, readings, place_of, asked, dice)
            loss = _loss(weights, batch, texts, training, generator)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if advance is not None:
                advance(len(rows), float(loss.detach()))
    trained = {name: value.detach().numpy() for name, value in weights.items()}
    return StepScorer(trained, tuple(names), plans, embedder.model_id, trained_on, training.margin)


@dataclass(slots=True)
class _Batch:
    tokens: torch.Tensor  # (rows, tokens, dimension)
    there: torch.Tensor  # (rows, tokens), False is padding
    places: torch.Tensor  # (rows, tokens), distance from the mask
    steps: torch.Tensor  # (steps of the batch,), places in the vocabulary
    paths: torch.Tensor  # (paths, hops), places in ``steps``, -1 after the end
    grounded: torch.Tensor  # (rows, paths)
    gold: torch.Tensor  # (rows, paths)
    unasked: torch.Tensor  # (paths,), 1.0 where no question of the training asks for it


def _batch(
    rows: Sequence[PlanExample],
    readings: dict[str, Any],
    place_of: dict[str, int],
    asked: Set[tuple[str, ...]],
    dice: np.random.Generator,
) -> _Batch:
    import torch

    gold = sorted({path for one in rows for path in one.gold})
    others = sorted({path for one in rows for path in one.paths} - set(gold))
    room = max(0, _MOST_PATHS - len(gold))
    if len(others) > room:
        others = [others[place] for place in sorted(dice.permutation(len(others))[:room])]
    paths = [*gold, *others]
    number = {path: at for at, path in enumerate(paths)}
    steps = sorted({place_of[name] for path in paths for name in path})
    in_batch = {place: at for at, place in enumerate(steps)}
    longest = max(len(path) for path in paths)
    table = np.full((len(paths), longest), -1, dtype=np.int64)
    for at, path in enumerate(paths):
        table[at, : len(path)] = [in_batch[place_of[name]] for name in path]
    grounded = np.zeros((len(rows), len(paths)), dtype=bool)
    wanted = np.zeros((len(rows), len(paths)), dtype=bool)
    for row, one in enumerate(rows):
        grounded[row, [number[path] for path in one.paths if path in number]] = True
        wanted[row, [number[path] for path in one.gold]] = True
    width = max(len(readings[one.question].spans) for one in rows)
    dimension = readings[rows[0].question].vectors.shape[1]
    tokens = np.zeros((len(rows), width, dimension), dtype=np.float32)
    there = np.zeros((len(rows), width), dtype=bool)
    places = np.zeros((len(rows), width), dtype=np.int64)
    for row, one in enumerate(rows):
        reading = readings[one.question]
        n = len(reading.spans)
        tokens[row, :n], there[row, :n] = reading.vectors, True
        places[row, :n] = positions(reading.spans, one.question.find(MASK))
    unasked = np.array([path not in asked for path in paths], dtype=np.float32)
    arrays = (tokens, there, places, np.array(steps), table, grounded | wanted, wanted, unasked)
    return _Batch(*(torch.from_numpy(array) for array in arrays))


def _fresh(dimension: int, n_steps: int, size: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return untrained weights: projections drawn evenly, everything that belongs to one step at zero."""
    import torch

    def drawn(width: int) -> torch.Tensor:
        return (torch.rand((dimension, width), generator=generator) * 2 - 1) * dimension**-0.5

    weights: dict[str, torch.Tensor] = {}
    for role in ROLES:
        for part in ("token_key", "token_value", "step_key", "step_value"):
            weights[f"{role}.{part}"] = drawn(size)
        weights[f"{role}.own_key"] = torch.zeros((n_steps, size))
        weights[f"{role}.own_value"] = torch.zeros((n_steps, size))
        weights[f"{role}.own_bias"] = torch.zeros(n_steps)
        weights[f"{role}.position"] = torch.zeros(2 * REACH + 1)
    weights["pair.left"], weights["pair.right"] = drawn(_PAIR_SIZE), drawn(_PAIR_SIZE)
    weights["pair.own"] = torch.zeros((n_steps, n_steps))
    weights["hops"] = torch.zeros(MOST_HOPS)
    return {name: value.requires_grad_() for name, value in weights.items()}


def _loss(
    weights: dict[str, torch.Tensor],
    batch: _Batch,
    texts: torch.Tensor,
    training: PlannerTraining,
    generator: torch.Generator,
) -> torch.Tensor:
    import torch

    kept = (torch.rand(len(batch.steps), generator=generator) >= training.forget).float()
    step_texts = texts[batch.steps]
    roles = {role: _role(weights, role, batch, step_texts, kept) for role in ROLES}
    pairs = (step_texts @ weights["pair.left"]) @ (step_texts @ weights["pair.right"]).T / PAIR_SCALE
    own = weights["pair.own"][batch.steps][:, batch.steps]
    pairs = pairs + own * kept[:, None] * kept[None, :]
    present = batch.paths >= 0
    paths = batch.paths.clamp(min=0)
    last = paths.gather(1, present.sum(1, keepdim=True) - 1)[:, 0]
    scores = roles["first"][:, paths[:, 0]] + roles["last"][:, last]
    scores = scores + HOPS_SCALE * weights["hops"][present.sum(1).clamp(max=MOST_HOPS) - 1]
    for place in range(paths.shape[1]):
        scores = scores + roles["any"][:, paths[:, place]] * present[:, place]
        if place:
            scores = scores + pairs[paths[:, place - 1], paths[:, place]] * present[:, place]
    scores = scores - training.unasked * batch.unasked[None, :]
    among = torch.logsumexp(scores.masked_fill(~batch.gold, -torch.inf), 1)
    here = torch.logsumexp(scores.masked_fill(~batch.grounded, -torch.inf), 1) - among
    anywhere = torch.logsumexp(scores, 1) - among
    return (here + training.elsewhere * anywhere).mean()


def _role(
    weights: dict[str, torch.Tensor],
    role: str,
    batch: _Batch,
    step_texts: torch.Tensor,
    kept: torch.Tensor,
) -> torch.Tensor:
    """Return the score of every step of the batch in one role: (rows, steps)."""
    import torch

    own_key, own_value = (weights[f"{role}.{part}"][batch.steps] for part in ("own_key", "own_value"))
    key = step_texts @ weights[f"{role}.step_key"] + own_key * kept[:, None]
    value = step_texts @ weights[f"{role}.step_value"] + own_value * kept[:, None]
    scale = SHARPNESS / key.shape[1] ** 0.5
    attention = (batch.tokens @ weights[f"{role}.token_key"]) @ key.T * scale
    attention = attention + weights[f"{role}.position"][batch.places][:, :, None]
    attention = torch.softmax(attention.masked_fill(~batch.there[:, :, None], -torch.inf), 1)
    said = (batch.tokens @ weights[f"{role}.token_value"]) @ value.T * scale
    return (attention * said).sum(1) + weights[f"{role}.own_bias"][batch.steps] * kept
