"""CSV files with headers for ``neo4j-admin database import full``.

Ids live in one id space per kind of node. Fields are quoted as RFC 4180 says, so that quotes, commas and
line ends come through (the import needs ``--multiline-fields=true``). Items of a list are separated by
U+001F, because names may hold the usual semicolon (``--array-delimiter=U+001F``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from graphrag.export.atomic import replacing
from graphrag.export.tables import (
    Row,
    TableSource,
    community_levels,
    finite,
    linked_relationships,
    rows,
)

ARRAY_DELIMITER = "\x1f"
_UNTYPED = "RELATED_TO"

_File = tuple[str, tuple[str, ...], Iterable[tuple[Any, ...]]]


def write(index: TableSource, out: Path, level: int | None, max_nodes: int) -> list[Path]:
    """Write the CSV files of nodes and relationships into the folder ``out``; ``max_nodes`` does not apply."""
    return [_write_csv(out / name, header, lines) for name, header, lines in _files(index, level)]


def relationship_type(predicate: str | None) -> str:
    """Turn a predicate into a relationship type as Neo4j spells them: ``was born in`` is ``WAS_BORN_IN``.

    The predicate itself stays a property. A predicate without any letter or digit becomes ``RELATED_TO``.
    """
    return re.sub(r"[\W_]+", "_", predicate or "").strip("_").upper() or _UNTYPED


def _files(index: TableSource, level: int | None) -> Iterator[_File]:
    entities, units, documents = rows(index, "entities"), rows(index, "text_units"), rows(index, "documents")
    claims = rows(index, "covariates")
    communities = [item for items in community_levels(index, level).values() for item in items]
    entity_ids = {row["id"] for row in entities}
    yield from _nodes(entities, units, documents, communities, claims, rows(index, "community_reports"))
    yield (
        "relationships.csv",
        (":START_ID(Entity)", ":END_ID(Entity)", ":TYPE", "id", "predicate", "description", "weight:double")
        + ("frequency:long",),
        (
            (row["source_id"], row["target_id"], relationship_type(row["predicate"]), row["id"])
            + (row["predicate"], row["description"], finite(row["weight"]), row["frequency"])
            for row in linked_relationships(index, entity_ids)
        ),
    )
    mentions = ((unit["id"], end) for unit in units for end in unit["entity_ids"] or () if end in entity_ids)
    yield _links("mentions.csv", "TextUnit", "Entity", "MENTIONS", mentions)
    document_ids = {row["id"] for row in documents}
    parts = ((unit["id"], unit["document_id"]) for unit in units if unit["document_id"] in document_ids)
    yield _links("part_of.csv", "TextUnit", "Document", "PART_OF", parts)
    members = ((end, row["id"]) for row in communities for end in row["entity_ids"] or () if end in entity_ids)
    yield _links("in_community.csv", "Entity", "Community", "IN_COMMUNITY", members)
    by_number = {row["community"]: row["id"] for row in communities}
    parents = ((row["id"], by_number[row["parent"]]) for row in communities if row["parent"] in by_number)
    yield _links("sub_community_of.csv", "Community", "Community", "SUB_COMMUNITY_OF", parents)
    yield from _claim_links(claims, entity_ids, {row["id"] for row in units})


def _nodes(
    entities: list[Row],
    units: list[Row],
    documents: list[Row],
    communities: list[Row],
    claims: list[Row],
    reports: list[Row],
) -> Iterator[_File]:
    yield (
        "entities.csv",
        (":ID(Entity)", "id", "name", "type", "description", "aliases:string[]", "frequency:long", "degree:long")
        + (":LABEL",),
        (
            (row["id"], row["id"], row["title"], row["type"], row["description"], row["aliases"])
            + (row["frequency"], row["degree"], "Entity")
            for row in entities
        ),
    )
    yield (
        "text_units.csv",
        (":ID(TextUnit)", "id", "text", "n_tokens:long", "ordinal:long", "start_char:long", "end_char:long", ":LABEL"),
        (
            (row["id"], row["id"], row["text"], row["n_tokens"], row["ordinal"], row["start_char"])
            + (row["end_char"], "TextUnit")
            for row in units
        ),
    )
    yield (
        "documents.csv",
        (":ID(Document)", "id", "name", "uri", "media_type", "creation_date", ":LABEL"),
        (
            (row["id"], row["id"], row["title"], row["uri"], row["media_type"], row["creation_date"], "Document")
            for row in documents
        ),
    )
    report_of = {row["community"]: row for row in reports}
    yield (
        "communities.csv",
        (":ID(Community)", "id", "name", "community:long", "level:long", "size:long", "summary", "rank:double")
        + (":LABEL",),
        (
            (row["id"], row["id"], report.get("title") or row["title"], row["community"], row["level"], row["size"])
            + (report.get("summary"), finite(report.get("rank")), "Community")
            for row in communities
            for report in (report_of.get(row["community"], {}),)
        ),
    )
    yield (
        "claims.csv",
        (":ID(Claim)", "id", "type", "status", "description", "start_date", "end_date", "source_text", ":LABEL"),
        (
            (row["id"], row["id"], row["type"], row["status"], row["description"], row["start_date"])
            + (row["end_date"], row["source_text"], "Claim")
            for row in claims
        ),
    )


def _claim_links(claims: list[Row], entity_ids: set[str], unit_ids: set[str]) -> Iterator[_File]:
    for name, column, type_ in (
        ("claim_subjects.csv", "subject_entity_id", "SUBJECT"),
        ("claim_objects.csv", "object_entity_id", "OBJECT"),
    ):
        pairs = [(row["id"], row[column]) for row in claims if row[column] in entity_ids]
        yield _links(name, "Claim", "Entity", type_, pairs)
    stated = ((row["id"], row["text_unit_id"]) for row in claims if row["text_unit_id"] in unit_ids)
    yield _links("stated_in.csv", "Claim", "TextUnit", "STATED_IN", stated)


def _links(name: str, start: str, end: str, type_: str, pairs: Iterable[tuple[str, str]]) -> _File:
    header = (f":START_ID({start})", f":END_ID({end})", ":TYPE")
    return name, header, ((head, tail, type_) for head, tail in pairs)


def _write_csv(target: Path, header: tuple[str, ...], lines: Iterable[tuple[Any, ...]]) -> Path:
    with replacing(target) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for line in lines:
            writer.writerow([_field(value) for value in line])
    return target


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ARRAY_DELIMITER.join(_field(item).replace(ARRAY_DELIMITER, " ") for item in value)
    return str(value)
