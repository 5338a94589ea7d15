"""The tuned planner: scores of single steps, added along a path.

A question is read token by token (the hidden states of a frozen sentence encoder, the start entity
masked). Every step of the graph is scored in three roles by attention over the tokens: as the
*first* step, the *last* one, and anywhere (*any*). Pairs of neighbouring steps have a score that
does not depend on the question, so what follows what is learnt once. A path's score is the sum:

    first(r1) + last(rn) + sum any(ri) + sum pair(ri, ri+1) + hops(n)

Nothing in it knows whole paths: that is why it answers three hops after having seen one and two
(``docs/benchmarks/paths.md``). How many hops are asked for at all is one number per length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder, TokenEmbedder
from graphrag.errors import ConfigError
from graphrag.graph.paths import PathTrie, RelationPath
from graphrag.query.planning.base import (
    MASK,
    STOP,
    Plan,
    PlanFor,
    Planning,
    Scores,
    TextVectors,
    beam_search,
    step_text,
)
from graphrag.query.planning.files import Floats, read_planner, write_planner

ROLES = ("first", "last", "any")
REACH = 12  # tokens before and after the mask that have a position of their own
SHARPNESS = 4.0
PAIR_SCALE = 5.0
HOPS_SCALE = 20.0
MOST_HOPS = 6
KIND = "steps"
_WIDTH = 64
MARGIN = 1.5  # at a higher one missing edges go unnoticed, at a lower one longer paths are refused by mistake


@dataclass(frozen=True, slots=True)
class StepScorer:
    """Weights of the planner, as :mod:`graphrag.tune.planner` trains them.

    ``steps`` are the names that have weights of their own beside those of their text; any other
    step is scored by its text alone. ``plans`` are the paths seen in training, by name. One of them that the
    graph lacks must score higher than all that it has, by ``margin`` for every step of the best of these,
    for "not in the graph": scores are sums over steps, and so are their errors.
    """

    weights: Mapping[str, Floats]
    steps: tuple[str, ...]
    plans: tuple[tuple[str, ...], ...]
    encoder: str
    trained_on: str = ""
    margin: float = MARGIN

    def save(self, folder: Path) -> None:
        """Write ``planner.json`` and ``planner.safetensors`` into ``folder``."""
        config = {"kind": KIND, "encoder": self.encoder, "trained_on": self.trained_on, "steps": self.steps}
        write_planner(folder, {**config, "margin": self.margin, "plans": self.plans}, self.weights)

    @classmethod
    def load(cls, folder: Path) -> StepScorer:
        """Read what :meth:`save` wrote.

        Raises:
            ConfigError: ``folder`` holds no planner of this kind.
        """
        config, weights = read_planner(folder)
        return cls(
            weights=weights,
            steps=tuple(config["steps"]),
            plans=tuple(tuple(plan) for plan in config["plans"]),
            encoder=config["encoder"],
            trained_on=config["trained_on"],
            margin=config.get("margin", MARGIN),
        )


class _Reading:
    """One question against the steps that come up: every step is scored once."""

    def __init__(self, scorer: StepScorer, vectors: TextVectors, asked: PlanFor) -> None:
        assert isinstance(vectors.embedder, TokenEmbedder)
        tokens = vectors.embedder.embed_tokens([asked.masked])[0]
        self._weights = scorer.weights
        self._vectors = vectors
        self._own = {name: place for place, name in enumerate(scorer.steps)}
        self._places = positions(tokens.spans, asked.masked.find(MASK))
        w = self._weights
        self._keys = {role: tokens.vectors @ w[f"{role}.token_key"] for role in ROLES}
        self._values = {role: tokens.vectors @ w[f"{role}.token_value"] for role in ROLES}
        self._roles: dict[str, dict[str, float]] = {role: {} for role in ROLES}
        self._pairs: dict[str, tuple[Floats, Floats]] = {}
        hops = w["hops"] * HOPS_SCALE if "hops" in w else np.zeros(MOST_HOPS, dtype=np.float32)
        self._hops = hops[: max(1, int(np.flatnonzero(hops).max(initial=0)) + 1)]  # as far as was trained

    def read(self, names: Sequence[str]) -> None:
        """Score the steps called ``names`` that were not scored yet."""
        new = sorted({name for name in names if name not in self._pairs})
        if not new:
            return
        w = self._weights
        texts = self._vectors.of([step_text(name) for name in new])
        own = np.array([self._own.get(name, len(self._own)) for name in new])
        for role in ROLES:
            key = texts @ w[f"{role}.step_key"] + _with_unknown(w[f"{role}.own_key"])[own]
            value = texts @ w[f"{role}.step_value"] + _with_unknown(w[f"{role}.own_value"])[own]
            scale = SHARPNESS / np.sqrt(key.shape[1])
            attention = self._keys[role] @ key.T * scale + w[f"{role}.position"][self._places][:, None]
            attention = np.exp(attention - attention.max(axis=0))
            attention /= attention.sum(axis=0)
            said = (attention * (self._values[role] @ value.T) * scale).sum(axis=0)
            said = said + _with_unknown(w[f"{role}.own_bias"])[own]
            self._roles[role].update(zip(new, said.tolist(), strict=True))
        left, right = texts @ w["pair.left"], texts @ w["pair.right"]
        for place, name in enumerate(new):
            self._pairs[name] = (left[place], right[place])

    def role(self, role: str, name: str) -> float:
        return self._roles[role][name]

    def pair(self, before: str, after: str) -> float:
        score = float(self._pairs[before][0] @ self._pairs[after][1]) / PAIR_SCALE
        if before in self._own and after in self._own:
            score += float(self._weights["pair.own"][self._own[before], self._own[after]])
        return score

    def hops(self, n: int) -> float:
        return float(self._hops[min(n, len(self._hops)) - 1])

    def path(self, names: Sequence[str]) -> float:
        """Return the score of a whole path."""
        self.read(names)
        inner = sum(self.pair(one, two) for one, two in pairwise(names))
        anywhere = sum(self.role("any", name) for name in names)
        ends = self.role("first", names[0]) + self.role("last", names[-1]) + self.hops(len(names))
        return ends + anywhere + inner

    def rests(self, names: Sequence[str], max_hops: int) -> list[dict[str, float]]:
        """Return what the best rest adds to a path of 1, 2, … ``max_hops`` steps, by its last step.

        ``names`` are the steps that may follow, whether or not any node has them: the sum over the best of
        all sequences, found backwards from the last hop as Viterbi does.
        """
        self.read(names)
        last, anywhere = (np.array([self.role(role, name) for name in names]) for role in ("last", "any"))
        left, right = (np.stack([self._pairs[name][side] for name in names]) for side in (0, 1))
        pairs = left @ right.T / PAIR_SCALE
        trained = [place for place, name in enumerate(names) if name in self._own]
        own = [self._own[names[place]] for place in trained]
        pairs[np.ix_(trained, trained)] += self._weights["pair.own"][np.ix_(own, own)]
        rests = [last + self.hops(max_hops)]
        for hops in range(max_hops - 1, 0, -1):
            follows = (pairs + anywhere + rests[0]).max(axis=1)
            rests.insert(0, np.maximum(last + self.hops(hops), follows))
        return [dict(zip(names, rest.tolist(), strict=True)) for rest in rests]


class StepPlanner:
    """Plans with a :class:`StepScorer` by a beam of 64 inside the trie. No LLM call.

    Costs one reading of the question by the encoder; the text of a step is embedded once. Not
    trusted is a plan that a path known from training, made of the graph's relations and absent
    from the start entities, beats: the question asks for that one.

    Raises:
        ConfigError: the embedder cannot tell tokens apart, or is not the one it was trained with.
    """

    name = "tuned"
    stepwise = True

    def __init__(self, scorer: StepScorer, embedder: Embedder, *, vectors: TextVectors | None = None) -> None:
        if not isinstance(embedder, TokenEmbedder) or embedder.model_id != scorer.encoder:
            raise ConfigError(
                f"The tuned planner reads with {scorer.encoder}; the embedder is {embedder.model_id}.",
                hint="Use --planner embed, or train a planner for this embedder: graphrag tune planner.",
            )
        self.scorer = scorer
        self._vectors = vectors or TextVectors(embedder)

    async def plan(
        self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int, width: int = _WIDTH
    ) -> Planning:
        """Return the ``k`` best grounded paths that a beam of ``width`` finds."""
        return await asyncio.to_thread(self._plan, asked, trie, max_hops, k, width)

    def rank(self, asked: Sequence[PlanFor], plans: Sequence[tuple[str, ...]]) -> Scores:
        """Score paths given by name, whether or not any graph has them, for each of ``asked``: a row each."""
        names = sorted({name for plan in plans for name in plan})
        scores = np.zeros((len(asked), len(plans)))
        for row, one in enumerate(asked):
            reading = _Reading(self.scorer, self._vectors, one)
            reading.read(names)
            scores[row] = [reading.path(plan) for plan in plans]
        return scores

    def _plan(self, asked: PlanFor, trie: PathTrie, max_hops: int, k: int, width: int) -> Planning:
        graph = trie.graph
        reading = _Reading(self.scorer, self._vectors, asked)
        considered = 0

        def score(path: RelationPath, options: Sequence[int]) -> Scores:
            nonlocal considered
            names = {step: graph.step_name(step) for step in options if step != STOP}
            reading.read(list(names.values()))
            before = graph.step_name(path[-1]) if path else ""
            gains = []
            for step in options:
                if step == STOP:
                    considered += 1
                    gains.append(reading.role("last", before) + reading.hops(len(path)))
                    continue
                name = names[step]
                link = reading.pair(before, name) if path else reading.role("first", name)
                gains.append(reading.role("any", name) + link)
            return np.array(gains)

        known = [name for name in self.scorer.steps if graph.path((name,)) is not None]
        rests = reading.rests(known, max_hops) if known else [{}] * max_hops

        def ahead(path: RelationPath) -> float:
            return rests[len(path) - 1].get(graph.step_name(path[-1]), 0.0)

        plans = beam_search(trie, score, max_hops=max_hops, width=width, k=k, ahead=ahead)
        if not plans:
            return Planning((), False, "no relation path leads away from the start entities", 0)
        missing = self._missing(reading, trie, max_hops, plans[0])
        if missing is None:
            return Planning(tuple(plans), True, "no better path is known", considered)
        why = f"the question asks for {' → '.join(missing)}, which does not exist here"
        return Planning(tuple(plans), False, why, considered)

    def _missing(
        self, reading: _Reading, trie: PathTrie, max_hops: int, best: Plan
    ) -> tuple[str, ...] | None:
        """Return the best plan known from training that beats ``best`` and is not grounded here."""
        found: tuple[float, tuple[str, ...]] | None = None
        least = best.score + self.scorer.margin * len(best.path)
        for names in self.scorer.plans:
            path = trie.graph.path(names)
            if path is None or len(path) > max_hops:
                continue
            score = reading.path(names)
            if score > least and (found is None or score > found[0]) and not trie.exists(path):
                found = (score, names)
        return None if found is None else found[1]


def positions(spans: npt.NDArray[np.int64], mask_at: int) -> npt.NDArray[np.int64]:
    """Return for each token its distance from the masked entity, as a place in the position weights."""
    at = np.flatnonzero((spans[:, 0] <= mask_at) & (mask_at < spans[:, 1]))
    centre = int(at[0]) if len(at) else 0
    return np.clip(np.arange(len(spans)) - centre, -REACH, REACH) + REACH


def _with_unknown(own: Floats) -> Floats:
    """Append a zero row: what a step without weights of its own adds."""
    return np.concatenate([own, np.zeros((1, *own.shape[1:]), dtype=own.dtype)])
