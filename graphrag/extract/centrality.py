"""Choosing the sentences that say most about a text, without writing a word.

Centrality follows continuous LexRank (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as
Salience in Text Summarization", 2004): a sentence is central when central sentences are like it.
The similarities are divided by the largest row sum, not each row by its own (which makes it Katz
centrality): a random walk would give two odd sentences that are like each other as much as two of
a hundred that agree. Redundancy is held down by maximal marginal relevance (Carbonell and
Goldstein, "The Use of MMR, Diversity-Based Reranking", 1998).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_DAMPING = 0.85
_ITERATIONS = 200
_TOLERANCE = 1e-9
_PAIRWISE_LIMIT = 2000  # beyond, similarity to the centroid: linear, and the same ranking in spirit
_DIGITS = 6  # vectors are the same from run to run up to this digit; equal scores go by position


def central_sentences(
    vectors: npt.NDArray[np.floating],
    k: int,
    *,
    redundancy: float = 0.4,
    prior: Sequence[float] | None = None,
) -> list[int]:
    """Return the numbers of the ``k`` most central sentences, most central first.

    ``vectors`` holds one row per sentence (any length; zero rows are near nothing). ``redundancy``
    from 0 to 1 is how much likeness to a sentence already chosen costs against centrality.
    ``prior`` weighs sentences beforehand, for instance by how often each was said. Fewer than
    ``k`` come back only when there are fewer. Deterministic: ties go to the earlier sentence.

    Raises:
        ValueError: ``vectors`` is no matrix, ``redundancy`` is outside of 0 to 1, or ``prior`` has
            another length than ``vectors``, a negative weight, or none above zero.
    """
    if not 0.0 <= redundancy <= 1.0:
        raise ValueError(f"redundancy must lie between 0 and 1, not {redundancy}.")
    unit = _unit_rows(vectors)
    count = len(unit)
    restart = _restart(prior, count)
    if count == 0 or k <= 0:
        return []
    score = _centrality(unit, restart)
    top = score.max()
    relevance = score / top if top > 0 else score
    likeness = np.zeros(count)  # to the nearest chosen sentence
    chosen: list[int] = []
    left = np.ones(count, dtype=bool)
    for _ in range(min(k, count)):
        gain = np.round((1.0 - redundancy) * relevance - redundancy * likeness, _DIGITS)
        gain[~left] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        likeness = np.maximum(likeness, unit @ unit[best])
    return chosen


def _unit_rows(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.size == 0:
        return np.zeros((0, 1))
    if rows.ndim != 2:
        raise ValueError(f"vectors must have one row per sentence, their shape is {rows.shape}.")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 0))


def _restart(prior: Sequence[float] | None, count: int) -> npt.NDArray[np.float64]:
    if prior is None:
        return np.full(count, 1.0 / max(count, 1))
    weights = np.asarray(prior, dtype=np.float64)
    if weights.shape != (count,):
        raise ValueError(f"prior has {weights.size} weights for {count} sentences.")
    if count and (weights.min() < 0 or weights.sum() <= 0):
        raise ValueError("prior needs weights above zero, and none below.")
    return np.asarray(weights / weights.sum()) if count else weights


def _centrality(unit: npt.NDArray[np.float64], restart: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a score per sentence; ``restart`` biases it (Otterbacher, Erkan and Radev, 2005)."""
    count = len(unit)
    if count > _PAIRWISE_LIMIT:
        centroid = restart @ unit
        return np.asarray(np.clip(unit @ centroid, 0.0, None) * restart * count)
    similarity = np.clip(unit @ unit.T, 0.0, None)
    np.fill_diagonal(similarity, 0.0)
    links = similarity / max(float(similarity.sum(axis=1).max()), 1.0)
    score = restart.copy()
    for _ in range(_ITERATIONS):
        following = (1.0 - _DAMPING) * restart + _DAMPING * (links @ score)
        moved = np.abs(following - score).sum()
        score = following
        if moved < _TOLERANCE:
            break
    return score
