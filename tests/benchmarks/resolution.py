"""Measure which names entity resolution merges, and how much a predicate vocabulary shrinks.

    python -m tests.benchmarks.resolution --data ../shared/data [--half report] [--json OUT]

FB15k-237: every label and alias of 14,515 Wikidata entities is one mention. Entities are split in
two by the hash of their id: thresholds were chosen on the half ``tune``, ``report`` is what is
published. A merge is right when its two names share an entity; an alias is found when it ends in
the entity of its label. The baseline joins equal strings only, which finds no alias.
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
from graphrag.extract.nlp_types import noun_type
from graphrag.extract.resolution import METHODS, Resolution, resolve_entities
from graphrag.settings import ResolutionSettings


def read_aliases(path: Path, half: str, typed: bool) -> tuple[pa.Table, dict[str, set[str]]]:
    """Return mentions (one per name) and the entities of each name."""
    gold: dict[str, set[str]] = defaultdict(set)
    types: dict[str, str] = {}
    for entity, row in json.loads(gzip.decompress(path.read_bytes())).items():
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


def label_pairs(path: Path, gold: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return (label, alias) of every alias of an entity of this half that is another string."""
    pairs = set()
    for entity, row in json.loads(gzip.decompress(path.read_bytes())).items():
        if entity in gold.get(row["label"], ()):
            pairs |= {(row["label"], alias) for alias in row["alternatives"] if alias != row["label"]}
    return sorted(pairs)


def score(
    resolution: Resolution, mentions: pa.Table, gold: dict[str, set[str]], wanted: list[tuple[str, str]]
) -> dict[str, Any]:
    """Return the precision of merge rows (all and by method), pairwise precision, and recall of aliases.

    A merge is right when its two names share an entity; an alias is found when it is with its label.
    """
    name_of = dict(zip(mentions.column("id").to_pylist(), mentions.column("name").to_pylist(), strict=True))
    clusters: dict[str, list[str]] = defaultdict(list)
    cluster_of: dict[str, str] = {}
    for row in resolution.mention_entities.to_pylist():
        name = name_of[row["mention_id"]]
        clusters[row["entity_id"]].append(name)
        cluster_of[name] = row["entity_id"]
    pairs = right_pairs = 0
    for group in clusters.values():
        for left, right in combinations(group, 2):
            pairs += 1
            right_pairs += bool(gold[left] & gold[right])
    by_method: dict[str, list[int]] = {method: [0, 0] for method in METHODS}
    for row in resolution.merges.to_pylist():
        by_method[row["method"]][0] += 1
        by_method[row["method"]][1] += bool(gold[row["from_title"]] & gold[row["to_title"]])
    rows, right = (sum(counts[i] for counts in by_method.values()) for i in (0, 1))
    precision = right / rows if rows else 1.0
    recall = sum(cluster_of[label] == cluster_of[alias] for label, alias in wanted) / len(wanted)
    return {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall) if recall else 0.0,
        "pairwise precision": right_pairs / pairs if pairs else 1.0,
        "rows": rows,
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
        wanted = label_pairs(path, gold)
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
            figures = score(resolution, mentions, gold, wanted)
            if name.startswith("baseline"):
                figures = {**figures, "precision": 1.0, "recall": 0.0, "F1": 0.0, "rows": 0, "merges": {}}
                figures["pairwise precision"] = 1.0
            results[name + suffix] = {**figures, "names": mentions.num_rows, "seconds": round(seconds, 2)}
    return results


