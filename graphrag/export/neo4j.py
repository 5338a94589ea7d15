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
    Options,
    Row,
    TableSource,
    community_levels,
    finite,
    linked_relationships,
    rows,
)

ARRAY_DELIMITER = "\x1f"
_UNTYPED = "RELATED_TO"

# Header field -> column of the row; what stands beside them is the label or the type.
_ENTITY = {
    ":ID(Entity)": "id",
    "id": "id",
    "name": "title",
    "type": "type",
    "description": "description",
    "aliases:string[]": "aliases",
    "frequency:long": "frequency",
    "degree:long": "degree",
}
_TEXT_UNIT = {
    ":ID(TextUnit)": "id",
    "id": "id",
    "text": "text",
    "n_tokens:long": "n_tokens",
    "ordinal:long": "ordinal",
    "start_char:long": "start_char",
    "end_char:long": "end_char",
}
_DOCUMENT = {
    ":ID(Document)": "id",
    "id": "id",
    "name": "title",
    "uri": "uri",
    "media_type": "media_type",
    "creation_date": "creation_date",
}
_COMMUNITY = {
    ":ID(Community)": "id",
    "id": "id",
    "name": "title",
    "community:long": "community",
    "level:long": "level",
    "size:long": "size",
    "summary": "summary",
    "rank:double": "rank",
}
_CLAIM = {
    ":ID(Claim)": "id",
    "id": "id",
    "type": "type",
    "status": "status",
    "description": "description",
    "start_date": "start_date",
    "end_date": "end_date",
    "source_text": "source_text",
}
_RELATIONSHIP = {
    ":START_ID(Entity)": "source_id",
    ":END_ID(Entity)": "target_id",
    ":TYPE": "neo4j_type",
    "id": "id",
    "predicate": "predicate",
    "description": "description",
    "weight:double": "weight",
    "frequency:long": "frequency",
}


def write(index: TableSource, out: Path, options: Options) -> list[Path]:
    """Write the CSV files of nodes and relationships into the folder ``out``."""
    files = (*_nodes(index, options.level), *_relationships(index, options.level))
    return [_write_csv(out / name, header, lines) for name, header, lines in files]


def relationship_type(predicate: str | None) -> str:
    """Turn a predicate into a relationship type as Neo4j spells them: ``was born in`` is ``WAS_BORN_IN``.

    The predicate itself stays a property. A predicate without any letter or digit becomes ``RELATED_TO``.
    """
    return re.sub(r"[\W_]+", "_", predicate or "").strip("_").upper() or _UNTYPED


_File = tuple[str, list[str], Iterable[list[Any]]]


def _nodes(index: TableSource, level: int | None) -> Iterator[_File]:
    yield _node_file("entities.csv", _ENTITY, "Entity", rows(index, "entities"))
    yield _node_file("text_units.csv", _TEXT_UNIT, "TextUnit", rows(index, "text_units"))
    yield _node_file("documents.csv", _DOCUMENT, "Document", rows(index, "documents"))
    reports = {row["community"]: row for row in rows(index, "community_reports")}
    communities = []
    for row in _communities(index, level):
        report = reports.get(row["community"], {})
        named = {"title": report.get("title") or row["title"], "summary": report.get("summary")}
        communities.append({**row, **named, "rank": report.get("rank")})
    yield _node_file("communities.csv", _COMMUNITY, "Community", communities)
    yield _node_file("claims.csv", _CLAIM, "Claim", rows(index, "covariates"))


def _relationships(index: TableSource, level: int | None) -> Iterator[_File]:
    entities = set(index.table("entities")["id"].to_pylist())
    documents = set(index.table("documents")["id"].to_pylist())
    units = rows(index, "text_units")
    claims = rows(index, "covariates")
    communities = _communities(index, level)
    by_number = {row["community"]: row["id"] for row in communities}
    related = linked_relationships(index, entities)
    typed = [{**row, "neo4j_type": relationship_type(row["predicate"])} for row in related]
    yield "relationships.csv", list(_RELATIONSHIP), _lines(_RELATIONSHIP, typed)
    yield _links(
        "mentions.csv",
        ("TextUnit", "MENTIONS", "Entity"),
        ((unit["id"], end) for unit in units for end in unit["entity_ids"] or () if end in entities),
    )
    yield _links(
        "part_of.csv",
        ("TextUnit", "PART_OF", "Document"),
        ((unit["id"], unit["document_id"]) for unit in units if unit["document_id"] in documents),
    )
    yield _links(
        "in_community.csv",
        ("Entity", "IN_COMMUNITY", "Community"),
        ((end, row["id"]) for row in communities for end in row["entity_ids"] or () if end in entities),
    )
    yield _links(
        "sub_community_of.csv",
        ("Community", "SUB_COMMUNITY_OF", "Community"),
        ((row["id"], by_number[row["parent"]]) for row in communities if row["parent"] in by_number),
    )
    yield _claim_links("claim_subjects.csv", ("SUBJECT", "Entity"), claims, "subject_entity_id", entities)
    yield _claim_links("claim_objects.csv", ("OBJECT", "Entity"), claims, "object_entity_id", entities)
    unit_ids = {unit["id"] for unit in units}
    yield _claim_links("stated_in.csv", ("STATED_IN", "TextUnit"), claims, "text_unit_id", unit_ids)


def _communities(index: TableSource, level: int | None) -> list[Row]:
    return [row for communities in community_levels(index, level).values() for row in communities]


def _node_file(name: str, columns: dict[str, str], label: str, found: list[Row]) -> _File:
    return name, [*columns, ":LABEL"], ([*line, label] for line in _lines(columns, found))


def _lines(columns: dict[str, str], found: list[Row]) -> Iterator[list[Any]]:
    return ([row[column] for column in columns.values()] for row in found)


def _claim_links(
    name: str, type_and_end: tuple[str, str], claims: list[Row], column: str, there: set[str]
) -> _File:
    pairs = ((row["id"], row[column]) for row in claims if row[column] in there)
    return _links(name, ("Claim", *type_and_end), pairs)


def _links(name: str, kinds: tuple[str, str, str], pairs: Iterable[tuple[str, str]]) -> _File:
    start, type_, end = kinds
    header = [f":START_ID({start})", f":END_ID({end})", ":TYPE"]
    return name, header, ([head, tail, type_] for head, tail in pairs)


def _write_csv(target: Path, header: list[str], lines: Iterable[list[Any]]) -> Path:
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
    if isinstance(value, float):
        return "" if finite(value) is None else repr(value)
    return str(value)
