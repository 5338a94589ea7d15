"""JSON-LD 1.1: the whole index as linked data in schema.org's terms.

A relationship appears twice: as a plain triple (entity, predicate, entity), which graph tools follow, and
as an ``rdf:Statement`` with its description, weight and sources. Every id is a ``urn:graphrag:`` name;
the context is in the file, so that reading it needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from graphrag.export.atomic import replacing
from graphrag.export.tables import (
    Options,
    TableSource,
    community_levels,
    finite,
    linked_relationships,
    rows,
)

CONTEXT: dict[str, Any] = {
    "@vocab": "https://schema.org/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "graphrag": "urn:graphrag:term:",
    "subject": {"@id": "rdf:subject", "@type": "@id"},
    "predicate": {"@id": "rdf:predicate", "@type": "@id"},
    "object": {"@id": "rdf:object", "@type": "@id"},
    "label": "rdfs:label",
    "isPartOf": {"@type": "@id"},
    "hasPart": {"@type": "@id"},
    "about": {"@type": "@id"},
    "mentions": {"@type": "@id"},
    "appearance": {"@type": "@id"},
    "isBasedOn": {"@type": "@id"},
    "weight": "graphrag:weight",
    "status": "graphrag:status",
    "level": "graphrag:level",
    "rank": "graphrag:rank",
    "startChar": "graphrag:startChar",
    "endChar": "graphrag:endChar",
    "claimObject": {"@id": "graphrag:claimObject", "@type": "@id"},
}


def write(index: TableSource, out: Path, options: Options) -> list[Path]:
    """Write one JSON-LD document to ``out``."""
    document = {"@context": CONTEXT, "@graph": [_clean(node) for node in _nodes(index, options.level)]}
    with replacing(out) as path:
        text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return [out]


def iri(kind: str, row_id: str | None) -> str | None:
    """Return the name of row ``row_id`` of ``kind`` (entity, relationship, claim, text-unit …)."""
    return None if row_id is None else f"urn:graphrag:{kind}:{quote(row_id, safe=':')}"


def _nodes(index: TableSource, level: int | None) -> Iterator[dict[str, Any]]:
    for row in rows(index, "documents"):
        yield {
            "@id": iri("document", row["id"]),
            "@type": "DigitalDocument",
            "name": row["title"],
            "identifier": row["uri"],
            "encodingFormat": row["media_type"],
            "dateCreated": row["creation_date"],
        }
    for row in rows(index, "text_units"):
        yield {
            "@id": iri("text-unit", row["id"]),
            "@type": "CreativeWork",
            "isPartOf": iri("document", row["document_id"]),
            "position": row["ordinal"],
            "startChar": row["start_char"],
            "endChar": row["end_char"],
            "text": row["text"],
            "mentions": _iris("entity", row["entity_ids"]),
        }
    yield from _graph(index)
    yield from _claims(index)
    yield from _communities(index, level)


def _graph(index: TableSource) -> Iterator[dict[str, Any]]:
    for row in rows(index, "predicates"):
        yield {
            "@id": iri("predicate", row["id"]),
            "@type": "rdf:Property",
            "label": row["label"],
            "description": row["description"],
            "alternateName": row["aliases"],
        }
    entities = rows(index, "entities")
    relationships = linked_relationships(index, {row["id"] for row in entities})
    triples: dict[str, dict[str, list[dict[str, str | None]]]] = {}
    for row in relationships:
        targets = triples.setdefault(row["source_id"], {}).setdefault(_predicate(row["predicate_id"]), [])
        targets.append({"@id": iri("entity", row["target_id"])})
    for row in entities:
        yield {
            "@id": iri("entity", row["id"]),
            "@type": "Thing",
            "name": row["title"],
            "alternateName": row["aliases"],
            "additionalType": row["type"],
            "description": row["description"],
            **triples.get(row["id"], {}),
        }
    for row in relationships:
        yield {
            "@id": iri("relationship", row["id"]),
            "@type": "rdf:Statement",
            "subject": iri("entity", row["source_id"]),
            "predicate": _predicate(row["predicate_id"]),
            "object": iri("entity", row["target_id"]),
            "name": row["predicate"],
            "description": row["description"],
            "weight": finite(row["weight"]),
            "isBasedOn": _iris("text-unit", row["text_unit_ids"]),
        }


def _claims(index: TableSource) -> Iterator[dict[str, Any]]:
    for row in rows(index, "covariates"):
        yield {
            "@id": iri("claim", row["id"]),
            "@type": "Claim",
            "additionalType": row["type"],
            "text": row["description"],
            "status": row["status"],
            "about": iri("entity", row["subject_entity_id"]),
            "claimObject": iri("entity", row["object_entity_id"]),
            "startDate": row["start_date"],
            "endDate": row["end_date"],
            "citation": row["source_text"],
            "appearance": iri("text-unit", row["text_unit_id"]),
        }


def _communities(index: TableSource, level: int | None) -> Iterator[dict[str, Any]]:
    communities = [row for items in community_levels(index, level).values() for row in items]
    by_number = {row["community"]: row["id"] for row in communities}
    reports = {row["community"]: row for row in rows(index, "community_reports")}
    for row in communities:
        report = reports.get(row["community"], {})
        yield {
            "@id": iri("community", row["id"]),
            "@type": "Collection",
            "name": report.get("title") or row["title"],
            "abstract": report.get("summary"),
            "text": report.get("full_content"),
            "level": row["level"],
            "rank": finite(report.get("rank")),
            "collectionSize": row["size"],
            "isPartOf": iri("community", by_number.get(row["parent"])),
            "hasPart": _iris("entity", row["entity_ids"]),
        }


def _predicate(predicate_id: str | None) -> str:
    return iri("predicate", predicate_id) or "urn:graphrag:term:relatedTo"


def _iris(kind: str, row_ids: list[str] | None) -> list[str | None]:
    return [iri(kind, row_id) for row_id in row_ids or ()]


def _clean(node: dict[str, Any]) -> dict[str, Any]:
    """Drop what is missing, so that no property stands without a value."""
    return {key: value for key, value in node.items() if value not in (None, [], "")}
