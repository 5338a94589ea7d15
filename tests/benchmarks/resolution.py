"""Measure which names entity resolution merges, and how much a predicate vocabulary shrinks.

    python -m tests.benchmarks.resolution --data ../shared/data [--half report] [--json OUT]

FB15k-237: every label and alias of 14,515 Wikidata entities is one mention; two names that share
an entity are a gold merge. Entities are split in two by the hash of their id: thresholds were
chosen on the half ``tune``, ``report`` is what is published. A pair that resolution joins is right
when the two names share an entity.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import time
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from graphrag.embed.base import Embedder
from graphrag.extract.nlp_entities import noun_type
from graphrag.extract.resolution import METHODS, Resolution, resolve_entities
from graphrag.settings import ResolutionSettings


def read_aliases(path: Path, half: str, typed: bool) -> tuple[pa.Table, dict[str, set[str]]]:
    """Return mentions (one per name) and the entities of each name."""
    gold: dict[str, set[str]] = defaultdict(set)
    types: dict[str, str] = {}
    for entity, row in json.loads(gzip.open(path).read()).items():
        side = "tune" if hashlib.sha256(entity.encode()).digest()[0] % 2 else "report"
        if side != half:
            continue
        for name in [row["label"], *row["alternatives"]]:
            gold[name].add(entity)
            types.setdefault(name, type_of_description(row["description"] or "") if typed else "concept")
    names = sorted(gold)
    table = pa.table(
        {
            "id": [f"m{i}" for i in range(len(names))],
            "name": names,
            "type": [types[name] for name in names],
            "text_unit_id": [f"u{i}" for i in range(len(names))],
        }
    )
    return table, dict(gold)


def type_of_description(description: str) -> str:
    """Guess a type from the first noun with a type in "American actor and singer"; ``concept`` if none."""
    for word in re.findall(r"[a-z]+", description.lower()):
        if type_ := noun_type(word):
            return type_
    return "concept"


def gold_pairs(gold: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Return the pairs of names that share an entity."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in sorted(gold):
        for entity in gold[name]:
            names[entity].append(name)
    return {pair for group in names.values() for pair in combinations(group, 2)}


def score(resolution: Resolution, mentions: pa.Table, gold: dict[str, set[str]]) -> dict[str, Any]:
    """Return pairwise precision, recall, F1 of the clusters, and precision of each method's merges."""
    name_of = dict(zip(mentions.column("id").to_pylist(), mentions.column("name").to_pylist(), strict=True))
    clusters: dict[str, list[str]] = defaultdict(list)
    for row in resolution.mention_entities.to_pylist():
        clusters[row["entity_id"]].append(name_of[row["mention_id"]])
    wanted = gold_pairs(gold)
    joined = {tuple(sorted(pair)) for group in clusters.values() for pair in combinations(group, 2)}
    right = len(joined & wanted)
    by_method: dict[str, list[int]] = {method: [0, 0] for method in METHODS}
    for row in resolution.merges.to_pylist():
        by_method[row["method"]][0] += 1
        by_method[row["method"]][1] += bool(gold[row["from_title"]] & gold[row["to_title"]])
    precision = right / len(joined) if joined else 1.0
    recall = right / len(wanted)
    return {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall) if right else 0.0,
        "joined pairs": len(joined),
        "merges": {m: {"rows": n, "precision": ok / n} for m, (n, ok) in by_method.items() if n},
    }


def embedder_or_none() -> Embedder | None:
    """Return the embedded MiniLM, or None where the package is not installed."""
    from graphrag.embed import make_embedder
    from graphrag.errors import GraphRAGError
    from graphrag.settings import EmbeddingSettings

    try:
        return make_embedder(EmbeddingSettings())
    except GraphRAGError:
        return None


