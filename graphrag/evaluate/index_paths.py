"""Relation paths on an index made of texts: answers among the end nodes, and passages recalled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphrag.evaluate.paths import normalised, score_answers
from graphrag.evaluate.questions import GoldQuestion, PassageIds
from graphrag.evaluate.significance import paired_bootstrap
from graphrag.query.engine import QueryEngine
from graphrag.query.result import QueryResult
from graphrag.retrieve.base import Retriever

_CUT = 5
_PASSAGES_OF_PATHS = 3  # passages of the walks go first, at most so many; the retriever fills up


async def ask_index(
    engine: QueryEngine,
    questions: Sequence[GoldQuestion],
    baselines: dict[str, Retriever],
    *,
    advance: Callable[[], None] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Ask every question by ``path`` and return the figures.

    ``answer_in_ends``: a gold answer is an end node of the best path (of all questions, and of those
    answered by a path). ``recall@5``: gold passages among five, those of the walks first and then what
    ``baselines["dense"]`` finds; beside each baseline alone.
    """
    ids = PassageIds.of(engine.index, questions)
    units = engine.index.table("text_units")["id"].to_pylist()
    by_path, hits, strict = [], [], []
    recall: dict[str, list[float]] = {name: [] for name in ("path", *baselines)}
    for question in questions:
        result = await engine.aquery(question.text, method="path", mode="extractive", **overrides)
        ends = [str(event["answer"]) for event in result.trace if event["event"] == "path"]
        scores = score_answers(ends, question.answers)
        by_path.append(bool(ends))
        hits.append(scores["hit"])
        strict.append(scores["hits@1"])
        found = {name: ids.ranking(one.search(question.text, 20)) for name, one in baselines.items()}
        walked = [ids.names[units[place]] for place in _units_of_walks(result)]
        found["path"] = list(dict.fromkeys([*walked[:_PASSAGES_OF_PATHS], *found["dense"]]))
        for name, ranking in found.items():
            gold = set(question.gold)
            recall[name].append(len(gold & set(ranking[:_CUT])) / max(1, len(gold)))
        if advance is not None:
            advance()
    answered = [hit for hit, path in zip(hits, by_path, strict=True) if path]
    figures: dict[str, Any] = {
        "n": len(questions),
        "answered_by_path": float(np.mean(by_path)),
        "fell_back": 1 - float(np.mean(by_path)),
        "answer_in_ends": float(np.mean(hits)),
        "answer_in_ends_where_answered": float(np.mean(answered)) if answered else 0.0,
        "hits@1": float(np.mean(strict)),
        "answer_is_entity": _answer_is_entity(engine, questions),
    }
    for name, values in recall.items():
        figures[f"recall@{_CUT}_{name}"] = float(np.mean(values))
    gap = paired_bootstrap(recall["path"], recall["dense"])
    figures["path_against_dense"] = {"difference": gap.mean, "low": gap.low, "high": gap.high, "p": gap.p}
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in figures.items()}


def _units_of_walks(result: QueryResult) -> list[int]:
    places = [
        place
        for event in result.trace
        if event["event"] == "path"
        for step in event["steps"]
        for place in step["text_units"]
    ]
    return list(dict.fromkeys(places))


def _answer_is_entity(engine: QueryEngine, questions: Sequence[GoldQuestion]) -> float:
    """Return the share of questions with an answer among the graph's entities: a ceiling."""
    table = engine.index.table("entities")
    names = {normalised(name) for name in table["title"].to_pylist()}
    names |= {normalised(name) for row in table["aliases"].to_pylist() for name in row or ()}
    return float(np.mean([bool(names & set(map(normalised, one.answers))) for one in questions]))
