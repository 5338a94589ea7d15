"""Measure the rule-based extractor: names and pairs on Re-DocRED and CoNLL04 dev, seconds on 2wiki.

    python -m tests.benchmarks.nlp_rules --data ../shared/data [--json OUT]

A predicted name is right when it is a name of a gold entity of the text (case, punctuation and a
leading article aside); a gold entity is found when one of its names is predicted. Dates and
quantities are no entities here. A gold pair is found when any relation joins its two entities, in
either direction.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from graphrag.extract.facts import Extraction
from graphrag.extract.nlp import NlpExtractor
from graphrag.extract.nlp_claims import iso_dates
from graphrag.extract.nlp_relations import TENTATIVE
from graphrag.settings import ExtractionSettings

_DOCRED_TYPES = {"PER": "person", "ORG": "organization", "LOC": "place", "MISC": None}
_CONLL_TYPES = {"Peop": "person", "Org": "organization", "Loc": "place", "Other": None}


def detokenize(tokens: list[str]) -> str:
    """Join tokens as a writer would."""
    text = " ".join(tokens)
    text = re.sub(r" ([,.;:!?%)\]])", r"\1", text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    return re.sub(r" (['’]s?\b)", r"\1", text)


def comparable(name: str) -> str:
    """Return the form in which names are compared."""
    return re.sub(r"[^\w]", "", re.sub(r"^(the|an?) ", "", name.lower()))


def read_docred(path: Path) -> list[dict[str, Any]]:
    """Return texts with gold clusters ``(names, type)`` and pairs of them (``near``: same sentence)."""
    rows = []
    for doc in json.loads(gzip.decompress(path.read_bytes())):
        clusters, sentences, kept = [], [], {}
        for number, mentions in enumerate(doc["vertexSet"]):
            if mentions[0]["type"] in ("TIME", "NUM"):
                continue
            kept[number] = len(clusters)
            clusters.append(({comparable(m["name"]) for m in mentions}, _DOCRED_TYPES[mentions[0]["type"]]))
            sentences.append({m["sent_id"] for m in mentions})
        pairs = {
            (kept[label["h"]], kept[label["t"]])
            for label in doc["labels"]
            if label["h"] in kept and label["t"] in kept
        }
        near = {(h, t) for h, t in pairs if sentences[h] & sentences[t]}
        text = " ".join(detokenize(tokens) for tokens in doc["sents"])
        rows.append({"text": text, "clusters": clusters, "pairs": pairs, "near": near})
    return rows


def read_conll(path: Path) -> list[dict[str, Any]]:
    """Return texts of CoNLL04 in the form of :func:`read_docred`."""
    rows = []
    for item in json.loads(gzip.decompress(path.read_bytes())):
        clusters: list[tuple[set[str], str | None]] = []
        of: dict[int, int] = {}
        for number, entity in enumerate(item["entities"]):
            words = item["tokens"][entity["start"] : entity["end"]]
            if entity["type"] == "Other" and (
                iso_dates(" ".join(words)) or any(word[0].isdigit() for word in words)
            ):
                continue
            name = comparable(" ".join(item["tokens"][entity["start"] : entity["end"]]))
            of[number] = len(clusters)
            clusters.append(({name}, _CONLL_TYPES[entity["type"]]))
        pairs = {
            (of[relation["head"]], of[relation["tail"]])
            for relation in item["relations"]
            if {relation["head"], relation["tail"]} <= of.keys()
        }
        rows.append({"text": detokenize(item["tokens"]), "clusters": clusters, "pairs": pairs, "near": pairs})
    return rows


def score(rows: list[dict[str, Any]], found: list[Extraction]) -> dict[str, float]:
    """Compare extractions with gold rows."""
    count: Counter[str] = Counter()
    for row, extraction in zip(rows, found, strict=True):
        predicted = {comparable(e.name): e.type for e in extraction.entities if e.confidence > 0.5}
        where = {name: i for i, (names, _) in enumerate(row["clusters"]) for name in names}
        count["predicted"] += len(predicted)
        count["right"] += sum(name in where for name in predicted)
        count["gold"] += len(row["clusters"])
        count["found"] += len({where[name] for name in predicted if name in where})
        for name, type_ in predicted.items():
            gold = row["clusters"][where[name]][1] if name in where else None
            if gold:
                count["typed"] += 1
                count["type_right"] += gold == type_
        joined, firm, directed = set(), set(), set()
        for relation in extraction.relations:
            head, tail = where.get(comparable(relation.head)), where.get(comparable(relation.tail))
            if head is None or tail is None:
                continue
            joined |= {(head, tail), (tail, head)}
            if relation.predicate != TENTATIVE:
                firm |= {(head, tail), (tail, head)}
                directed.add((head, tail))
        count["pairs"] += len(row["pairs"])
        count["near"] += len(row["near"])
        count["pairs_found"] += len(row["pairs"] & joined)
        count["near_found"] += len(row["near"] & joined)
        count["near_firm"] += len(row["near"] & firm)
        count["firm_gold"] += sum(pair in row["pairs"] or pair[::-1] in row["pairs"] for pair in directed)
        count["firm"] += len(directed)
    precision, recall = count["right"] / count["predicted"], count["found"] / count["gold"]
    return {
        "entity precision": precision,
        "entity recall": recall,
        "entity F1": 2 * precision * recall / (precision + recall),
        "type accuracy": count["type_right"] / count["typed"],
        "pair recall": count["pairs_found"] / count["pairs"],
        "pair recall, same sentence": count["near_found"] / count["near"],
        "pair recall, same sentence, with a phrase": count["near_firm"] / count["near"],
        "share of phrase pairs that are gold": count["firm_gold"] / count["firm"],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    extractor = NlpExtractor(ExtractionSettings())
    results: dict[str, dict[str, float]] = {}
    for name, rows in (
        ("Re-DocRED dev", read_docred(arguments.data / "redocred" / "dev.json.gz")),
        ("CoNLL04 dev", read_conll(arguments.data / "sentence_re" / "pfn_conll04" / "dev.json.gz")),
    ):
        results[name] = score(rows, extractor.extract([row["text"] for row in rows]))
    with gzip.open(arguments.data / "2wiki" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    started = time.process_time()
    found = extractor.extract(texts)
    results["2wiki"] = {
        "texts": len(texts),
        "CPU seconds": round(time.process_time() - started, 2),
        "entities": sum(len(x.entities) for x in found),
        "relations": sum(len(x.relations) for x in found),
        "relations with a phrase": sum(r.predicate != TENTATIVE for x in found for r in x.relations),
        "claims": sum(len(x.claims) for x in found),
    }
    for name, figures in results.items():
        print(f"\n{name} ({extractor.extractor_id})")
        for key, value in figures.items():
            print(f"  {key:45s} {value:.3f}" if isinstance(value, float) else f"  {key:45s} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
