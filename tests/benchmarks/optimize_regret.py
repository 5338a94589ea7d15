"""What `graphrag optimize` gives up against trying everything, and what that costs: several sets, several halvings.

    python -m tests.benchmarks.optimize_regret --roots ROOT [ROOT …] --questions FILE [FILE …]

BM25, dense and hybrid with fusion weights, recall@5 (the nodes `retriever` and `fusion` of the shipped space, without
`rerank` and `graph`). The questions are halved by several hashes; every half is searched, the choice is measured on the
other one, beside the default and the best of all combinations on the searched half.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from graphrag.evaluate.questions import GoldQuestion, read_questions
from graphrag.hashing import content_hash
from graphrag.optimize.search import Search
from graphrag.optimize.space import Configuration, Node, read_space, reduced, start
from graphrag.optimize.trials import Trials
from graphrag.settings import load_settings

RETRIEVERS = ["hybrid", "bm25", "dense"]


def space() -> list[Node]:
    """Return the nodes that are decided."""
    nodes = {node.name: node for node in read_space()}
    return [
        replace(nodes["retriever"], values={"retrieval.retriever": RETRIEVERS}),
        nodes["fusion"],
    ]


def everything(nodes: list[Node], beginning: Configuration) -> list[Configuration]:
    """Return every combination once."""
    first, second = nodes
    found = [
        reduced(beginning.with_values({**one, **other}), nodes, beginning)
        for one in first.choices()
        for other in second.choices()
    ]
    return list(dict.fromkeys(found))


def halves(
    questions: list[GoldQuestion], halvings: int
) -> Iterator[tuple[list[GoldQuestion], list[GoldQuestion]]]:
    """Yield (searched, unseen) for each half of each halving."""
    for number in range(halvings):
        place = [int(content_hash("half", number, one.text)[-8:], 16) % 2 for one in questions]
        for side in (0, 1):
            yield (
                [one for one, half in zip(questions, place, strict=True) if half == side],
                [one for one, half in zip(questions, place, strict=True) if half != side],
            )


def measure(root: Path, file: Path, halvings: int, budget: int) -> dict[str, object]:
    """Search every half of one set; return means over them."""
    nodes = space()
    beginning = start(nodes, load_settings(root)[0])
    questions = [one for one in read_questions(file) if one.gold]
    shared = Trials(root, questions)
    rows = []
    chosen: dict[str, int] = {}
    for seen_questions, unseen_questions in halves(questions, halvings):
        seen, unseen = shared.asked(seen_questions), shared.asked(unseen_questions)
        search = Search(nodes, beginning, seen)
        greedy = search.greedy()
        spent_greedy = seen.evaluated
        best = search.global_(greedy, budget)
        spent = seen.evaluated
        all_of_them = everything(nodes, beginning)
        exhaustive = max(all_of_them, key=lambda one: seen.outcome(one, "retrieval").mean)
        met = {one: unseen.outcome(one, "retrieval").mean for one in {*all_of_them, beginning, greedy, best}}
        rows.append([
            met[beginning], met[greedy], met[best], met[exhaustive], max(met.values()),
            seen.outcome(exhaustive, "retrieval").mean - seen.outcome(best, "retrieval").mean,
            spent_greedy / len(all_of_them), spent / len(all_of_them),
        ])  # fmt: skip
        name = str(best.values()["retrieval.retriever"])
        chosen[name] = chosen.get(name, 0) + 1
    names = ("default", "greedy", "chosen", "best on the searched half", "best on the unseen half",
             "regret on the searched half", "share evaluated, greedy", "share evaluated, chosen")  # fmt: skip
    means = {name: round(statistics.fmean(row[at] for row in rows), 4) for at, name in enumerate(names)}
    return {
        "set": root.name,
        "questions": len(questions),
        "searches": len(rows),
        **means,
        "retriever chosen": chosen,
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--roots", nargs="+", type=Path, required=True)
    arguments.add_argument("--questions", nargs="+", type=Path, required=True)
    arguments.add_argument("--halvings", type=int, default=10)
    arguments.add_argument("--budget", type=int, default=3)
    options = arguments.parse_args()
    for root, file in zip(options.roots, options.questions, strict=True):
        print(json.dumps(measure(root, file, options.halvings, options.budget)), flush=True)


if __name__ == "__main__":
    main()
