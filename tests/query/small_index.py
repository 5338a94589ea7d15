"""A small real index: four documents, twelve text units, two themes that share one entity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Embedder
from graphrag.extract.reports import Finding, full_content
from graphrag.hashing import content_hash
from graphrag.schema import WORKING_TABLES
from graphrag.store.index import Index
from graphrag.store.layout import Layout
from graphrag.store.publish import publish
from graphrag.store.store import Store
from graphrag.text.sentences import sentence_spans

DOCUMENTS: dict[str, list[str]] = {
    "harbour.md": [
        "The harbour of Ostrel was built in 1871 by the engineer Marta Velden. It has room for forty ships.",
        "A lighthouse stands on the eastern pier of the harbour. Its keeper, Jonas Brack, lit the lamp for "
        "thirty years.",
        "In the storm of 1893 the lamp went out and two ships sank. Jonas Brack was accused of sleeping, "
        "but the court cleared him.",
    ],
    "ships.md": [
        "The steamer Halcyon sailed from Ostrel to the southern islands weekly. She carried mail and salt.",
        "Captain Ines Moor commanded the Halcyon until 1899. She had learned the coast from Jonas Brack.",
        "The Halcyon was sold in 1901 and broken up. Her bell hangs in the town hall.",
    ],
    "bakery.txt": [
        "The bakery of Pieter Lund opened in 1902 beside the market square. Rye bread sold best.",
        "Pieter Lund baked with sourdough that his grandmother had brought from the mountains. The starter "
        "is still alive today.",
        "In winter the bakery gave bread to the poor. Marta Velden paid for the flour in secret.",
    ],
    "recipes.txt": [
        "Honey cake needs rye flour, honey and a little ginger. It rests for three weeks before it is baked.",
        "Sourdough must be fed with flour and water every day. A cold cellar keeps the starter calm.",
        "Rye bread from a sourdough keeps for ten days. Sailors took it on long journeys.",
    ],
}
ENTITIES: dict[str, tuple[str, str]] = {
    "Ostrel": ("place", "A town with a harbour and a lighthouse."),
    "Marta Velden": ("person", "The engineer who built the harbour of Ostrel."),
    "Jonas Brack": ("person", "The keeper of the lighthouse."),
    "Halcyon": ("product", "A steamer that carried mail and salt."),
    "Ines Moor": ("person", "The captain of the steamer Halcyon."),
    "Pieter Lund": ("person", "A baker who worked with sourdough."),
    "Honey cake": ("product", "A cake of rye flour, honey and ginger."),
    "Sourdough": ("concept", "A living starter of flour and water."),
    "Rye bread": ("product", "A bread that keeps for ten days."),
}
ALIASES = {"Halcyon": ["the steamer", "S.S. Halcyon"]}
RELATIONS: list[tuple[str, str, str, float, str]] = [
    ("Marta Velden", "built", "Ostrel", 8.0, "built in 1871 by the engineer"),
    ("Halcyon", "sailed from", "Ostrel", 5.0, "sailed from Ostrel"),
    ("Ines Moor", "commanded", "Halcyon", 9.0, "commanded the Halcyon"),
    ("Jonas Brack", "taught", "Ines Moor", 4.0, "learned the coast from"),
    ("Pieter Lund", "baked with", "Sourdough", 7.0, "baked with sourdough"),
    ("Marta Velden", "paid for the flour of", "Pieter Lund", 3.0, "paid for the flour"),
    ("Rye bread", "is made from", "Sourdough", 6.0, "from a sourdough keeps"),
]
CLAIMS: list[tuple[str, str | None, str, str, str]] = [  # subject, object, description, status, quote
    (
        "Jonas Brack",
        None,
        "slept on duty",
        "FALSE",
        "Jonas Brack was accused of sleeping, but the court cleared him.",
    ),
    (
        "Ines Moor",
        "Jonas Brack",
        "owed him what she knew of the coast",
        "TRUE",
        "She had learned the coast from Jonas Brack.",
    ),
]
COMMUNITIES: list[tuple[int, int, int, list[int], list[str]]] = [
    (0, 0, -1, [2, 3], ["Ostrel", "Marta Velden", "Jonas Brack", "Halcyon", "Ines Moor"]),
    (1, 0, -1, [], ["Pieter Lund", "Honey cake", "Sourdough", "Rye bread"]),
    (2, 1, 0, [], ["Halcyon", "Ines Moor", "Jonas Brack"]),
    (3, 1, 0, [], ["Ostrel", "Marta Velden"]),
]
REPORTS: dict[int, tuple[str, float, list[tuple[str, int]]]] = {
    0: ("Ostrel and Halcyon", 7.0, [("harbour.md", 0), ("ships.md", 0)]),
    1: ("Pieter Lund and Sourdough", 5.0, [("bakery.txt", 0), ("recipes.txt", 1)]),
    2: ("Halcyon and Ines Moor", 6.0, [("ships.md", 1), ("ships.md", 2)]),
    3: ("Ostrel and Marta Velden", 4.0, [("harbour.md", 0)]),
}

VECTOR_KINDS = ("text_units", "entities", "community_reports")


def build_index(root: Path, embedder: Embedder | None, *, reports: bool = True) -> Index:
    """Write the working tables below ``root``, publish them, and open the result."""
    rows = _rows(reports)
    with Store(Layout(root).store) as store:
        for table in WORKING_TABLES:
            found = [{k: v for k, v in row.items() if k in table.names} for row in rows.get(table.name, [])]
            if found:
                store.append(table.name, table.of(found))

        publish(
            store,
            Layout(root),
            settings={},
            embedding_model=None if embedder is None else embedder.model_id,
            vectors=None if embedder is None else _Texts(embedder),
            vector_kinds=VECTOR_KINDS,
            report_text=_report_text,
        )
    return Index.open(root)


class _Texts:
    """Vectors of texts: a text is the id of its vector."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def ids(self, kind: str, rows: pa.Table) -> list[str | None]:
        return [*_searched_texts(kind, rows)]

    def fetch(self, ids: Sequence[str]) -> np.ndarray:
        return self.embedder.embed(ids)


