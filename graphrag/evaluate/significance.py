"""Whether one system is better than another on the same questions, or was lucky."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLES = 10_000
SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its percentile-bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of ``ours - theirs`` over paired questions, its interval, and two-sided p-value."""

    mean: float
    low: float
    high: float
    p: float
    n: int


def bootstrap_interval(
    values: Sequence[float] | npt.NDArray[np.float64],
    *,
    confidence: float = 0.95,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Interval:
    """Return the mean of ``values`` and its interval from resampled questions, equal for equal seeds."""
    data = np.asarray(values, dtype=np.float64)
    if not len(data):
        return Interval(math.nan, math.nan, math.nan)
    low, high = np.quantile(_resampled_means(data, samples, seed), _tails(confidence))
    return Interval(float(data.mean()), float(low), float(high))


def paired_bootstrap(
    ours: Sequence[float] | npt.NDArray[np.float64],
    theirs: Sequence[float] | npt.NDArray[np.float64],
    *,
    confidence: float = 0.95,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Difference:
    """Compare two systems question by question: one value of each per question, in the same order.

    Questions are resampled with replacement; p is twice the share of resampled mean differences on
    the other side of zero, those at zero counting half, and at least ``1 / (samples + 1)``.
    Berg-Kirkpatrick, Burkett and Klein, "An Empirical Investigation of Statistical Significance in
    NLP", 2012; Efron and Tibshirani (1993), chapter 13. Deterministic for a seed.

    Raises:
        ValueError: the systems answered different numbers of questions.
    """
    differences = _paired(ours, theirs)
    if not len(differences):
        return Difference(math.nan, math.nan, math.nan, 1.0, 0)
    if not differences.any():
        return Difference(0.0, 0.0, 0.0, 1.0, len(differences))
    means = _resampled_means(differences, samples, seed)
    # Sums of equal floats in another order differ in the last digits: those are zeros.
    at_zero = np.abs(means) < 1e-12
    below = float((means[~at_zero] < 0).sum() + at_zero.sum() / 2)
    tail = min(below, samples - below)
    p = min(1.0, 2 * (tail + 1) / (samples + 1)) if tail < samples / 2 else 1.0
    low, high = np.quantile(means, _tails(confidence))
    return Difference(float(differences.mean()), float(low), float(high), p, len(differences))


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """Return the exact two-sided p-value of McNemar's test: do two systems fail on as many questions?

    Only the questions on which exactly one of them is right count; their number is binomial with
    one half if the systems are equally good. McNemar (1947); exact form as in Dietterich (1998).

    Raises:
        ValueError: the systems answered different numbers of questions.
    """
    differences = _paired([float(bool(one)) for one in ours], [float(bool(one)) for one in theirs])
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    n, few = wins + losses, min(wins, losses)
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(few + 1))
    return float(min(1.0, 2 * tail / 2**n))


def _paired(
    ours: Sequence[float] | npt.NDArray[np.float64], theirs: Sequence[float] | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    if len(ours) != len(theirs):
        raise ValueError(f"Paired systems need the same questions: {len(ours)} and {len(theirs)} values.")
    return np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)


def _resampled_means(data: npt.NDArray[np.float64], samples: int, seed: int) -> npt.NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    means = np.empty(samples)
    block = max(1, 4_000_000 // len(data))  # keeps the drawn places below 32 MB
    for start in range(0, samples, block):
        size = min(block, samples - start)
        means[start : start + size] = data[generator.integers(0, len(data), (size, len(data)))].mean(axis=1)
    return means


def _tails(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2
