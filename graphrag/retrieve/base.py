"""The Retriever seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Found = list[tuple[str, float]]

# What can be searched: published tables, by name. ``covariates`` are claims, ``text_units`` passages.
KINDS = ("text_units", "entities", "relationships", "covariates", "community_reports")


@runtime_checkable
class Retriever(Protocol):
    """Finds rows for a question."""

    def search(self, query: str, k: int) -> Found:
        """Return the ``k`` best (row id, score), best first, ties by id.

        Scores of one retriever can be compared with each other, never with another's.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """Says how well each of some texts answers a question; what ``rerank`` ranks by."""

    def score(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return one score per text, in order; higher is better."""
        ...


def ranked(scores: dict[str, float], k: int) -> Found:
    """Return the ``k`` best of ``scores``, best first, ties by id."""
    return sorted(scores.items(), key=lambda pair: (-round(pair[1], 12), pair[0]))[: max(k, 0)]