def _searched_texts(kind: str, table: pa.Table) -> list[str]:
    if kind == "text_units":
        return list(table["text"].to_pylist())
    other = table["description" if kind == "entities" else "summary"].to_pylist()
    return [f"{title}: {text}" for title, text in zip(table["title"].to_pylist(), other, strict=True)]


def _report_text(report: dict[str, Any], numbers: dict[str, tuple[str, int]]) -> str:
    findings = [
        Finding(one["summary"], one["explanation"], tuple(one["citations"])) for one in report["findings"]
    ]
    return full_content(report["title"], report["summary"], findings, numbers)


def _rows(reports: bool) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in WORKING_TABLES}
    units: dict[tuple[str, int], dict[str, Any]] = {}
    for uri, parts in DOCUMENTS.items():
        text = "\n\n".join(parts)
        document_id = content_hash(uri, text)
        rows["documents"].append(
            {
                "id": document_id,
                "uri": uri,
                "title": uri.split(".")[0],
                "media_type": "text/plain",
                "text": text,
            }
            | {"metadata": "{}", "record_id": "r7" if uri == "bakery.txt" else None}
        )
        for ordinal, part in enumerate(parts):
            start = text.index(part)
            unit = {"id": content_hash(document_id, start), "document_id": document_id, "ordinal": ordinal}
            unit |= {"start_char": start, "end_char": start + len(part), "n_tokens": 30, "text": part}
            units[uri, ordinal] = unit
            rows["text_units"].append(unit)
    _add_graph(rows, list(units.values()))
    for number, level, parent, children, members in COMMUNITIES:
        ids = sorted(_entity_id(name) for name in members)
        community_id = content_hash(level, ids)
        rows["communities"].append(
            {"id": community_id, "community": number, "level": level, "parent": parent, "children": children}
            | {"title": f"Community {number}", "entity_ids": ids, "size": len(ids)}
        )
        if reports:
            rows["community_reports"].append(_report(number, community_id, units))
    return rows


