"""Retrievers on the same questions in the same run, each compared with the dense baseline."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphrag.evaluate.questions import GoldQuestion, PassageIds
from graphrag.evaluate.ranking import all_gold_at, ndcg_at, recall_at, reciprocal_rank
from graphrag.evaluate.significance import bootstrap_interval, mcnemar, paired_bootstrap
from graphrag.retrieve.base import Retriever

BASELINES = ("bm25", "dense")  # measured every time: a figure without them says nothing
DEPTH = 20  # passages asked for; MRR and nDCG look no further either
_RECALLS = (2, 5, 10)


@dataclass(frozen=True, slots=True)
class RetrievalRun:
    """What one retriever found: per question its passage ids, best first, and milliseconds taken."""

    name: str
    questions: tuple[GoldQuestion, ...]
    rankings: tuple[tuple[str, ...], ...]
    milliseconds: tuple[float, ...]

    def values(self, measure: str) -> list[float]:
        """Return ``measure`` (``recall@5``, ``all_gold@5``, ``ndcg@10``, ``mrr``) question by question."""
        name, _, at = measure.partition("@")
        k = int(at or 0)
        scores: dict[str, Callable[[Sequence[str], Sequence[str]], float]] = {
            "recall": lambda ranking, gold: recall_at(ranking, gold, k),
            "all_gold": lambda ranking, gold: float(all_gold_at(ranking, gold, k)),
            "ndcg": lambda ranking, gold: ndcg_at(ranking, gold, k),
            "mrr": reciprocal_rank,
        }
        return [
            scores[name](ranking, question.gold)
            for ranking, question in zip(self.rankings, self.questions, strict=True)
        ]

    def scored(self) -> Scored:
        """Return every measure of every question."""
        values = {measure: tuple(self.values(measure)) for measure in MEASURES}
        return Scored(self.name, tuple(one.id for one in self.questions), values, self.milliseconds)


@dataclass(frozen=True, slots=True)
class Scored:
    """Every measure of one retriever, question by question, in the order of ``ids``."""

    name: str
    ids: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    milliseconds: tuple[float, ...]

    def as_row(self) -> dict[str, Any]:
        """Return it as plain data, a list for each measure."""
        values = {measure: [_round(value) for value in self.values[measure]] for measure in MEASURES}
        return {"id": list(self.ids), **values, "ms": [round(value, 2) for value in self.milliseconds]}


MEASURES = (*(f"recall@{k}" for k in _RECALLS), "all_gold@5", "ndcg@10", "mrr")


def run_retriever(
    name: str,
    retriever: Retriever,
    questions: Sequence[GoldQuestion],
    passages: PassageIds,
    advance: Callable[[], None] = lambda: None,
) -> RetrievalRun:
    """Ask ``retriever`` every question that has gold passages; one search first, not timed, loads it.

    Several text units of one passage count once, at the best rank.
    """
    asked = tuple(question for question in questions if question.gold)
    depth = math.ceil(DEPTH * max(1.0, passages.units_per_passage))
    rankings, milliseconds = [], []
    if asked:
        retriever.search(asked[0].text, depth)
    for question in asked:
        began = time.perf_counter()
        found = retriever.search(question.text, depth)
        milliseconds.append((time.perf_counter() - began) * 1000)
        rankings.append(tuple(passages.ranking(found)[:DEPTH]))
        advance()
    return RetrievalRun(name, asked, tuple(rankings), tuple(milliseconds))


def summary(run: Scored, baseline: Scored | None = None) -> dict[str, Any]:
    """Return the means of one run as plain data, and how it differs from ``baseline``.

    ``p_vs_…`` is the paired bootstrap's p-value for recall@5; ``vs_…`` has difference, interval and
    p-value for every recall, and McNemar's for all_gold@5.
    """
    interval = bootstrap_interval(run.values["recall@5"])
    row: dict[str, Any] = {
        "retriever": run.name,
        "n": len(run.ids),
        **{measure: _round(statistics.fmean(run.values[measure])) for measure in MEASURES},
        "recall@5_interval": [_round(interval.low), _round(interval.high)],
        "p50_ms": round(statistics.median(run.milliseconds), 2),
        "p95_ms": round(float(np.quantile(run.milliseconds, 0.95)), 2),
    }
    if baseline is not None and baseline.name != run.name:
        compared = compare(run, baseline)
        row[f"p_vs_{baseline.name}"] = compared["recall@5"]["p"]
        row[f"vs_{baseline.name}"] = compared
    return row


def compare(ours: Scored, theirs: Scored) -> dict[str, dict[str, float]]:
    """Return the paired differences of two runs by measure, with intervals and p-values."""
    compared: dict[str, dict[str, float]] = {}
    for measure in MEASURES:
        mine, other = ours.values[measure], theirs.values[measure]
        difference = paired_bootstrap(mine, other)
        p = difference.p
        if measure == "all_gold@5":
            p = mcnemar([value == 1 for value in mine], [value == 1 for value in other])
        compared[measure] = {
            "difference": _round(difference.mean),
            "low": _round(difference.low),
            "high": _round(difference.high),
            "p": float(f"{p:.3g}"),
        }
    return compared


def evaluate_retrieval(
    retrievers: Mapping[str, Callable[[], Retriever]],
    questions: Sequence[GoldQuestion],
    passages: PassageIds,
    *,
    baseline: str = "dense",
    started: Callable[[str, int], None] = lambda _name, _total: None,
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[dict[str, Any]], list[RetrievalRun]]:
    """Run ``retrievers`` (makers by name, in order) and return their summaries and their runs.

    A summary has every question's own figures under ``by_question``, a list for each measure.
    """
    runs = []
    for name, make in retrievers.items():
        started(name, sum(1 for question in questions if question.gold))
        runs.append(run_retriever(name, make(), questions, passages, advance))
    scored = {run.name: run.scored() for run in runs}
    rows = [{**summary(one, scored.get(baseline)), "by_question": one.as_row()} for one in scored.values()]
    return rows, runs


def _round(value: float) -> float:
    return round(float(value), 4)
