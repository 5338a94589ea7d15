"""The tuned planner of the second kind: an encoder whose every weight was trained on whole paths.

A question is one vector, a relation path another, and the cosine of both (and a bias) the score.
Paths known from training have vectors of their own; any other is read by the same encoder. Good
where questions ask for paths that were seen; the step scorer is the one that composes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from graphrag.embed.base import Embedder
from graphrag.graph.paths import PathTrie
from graphrag.query.planning.base import Plan, PlanFor, Planning, Scores, TextVectors, step_text
from graphrag.query.planning.files import Floats, read_planner, write_planner

KIND = "paths"
SCALE = 20.0  # of a cosine, before the softmax over paths
_MOST_PATHS = 5_000
_MARGIN = 2.0  # a known plan that the graph lacks must be e^2 times as likely for "not in the graph"

Names = tuple[str, ...]


def path_text(names: Sequence[str]) -> str:
    """Return a path as the encoder reads it."""
    return ", ".join(step_text(name) for name in names)


@dataclass(frozen=True, slots=True)
class PathEncoder:
    """An encoder, the ``plans`` it was trained on, and a unit vector (rows) and a bias for each."""

    embedder: Embedder
    plans: tuple[Names, ...]
    vectors: Floats
    bias: Floats

    def save(self, folder: Path, encoder: Path, trained_on: str = "") -> None:
        """Write ``planner.json`` and ``planner.safetensors`` beside the ``encoder``'s own folder."""
        config = {"kind": KIND, "encoder": encoder.name, "trained_on": trained_on, "plans": self.plans}
        steps = sorted({name for plan in self.plans for name in plan})
        write_planner(folder, {**config, "steps": steps}, {"vectors": self.vectors, "bias": self.bias})

    @classmethod
    def load(cls, folder: Path) -> PathEncoder:
        """Read what :meth:`save` wrote.

        Raises:
            ConfigError: ``folder`` holds no planner of this kind.
        """
        from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder

        config, weights = read_planner(folder, ("vectors", "bias"))
        embedder = SentenceTransformerEmbedder(str(folder / config["encoder"]))
        return cls(embedder, tuple(map(tuple, config["plans"])), weights["vectors"], weights["bias"])


class EncoderPlanner:
    """Plans with a :class:`PathEncoder`: every grounded path, at most 5,000 and the shortest first.

    No LLM call; one embedding per question and one per path that was not trained on. Not trusted is
    a plan that a known path, absent from the start entities, beats clearly.
    """

    name = "tuned"

    def __init__(self, encoder: PathEncoder) -> None:
        self.encoder = encoder
        self._number = {plan: place for place, plan in enumerate(encoder.plans)}
        self._texts = TextVectors(encoder.embedder)

    async def plan(self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int) -> Planning:
        """Return the ``k`` best grounded paths."""
        return await asyncio.to_thread(self._plan, asked, trie, max_hops, k)

    def rank(self, asked: Sequence[PlanFor], plans: Sequence[Names]) -> Scores:
        """Score paths given by name for each of ``asked``: (questions, paths)."""
        known = np.array([self._number.get(plan, -1) for plan in plans], dtype=np.int64)
        vectors = np.zeros((len(plans), self.encoder.vectors.shape[1]), dtype=np.float32)
        vectors[known >= 0] = self.encoder.vectors[known[known >= 0]]
        new = np.flatnonzero(known < 0)
        vectors[new] = self._texts.of([path_text(plans[place]) for place in new.tolist()])
        bias = np.where(known >= 0, self.encoder.bias[known], 0.0) if len(self._number) else 0.0
        questions = self.encoder.embedder.embed([one.masked for one in asked])
        return np.asarray(SCALE * (questions @ vectors.T) + bias, dtype=np.float64)

    def _plan(self, asked: PlanFor, trie: PathTrie, max_hops: int, k: int) -> Planning:
        graph = trie.graph
        paths = list(islice(trie.paths(max_hops), _MOST_PATHS))
        if not paths:
            return Planning((), False, "no relation path leads away from the start entities", 0)
        missing = [plan for plan in self.encoder.plans if self._is_missing(plan, trie, max_hops)]
        names = [graph.path_names(path) for path in paths]
        scores = self.rank([asked], [*names, *missing])[0]
        here, gone = scores[: len(paths)], scores[len(paths) :]
        order = np.lexsort((np.arange(len(paths)), -np.round(here, 6)))[:k]
        plans = tuple(Plan(paths[place], float(here[place])) for place in order.tolist())
        if len(gone) and float(gone.max()) > plans[0].score + _MARGIN:
            lacking = " → ".join(missing[int(gone.argmax())])
            why = f"the question asks for {lacking}, which does not exist here"
            return Planning(plans, False, why, len(paths))
        return Planning(plans, True, "no better path is known", len(paths))

    def _is_missing(self, plan: Names, trie: PathTrie, max_hops: int) -> bool:
        path = trie.graph.path(plan)
        return path is not None and len(path) <= max_hops and not trie.exists(path)
