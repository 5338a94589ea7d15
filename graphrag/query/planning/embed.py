"""A planner without a language model and without training: paths as texts, compared by vectors."""

from __future__ import annotations

import asyncio

import numpy as np

from graphrag.embed.base import Embedder
from graphrag.graph.paths import INVERSE, PathTrie
from graphrag.query.planning.base import MASK, Plan, PlanFor, Planning, TextVectors, step_text

_MOST_PATHS = 5_000
LEAST_COSINE = 0.2  # of the best path's text to the question; below it the graph does not answer


class EmbedPlanner:
    """Scores every grounded path of up to ``max_hops`` steps by the cosine of its text to the question.

    At most 5,000 paths are compared, the shortest first. No LLM call; one embedding per question and
    one per path text that was not seen before.
    """

    name = "embed"

    def __init__(self, embedder: Embedder, *, least: float = LEAST_COSINE) -> None:
        self._vectors = TextVectors(embedder)
        self._least = least

    async def plan(self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int) -> Planning:
        """Return the ``k`` paths whose text is nearest to the question."""
        return await asyncio.to_thread(self._plan, asked, trie, max_hops, k)

    def _plan(self, asked: PlanFor, trie: PathTrie, max_hops: int, k: int) -> Planning:
        paths = list(trie.paths(max_hops, _MOST_PATHS))
        if not paths:
            return Planning((), False, "no relation path leads away from the start entities", 0)
        texts = [" ".join(_words(name) for name in trie.graph.path_names(path)) for path in paths]
        question = self._vectors.embedder.embed([asked.masked.replace(MASK, "it")])[0]
        scores = np.asarray(self._vectors.of(texts) @ question, dtype=np.float64)
        order = np.lexsort((np.arange(len(paths)), -np.round(scores, 6)))[:k]
        plans = tuple(Plan(paths[place], float(scores[place])) for place in order.tolist())
        trusted = plans[0].score >= self._least
        why = f"its text has cosine {plans[0].score:.2f} to the question (at least {self._least} is wanted)"
        return Planning(plans, trusted, why, len(paths))


def _words(name: str) -> str:
    # Of the wordings tried on MetaQA ("of" behind it, no mark at all) this one gives most hits.
    words = step_text(name.removeprefix(INVERSE))
    return f"inverse {words}" if name.startswith(INVERSE) else words
