"""Turn the facts of one text unit into rows of the working tables."""

from __future__ import annotations

from typing import Any

from graphrag.extract.facts import Extraction
from graphrag.extract.grounding import UNTYPED, find
from graphrag.hashing import content_hash, hash_of_texts

Rows = dict[str, list[dict[str, Any]]]


def mention_rows(text_unit: dict[str, Any], found: Extraction) -> Rows:
    """Return rows of ``entity_mentions``, ``relation_mentions`` and ``claim_mentions``.

    ``text_unit`` is a row of that table. Offsets become those of the document. Every end of a
    relation or claim is a mention; one that the extractor did not list is added untyped.
    """
    unit_id: str = text_unit["id"]
    text: str = text_unit["text"]
    base: int = text_unit["start_char"]
    entities: dict[str, dict[str, Any]] = {}
    by_name: dict[str, str] = {}

    def add(name: str, type_: str, description: str, span: tuple[int, int] | None, confidence: float) -> str:
        mention_id = hash_of_texts("entity_mention", unit_id, name, type_)
        if mention_id not in entities:
            entities[mention_id] = {
                "id": mention_id,
                "text_unit_id": unit_id,
                "name": name,
                "type": type_,
                "description": description,
                "start_char": base + span[0] if span else None,
                "end_char": base + span[1] if span else None,
                "confidence": confidence,
            }
            by_name.setdefault(name, mention_id)
        return mention_id

    for entity in found.entities:
        span = (entity.start, entity.end) if entity.start is not None and entity.end is not None else None
        add(entity.name, entity.type, entity.description, span, entity.confidence)

    def mention_of(name: str) -> str:
        return by_name.get(name) or add(name, UNTYPED, "", find(text, name), 1.0)

    relations: dict[str, dict[str, Any]] = {}
    for relation in found.relations:
        head_id, tail_id = mention_of(relation.head), mention_of(relation.tail)
        relation_id = hash_of_texts("relation_mention", unit_id, head_id, relation.predicate, tail_id)
        relations.setdefault(
            relation_id,
            {
                "id": relation_id,
                "text_unit_id": unit_id,
                "head_id": head_id,
                "predicate": relation.predicate,
                "tail_id": tail_id,
                "description": relation.description,
                "strength": relation.strength,
                "start_char": None if relation.start is None else base + relation.start,
                "end_char": None if relation.end is None else base + relation.end,
            },
        )
    claims: dict[str, dict[str, Any]] = {}
    for claim in found.claims:
        quote = find(text, claim.source_text)
        claim_id = content_hash(
            "claim", unit_id, claim.subject, claim.object, claim.type, claim.description or claim.source_text
        )
        claims.setdefault(
            claim_id,
            {
                "id": claim_id,
                "text_unit_id": unit_id,
                "subject_id": mention_of(claim.subject),
                "object_id": mention_of(claim.object) if claim.object else None,
                "type": claim.type,
                "status": claim.status,
                "start_date": claim.start_date,
                "end_date": claim.end_date,
                "description": claim.description,
                "source_text": claim.source_text,
                "start_char": base + quote[0] if quote else None,
                "end_char": base + quote[1] if quote else None,
            },
        )
    return {
        "entity_mentions": list(entities.values()),
        "relation_mentions": list(relations.values()),
        "claim_mentions": list(claims.values()),
    }
