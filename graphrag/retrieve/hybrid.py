"""Several retrievers as one, by ranks or by scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graphrag.errors import ConfigError
from graphrag.retrieve.base import Found, Retriever, ranked

RANK_CONSTANT = 60  # of the paper; the gain of rank 1 over rank 2 is then 1.6 %
_DEPTH = 50  # rows asked of each retriever at least: a row low in one list can win by both


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[tuple[str, float]]],
    *,
    constant: int = RANK_CONSTANT,
    weights: Sequence[float] | None = None,
) -> Found:
    """Merge rankings by the sum of ``weight / (constant + rank)``, best first, ties by id.

    Only ranks count, so the scores of the rankings need not be comparable. Cormack, Clarke and
    Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
    SIGIR 2009.
    """
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, (row_id, _) in enumerate(ranking, start=1):
            scores[row_id] = scores.get(row_id, 0.0) + weight / (constant + rank)
    return ranked(scores, len(scores))


def convex_fusion(
    rankings: Sequence[Sequence[tuple[str, float]]], *, weights: Sequence[float] | None = None
) -> Found:
    """Merge rankings by the weighted mean of their scores, each scaled to 0 to 1; best first, ties by id.

    A row that a ranking does not hold gets that ranking's lowest value, 0; a ranking whose scores
    are all equal gives each 1. Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
    Retrieval", ACM TOIS 2023.
    """
    scores: dict[str, float] = {}
    shares = list(weights or [1.0] * len(rankings))
    total = sum(shares) or 1.0
    for ranking, weight in zip(rankings, shares, strict=True):
        values = [score for _, score in ranking]
        low, spread = min(values, default=0.0), max(values, default=0.0) - min(values, default=0.0)
        for row_id, score in ranking:
            scaled = (score - low) / spread if spread else 1.0
            scores[row_id] = scores.get(row_id, 0.0) + weight / total * scaled
    return ranked(scores, len(scores))


@dataclass(frozen=True, slots=True)
class HybridRetriever:
    """Asks every retriever and fuses what they found; ``weights`` are all 1 when empty.

    Raises:
        ConfigError: there are not as many weights as retrievers, or they are all zero.
    """

    retrievers: tuple[Retriever, ...]
    fusion: Literal["rrf", "convex"] = "rrf"
    weights: tuple[float, ...] = ()
    constant: int = RANK_CONSTANT

    def __post_init__(self) -> None:
        if self.weights and (len(self.weights) != len(self.retrievers) or not any(self.weights)):
            raise ConfigError(
                f"{len(self.retrievers)} retrievers are fused with the weights {self.weights}.",
                hint="Give one weight above zero for each retriever in retrieval.hybrid_of, or none at all.",
            )

    def search(self, query: str, k: int) -> Found:
        """Return the ``k`` best (row id, fused score), best first, ties by id."""
        depth = max(k, _DEPTH)
        rankings = [one.search(query, depth) for one in self.retrievers]
        if self.fusion == "convex":
            fused = convex_fusion(rankings, weights=self.weights or None)
        else:
            fused = reciprocal_rank_fusion(rankings, constant=self.constant, weights=self.weights or None)
        return fused[: max(k, 0)]
