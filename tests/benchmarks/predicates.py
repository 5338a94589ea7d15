"""Measure how far the predicates of MuSiQue's recorded OpenIE shrink, and print merges to read by hand.

python -m tests.benchmarks.predicates --data ../shared/data [--sample 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from pathlib import Path

import pyarrow as pa

from graphrag.extract.predicates import canonicalise_predicates
from graphrag.settings import ResolutionSettings
from tests.benchmarks.resolution import embedder_or_none


def read_relations(path: Path) -> pa.Table:
    """Return the well-formed triples as a relation table."""
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            for triple in json.loads(line)["triples"]:
                if len(triple) == 3 and all(isinstance(part, str) and part.strip() for part in triple):
                    rows.append(dict(zip(("head", "predicate", "tail"), triple, strict=True)))
    return pa.Table.from_pylist(rows)


def main() -> None:
    """Print the number of predicates left by threshold and a sample of merges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threshold", type=float, action="append")
    arguments = parser.parse_args()
    relations = read_relations(arguments.data / "musique_openie" / "openie_gpt35turbo1106.jsonl.gz")
    surfaces = len(set(relations.column("predicate").to_pylist()))
    plain = canonicalise_predicates(relations, embedder=None, settings=ResolutionSettings())
    print(f"{relations.num_rows} triples, {surfaces} phrases, {plain.predicates.num_rows} normal forms")
    embedder = embedder_or_none()
    if embedder is None:
        print("No embedded model is installed: similarity was not measured.")
        return
    for threshold in arguments.threshold or [ResolutionSettings().predicate_threshold]:
        started = time.perf_counter()
        found = canonicalise_predicates(
            relations, embedder=embedder, settings=ResolutionSettings(predicate_threshold=threshold)
        )
        labels = dict(
            zip(found.predicates["id"].to_pylist(), found.predicates["label"].to_pylist(), strict=True)
        )
        joined = [row for row in found.surfaces.to_pylist() if row["score"] < 1]
        inverse = sum(value is not None for value in found.predicates["inverse"].to_pylist())
        print(
            f"\nthreshold {threshold}: {len(labels)} predicates, {len(joined)} phrases joined by similarity, "
            f"{inverse} with an inverse, {time.perf_counter() - started:.1f} s"
        )
        picked = random.Random(arguments.seed).sample(joined, min(arguments.sample, len(joined)))
        for row in sorted(picked, key=lambda row: row["score"]):
            print(f"  {row['score']:.3f}  {row['surface']} → {labels[row['predicate_id']]}")


if __name__ == "__main__":
    main()
