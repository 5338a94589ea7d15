"""Recall of Re2G's candidates: the union of the best 12 by BM25 and by vectors, against 24 by either alone.

Where both find the same the union is smaller than 24; "filled" is what `rerank` judges.

python -m tests.benchmarks.union_recall --sets ../shared/data/2wiki ../shared/data/musique_openie
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder, embedded_folder
from graphrag.evaluate.ranking import recall_at
from graphrag.evaluate.significance import paired_bootstrap
from graphrag.retrieve.hybrid import reciprocal_rank_fusion
from graphrag.tune.negatives import bm25_rankings, dense_rankings
from graphrag.tune.passages import from_files
from tests.benchmarks.tuned_retrievers import vectors_of

EACH = 12


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--sets", nargs="+", type=Path, required=True)
    arguments.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tuned_retrievers")
    options = arguments.parse_args()
    embedder = SentenceTransformerEmbedder(str(embedded_folder()))
    for folder in options.sets:
        data = from_files([folder / "questions.jsonl.gz"], [folder / "corpus.jsonl.gz"])
        words = bm25_rankings(data.questions, data, 2 * EACH)
        near = dense_rankings(data.questions, vectors_of(embedder, data, options.cache), 2 * EACH)
        scored = [
            [[(one, 0.0) for one in ranking] for ranking in pair] for pair in zip(words, near, strict=True)
        ]
        systems = {
            "bm25@24": words,
            "dense@24": near,
            "rrf@24": [[one for one, _ in reciprocal_rank_fusion(pair)][: 2 * EACH] for pair in scored],
            "union(12, 12)": [[*a[:EACH], *b[:EACH]] for a, b in zip(words, near, strict=True)],
        }
        systems["union, filled to 24"] = [
            list(dict.fromkeys([*union, *fused]))[: 2 * EACH]
            for union, fused in zip(
                systems["union(12, 12)"],
                [[one for one, _ in reciprocal_rank_fusion(pair)] for pair in scored],
                strict=True,
            )
        ]
        recalls = {
            name: [
                recall_at(one, question.gold, 2 * EACH)
                for question, one in zip(data.questions, ranking, strict=True)
            ]
            for name, ranking in systems.items()
        }
        for name, values in recalls.items():
            change = paired_bootstrap(recalls["union, filled to 24"], values)
            row = {
                "set": folder.name, "n": len(values), "candidates": name, "recall": round(statistics.fmean(values), 4),
                "filled_minus_this": [round(one, 4) for one in (change.mean, change.low, change.high)],
                "p": float(f"{change.p:.3g}"),
            }  # fmt: skip
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
