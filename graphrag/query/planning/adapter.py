"""A language model tuned to write relation paths, decoding inside the trie of those that exist.

RoG's planner (Luo et al. 2023, arXiv 2310.01061) under GCR's constraint (Luo et al. 2024, 2410.13080).
The beam goes step by step: the model scores every step that can follow, and the end. Scores are
log-likelihoods, so a path's score is the log-probability of its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphrag.graph.paths import PathTrie, RelationPath
from graphrag.query.planning.base import STOP, PlanFor, Planning, Scores, beam_search

if TYPE_CHECKING:
    from graphrag.llm.generation import Generator

_WIDTH = 10
_STEP_MARK = " > "


def plan_prompt(question: str) -> str:
    """Return what the model is asked, in training and in use; ``question`` has its entity masked."""
    return f"Write the relations that lead from [MASK] to the answer.\nQuestion: {question}"


def plan_text(names: Sequence[str]) -> str:
    """Return a path as the model writes it."""
    return _STEP_MARK.join(names)


class AdapterPlanner:
    """Plans with a causal language model by a beam of 10 inside the trie.

    ``load`` makes the model at the first question. Costs one reading of the prompt per beam and
    hop, and of each continuation. No call to an endpoint.
    """

    name = "tuned"
    stepwise = True

    def __init__(self, load: Callable[[], Generator], *, width: int = _WIDTH) -> None:
        self._load = load
        self._generator: Generator | None = None
        self._width = width
        self.tokens_read = 0

    async def plan(
        self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int, width: int | None = None
    ) -> Planning:
        """Return the ``k`` paths that the model finds most likely, by a beam of ``width``."""
        return await asyncio.to_thread(self._plan, asked, trie, max_hops, k, width or self._width)

    def _plan(self, asked: PlanFor, trie: PathTrie, max_hops: int, k: int, width: int) -> Planning:
        if self._generator is None:
            self._generator = self._load()
        generator = self._generator
        prompt = generator.encode([("user", plan_prompt(asked.masked))])
        end = [generator.tokenizer.eos_token_id]
        considered = 0

        def tokens(text: str) -> list[int]:
            return list(generator.tokenizer(text, add_special_tokens=False)["input_ids"])

        def score(path: RelationPath, options: Sequence[int]) -> Scores:
            nonlocal considered
            written = plan_text(trie.graph.path_names(path))
            before = tokens(written)
            mark = _STEP_MARK if path else ""
            # The text is cut into tokens as a whole, as in training: pieces may be cut otherwise.
            continuations = [
                end
                if option == STOP
                else tokens(written + mark + trie.graph.step_name(option))[len(before) :]
                for option in options
            ]
            considered += STOP in options
            self.tokens_read += len(prompt) + len(before) + sum(map(len, continuations))
            return np.array(generator.score([*prompt, *before], continuations))

        plans = beam_search(trie, score, max_hops=max_hops, width=width, k=k)
        if not plans:
            return Planning((), False, "no relation path leads away from the start entities", 0)
        chance = float(np.exp(plans[0].score))
        return Planning(tuple(plans), True, f"the model gives it a chance of {chance:.2f}", considered)
