r"""How good are answers that are made of sentences of the sources, without a language model?

    python -m tests.benchmarks.extractive_answers --data ../shared/data --work FOLDER [--sets 2wiki,medical] \
        [--held-out]

makes one project below FOLDER for each set (unless it is there) and asks its questions. Sets:

* ``2wiki``: 120 questions of 2WikiMultihopQA's train split among their 841 passages (rules extract);
* ``musique``: 60 questions of MuSiQue's train split among their 1,074 passages (rules extract);
* ``medical``: 40 questions of GraphRAG-Bench (medicine) that ask for a summary, one of every seven, among
  its 199 chunks (recorded extraction).

Questions with an answer that a sentence can hold (not yes or no) are asked by ``basic`` and ``local``: does the
answer hold the expected string, and are its gold passages cited? Questions for a summary are asked by ``global``,
``local`` and ``basic``: the part of the words of each gold statement that the answer's best sentence holds,
and the share of statements to which a sentence of the answer has a cosine of at least 0.7 (MiniLM).

The constants of the query engine were set on these; ``--held-out`` asks the next as many questions.

``refusals``: 20 questions of each set are put to the project of another set, which cannot answer them; 40 of
its own follow. Printed is how often "do not seem to answer" came.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrag import GraphRAG
from graphrag.embed.base import Embedder
from graphrag.extract.citations import remove_citations
from graphrag.query.relevance import content_terms

SETS = {
    "2wiki": ("2wiki_train", 120),
    "musique": ("musique_train", 60),
    "medical": ("graphragbench_medical", 40),
}
_NEAR = 0.7
Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Read packed JSON Lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def questions_of(data: Path, name: str, held_out: bool = False) -> list[Row]:
    """Return the questions of a set that are asked: the first, or (``held_out``) as many others."""
    folder, count = SETS[name]
    rows = read_rows(data / folder / "questions.jsonl.gz")
    if name == "medical":
        summaries = [row for row in rows if row["question_type"] == "Contextual Summarize"]
        return summaries[3 if held_out else 0 :: 7][:count]
    return rows[count : 2 * count] if held_out else rows[:count]


def project_of(
    data: Path, work: Path, name: str, embedder: Embedder | None = None, held_out: bool = False
) -> GraphRAG:
    """Open the project of a set; make and index it if it is not there."""
    root = work / (f"{name}_held_out" if held_out and name != "medical" else name)
    made = (root / "settings.yaml").exists()
    rag = GraphRAG.init(root, embedder=embedder)
    if made:
        return rag
    folder = data / SETS[name][0]
    if name == "medical":
        rag.index(extraction=folder)
    else:
        wanted = {one for row in questions_of(data, name, held_out) for one in row["context_passage_ids"]}
        passages = [row for row in read_rows(folder / "corpus.jsonl.gz") if row["id"] in wanted]
        (root / "input").mkdir(exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in passages)
        (root / "input" / "corpus.jsonl").write_text(lines, encoding="utf-8")
        rag.index(method="fast")
    return rag


@dataclass
class Measured:
    """Figures of one method on one set, question by question."""

    answered: list[float]
    first: list[float]
    second: list[float]
    sentences: list[int]
    seconds: list[float]

    def row(self, *names: str) -> Row:
        found = {"questions": len(self.answered), "answered": statistics.mean(self.answered)}
        found |= {names[0]: statistics.mean(self.first), names[1]: statistics.mean(self.second)}
        found |= {"sentences": statistics.mean(self.sentences), "s/question": statistics.mean(self.seconds)}
        return {key: round(value, 3) for key, value in found.items()}


def measure_facts(rag: GraphRAG, questions: list[Row], method: str) -> Row:
    """Does the answer hold the expected string, and which part of the gold passages does it cite?"""
    found = Measured([], [], [], [], [])
    for row in questions:
        expected = [answer.casefold() for answer in row["answers"]]
        if {"yes", "no"} & set(expected):
            continue
        begun = time.perf_counter()
        result = rag.query(row["question"], method=method, mode="extractive")
        found.seconds.append(time.perf_counter() - begun)
        text = remove_citations(result.answer).casefold()
        cited = {citation.record_id for citation in result.citations}
        gold = set(row["gold_passage_ids"])
        found.answered.append(result.answered)
        found.first.append(any(answer in text for answer in expected))
        found.second.append(len(gold & cited) / len(gold))
        found.sentences.append(len(result.citations))
    return found.row("answer in it", "gold passages cited")


def measure_summaries(rag: GraphRAG, questions: list[Row], method: str, embedder: Embedder) -> Row:
    """How much of the gold statements do the sentences of the answer hold?"""
    found = Measured([], [], [], [], [])
    for row in questions:
        begun = time.perf_counter()
        result = rag.query(row["question"], method=method, mode="extractive")
        found.seconds.append(time.perf_counter() - begun)
        statements = [one.strip() for one in row["evidence"].split(";") if one.strip()]
        told = [" ".join(citation.text.split()) for citation in result.citations] or [result.answer]
        words = [content_terms(one) for one in told]
        recall = [
            max(len(content_terms(one) & held) for held in words) / len(content_terms(one))
            for one in statements
        ]
        near = (embedder.embed(statements) @ embedder.embed(told).T).max(axis=1) >= _NEAR
        found.answered.append(result.answered)
        found.first.append(statistics.mean(recall))
        found.second.append(float(near.mean()))
        found.sentences.append(len(result.citations))
    return found.row("words", f"cosine >= {_NEAR}")


def measure_refusals(data: Path, rags: dict[str, GraphRAG]) -> list[Row]:
    """Put questions of one set to the project of another, and its own."""
    rows = []
    names = list(rags)
    for place, name in enumerate(names):
        other = names[(place + 1) % len(names)]
        for kind, asked in (
            ("unrelated", questions_of(data, other)[:20]),
            ("own", questions_of(data, name)[:40]),
        ):
            for method in ("local", "global"):
                if method == "global" and kind == "own" and name != "medical":
                    continue
                results = [
                    rags[name].query(row["question"], method=method, mode="extractive") for row in asked
                ]
                refused = sum(not result.answered for result in results)
                rows.append(
                    {
                        "set": name,
                        "kind": kind,
                        "method": method,
                        "questions": len(results),
                        "refused": refused,
                    }
                )
    return rows


def show(title: str, rows: list[Row]) -> None:
    """Print rows as a Markdown table."""
    names = list(rows[0])
    print(f"\n{title}\n\n| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for row in rows:
        print(f"| {' | '.join(str(row[name]) for name in names)} |")


def measure(
    data: Path, work: Path, sets: list[str], embedder: Embedder, refusals: bool, held_out: bool = False
) -> None:
    """Measure the sets and print tables."""
    rags = {name: project_of(data, work, name, embedder, held_out) for name in sets}
    for name, rag in rags.items():
        questions = questions_of(data, name, held_out)
        if name == "medical":
            rows = [
                {"method": m, **measure_summaries(rag, questions, m, embedder)}
                for m in ("basic", "local", "global")
            ]
        else:
            rows = [{"method": m, **measure_facts(rag, questions, m)} for m in ("basic", "local")]
        show(name, rows)
    if refusals and len(rags) > 1:
        show("refusals", measure_refusals(data, rags))


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with 2wiki_train, musique_train, …")
    parser.add_argument("--work", type=Path, required=True, help="where the projects are made")
    parser.add_argument("--sets", default="2wiki,musique,medical")
    parser.add_argument("--no-refusals", action="store_true")
    parser.add_argument("--held-out", action="store_true", help="ask other questions than those tuned on")
    arguments = parser.parse_args()
    from graphrag.embed import make_embedder
    from graphrag.settings import EmbeddingSettings

    measure(
        arguments.data,
        arguments.work,
        arguments.sets.split(","),
        make_embedder(EmbeddingSettings()),
        not arguments.no_refusals,
        arguments.held_out,
    )


if __name__ == "__main__":
    main()