def measure_aliases(path: Path, half: str, embedder: Embedder | None) -> dict[str, Any]:
    """Run the ladder of methods over FB15k-237 names, without and with types."""
    settings = ResolutionSettings()
    results: dict[str, Any] = {}
    for typed in (False, True):
        mentions, gold = read_aliases(path, half, typed)
        suffix = ", typed" if typed else ""
        ladder: list[tuple[str, tuple[str, ...], ResolutionSettings, Embedder | None]] = [
            ("baseline: equal strings", (), ResolutionSettings(enabled=False), None),
            ("exact (normal form)", (), settings, None),
        ]
        for end in range(3, METHODS.index("fuzzy") + 2):
            ladder.append((f"… + {METHODS[end - 1]}", METHODS[2:end], settings, None))
        if embedder is not None:
            ladder.append(("… + embedding", METHODS, settings, embedder))
        for name, methods, used, vectors in ladder:
            started = time.perf_counter()
            resolution = resolve_entities(mentions, embedder=vectors, settings=used, methods=methods)
            seconds = time.perf_counter() - started
            figures = score(resolution, mentions, gold)
            if name.startswith("baseline"):
                figures = {**figures, "precision": 1.0, "recall": 0.0, "F1": 0.0, "joined pairs": 0, "merges": {}}
            results[name + suffix] = {**figures, "names": mentions.num_rows, "seconds": round(seconds, 2)}
    return results


def measure_dulce(folder: Path) -> list[dict[str, Any]]:
    """Return every merge among the recorded entities of Operation Dulce (39 titles, read by hand)."""
    import pyarrow.parquet as pq

    entities = pq.read_table(folder / "entities.parquet").to_pylist()
    rows = [
        {"id": f"{i}-{unit}", "name": row["title"], "type": row["type"].lower(), "text_unit_id": unit}
        for i, row in enumerate(entities)
        for unit in row["text_unit_ids"]
    ]
    document = pa.array(["dulce"] * len(rows))
    mentions = pa.Table.from_pylist(rows).append_column("document_id", document)
    found = resolve_entities(mentions, embedder=None, settings=ResolutionSettings())
    return [{k: row[k] for k in ("from_title", "to_title", "method", "score")} for row in found.merges.to_pylist()]


def measure_restaurants(folder: Path) -> dict[str, float]:
    """Score name pairs of Fodors-Zagats (all three parts): one label per pair, each pair resolved on its own."""
    right = joined = wanted = 0
    settings = ResolutionSettings()
    for part in ("train", "valid", "test"):
        for line in gzip.open(folder / f"{part}.txt.gz", "rt", encoding="utf-8"):
            left, other, label = line.rstrip("\n").split("\t")
            names = [re.search(r"COL name VAL (.*?) COL addr", side) for side in (left, other)]
            if not all(names):
                continue
            cleaned = [match.group(1).strip(" '`").replace("\\ ", "").replace(" '", "'") for match in names if match]
            mentions = pa.table(
                {"id": ["a", "b"], "name": cleaned, "type": ["organization"] * 2, "text_unit_id": ["u", "v"]}
            )
            same = resolve_entities(mentions, embedder=None, settings=settings).entities.num_rows == 1
            joined += same
            wanted += label == "1"
            right += same and label == "1"
    precision, recall = right / max(joined, 1), right / max(wanted, 1)
    return {"precision": precision, "recall": recall, "F1": 2 * precision * recall / (precision + recall), "gold": wanted}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--no-embedder", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    embedder = None if arguments.no_embedder else embedder_or_none()
    results: dict[str, Any] = {}
    path = arguments.data / "kg_completion" / "FB15k-237_entity2wikidata.json.gz"
    results["aliases"] = measure_aliases(path, arguments.half, embedder)
    print(f"FB15k-237 labels and aliases, half '{arguments.half}'")
    print(f"  {'':34s} {'P':>6s} {'R':>6s} {'F1':>6s} {'pairs':>7s} {'s':>6s}  precision of the merges by method")
    for name, row in results["aliases"].items():
        by = ", ".join(f"{m} {v['precision']:.3f} ({v['rows']})" for m, v in row["merges"].items())
        print(
            f"  {name:34s} {row['precision']:6.3f} {row['recall']:6.3f} {row['F1']:6.3f} "
            f"{row['joined pairs']:7d} {row['seconds']:6.2f}  {by}"
        )
    results["dulce"] = measure_dulce(arguments.data / "msgraphrag_dulce")
    print(f"Operation Dulce, 39 recorded entities: {len(results['dulce'])} merges")
    for row in results["dulce"]:
        print(f"  {row['from_title']} → {row['to_title']} ({row['method']}, {row['score']})")
    folder = arguments.data / "entity_resolution" / "er_magellan" / "Structured" / "Fodors-Zagats"
    results["restaurants"] = measure_restaurants(folder)
    print("Fodors-Zagats, names only: " + ", ".join(f"{k} {v:.3f}" for k, v in results["restaurants"].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
