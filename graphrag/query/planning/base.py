"""The Planner seam: a question and a trie of grounded relation paths in, the k best paths out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder, Vectors
from graphrag.graph.paths import INVERSE, PathTrie, RelationPath

MASK = "[MASK]"  # stands for the start entity in a question; BERT-like models know it as one token
STOP = -1
# Partial paths kept by an exploration after each step. With what is ahead in view one is enough for MetaQA's
# questions of three hops (docs/experiments/paths.md); three leave room for a doubt.
EXPLORED_WIDTH = 3

Scores = npt.NDArray[np.float64]
# (a path, the steps that can follow it, STOP among them where the path may end) -> one score each
ScoreSteps = Callable[[RelationPath, Sequence[int]], Scores]

_WORD_BREAK = re.compile(r"[._/\-\s]+|(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class PlanFor:
    """What a planner is asked: the question, and the question with :data:`MASK` for the start entity."""

    question: str
    masked: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A relation path that exists from the start entities; scores of one planner can be compared."""

    path: RelationPath
    score: float


@dataclass(frozen=True, slots=True)
class Planning:
    """Plans, best first, and whether the planner believes in the best.

    ``trusted`` is False where the question asks for something else than any grounded path; ``why``
    says so in words. ``considered`` counts the grounded paths that were compared.
    """

    plans: tuple[Plan, ...]
    trusted: bool
    why: str
    considered: int


@runtime_checkable
class Planner(Protocol):
    """Chooses relation paths for a question.

    ``name`` is how users call it: ``embed``, ``tuned`` or ``llm``.
    """

    @property
    def name(self) -> str:
        """Name of the planner."""
        ...

    async def plan(self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int) -> Planning:
        """Return at most ``k`` paths of ``trie``, best first, ties by path; no path where none exists.

        Raises:
            LLMError: the model did not answer (planners that ask one).
        """
        ...


@runtime_checkable
class StepwisePlanner(Planner, Protocol):
    """A planner that decides step by step, so it can be held to a narrow beam: an explorer's policy."""

    async def plan(
        self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int, width: int = 1
    ) -> Planning:
        """Plan as :class:`Planner` does, keeping ``width`` partial paths after each step."""
        ...

    @property
    def stepwise(self) -> bool:
        """Return True: the mark of planners of this kind."""
        ...


def masked(question: str, name: str) -> str:
    """Return ``question`` with :data:`MASK` in the place of ``name``, with or without [brackets].

    A question that does not hold the name is returned unchanged.
    """
    if name:
        for spelled in (f"[{name}]", name):
            at = question.casefold().find(spelled.casefold())
            if at >= 0:
                return question[:at] + MASK + question[at + len(spelled) :]
    return question


def step_text(name: str) -> str:
    """Return a step's name as words: ``~starred_actors`` becomes ``starred actors of``."""
    words = " ".join(_WORD_BREAK.split(name.removeprefix(INVERSE))).strip().lower()
    return f"{words} of" if name.startswith(INVERSE) else words


def beam_search(
    trie: PathTrie,
    score: ScoreSteps,
    *,
    max_hops: int,
    width: int,
    k: int,
    ahead: Callable[[RelationPath], float] = lambda _: 0.0,
) -> list[Plan]:
    """Return the ``k`` best paths that a beam of ``width`` finds inside ``trie``, best first, ties by path.

    A path's score is the sum over its steps and its end. ``ahead`` estimates what the rest of a partial path
    will add; it decides which are kept and is no part of a score. Only steps of the trie are offered, so
    every path exists; a beam that has no continuation ends there, and where nothing exists nothing is
    returned: the constraint has no way out (Luo et al. 2024, arXiv 2410.13080, whose code falls back
    to free text).
    """
    beams: list[tuple[float, RelationPath]] = [(0.0, ())]
    finished: list[Plan] = []
    for hops in range(max_hops + 1):
        grown: list[tuple[float, RelationPath]] = []
        for total, path in beams:
            options = sorted(trie.continuations(path)) if hops < max_hops else []
            if path:
                options.append(STOP)
            if not options:
                continue
            gains = score(path, options)
            for option, gain in zip(options, gains.tolist(), strict=True):
                if option == STOP:
                    finished.append(Plan(path, total + gain))
                else:
                    grown.append((total + gain, (*path, option)))
        if len(grown) > width:
            grown.sort(key=lambda one: (-one[0] - ahead(one[1]), one[1]))
        beams = grown[:width]
    finished.sort(key=lambda plan: (-plan.score, plan.path))
    return finished[:k]


class TextVectors:
    """Vectors of short texts, each embedded once; safe to share between questions."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._known: dict[str, Vectors] = {}

    def of(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, in order."""
        new = sorted({text for text in texts if text not in self._known})
        if new:
            self._known.update(zip(new, self.embedder.embed(new), strict=True))
        if not texts:
            return np.zeros((0, self.embedder.dimension), dtype=np.float32)
        return np.stack([self._known[text] for text in texts])
