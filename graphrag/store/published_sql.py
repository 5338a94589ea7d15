"""The queries that turn working tables into published ones; one per table, all columnar.

Each yields the published columns without ``human_readable_id``, in the order of publication:
that id is the row's place, so it never depends on chance.
"""

from __future__ import annotations

DOCUMENTS = """
SELECT d.id, d.title, d.text, coalesce(u.ids, []) AS text_unit_ids, d.creation_date,
       d.metadata AS raw_data, d.uri, d.record_id, d.media_type
FROM documents d
LEFT JOIN (SELECT document_id, list(id ORDER BY ordinal) AS ids FROM text_units GROUP BY document_id) u
       ON u.document_id = d.id
ORDER BY d.uri, d.id
"""

TEXT_UNITS = """
WITH e AS (
    SELECT m.text_unit_id, list(DISTINCT x.entity_id ORDER BY x.entity_id) AS ids
    FROM entity_mentions m JOIN mention_entities x ON x.mention_id = m.id GROUP BY m.text_unit_id
), r AS (
    SELECT m.text_unit_id, list(DISTINCT x.relationship_id ORDER BY x.relationship_id) AS ids
    FROM relation_mentions m JOIN relation_relationships x ON x.mention_id = m.id GROUP BY m.text_unit_id
), c AS (
    SELECT text_unit_id, list(id ORDER BY id) AS ids FROM claim_mentions GROUP BY text_unit_id
)
SELECT u.id, u.text, u.n_tokens, u.document_id, coalesce(e.ids, []) AS entity_ids,
       coalesce(r.ids, []) AS relationship_ids, coalesce(c.ids, []) AS covariate_ids,
       u.ordinal, u.start_char, u.end_char
FROM text_units u
JOIN documents d ON d.id = u.document_id
LEFT JOIN e ON e.text_unit_id = u.id
LEFT JOIN r ON r.text_unit_id = u.id
LEFT JOIN c ON c.text_unit_id = u.id
ORDER BY d.uri, d.id, u.ordinal
"""

ENTITIES = """
WITH t AS (
    SELECT x.entity_id, list(DISTINCT m.text_unit_id ORDER BY m.text_unit_id) AS ids
    FROM mention_entities x JOIN entity_mentions m ON m.id = x.mention_id GROUP BY x.entity_id
)
SELECT e.id, e.title, e.type, d.text AS description, coalesce(t.ids, []) AS text_unit_ids,
       e.frequency, coalesce(g.degree, 0) AS degree, e.aliases
FROM entities e
LEFT JOIN t ON t.entity_id = e.id
LEFT JOIN descriptions d ON d.owner_id = e.id
LEFT JOIN entity_degrees g ON g.entity_id = e.id
ORDER BY degree DESC, e.frequency DESC, e.title, e.id
"""

RELATIONSHIPS = """
WITH t AS (
    SELECT x.relationship_id, list(DISTINCT m.text_unit_id ORDER BY m.text_unit_id) AS ids
    FROM relation_relationships x JOIN relation_mentions m ON m.id = x.mention_id GROUP BY x.relationship_id
)
SELECT r.id, s.title AS source, o.title AS target, d.text AS description, r.weight,
       gs.degree + go.degree AS combined_degree, coalesce(t.ids, []) AS text_unit_ids,
       r.source_id, p.label AS predicate, r.predicate_id, r.target_id, r.frequency
FROM relationships r
JOIN entities s ON s.id = r.source_id
JOIN entities o ON o.id = r.target_id
JOIN predicates p ON p.id = r.predicate_id
JOIN entity_degrees gs ON gs.entity_id = r.source_id
JOIN entity_degrees go ON go.entity_id = r.target_id
LEFT JOIN descriptions d ON d.owner_id = r.id
LEFT JOIN t ON t.relationship_id = r.id
ORDER BY combined_degree DESC, r.weight DESC, r.id
"""

