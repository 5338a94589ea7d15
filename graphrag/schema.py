"""The tables: the one source of truth about names, columns, types and their order.

Two families. *Working tables* live in DuckDB while an index is made and are normalised: mentions
point to text units, text units to documents. *Published tables* are the Parquet files that
queries, exports and notebooks read; their first columns are those that users of Microsoft
GraphRAG already load, in that order, and ours follow. ``docs/tables.md`` says what each means.

Offsets are characters, counted from the start of the document's text, end exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

STRING = pa.string()
INT = pa.int64()
FLOAT = pa.float64()
STRINGS = pa.list_(pa.string())

FINDING = pa.struct(
    [
        pa.field("summary", STRING),
        pa.field("explanation", STRING),
        pa.field("citations", STRINGS),  # ids of entities, relationships, claims, text units
    ]
)

CLAIM_STATUSES = ("TRUE", "FALSE", "SUSPECTED")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, its columns in order, and the column that identifies a row."""

    name: str
    columns: tuple[tuple[str, pa.DataType], ...]
    key: str = "id"

    @property
    def schema(self) -> pa.Schema:
        """Return the Arrow schema."""
        return pa.schema([pa.field(name, type_) for name, type_ in self.columns])

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(name for name, _ in self.columns)

    def of(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Build an Arrow table from ``rows``; a missing column becomes null, an unknown one is an error."""
        known = set(self.names)
        for row in rows:
            if unknown := row.keys() - known:
                raise KeyError(f"{self.name} has no column {sorted(unknown)}")
        return pa.Table.from_pylist(rows, schema=self.schema)


def _table(name: str, /, *, key: str = "id", **columns: pa.DataType) -> Table:
    return Table(name, tuple(columns.items()), key)


# ---------------------------------------------------------------------------------------------
# Working tables
# ---------------------------------------------------------------------------------------------
DOCUMENTS = _table(
    "documents",
    id=STRING,  # hash(uri, text)
    uri=STRING,  # path below the input folder; records add '#' and their id or number
    record_id=STRING,  # the id that a jsonl/csv/parquet record brought along, else null
    title=STRING,
    media_type=STRING,
    creation_date=STRING,  # from the record when it has one; never a file time
    metadata=STRING,  # JSON object of the record's other fields
    text=STRING,
)
TEXT_UNITS = _table(
    "text_units",
    id=STRING,  # hash(document_id, start_char, end_char)
    document_id=STRING,
    ordinal=INT,
    start_char=INT,
    end_char=INT,
    n_tokens=INT,
    text=STRING,
)
ENTITY_MENTIONS = _table(
    "entity_mentions",
    id=STRING,  # hash(text_unit_id, name, type)
    text_unit_id=STRING,
    name=STRING,  # as the text or the model wrote it
    type=STRING,  # lower case
    description=STRING,
    start_char=INT,  # first place of the name in the document, null if it is not there literally
    end_char=INT,
    confidence=FLOAT,
)
RELATION_MENTIONS = _table(
    "relation_mentions",
    id=STRING,  # hash(text_unit_id, head_id, predicate, tail_id)
    text_unit_id=STRING,
    head_id=STRING,  # entity mention
    predicate=STRING,  # surface phrase
    tail_id=STRING,  # entity mention
    description=STRING,
    strength=FLOAT,
    start_char=INT,  # the sentence that says so, null if none was found
    end_char=INT,
)
CLAIM_MENTIONS = _table(
    "claim_mentions",
    id=STRING,  # hash(text_unit_id, subject, object, type, description)
    text_unit_id=STRING,
    subject_id=STRING,  # entity mention
    object_id=STRING,  # entity mention or null
    type=STRING,
    status=STRING,  # one of CLAIM_STATUSES
    start_date=STRING,
    end_date=STRING,
    description=STRING,
    source_text=STRING,  # the quote
    start_char=INT,  # of the quote, null if it is not in the text literally
    end_char=INT,
)
MENTION_ENTITIES = _table("mention_entities", key="mention_id", mention_id=STRING, entity_id=STRING)
ENTITY_MERGES = _table(
    "entity_merges",
    key="from_id",
    from_id=STRING,  # what the entity's id would be without the merge
    to_id=STRING,
    from_title=STRING,
    to_title=STRING,
    type=STRING,
    score=FLOAT,
    method=STRING,  # exact | type | initials | qualifier | surname | fuzzy | embedding | llm | manual
)
ENTITIES = _table(
    "entities",
    id=STRING,  # hash(title, type)
    title=STRING,
    type=STRING,
    aliases=STRINGS,  # other surface forms
    frequency=INT,  # text units that mention it
)
PREDICATES = _table(
    "predicates",
    id=STRING,  # hash(label)
    label=STRING,
    description=STRING,
    inverse=STRING,
    frequency=INT,
    domain_types=STRINGS,
    range_types=STRINGS,
    aliases=STRINGS,  # surface phrases
)
RELATION_RELATIONSHIPS = _table(
    "relation_relationships", key="mention_id", mention_id=STRING, relationship_id=STRING
)
RELATIONSHIPS = _table(
    "relationships",
    id=STRING,  # hash(source_id, predicate_id, target_id)
    source_id=STRING,
    predicate_id=STRING,
    target_id=STRING,
    weight=FLOAT,
    frequency=INT,  # mentions that say so
)
DESCRIPTIONS = _table(
    "descriptions",
    key="owner_id",
    owner_id=STRING,  # entity or relationship
    fingerprint=STRING,  # hash(the mentions' descriptions, method, prompt, model)
    text=STRING,
)
COMMUNITIES = _table(
    "communities",
    id=STRING,  # hash(level, sorted member ids)
    community=INT,  # number, unique over all levels
    level=INT,  # 0 is the coarsest
    parent=INT,  # -1 at level 0
    children=pa.list_(INT),
    title=STRING,
    entity_ids=STRINGS,
    size=INT,
)
COMMUNITY_REPORTS = _table(
    "community_reports",
    key="community_id",
    id=STRING,  # hash(context, prompt, model)
    community_id=STRING,
    title=STRING,
    summary=STRING,
    findings=pa.list_(FINDING),
    rank=FLOAT,
    rating_explanation=STRING,
    removed_citations=INT,  # ids the model cited that were not in its context
    method=STRING,  # llm | extractive
)
EMBEDDINGS = _table(
    "embeddings",
    id=STRING,  # hash(model, text)
    model=STRING,
    vector=pa.binary(),  # float32, little-endian; DuckDB logs a list column anew with every batch
)

# Bookkeeping of the runs; never part of an index's content.
LEDGER = _table(
    "ledger",
    key="row_id",
    stage=STRING,
    row_id=STRING,  # of the stage's input
    fingerprint=STRING,
    status=STRING,  # done | empty | failed
    reason=STRING,
    attempts=INT,
)
STAGE_RUNS = _table(
    "stage_runs",
    key="stage",
    stage=STRING,
    fingerprint=STRING,
    seconds=FLOAT,
    reads=STRING,  # JSON: what the fingerprint was made from, so that a change can be named
)
# What the communities were found on, so that the next run moves only what has changed.
COMMUNITY_SEEDS = _table(
    "community_seeds",
    key="entity_id",
    entity_id=STRING,
    adjacency=STRING,  # digest of the entity's relationships
    drifted=pa.bool_(),  # it has changed since all entities were clustered together
    made_by=STRING,  # fingerprint of the stage
)
# What a report was made from, so that it is not put together again to find that nothing has changed.
REPORT_INPUTS = _table("report_inputs", key="community_id", community_id=STRING, digest=STRING)
SKIPPED_INPUTS = _table("skipped_inputs", key="uri", uri=STRING, reason=STRING)

WORKING_TABLES: tuple[Table, ...] = (
    DOCUMENTS,
    TEXT_UNITS,
    ENTITY_MENTIONS,
    RELATION_MENTIONS,
    CLAIM_MENTIONS,
    MENTION_ENTITIES,
    ENTITY_MERGES,
    ENTITIES,
    PREDICATES,
    RELATION_RELATIONSHIPS,
    RELATIONSHIPS,
    DESCRIPTIONS,
    COMMUNITIES,
    COMMUNITY_REPORTS,
    EMBEDDINGS,
    LEDGER,
    STAGE_RUNS,
    COMMUNITY_SEEDS,
    REPORT_INPUTS,
    SKIPPED_INPUTS,
)

# ---------------------------------------------------------------------------------------------
# Published tables (Parquet). Sorted by human_readable_id; id and human_readable_id come first.
# ---------------------------------------------------------------------------------------------
PUBLISHED_DOCUMENTS = _table(
    "documents",
    id=STRING,
    human_readable_id=INT,
    title=STRING,
    text=STRING,
    text_unit_ids=STRINGS,
    creation_date=STRING,
    raw_data=STRING,
    uri=STRING,
    record_id=STRING,
    media_type=STRING,
)
PUBLISHED_TEXT_UNITS = _table(
    "text_units",
    id=STRING,
    human_readable_id=INT,
    text=STRING,
    n_tokens=INT,
    document_id=STRING,
    entity_ids=STRINGS,
    relationship_ids=STRINGS,
    covariate_ids=STRINGS,
    ordinal=INT,
    start_char=INT,
    end_char=INT,
)
PUBLISHED_ENTITIES = _table(
    "entities",
    id=STRING,
    human_readable_id=INT,
    title=STRING,
    type=STRING,
    description=STRING,
    text_unit_ids=STRINGS,
    frequency=INT,
    degree=INT,
    aliases=STRINGS,
)
PUBLISHED_RELATIONSHIPS = _table(
    "relationships",
    id=STRING,
    human_readable_id=INT,
    source=STRING,
    target=STRING,
    description=STRING,
    weight=FLOAT,
    combined_degree=INT,
    text_unit_ids=STRINGS,
    source_id=STRING,
    predicate=STRING,
    predicate_id=STRING,
    target_id=STRING,
    frequency=INT,
)
PUBLISHED_COVARIATES = _table(
    "covariates",
    id=STRING,
    human_readable_id=INT,
    covariate_type=STRING,
    type=STRING,
    description=STRING,
    subject_id=STRING,  # entity title, as in Microsoft's tables
    object_id=STRING,  # entity title or 'NONE'
    status=STRING,
    start_date=STRING,
    end_date=STRING,
    source_text=STRING,
    text_unit_id=STRING,
    subject_entity_id=STRING,
    object_entity_id=STRING,
    start_char=INT,
    end_char=INT,
)
PUBLISHED_COMMUNITIES = _table(
    "communities",
    id=STRING,
    human_readable_id=INT,
    community=INT,
    level=INT,
    parent=INT,
    children=pa.list_(INT),
    title=STRING,
    entity_ids=STRINGS,
    relationship_ids=STRINGS,
    text_unit_ids=STRINGS,
    period=STRING,
    size=INT,
)
PUBLISHED_REPORTS = _table(
    "community_reports",
    id=STRING,
    human_readable_id=INT,
    community=INT,
    level=INT,
    parent=INT,
    children=pa.list_(INT),
    title=STRING,
    summary=STRING,
    full_content=STRING,
    rank=FLOAT,
    rating_explanation=STRING,
    findings=pa.list_(FINDING),
    full_content_json=STRING,
    period=STRING,
    size=INT,
    community_id=STRING,
    method=STRING,
)
PUBLISHED_PREDICATES = _table(
    "predicates",
    id=STRING,
    human_readable_id=INT,
    label=STRING,
    description=STRING,
    inverse=STRING,
    frequency=INT,
    domain_types=STRINGS,
    range_types=STRINGS,
    aliases=STRINGS,
)
# Where each thing is said: the rows that citations are followed with.
PUBLISHED_ENTITY_MENTIONS = _table(
    "entity_mentions",
    id=STRING,
    human_readable_id=INT,
    entity_id=STRING,
    text_unit_id=STRING,
    document_id=STRING,
    name=STRING,
    type=STRING,
    description=STRING,
    start_char=INT,
    end_char=INT,
    confidence=FLOAT,
)
PUBLISHED_RELATION_MENTIONS = _table(
    "relation_mentions",
    id=STRING,
    human_readable_id=INT,
    relationship_id=STRING,
    text_unit_id=STRING,
    document_id=STRING,
    predicate=STRING,
    description=STRING,
    strength=FLOAT,
    start_char=INT,
    end_char=INT,
)
PUBLISHED_MERGES = _table(
    "entity_merges",
    id=STRING,
    human_readable_id=INT,
    to_id=STRING,
    from_title=STRING,
    to_title=STRING,
    type=STRING,
    score=FLOAT,
    method=STRING,
)

PUBLISHED_TABLES: tuple[Table, ...] = (
    PUBLISHED_DOCUMENTS,
    PUBLISHED_TEXT_UNITS,
    PUBLISHED_ENTITIES,
    PUBLISHED_RELATIONSHIPS,
    PUBLISHED_COVARIATES,
    PUBLISHED_COMMUNITIES,
    PUBLISHED_REPORTS,
    PUBLISHED_PREDICATES,
    PUBLISHED_ENTITY_MENTIONS,
    PUBLISHED_RELATION_MENTIONS,
    PUBLISHED_MERGES,
)