def measure_docred(path: Path) -> dict[str, Any]:
    """Resolve the gold mentions of Re-DocRED dev; judge every merge whose two names share a document.

    Such a merge is right when some document has both names in one gold cluster. Recall counts pairs
    of different names of one cluster, case aside. Names that never meet cannot be judged.
    """
    types = {"PER": "person", "ORG": "organization", "LOC": "place", "MISC": "concept"}
    rows: dict[str, dict[str, str]] = {}
    clusters: dict[tuple[int, str], set[int]] = defaultdict(set)
    for number, doc in enumerate(json.loads(gzip.decompress(path.read_bytes()))):
        for cluster, mentions in enumerate(doc["vertexSet"]):
            for mention in mentions:
                if mention["type"] in types:
                    key = f"{number}|{mention['name']}|{mention['type']}"
                    rows[key] = {
                        "id": key,
                        "name": mention["name"],
                        "type": types[mention["type"]],
                        "text_unit_id": str(number),
                    }
                    clusters[number, mention["name"]].add(cluster)
    documents: dict[str, set[int]] = defaultdict(set)
    for number, name in clusters:
        documents[name].add(number)
    mentions_table = pa.Table.from_pylist(list(rows.values()))
    found = resolve_entities(mentions_table, embedder=None, settings=ResolutionSettings())
    entity_of = dict(
        zip(
            found.mention_entities["mention_id"].to_pylist(),
            found.mention_entities["entity_id"].to_pylist(),
            strict=True,
        )
    )
    by_method: dict[str, list[int]] = {method: [0, 0, 0] for method in METHODS}
    wrong: list[str] = []
    for row in found.merges.to_pylist():
        left, right = row["from_title"], row["to_title"]
        shared = documents[left] & documents[right]
        counts = by_method[row["method"]]
        counts[0] += 1
        if shared and left != right:
            counts[1] += 1
            ok = any(clusters[number, left] & clusters[number, right] for number in shared)
            counts[2] += ok
            if not ok:
                wrong.append(f"{left} → {right} ({row['method']})")
    members: dict[tuple[int, int], set[tuple[str, str]]] = defaultdict(set)
    for key, row in rows.items():
        number = int(row["text_unit_id"])
        for cluster in clusters[number, row["name"]]:
            members[number, cluster].add((row["name"], key))
    joined = wanted = 0
    for group in members.values():
        for (left, a), (right, b) in combinations(sorted(group), 2):
            if left.lower() != right.lower():
                wanted += 1
                joined += entity_of[a] == entity_of[b]
    judged, right_rows = (sum(counts[i] for counts in by_method.values()) for i in (1, 2))
    return {
        "names": len(documents),
        "merges": sum(c[0] for c in by_method.values()),
        "judged": judged,
        "precision": right_rows / max(judged, 1),
        "recall": joined / wanted,
        "gold pairs": wanted,
        "by method": {m: {"merges": a, "judged": b, "right": c} for m, (a, b, c) in by_method.items() if a},
        "wrong": wrong,
    }


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
    return [
        {k: row[k] for k in ("from_title", "to_title", "method", "score")} for row in found.merges.to_pylist()
    ]


def measure_restaurants(folder: Path) -> dict[str, float]:
    """Score the labelled name pairs of Fodors-Zagats, each resolved on its own."""
    right = joined = wanted = 0
    settings = ResolutionSettings()
    for part in ("train", "valid", "test"):
        for line in gzip.decompress((folder / f"{part}.txt.gz").read_bytes()).decode().splitlines():
            left, other, label = line.rstrip("\n").split("\t")
            names = [re.search(r"COL name VAL (.*?) COL addr", side) for side in (left, other)]
            if not all(names):
                continue
            cleaned = [
                match.group(1).strip(" '`").replace("\\ ", "").replace(" '", "'") for match in names if match
            ]
            mentions = pa.table(
                {"id": ["a", "b"], "name": cleaned, "type": ["organization"] * 2, "text_unit_id": ["u", "v"]}
            )
            same = resolve_entities(mentions, embedder=None, settings=settings).entities.num_rows == 1
            joined += same
            wanted += label == "1"
            right += same and label == "1"
    precision, recall = right / max(joined, 1), right / max(wanted, 1)
    return {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall),
        "gold": wanted,
    }


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
    print(f"  {'':34s} {'P':>6s} {'R':>6s} {'F1':>6s} {'pairs P':>7s} {'merges':>7s} {'s':>6s}  P by method")
    for name, row in results["aliases"].items():
        by = ", ".join(f"{m} {v['precision']:.3f} ({v['rows']})" for m, v in row["merges"].items())
        print(
            f"  {name:34s} {row['precision']:6.3f} {row['recall']:6.3f} {row['F1']:6.3f} "
            f"{row['pairwise precision']:7.3f} {row['rows']:7d} {row['seconds']:6.2f}  {by}"
        )
    results["docred"] = measure_docred(arguments.data / "redocred" / "dev.json.gz")
    print("Re-DocRED dev, gold mentions")
    for key, value in results["docred"].items():
        print(f"  {key}: {value:.3f}" if isinstance(value, float) else f"  {key}: {value}")
    results["dulce"] = measure_dulce(arguments.data / "msgraphrag_dulce")
    print(f"Operation Dulce, 39 recorded entities: {len(results['dulce'])} merges")
    for row in results["dulce"]:
        print(f"  {row['from_title']} → {row['to_title']} ({row['method']}, {row['score']})")
    folder = arguments.data / "entity_resolution" / "er_magellan" / "Structured" / "Fodors-Zagats"
    results["restaurants"] = measure_restaurants(folder)
    print(
        "Fodors-Zagats, names only: " + ", ".join(f"{k} {v:.3f}" for k, v in results["restaurants"].items())
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
