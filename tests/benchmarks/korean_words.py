"""BM25 on Korean, by how words are cut. Needs kiwipiepy for `--analyser` only.

python -m tests.benchmarks.korean_words ../shared/data/korean/korquad_retrieval [--limit 1500 --analyser]
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from graphrag.evaluate.ranking import recall_at, reciprocal_rank
from graphrag.evaluate.significance import mcnemar
from graphrag.store import lexical
from graphrag.tune.negatives import bm25_rankings
from graphrag.tune.passages import from_files

Cut = Callable[[str], list[str]]
_WORD = re.compile(r"\w+")
_DEPTH = 10


def words(text: str) -> list[str]:
    """Cut at white space and punctuation, particles left on."""
    return _WORD.findall(text.lower())


def triples(text: str) -> list[str]:
    """Return every three letters in a row of every word."""
    return [word[at : at + 3] for word in words(text) for at in range(len(word) - 2)]


def analyser() -> Cut:
    """Return the morphemes that carry meaning: nouns, verbs, modifiers, foreign words, numbers."""
    from kiwipiepy import Kiwi  # type: ignore[import-not-found,unused-ignore]

    kiwi = Kiwi()
    kept = ("N", "V", "M", "SL", "SN", "SH", "XR")
    return lambda text: [token.form.lower() for token in kiwi.tokenize(text) if token.tag.startswith(kept)]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--limit", type=int)
    arguments.add_argument("--analyser", action="store_true")
    options = arguments.parse_args()
    data = from_files(
        [options.folder / "questions.jsonl.gz"], [options.folder / "corpus.jsonl.gz"], split="all"
    )
    questions = data.questions[: options.limit]
    pairs = lexical.terms
    ways: dict[str, Cut] = {
        "pairs of letters (the default)": pairs,
        "words as they stand": words,
        "pairs, and the whole word": lambda text: [*pairs(text), *words(text)],
        "pairs and triples": lambda text: [*pairs(text), *triples(text)],
    }
    if options.analyser:
        ways["kiwipiepy"] = analyser()
    default: list[bool] = []
    for name, cut in ways.items():
        with patch.object(lexical, "terms", cut):
            rankings = bm25_rankings(questions, data, _DEPTH)
        found = list(zip(rankings, [question.gold for question in questions], strict=True))
        recalls = [
            statistics.fmean(recall_at(ranking, gold, k) for ranking, gold in found)
            for k in (1, 2, 5, _DEPTH)
        ]
        recalls.append(statistics.fmean(reciprocal_rank(ranking, gold) for ranking, gold in found))
        first = [recall_at(ranking, gold, 1) == 1 for ranking, gold in found]
        default = default or first
        row = " ".join(f"{value:.3f}" for value in recalls)
        print(f"{len(found)} {name:32s} {row}  p(R@1) {mcnemar(first, default):.2g}", flush=True)


if __name__ == "__main__":
    main()
