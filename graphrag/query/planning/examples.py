"""Examples for planners: a masked question, the relation paths it may mean, the ones it does mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from graphrag.graph.paths import PathGraph, PathTrie, RelationPath
from graphrag.query.planning.base import MASK, step_text

Names = tuple[str, ...]

_QUESTION_WORDS = re.compile(
    r"^(?:in\s+)?(?:what|which|who|whom|when|where|whose|how)\b\s*(?:(?:is|are|was|were|do|does|did)\b)?"
    r"\s*(?:the\b)?\s*",
    re.IGNORECASE,
)
_AS_PHRASE = 0.8  # of composed questions: the inner one without its question words
_TRIES = 50


@dataclass(frozen=True, slots=True)
class PlanExample:
    """One training example; paths are names of steps.

    ``paths`` are those that exist from the start entity, ``gold`` one or more of them.
    """

    question: str
    paths: tuple[Names, ...]
    gold: tuple[Names, ...]


def shortest_paths(
    graph: PathGraph, starts: Iterable[int], answers: Iterable[int], max_hops: int
) -> list[RelationPath]:
    """Return the relation sequences of all shortest walks from ``starts`` to any of ``answers``, sorted.

    The labels of RoG (Luo et al. 2023, arXiv 2310.01061): weak, for a shortest walk may reach an answer
    by a relation that was not asked for. :func:`agreeing` filters them.
    """
    trie = PathTrie(graph, starts)
    wanted = np.unique(np.fromiter(answers, dtype=np.int64))
    level: list[RelationPath] = [()]
    for _ in range(max_hops):
        level = [(*path, step) for path in level for step in sorted(trie.continuations(path))]
        found = [path for path in level if np.isin(wanted, trie.ends(path)).any()]
        if found:
            return sorted(found)
    return []


def agreeing(
    graph: PathGraph, starts: Iterable[int], answers: Iterable[int], paths: Sequence[RelationPath]
) -> list[RelationPath]:
    """Return the paths whose end nodes are nearest to the answers as a set (highest F1), sorted."""
    trie = PathTrie(graph, starts)
    wanted = set(answers)
    scored = []
    for path in paths:
        ends = set(trie.ends(path).tolist())
        both = len(ends & wanted)
        scored.append((2 * both / max(1, len(ends) + len(wanted)), path))
    best = max((score for score, _ in scored), default=0.0)
    return sorted(path for score, path in scored if score == best and score > 0)


def thinned(examples: Sequence[PlanExample], most: int) -> list[PlanExample]:
    """Keep at most ``most`` examples of one masked question and plan, the first ones."""
    seen: dict[tuple[str, tuple[Names, ...]], int] = {}
    kept = []
    for example in examples:
        key = (example.question, example.gold)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            kept.append(example)
    return kept


def composed(examples: Sequence[PlanExample], n: int, *, max_hops: int, seed: int) -> list[PlanExample]:
    """Make ``n`` examples (fewer when there are not as many) by asking one question of another's answer.

    "who wrote [MASK]" asked of "what films did [MASK] direct" is "who wrote films did [MASK] direct":
    no sentence, yet its words stand where they stand in questions of more hops. Only pairs of steps
    that follow each other in a real example are joined, if there are such, and only paths that exist
    from the inner question's start. Deterministic for a seed.
    """
    dice = np.random.default_rng(seed)
    inner = [one for one in examples if MASK in one.question]
    by_plan: dict[Names, list[PlanExample]] = {}
    for example in inner:
        for gold in example.gold:
            by_plan.setdefault(gold, []).append(example)
    plans = sorted(by_plan)
    seen_pairs = {pair for plan in plans for pair in pairwise(plan)}
    made: dict[tuple[str, Names], PlanExample] = {}
    for _ in range(_TRIES * n):
        if len(made) >= n or not inner:
            break
        first = inner[int(dice.integers(len(inner)))]
        begin = first.gold[int(dice.integers(len(first.gold)))]
        there = set(first.paths)
        fitting = [
            plan
            for plan in plans
            if len(begin) + len(plan) <= max_hops
            and (not seen_pairs or (begin[-1], plan[0]) in seen_pairs)
            and begin + plan in there
        ]
        if not fitting:
            continue
        end = fitting[int(dice.integers(len(fitting)))]
        second = by_plan[end][int(dice.integers(len(by_plan[end])))]
        asked = first.question.rstrip("? ")
        if dice.random() < _AS_PHRASE:
            asked = _QUESTION_WORDS.sub("", asked)
        question = second.question.replace(MASK, asked)
        made.setdefault((question, begin + end), replace(first, question=question, gold=(begin + end,)))
    return list(made.values())


def verbalised(
    graph: PathGraph,
    n: int,
    *,
    max_hops: int,
    seed: int,
    phrases: Mapping[str, Sequence[str]] | None = None,
) -> list[PlanExample]:
    """Make ``n`` examples from sampled paths of a graph that has no questions.

    A start node is drawn among those with edges, a grounded path from it by hops, and asked for in
    words: "what is the born in of the directed by of [MASK]?". ``phrases`` are further wordings of a
    step. Deterministic for a seed.
    """
    dice = np.random.default_rng(seed)
    nodes = np.flatnonzero(graph.degrees)
    made: list[PlanExample] = []
    for _ in range(_TRIES * n):
        if len(made) >= n or not len(nodes):
            break
        trie = PathTrie(graph, [int(nodes[int(dice.integers(len(nodes)))])])
        paths = list(trie.paths(max_hops, 400))
        hops = 1 + int(dice.integers(max_hops))
        long_enough = [path for path in paths if len(path) == hops]
        if not long_enough:
            continue
        names = graph.path_names(long_enough[int(dice.integers(len(long_enough)))])
        question = _in_words(names, dice, phrases or {})
        made.append(PlanExample(question, tuple(graph.path_names(one) for one in paths), (names,)))
    return made


def _in_words(names: Names, dice: np.random.Generator, phrases: Mapping[str, Sequence[str]]) -> str:
    asked = MASK
    for name in names:
        wordings = [step_text(name), *phrases.get(name, ())]
        words = wordings[int(dice.integers(len(wordings)))].removesuffix(" of")
        form = int(dice.integers(3))
        if form == 0:
            asked = f"the {words} of {asked}"
        elif form == 1:
            asked = f"{asked} 's {words}"
        else:
            asked = f"the one that {asked} {words}"
    return f"{('what is', 'who is', 'which is')[int(dice.integers(3))]} {asked}?"
