"""Several retrievers as one, by reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphrag.retrieve.base import Retriever

RANK_CONSTANT = 60  # of the paper; the gain of rank 1 over rank 2 is then 1.6 %
_DEPTH = 50  # rows asked of each retriever at least: a row low in one list can win by both


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[tuple[str, float]]], *, constant: int = RANK_CONSTANT
) -> list[tuple[str, float]]:
    """Merge rankings by the sum of ``1 / (constant + rank)``, best first, ties by id.

    Only ranks count, so the scores of the rankings need not be comparable. Cormack, Clarke and
    Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
    SIGIR 2009.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, (row_id, _) in enumerate(ranking, start=1):
            scores[row_id] = scores.get(row_id, 0.0) + 1.0 / (constant + rank)
    return sorted(scores.items(), key=lambda pair: (-round(pair[1], 12), pair[0]))


@dataclass(frozen=True, slots=True)
class HybridRetriever:
    """Asks every retriever and fuses what they found."""

    retrievers: tuple[Retriever, ...]

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (row id, fused score), best first, ties by id."""
        depth = max(k, _DEPTH)
        return reciprocal_rank_fusion([one.search(query, depth) for one in self.retrievers])[: max(k, 0)]
