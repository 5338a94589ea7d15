"""How well relation paths answer questions, beside an untuned embedder and the gold paths."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphrag.evaluate.path_questions import PathQuestion
from graphrag.evaluate.significance import bootstrap_interval, paired_bootstrap
from graphrag.graph.paths import Budget, PathGraph, PathTrie, RelationPath
from graphrag.query.planning.base import PlanFor, Planner, masked
from graphrag.query.planning.examples import PlanExample, agreeing, shortest_paths

MAX_HOPS = 3
METRICS = ("hits@1", "hits@1_lenient", "hit", "exact_set", "f1", "path_exact")
_SPACE = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class PathOutcome:
    """What came out for one question: one value per metric, time, and whether it was answered."""

    values: dict[str, float]
    milliseconds: float
    answered: bool
    paths_considered: int
    visited: int = 0


def normalised(answer: str) -> str:
    """Return an answer case-folded, with everything but letters and digits as one blank."""
    return _SPACE.sub(" ", answer.casefold()).strip()


def score_answers(answers: Sequence[str], gold: Sequence[str]) -> dict[str, float]:
    """Score a ranked list of answers.

    ``hits@1`` is strict: the first answer equals a gold one. ``hits@1_lenient`` is what RoG and GCR call
    Hits@1: a gold answer occurs anywhere in the whole output, as a substring. ``hit``: any answer
    equals a gold one.
    """
    ours, wanted = [normalised(one) for one in answers], {normalised(one) for one in gold}
    output = " ; ".join(ours)
    both = len(set(ours) & wanted)
    f1 = 2 * both / (len(set(ours)) + len(wanted)) if ours or wanted else 1.0
    return {
        "hits@1": float(bool(ours) and ours[0] in wanted),
        "hits@1_lenient": float(any(one and one in output for one in wanted)),
        "hit": float(both > 0),
        "exact_set": float(set(ours) == wanted),
        "f1": f1,
    }


def gold_edges(graph: PathGraph, question: PathQuestion) -> list[int]:
    """Return the edges of the last step of the gold path: without them the question has no answer."""
    start = graph.node(question.topic)
    path = graph.path(question.path or ())
    if start is None or not path:
        return []
    before = PathTrie(graph, [start], may_return=True).ends(path[:-1])
    _, steps, _, edges = graph.edges_at(before)
    return sorted(edges[steps == path[-1]].tolist())


async def ask_paths(
    graph: PathGraph,
    questions: Sequence[PathQuestion],
    planner: Planner,
    *,
    max_hops: int = MAX_HOPS,
    counterfactual: bool = False,
    always_answer: bool = False,
    may_return: bool = False,
    width: int | None = None,
    advance: Callable[[], None] | None = None,
) -> list[PathOutcome]:
    """Answer every question with the end nodes of the best plan (``direct``): no LLM call of its own.

    An untrusted plan is an abstention, which counts as wrong, unless ``always_answer``. With
    ``counterfactual`` the gold edges are taken out of the graph first. ``width`` explores: a stepwise
    planner keeps so many partial paths after each step.
    """
    outcomes = []
    narrow = {} if width is None else {"width": width}
    for question in questions:
        there = graph.without(gold_edges(graph, question)) if counterfactual else graph
        start = there.node(question.topic)
        began = time.perf_counter()
        answers: list[str] = []
        path: RelationPath | None = None
        considered = visited = 0
        if start is not None:
            trie = PathTrie(there, [start], budget=Budget(), may_return=may_return)
            asked = PlanFor(question.text, masked(question.text, question.topic))
            planning = await planner.plan(asked, trie, max_hops=max_hops, k=3, **narrow)
            considered, visited = planning.considered, len(trie.visited)
            if planning.plans and (planning.trusted or always_answer):
                path = planning.plans[0].path
                answers = [there.names[int(node)] for node in trie.ranked_ends(path)]
        elapsed = (time.perf_counter() - began) * 1000
        values = score_answers(answers, question.answers)
        if question.path is not None:
            values["path_exact"] = float(path is not None and there.path_names(path) == question.path)
        outcomes.append(PathOutcome(values, elapsed, bool(answers), considered, visited))
        if advance is not None:
            advance()
    return outcomes


def answers_may_be_topics(questions: Sequence[PathQuestion]) -> bool:
    """Say whether walks may come back to their start: one question in fifty is answered by its own topic.

    MetaQA leaves the start out of answers (but for films of equal title), PathQuestion does not.
    """
    return sum(question.topic in question.answers for question in questions) * 50 >= len(questions)


def follow_gold(
    graph: PathGraph, questions: Sequence[PathQuestion], *, may_return: bool = False
) -> list[PathOutcome] | None:
    """Return what following the gold paths gives, the ceiling of any planner; None without gold paths."""
    if any(question.path is None for question in questions):
        return None
    outcomes = []
    for question in questions:
        start, path = graph.node(question.topic), graph.path(question.path or ())
        answers = []
        if start is not None and path:
            ends = PathTrie(graph, [start], may_return=may_return).ranked_ends(path)
            answers = [graph.names[int(node)] for node in ends]
        values = score_answers(answers, question.answers)
        outcomes.append(PathOutcome({**values, "path_exact": 1.0}, 0.0, bool(answers), 1))
    return outcomes


def summary(outcomes: Sequence[PathOutcome]) -> dict[str, Any]:
    """Return means over questions, the 95 % interval of ``hit``, latency, and the share answered."""
    if not outcomes:
        return {"n": 0}
    found: dict[str, Any] = {"n": len(outcomes)}
    for name in METRICS:
        values = [one.values[name] for one in outcomes if name in one.values]
        if values:
            found[name] = round(float(np.mean(values)), 6)
    interval = bootstrap_interval([one.values["hit"] for one in outcomes])
    times = [one.milliseconds for one in outcomes]
    found["hit_interval"] = [round(interval.low, 4), round(interval.high, 4)]
    found["answered"] = round(float(np.mean([one.answered for one in outcomes])), 6)
    found["p50_ms"] = round(float(np.median(times)), 3)
    found["p95_ms"] = round(float(np.quantile(times, 0.95)), 3)
    found["paths_considered"] = float(np.median([one.paths_considered for one in outcomes]))
    found["nodes_visited"] = float(np.mean([one.visited for one in outcomes]))
    return found


def against(ours: Sequence[PathOutcome], theirs: Sequence[PathOutcome]) -> dict[str, float]:
    """Return the paired difference in ``hit``: mean, 95 % interval and p-value."""
    found = paired_bootstrap([one.values["hit"] for one in ours], [one.values["hit"] for one in theirs])
    return {"difference": found.mean, "low": found.low, "high": found.high, "p": found.p}


def examples_of(
    graph: PathGraph,
    questions: Sequence[PathQuestion],
    *,
    max_hops: int = MAX_HOPS,
    labels: str = "gold",
    may_return: bool = False,
) -> list[PlanExample]:
    """Turn questions into training examples; those without a usable path are left out.

    ``labels`` says where targets come from: ``gold`` paths of the file, all ``shortest`` paths between
    topic and answers, or the shortest that ``agree`` with the answers as a set.
    """
    made = []
    for question in questions:
        start = graph.node(question.topic)
        if start is None:
            continue
        paths = tuple(
            graph.path_names(path) for path in PathTrie(graph, [start], may_return=may_return).paths(max_hops)
        )
        if labels == "gold" and question.path is not None:
            targets = [question.path]
        else:
            answers = [node for one in question.answers if (node := graph.node(one)) is not None]
            found = shortest_paths(graph, [start], answers, max_hops) if answers else []
            if labels != "shortest":
                found = agreeing(graph, [start], answers, found)
            targets = [graph.path_names(path) for path in found]
        known = tuple(target for target in targets if target in set(paths))
        if known:
            made.append(PlanExample(masked(question.text, question.topic), paths, known))
    return made
