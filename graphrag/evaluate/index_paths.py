"""Relation paths on an index: answers among the end nodes, passages recalled, and explorations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from graphrag.evaluate.path_questions import PathQuestion
from graphrag.evaluate.paths import PathOutcome, normalised, score_answers, summary
from graphrag.evaluate.questions import GoldQuestion, PassageIds
from graphrag.evaluate.significance import paired_bootstrap
from graphrag.graph.paths import PathGraph
from graphrag.query.engine import QueryEngine
from graphrag.query.result import QueryResult
from graphrag.retrieve.base import Retriever

_CUT = 5
_PASSAGES_OF_PATHS = 3  # passages of the walks go first, at most so many; the retriever fills up
_TEXT_HOPS = 2  # as far as walks over texts go


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came out for one question."""

    kind: str
    by_path: bool
    hit: float
    strict: float
    reached: dict[str, float]
    recall: dict[str, float]
    milliseconds: float
    calls: int


async def ask_index(
    engine: QueryEngine,
    questions: Sequence[GoldQuestion],
    baselines: dict[str, Retriever],
    *,
    mode: str = "extractive",
    advance: Callable[[], None] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Ask every question by ``path`` and return the figures, of all and of each kind (``type`` or ``hops``).

    ``answer_in_ends``: a gold answer is the end of a walk (of all questions, and of those answered by a
    path). ``recall@5``: gold passages among five, those of the walks first and then what
    ``baselines["dense"]`` finds; beside each baseline alone. Ceilings: ``answer_is_entity``, and whether
    such an entity lies near enough to a linked one, by relations or over texts. No path, or one
    that is not trusted, is a fall back to ``local``.
    """
    ids = PassageIds.of(engine.index, questions)
    units = engine.index.table("text_units")["id"].to_pylist()
    answers = _Entities.of(engine, int(overrides.get("max_hops", engine.settings.query.max_hops)))
    asked = []
    planner: Mapping[str, Any] = {}
    for question in questions:
        began = time.perf_counter()
        result = await engine.aquery(question.text, method="path", mode=mode, **overrides)
        elapsed = (time.perf_counter() - began) * 1000
        ends = [str(event["answer"]) for event in result.trace if event["event"] == "path"]
        planner = next((event for event in result.trace if event["event"] == "planner"), planner)
        scores = score_answers(answers.spelled(ends, question), question.answers)
        found = {name: ids.ranking(one.search(question.text, 20)) for name, one in baselines.items()}
        walked = list(dict.fromkeys(ids.names[units[place]] for place in _units_of_walks(result)))
        found["path"] = list(dict.fromkeys([*walked[:_PASSAGES_OF_PATHS], *found["dense"]]))
        gold = set(question.gold)
        asked.append(
            _Asked(
                kind=str(question.row.get("type") or question.row.get("hops") or ""),
                by_path=bool(ends),
                hit=scores["hit"],
                strict=scores["hits@1"],
                reached=answers.reached(result, question),
                recall={
                    name: len(gold & set(ranking[:_CUT])) / max(1, len(gold))
                    for name, ranking in found.items()
                },
                milliseconds=elapsed,
                calls=sum(step.usage.calls for step in result.usage if step.usage.completion_tokens),
            )
        )
        if advance is not None:
            advance()
    figures = {"planner_used": planner.get("planner"), "planner_why": planner.get("why"), **_figures(asked)}
    for name in (*baselines, "path"):
        if name != "path":
            gap = paired_bootstrap([one.recall["path"] for one in asked], [one.recall[name] for one in asked])
            difference = {"difference": gap.mean, "low": gap.low, "high": gap.high, "p": gap.p}
            figures[f"recall@{_CUT}_path_against_{name}"] = difference
    kinds = sorted({one.kind for one in asked})
    if len(kinds) > 1:
        figures["by_kind"] = {kind: _figures([one for one in asked if one.kind == kind]) for kind in kinds}
    return figures


async def explore_index(
    engine: QueryEngine,
    questions: Sequence[PathQuestion],
    *,
    mode: str,
    advance: Callable[[], None] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Ask every question by ``explore`` and return the figures of :func:`graphrag.evaluate.paths.summary`.

    ``mode`` ``llm``: a language model explores, at most ``query.explore_calls`` calls a question;
    ``extractive``: the planner does. Answers are the ends of the walks that the trace names; none is an
    abstention, which counts as wrong. ``llm_calls`` and ``llm_tokens`` are means per question.
    """
    outcomes, calls, tokens = [], 0, 0
    for question in questions:
        began = time.perf_counter()
        result = await engine.aquery(question.text, method="explore", mode=mode, **overrides)
        elapsed = (time.perf_counter() - began) * 1000
        ends = list(dict.fromkeys(str(one["answer"]) for one in result.trace if one["event"] == "path"))
        seen = sum(int(one.get("nodes", 0)) for one in result.trace if one["event"] == "explored")
        asked = [step.usage for step in result.usage if step.usage.completion_tokens]
        calls += sum(usage.calls for usage in asked)
        tokens += sum(usage.prompt_tokens + usage.completion_tokens for usage in asked)
        outcomes.append(PathOutcome(score_answers(ends, question.answers), elapsed, bool(ends), 0, seen))
        if advance is not None:
            advance()
    per = {"llm_calls": calls / len(questions), "llm_tokens": tokens / len(questions)}
    return {"method": "explore", "mode": mode, **summary(outcomes), **per}


def _figures(asked: Sequence[_Asked]) -> dict[str, Any]:
    answered = [one.hit for one in asked if one.by_path]
    figures: dict[str, Any] = {
        "n": len(asked),
        "answered_by_path": np.mean([one.by_path for one in asked]),
        "fell_back": 1 - np.mean([one.by_path for one in asked]),
        "answer_in_ends": np.mean([one.hit for one in asked]),
        "answer_in_ends_where_answered": np.mean(answered) if answered else 0.0,
        "hits@1": np.mean([one.strict for one in asked]),
    }
    for name in asked[0].reached:
        figures[name] = np.mean([one.reached[name] for one in asked])
    for name in asked[0].recall:
        figures[f"recall@{_CUT}_{name}"] = np.mean([one.recall[name] for one in asked])
    figures["p50_ms"] = np.median([one.milliseconds for one in asked])
    figures["llm_calls"] = sum(one.calls for one in asked)
    return {
        key: round(float(value), 6) if isinstance(value, float) else value for key, value in figures.items()
    }


@dataclass(frozen=True, slots=True)
class _Entities:
    """The entities of an index by normalised name, and its graphs."""

    engine: QueryEngine
    max_hops: int
    by_name: dict[str, set[int]]
    names: dict[str, set[str]]

    @classmethod
    def of(cls, engine: QueryEngine, max_hops: int) -> _Entities:
        table = engine.index.table("entities")
        by_name: dict[str, set[int]] = {}
        names: dict[str, set[str]] = {}
        rows = zip(table["title"].to_pylist(), table["aliases"].to_pylist(), strict=True)
        for place, (title, aliases) in enumerate(rows):
            for name in (title, *(aliases or ())):
                by_name.setdefault(normalised(name), set()).add(place)
                names.setdefault(title, set()).add(name)
        return cls(engine, max_hops, by_name, names)

    def spelled(self, ends: Sequence[str], question: GoldQuestion) -> list[str]:
        """Return the ends, each by the one of its names that the gold answers have, if any."""
        gold = set(map(normalised, question.answers))
        return [
            next((name for name in sorted(self.names.get(end, ())) if normalised(name) in gold), end)
            for end in ends
        ]

    def reached(self, result: QueryResult, question: GoldQuestion) -> dict[str, float]:
        wanted = set().union(*(self.by_name.get(normalised(one), set()) for one in question.answers))
        own = takewhile(lambda event: event["event"] != "fallback", result.trace)  # then `local` links, too
        starts = [int(event["number"]) for event in own if event["event"] == "linked"]
        paths = self.engine.paths
        return {
            "answer_is_entity": float(bool(wanted)),
            "answer_within_relations": float(_within(paths.graph.graph, starts, wanted, self.max_hops)),
            "answer_within_texts": float(
                _within(paths.graph_with_texts.graph, starts, wanted, 2 * _TEXT_HOPS)
            ),
        }


def _within(graph: PathGraph, starts: Sequence[int], wanted: set[int], hops: int) -> bool:
    """Say whether one of ``wanted`` is at most ``hops`` edges away from ``starts``."""
    frontier = np.unique(np.array(starts, dtype=np.int64))
    seen = frontier
    goal = np.array(sorted(wanted), dtype=np.int64)
    for _ in range(hops if len(goal) else 0):
        _, _, targets, _ = graph.edges_at(frontier)
        frontier = np.setdiff1d(targets, seen)
        if np.isin(goal, frontier).any():
            return True
        seen = np.union1d(seen, frontier)
    return False


def _units_of_walks(result: QueryResult) -> list[int]:
    places = [
        place
        for event in result.trace
        if event["event"] == "path"
        for step in event["steps"]
        for place in step["text_units"]
    ]
    return list(dict.fromkeys(places))
