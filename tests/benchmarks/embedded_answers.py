"""Does the embedded model write answers and reports that can be trusted, or is choosing sentences better?

    python -m tests.benchmarks.embedded_answers --root demo [--methods local,basic] [--limit N] [--json OUT]

needs an index of the samples (``make demo``). For every sample question the same context is
answered twice: by sentences chosen by the embedder, and by SmolLM2-135M. Printed are

* facts: share of the expected facts that the answer holds;
* unsupported: share of the answer's names and numbers that its context does not hold (what was
  invented; verbatim sentences cannot have any);
* cited: share of answers with at least one citation that resolves;
* failed: answers that never came into a usable form;
* seconds per question.

The baseline is the first passage that BM25 finds.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphrag import GraphRAG
from graphrag.errors import LLMError
from graphrag.extract.citations import remove_citations
from graphrag.resources import find_resource

# What a 135M model can hold together, and an end to its repetitions.
_SMALL = {"max_tokens": 200, "max_context_tokens": 2000, "map_tokens": 2000, "max_map_calls": 2}
_NAME_OR_NUMBER = re.compile(r"(?<![.!?:\n]\s)(?<!^)\b(?:[A-Z][\w’'-]+|\d[\d.,]*)")


@dataclass
class Tally:
    """Sums over questions."""

    questions: int = 0
    facts: int = 0
    expected: int = 0
    stated: int = 0
    unsupported: int = 0
    cited: int = 0
    failed: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add(self, answer: str, expected: list[str], context: str, cited: bool, seconds: float) -> None:
        text = remove_citations(answer)
        self.questions += 1
        self.expected += len(expected)
        self.facts += sum(fact.casefold() in text.casefold() for fact in expected)
        stated = _NAME_OR_NUMBER.findall(text)
        strange = [one for one in stated if one.rstrip(".,") not in context]
        self.stated += len(stated)
        self.unsupported += len(strange)
        self.examples += strange[:2]
        self.cited += cited
        self.seconds += seconds

    def row(self) -> dict[str, Any]:
        return {
            "questions": self.questions,
            "facts": round(self.facts / max(1, self.expected), 3),
            "unsupported": round(self.unsupported / max(1, self.stated), 3),
            "cited": round(self.cited / max(1, self.questions), 3),
            "failed": self.failed,
            "seconds": round(self.seconds / max(1, self.questions), 2),
            "examples": self.examples[:12],
        }


def measure(
    root: Path, limit: int | None, modes: tuple[str, ...], methods: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Ask the sample questions in every mode."""
    rag = GraphRAG.open(root)
    index = rag.open_index()
    corpus = "\n".join(index.table("documents")["text"].to_pylist())
    lines = find_resource("data", "sample_questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    questions = [row for row in rows if row["method"] in methods][:limit]
    methods = sorted({row["method"] for row in questions})
    splits = [f"{mode}, {method}" for mode in modes for method in methods]
    tallies = {name: Tally() for name in (*modes, *splits, "first BM25 passage")}
    for row in questions:
        for mode in modes:
            begun = time.perf_counter()
            limits = _SMALL if mode == "llm" else {}
            try:
                result = rag.query(row["question"], method=row["method"], mode=mode, **limits)
                answer, cited = result.answer, bool(result.citations)
            except LLMError:  # the answer never came into a usable form
                answer, cited = "", False
                tallies[mode].failed += 1
            seconds = time.perf_counter() - begun
            for name in (mode, f"{mode}, {row['method']}"):
                tallies[name].add(answer, row["expected_facts"], corpus, cited, seconds)
        begun = time.perf_counter()
        found = index.lexical().search(row["question"], 1)
        passage = index.rows("text_units", [found[0][0]])[0]["text"] if found else ""
        tallies["first BM25 passage"].add(
            passage, row["expected_facts"], corpus, bool(found), time.perf_counter() - begun
        )
    return {mode: tally.row() for mode, tally in tallies.items()}


def main() -> None:
    """Parse the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--modes", default="extractive,llm")
    parser.add_argument("--methods", default="global,local,basic")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    modes, methods = tuple(arguments.modes.split(",")), tuple(arguments.methods.split(","))
    found = measure(arguments.root, arguments.limit, modes, methods)
    print("| answers by | questions | facts | unsupported | cited | failed | s/question |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for mode, row in found.items():
        columns = ("questions", "facts", "unsupported", "cited", "failed", "seconds")
        print(f"| {mode} | {' | '.join(str(row[column]) for column in columns)} |")
        print(f"<!-- {mode} unsupported: {', '.join(row['examples'])} -->")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
