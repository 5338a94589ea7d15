"""Read what a community's report is made from: its rows, and the sentences that speak of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from graphrag.extract.extractive_reports import ContextSentence
from graphrag.extract.report_context import (
    ChildReport,
    CommunityRows,
    ContextClaim,
    ContextEntity,
    ContextRelationship,
)
from graphrag.store.store import Store
from graphrag.text.sentences import sentence_spans

_ENTITIES = """
SELECT e.id, e.title, e.type, coalesce(d.text, '') AS description, coalesce(g.degree, 0) AS degree,
       e.frequency
FROM entities e LEFT JOIN descriptions d ON d.owner_id = e.id LEFT JOIN entity_degrees g ON g.entity_id = e.id
"""
_RELATIONSHIPS = """
SELECT r.id, r.source_id, r.target_id, p.label AS predicate, coalesce(d.text, '') AS description, r.weight
FROM relationships r JOIN predicates p ON p.id = r.predicate_id LEFT JOIN descriptions d ON d.owner_id = r.id
"""
_CLAIMS = """
SELECT c.id, s.id AS subject_id, s.title AS subject, o.title AS object, c.type, c.status, c.description,
       CASE WHEN c.start_char IS NULL THEN '' ELSE c.source_text END AS source_text,  -- only what is a quote
       c.start_date, c.end_date
FROM claim_mentions c
JOIN mention_entities sm ON sm.mention_id = c.subject_id JOIN entities s ON s.id = sm.entity_id
LEFT JOIN mention_entities om ON om.mention_id = c.object_id LEFT JOIN entities o ON o.id = om.entity_id
"""
# Every place where an entity is known to be spoken of: its own mention, or a relation's sentence.
_PLACES = """
SELECT DISTINCT x.entity_id, m.text_unit_id, m.start_char
FROM mention_entities x JOIN entity_mentions m ON m.id = x.mention_id WHERE m.start_char IS NOT NULL
UNION
SELECT x.entity_id, r.text_unit_id, r.start_char
FROM relation_mentions r JOIN mention_entities x ON x.mention_id IN (r.head_id, r.tail_id)
WHERE r.start_char IS NOT NULL
"""


class CommunityReader:
    """Holds the graph's rows and hands out those of a set of members."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entities = {row["id"]: ContextEntity(**row) for row in store.sql(_ENTITIES).to_pylist()}
        self._relationships: dict[str, list[ContextRelationship]] = defaultdict(list)
        for row in store.sql(_RELATIONSHIPS).to_pylist():
            relationship = ContextRelationship(**row)
            self._relationships[relationship.source_id].append(relationship)
        self._claims: dict[str, list[ContextClaim]] = defaultdict(list)
        for row in store.sql(_CLAIMS).to_pylist():
            self._claims[row["subject_id"]].append(ContextClaim(**row))
        self._sentences: dict[str, list[ContextSentence]] | None = None

    def rows(self, entity_ids: Sequence[str], children: Sequence[ChildReport] = ()) -> CommunityRows:
        """Return the members, the relationships among them, and the claims about them."""
        members = set(entity_ids)
        return CommunityRows(
            entities=[self._entities[entity_id] for entity_id in entity_ids],
            relationships=[
                edge
                for entity_id in entity_ids
                for edge in self._relationships.get(entity_id, ())
                if edge.target_id in members
            ],
            claims=[claim for entity_id in entity_ids for claim in self._claims.get(entity_id, ())],
            children=children,
        )

    def sentences(self, entity_ids: Sequence[str]) -> list[ContextSentence]:
        """Return the sentences that speak of the members, in document order."""
        if self._sentences is None:
            self._sentences = self._read_sentences()
        found = {
            (sentence.text_unit_id, sentence.start_char): sentence
            for entity_id in entity_ids
            for sentence in self._sentences.get(entity_id, ())
        }
        return [found[key] for key in sorted(found)]

    def _read_sentences(self) -> dict[str, list[ContextSentence]]:
        units = {
            row["id"]: row
            for row in self._store.sql("SELECT id, text, start_char FROM text_units").to_pylist()
        }
        places: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in self._store.sql(_PLACES).to_pylist():
            places[row["text_unit_id"]].append((row["start_char"], row["entity_id"]))
        by_entity: dict[str, list[ContextSentence]] = defaultdict(list)
        for unit_id in sorted(places):
            unit = units[unit_id]
            base = unit["start_char"]
            spoken = sorted(places[unit_id])
            at = 0
            for start, end in sentence_spans(unit["text"]):
                members = []
                while at < len(spoken) and spoken[at][0] < base + end:
                    if spoken[at][0] >= base + start:
                        members.append(spoken[at][1])
                    at += 1
                if not members:
                    continue
                mentioned = tuple(sorted(set(members)))
                sentence = ContextSentence(
                    unit["text"][start:end], unit_id, base + start, base + end, mentioned
                )
                for entity_id in mentioned:
                    by_entity[entity_id].append(sentence)
        return by_entity