def _report(number: int, community_id: str, units: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    title, rank, cited = REPORTS[number]
    findings = []
    for key in cited:
        text = units[key]["text"]
        first = text[slice(*sentence_spans(text)[0])]
        findings.append({"summary": f"About {title}", "explanation": first, "citations": [units[key]["id"]]})
    summary = " ".join(finding["explanation"] for finding in findings)
    report = {"id": content_hash("report", number), "community_id": community_id, "title": title}
    report |= {"summary": summary, "findings": findings, "rank": rank, "rating_explanation": ""}
    return report | {"removed_citations": 0, "method": "extractive"}


def _add_graph(rows: dict[str, list[dict[str, Any]]], units: list[dict[str, Any]]) -> None:
    degree = {name: sum(name in (r[0], r[2]) for r in RELATIONS) for name in ENTITIES}
    for name, (type_, description) in ENTITIES.items():
        in_units = [unit for unit in units if name.lower() in unit["text"].lower()]
        rows["entities"].append(
            {"id": _entity_id(name), "title": name, "type": type_, "description": description}
            | {"aliases": ALIASES.get(name, []), "frequency": len(in_units), "degree": degree[name]}
        )
        rows["descriptions"].append({"owner_id": _entity_id(name), "fingerprint": "f", "text": description})
        for unit in in_units:
            at = unit["start_char"] + unit["text"].lower().index(name.lower())
            mention = {"id": content_hash("m", unit["id"], name), "text_unit_id": unit["id"], "name": name}
            mention |= {"type": type_, "description": description, "confidence": 1.0}
            rows["entity_mentions"].append(mention | {"start_char": at, "end_char": at + len(name)})
            rows["mention_entities"].append({"mention_id": mention["id"], "entity_id": _entity_id(name)})
    for head, predicate, tail, weight, words in RELATIONS:
        unit = next(one for one in units if words in one["text"])
        start, end = next(
            span for span in sentence_spans(unit["text"]) if span[0] <= unit["text"].index(words) < span[1]
        )
        ids = {
            "source_id": _entity_id(head),
            "predicate_id": content_hash(predicate),
            "target_id": _entity_id(tail),
        }
        own = content_hash(*ids.values())
        description = f"{head} {predicate} {tail}."
        rows["predicates"].append({"id": ids["predicate_id"], "label": predicate, "frequency": 1})
        rows["relationships"].append(
            {"id": own, **ids, "weight": weight, "frequency": 1, "description": description}
        )
        rows["descriptions"].append({"owner_id": own, "fingerprint": "f", "text": description})
        mention = {
            "id": content_hash("r", own),
            "text_unit_id": unit["id"],
            "predicate": predicate,
            "strength": weight,
        }
        mention |= {"start_char": unit["start_char"] + start, "end_char": unit["start_char"] + end}
        rows["relation_mentions"].append(mention | {"description": description, "head_id": "", "tail_id": ""})
        rows["relation_relationships"].append({"mention_id": mention["id"], "relationship_id": own})
    for subject, object_, description, status, quote in CLAIMS:
        unit = next(one for one in units if quote in one["text"])
        at = unit["start_char"] + unit["text"].index(quote)
        claim = {
            "id": content_hash("c", description),
            "text_unit_id": unit["id"],
            "status": status,
            "type": "accusation",
            "object_id": None if object_ is None else content_hash("m", unit["id"], object_),
        }
        claim |= {
            "subject_id": content_hash("m", unit["id"], subject),
            "description": description,
            "source_text": quote,
        }
        rows["claim_mentions"].append(claim | {"start_char": at, "end_char": at + len(quote)})


def _entity_id(name: str) -> str:
    return content_hash(name, ENTITIES[name][0])
