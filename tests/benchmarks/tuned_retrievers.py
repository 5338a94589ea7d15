"""Recall of embedders on whole corpora, each tuned one against the untuned, paired by question.

    python -m tests.benchmarks.tuned_retrievers --sets ../shared/data/2wiki --models MODEL_FOLDER [MODEL_FOLDER …]

BM25 is printed beside them. Vectors are kept in ``--cache``, so a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np

from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder, embedded_folder
from graphrag.evaluate.ranking import all_gold_at, recall_at
from graphrag.evaluate.significance import mcnemar, paired_bootstrap
from graphrag.hashing import content_hash
from graphrag.tune.negatives import PassageVectors, bm25_rankings, dense_rankings
from graphrag.tune.passages import TrainingSet, from_files
from graphrag.tune.reranker import rerank

DEPTH = 20


def vectors_of(embedder: SentenceTransformerEmbedder, data: TrainingSet, cache: Path) -> PassageVectors:
    """Embed the passages, or read their vectors from ``cache``."""
    file = cache / f"{content_hash(embedder.model_id, sorted(data.passages)).removeprefix('b2:')}.npy"
    if not file.exists():
        made = PassageVectors(embedder, dict(data.passages))
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, made.rows)
        return made
    found = object.__new__(PassageVectors)
    found.embedder, found.ids, found.rows = embedder, sorted(data.passages), np.load(file)
    return found


def measured(name: str, data: TrainingSet, rankings: list[list[str]]) -> dict[str, object]:
    """Return the measures of one system question by question."""
    pairs = list(zip(data.questions, rankings, strict=True))
    row: dict[str, object] = {
        f"recall@{k}": [recall_at(ranking, one.gold, k) for one, ranking in pairs] for k in (2, 5, 10)
    }
    return {"name": name, "all_gold@5": [all_gold_at(ranking, one.gold, 5) for one, ranking in pairs], **row}


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--sets", nargs="+", type=Path, required=True)
    arguments.add_argument("--models", nargs="*", default=[])
    arguments.add_argument("--rerankers", nargs="*", default=[], help="reorder the untuned model's best 20")
    arguments.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tuned_retrievers")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    told = []
    for folder in options.sets:
        data = from_files([folder / "questions.jsonl.gz"], [folder / "corpus.jsonl.gz"])
        systems = [measured("bm25", data, bm25_rankings(data.questions, data, DEPTH))]
        for source in [str(embedded_folder()), *options.models]:
            embedder = SentenceTransformerEmbedder(source)
            ranked = dense_rankings(data.questions, vectors_of(embedder, data, options.cache), DEPTH)
            systems.append(measured(embedder.model_id, data, ranked))
            if source == str(embedded_folder()):
                for reranker in options.rerankers:
                    ordered = rerank(reranker, data.questions, ranked, data, 160)
                    systems.append(measured(f"rerank by {Path(reranker).name}", data, ordered))
        base = systems[1]
        for row in systems:
            change = paired_bootstrap(row["recall@5"], base["recall@5"])  # type: ignore[arg-type]
            line = {
                "set": folder.name,
                "n": len(data.questions),
                "passages": len(data.passages),
                "system": row["name"],
                **{k: round(statistics.fmean(row[k]), 4) for k in ("recall@2", "recall@5", "recall@10")},  # type: ignore[arg-type]
                "all_gold@5": round(statistics.fmean(map(float, row["all_gold@5"])), 4),  # type: ignore[call-overload]
                "recall@5_against_untuned": [round(one, 4) for one in (change.mean, change.low, change.high)],
                "p": float(f"{change.p:.3g}"),
                "p_all_gold@5": float(f"{mcnemar(row['all_gold@5'], base['all_gold@5']):.3g}"),  # type: ignore[arg-type]
            }
            told.append(line)
            print(json.dumps(line), flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
