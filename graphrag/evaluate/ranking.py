"""Measures of one ranking against its gold ids. A ranking holds each id once, best first."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def recall_at(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return the share of ``gold`` among the first ``k``."""
    wanted = set(gold)
    return len(wanted & set(ranking[:k])) / len(wanted) if wanted else math.nan


def all_gold_at(ranking: Sequence[str], gold: Collection[str], k: int) -> bool:
    """Return whether every gold id is among the first ``k``: what a multi-hop answer needs."""
    return set(gold) <= set(ranking[:k])


def reciprocal_rank(ranking: Sequence[str], gold: Collection[str]) -> float:
    """Return 1 / rank of the first gold id, 0 if none was found (the mean is MRR)."""
    wanted = set(gold)
    return next((1.0 / rank for rank, one in enumerate(ranking, start=1) if one in wanted), 0.0)


def ndcg_at(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return nDCG with gains of 0 and 1. Järvelin and Kekäläinen, ACM TOIS 2002."""
    wanted = set(gold)
    if not wanted:
        return math.nan
    found = sum(1.0 / math.log2(rank + 1) for rank, one in enumerate(ranking[:k], 1) if one in wanted)
    best = sum(1.0 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return found / best