COVARIATES = """
SELECT c.id, 'claim' AS covariate_type, c.type, c.description, s.title AS subject_id,
       coalesce(o.title, 'NONE') AS object_id, c.status, c.start_date, c.end_date, c.source_text,
       c.text_unit_id, s.id AS subject_entity_id, o.id AS object_entity_id, c.start_char, c.end_char
FROM claim_mentions c
JOIN mention_entities sm ON sm.mention_id = c.subject_id JOIN entities s ON s.id = sm.entity_id
LEFT JOIN mention_entities om ON om.mention_id = c.object_id LEFT JOIN entities o ON o.id = om.entity_id
JOIN text_units u ON u.id = c.text_unit_id JOIN documents d ON d.id = u.document_id
ORDER BY d.uri, d.id, u.ordinal, c.start_char NULLS LAST, c.id
"""

_MEMBERS = """
    m AS MATERIALIZED (SELECT id AS community_id, unnest(entity_ids) AS entity_id FROM communities),
    -- Materialised, lest the planner join members with members: that is the square of a community's size.
    outgoing AS MATERIALIZED (
        SELECT m.community_id, r.id AS relationship_id, r.target_id
        FROM relationships r JOIN m ON m.entity_id = r.source_id
    ),
    inner_edges AS (
        SELECT o.community_id, o.relationship_id
        FROM outgoing o JOIN m ON m.entity_id = o.target_id AND m.community_id = o.community_id
    )
"""

COMMUNITIES = f"""
WITH {_MEMBERS},
    edges AS (
        SELECT community_id, list(relationship_id ORDER BY relationship_id) AS ids FROM inner_edges GROUP BY 1
    ),
    units AS (
        SELECT m.community_id, list(DISTINCT em.text_unit_id ORDER BY em.text_unit_id) AS ids
        FROM m JOIN mention_entities x ON x.entity_id = m.entity_id
        JOIN entity_mentions em ON em.id = x.mention_id GROUP BY 1
    )
SELECT c.id, c.community, c.level, c.parent, c.children, coalesce(r.title, c.title) AS title, c.entity_ids,
       coalesce(edges.ids, []) AS relationship_ids, coalesce(units.ids, []) AS text_unit_ids,
       CAST(NULL AS VARCHAR) AS period, c.size
FROM communities c
LEFT JOIN edges ON edges.community_id = c.id
LEFT JOIN units ON units.community_id = c.id
LEFT JOIN community_reports r ON r.community_id = c.id
ORDER BY c.community
"""

REPORTS = """
SELECT r.id, c.community, c.level, c.parent, c.children, r.title, r.summary, r.rank, r.rating_explanation,
       r.findings, CAST(NULL AS VARCHAR) AS period, c.size, c.id AS community_id, r.method
FROM community_reports r JOIN communities c ON c.id = r.community_id
ORDER BY c.community
"""

PREDICATES = """
SELECT id, label, description, inverse, frequency, domain_types, range_types, aliases
FROM predicates ORDER BY frequency DESC, label, id
"""

ENTITY_MENTIONS = """
SELECT m.id, x.entity_id, m.text_unit_id, u.document_id, m.name, m.type, m.description,
       m.start_char, m.end_char, m.confidence
FROM entity_mentions m
JOIN mention_entities x ON x.mention_id = m.id
JOIN text_units u ON u.id = m.text_unit_id JOIN documents d ON d.id = u.document_id
ORDER BY d.uri, d.id, u.ordinal, m.start_char NULLS LAST, m.id
"""

RELATION_MENTIONS = """
SELECT m.id, x.relationship_id, m.text_unit_id, u.document_id, m.predicate, m.description, m.strength,
       m.start_char, m.end_char
FROM relation_mentions m
JOIN relation_relationships x ON x.mention_id = m.id
JOIN text_units u ON u.id = m.text_unit_id JOIN documents d ON d.id = u.document_id
ORDER BY d.uri, d.id, u.ordinal, m.start_char NULLS LAST, m.id
"""

MERGES = """
SELECT from_id AS id, to_id, from_title, to_title, type, score, method
FROM entity_merges ORDER BY method, to_title, from_title, from_id
"""

QUERIES: dict[str, str] = {
    "documents": DOCUMENTS,
    "text_units": TEXT_UNITS,
    "entities": ENTITIES,
    "relationships": RELATIONSHIPS,
    "covariates": COVARIATES,
    "communities": COMMUNITIES,
    "community_reports": REPORTS,
    "predicates": PREDICATES,
    "entity_mentions": ENTITY_MENTIONS,
    "relation_mentions": RELATION_MENTIONS,
    "entity_merges": MERGES,
}
