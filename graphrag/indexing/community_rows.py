"""Read what a community's report is made from: its rows, and the sentences that speak of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

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
FROM entities e JOIN wanted w ON w.id = e.id
LEFT JOIN descriptions d ON d.owner_id = e.id LEFT JOIN entity_degrees g ON g.entity_id = e.id
"""
_RELATIONSHIPS = """
SELECT r.id, r.source_id, r.target_id, p.label AS predicate, coalesce(d.text, '') AS description, r.weight
FROM relationships r JOIN wanted w ON w.id = r.source_id
JOIN predicates p ON p.id = r.predicate_id LEFT JOIN descriptions d ON d.owner_id = r.id
"""
_CLAIMS = """
SELECT c.id, s.id AS subject_id, s.title AS subject, o.title AS object, c.type, c.status, c.description,
       CASE WHEN c.start_char IS NULL THEN '' ELSE c.source_text END AS source_text,  -- only what is a quote
       c.start_date, c.end_date
FROM claim_mentions c
JOIN mention_entities sm ON sm.mention_id = c.subject_id JOIN entities s ON s.id = sm.entity_id
JOIN wanted w ON w.id = s.id
LEFT JOIN mention_entities om ON om.mention_id = c.object_id LEFT JOIN entities o ON o.id = om.entity_id
"""
# Every place where an entity is known to be spoken of: its own mention, or a relation's sentence.
_SPOKEN = """
SELECT DISTINCT x.entity_id, p.text_unit_id, p.start_char
FROM (
    SELECT id AS mention_id, text_unit_id, start_char FROM entity_mentions
    UNION ALL SELECT head_id, text_unit_id, start_char FROM relation_mentions
    UNION ALL SELECT tail_id, text_unit_id, start_char FROM relation_mentions
) p JOIN mention_entities x ON x.mention_id = p.mention_id WHERE p.start_char IS NOT NULL
"""
# All places of every text unit that speaks of one of the wanted: a sentence names its other entities too.
_PLACES = f"""
WITH spoken AS ({_SPOKEN})
SELECT * FROM spoken WHERE text_unit_id IN (
    SELECT text_unit_id FROM spoken JOIN wanted w ON w.id = spoken.entity_id
)
"""
# All that a report on a community can be made from, as one number; the order of rows does not matter.
_DIGESTS = f"""
WITH spoken AS ({_SPOKEN}),
members AS (SELECT id AS community_id, unnest(entity_ids) AS entity_id FROM communities),
said AS (
    SELECT e.id AS entity_id, hash(e.id, e.title, e.type, e.frequency, g.degree, d.text) AS h
    FROM entities e LEFT JOIN descriptions d ON d.owner_id = e.id
    LEFT JOIN entity_degrees g ON g.entity_id = e.id
    UNION ALL
    SELECT sm.entity_id, hash(c.id, om.entity_id, c.status, c.source_text, c.start_date, c.end_date)
    FROM claim_mentions c JOIN mention_entities sm ON sm.mention_id = c.subject_id
    LEFT JOIN mention_entities om ON om.mention_id = c.object_id
    UNION ALL
    -- With the entity: both ends of a relation are spoken of at one place, and equal numbers cancel out.
    SELECT entity_id, hash(entity_id, text_unit_id, start_char) FROM spoken
),
by_entity AS (SELECT entity_id, bit_xor(h) AS h FROM said GROUP BY entity_id),
outgoing AS MATERIALIZED (
    SELECT m.community_id, r.target_id, hash(r.id, p.label, r.weight, d.text) AS h
    FROM relationships r JOIN members m ON m.entity_id = r.source_id
    JOIN predicates p ON p.id = r.predicate_id LEFT JOIN descriptions d ON d.owner_id = r.id
),
parts AS (
    SELECT m.community_id, b.h FROM members m JOIN by_entity b ON b.entity_id = m.entity_id
    UNION ALL
    SELECT o.community_id, o.h FROM outgoing o
    JOIN members m ON m.community_id = o.community_id AND m.entity_id = o.target_id
)
SELECT community_id, CAST(bit_xor(h) AS VARCHAR) AS digest FROM parts GROUP BY community_id
"""


def community_digests(store: Store) -> dict[str, str]:
    """Return for each community a digest of the rows that its report is made from; one query."""
    found = store.sql(_DIGESTS)
    return dict(zip(found["community_id"].to_pylist(), found["digest"].to_pylist(), strict=True))


class CommunityReader:
    """Holds the rows of the entities ``wanted`` and hands out those of a set of members."""

    def __init__(self, store: Store, wanted: Iterable[str]) -> None:
        self._store = store
        self._wanted = pa.table({"id": pa.array(sorted(set(wanted)), pa.string())})
        self._entities = {row["id"]: ContextEntity(**row) for row in self._read(_ENTITIES)}
        self._relationships: dict[str, list[ContextRelationship]] = defaultdict(list)
        for row in self._read(_RELATIONSHIPS):
            relationship = ContextRelationship(**row)
            self._relationships[relationship.source_id].append(relationship)
        self._claims: dict[str, list[ContextClaim]] = defaultdict(list)
        for row in self._read(_CLAIMS):
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

    def _read(self, query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._store.sql(query, wanted=self._wanted).to_pylist()
        return rows

    def _read_sentences(self) -> dict[str, list[ContextSentence]]:
        places: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in self._read(_PLACES):
            places[row["text_unit_id"]].append((row["start_char"], row["entity_id"]))
        found = self._store.sql(
            "SELECT u.id, u.text, u.start_char FROM text_units u JOIN spoken s ON s.id = u.id",
            spoken=pa.table({"id": pa.array(sorted(places), pa.string())}),
        )
        units = {row["id"]: row for row in found.to_pylist()}
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
