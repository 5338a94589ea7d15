"""Which method ``--method auto`` gives the questions of a file: ``python -m tests.benchmarks.routes FILE …``.

Every question is taken to name an entity of the graph, so what is measured is the form alone.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path

from graphrag.evaluate.questions import read_questions
from graphrag.query.route import route


def main(files: list[str]) -> None:
    """Print for each file and kind of question how many go to each method."""
    for file in map(Path, files):
        methods: dict[str, Counter[str]] = defaultdict(Counter)
        for question in read_questions(file):
            row = question.row
            kind = str(row.get("type") or row.get("hops") or row.get("question_type") or "all")
            methods[kind][route(question.text, 1).method] += 1
        for kind, counts in sorted(methods.items()):
            shares = "  ".join(f"{name} {n / counts.total():.1%}" for name, n in sorted(counts.items()))
            sys.stdout.write(f"{file.parent.name:<24} {kind:<24} n={counts.total():<5} {shares}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
