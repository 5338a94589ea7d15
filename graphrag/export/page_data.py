"""What the HTML page knows: the index, cut to size and joined by position instead of by id."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from typing import Any

from graphrag.export.layout import lay_out
from graphrag.export.tables import (
    Row,
    TableSource,
    community_levels,
    finite,
    linked_relationships,
    rows,
)
from graphrag.text.sentences import sentence_spans

SENTENCES_PER_ENTITY = 12
SENTENCES_PER_RELATIONSHIP = 3
CLAIMS_PER_ENTITY = 20
RELATIONSHIPS_PER_ENTITY = 4  # on average over the page; the strongest stay
MAX_SENTENCE = 600  # characters
MAX_DESCRIPTION = 1500


def page_data(index: TableSource, *, level: int | None = None, max_nodes: int = 5000) -> dict[str, Any]:
    """Return the page's data, JSON-serialisable and the same for the same index.

    Entities are sorted by degree, most connected first, and cut at ``max_nodes``; everything else names
    entities, sentences and documents by their position. ``counts`` are those of the whole index.
    """
    every = rows(index, "entities")
    entities = sorted(every, key=lambda row: (-(row["degree"] or 0), row["human_readable_id"], row["id"]))[
        :max_nodes
    ]
    place = {row["id"]: position for position, row in enumerate(entities)}
    relationships, linked = _relationships(index, place)
    documents = rows(index, "documents")
    sources = _Sources(index, documents)
    claims, claims_of = _claims(index, place, sources)
    levels = _levels(index, place)
    types = sorted({row["type"] or "" for row in entities})
    type_number = {name: number for number, name in enumerate(types)}
    sizes = [_size(row["degree"]) for row in entities]
    points = lay_out(
        sizes,
        [(row["source"], row["target"]) for row in relationships],
        [item["member"] for item in levels],
    )
    mentions = _mentions_by(index, "entity_mentions", "entity_id")
    relation_mentions = _mentions_by(index, "relation_mentions", "relationship_id")
    for row in relationships:
        found = [sources.of_mention(item) for item in relation_mentions.get(row.pop("id"), ())]
        row["sources"] = list({item[0]: item for item in found if item}.values())[:SENTENCES_PER_RELATIONSHIP]
    shown = []
    for row, size, (x, y) in zip(entities, sizes, points, strict=True):
        quotes = sources.of_entity(row, mentions.get(row["id"], []))
        shown.append(
            {
                "id": row["id"],
                "title": row["title"] or row["id"],
                "type": type_number[row["type"] or ""],
                "description": _cut(row["description"] or "", MAX_DESCRIPTION),
                "degree": row["degree"] or 0,
                "aliases": _other_names(row),
                "x": x,
                "y": y,
                "size": size,
                "passages": len(row["text_unit_ids"] or ()),
                "sources": quotes[:SENTENCES_PER_ENTITY],
                "moreSources": max(0, len(quotes) - SENTENCES_PER_ENTITY),
                "claims": claims_of.get(place[row["id"]], [])[:CLAIMS_PER_ENTITY],
                "moreClaims": max(0, len(claims_of.get(place[row["id"]], [])) - CLAIMS_PER_ENTITY),
            }
        )
    open_at = next((number for number, item in enumerate(levels) if item["level"] == level), 0)
    return {
        "title": _title(documents),
        "counts": {
            "entities": len(every),
            "relationships": index.table("relationships").num_rows,
            "claims": index.table("covariates").num_rows,
            "communities": index.table("communities").num_rows,
            "documents": len(documents),
            "text_units": index.table("text_units").num_rows,
        },
        "linked": linked,
        "level": open_at,
        "types": types,
        "entities": shown,
        "relationships": relationships,
        "claims": claims,
        "levels": levels,
        "documents": [row["title"] or row["uri"] or row["id"] for row in documents],
        "sentences": sources.sentences,
    }


def _other_names(entity: Row) -> list[str]:
    title = (entity["title"] or "").casefold()
    return [alias for alias in entity["aliases"] or () if alias.casefold() != title]


def _size(degree: int | None) -> float:
    """Return a node's radius: its area grows with its relationships."""
    return round(min(3.5 + 1.5 * math.sqrt(degree or 0), 30.0), 1)


def _title(documents: list[Row]) -> str:
    return (documents[0]["title"] if len(documents) == 1 else None) or "Knowledge graph"


def _relationships(index: TableSource, place: dict[str, int]) -> tuple[list[Row], int]:
    """Return the strongest relationships between shown entities in table order, and the number of all."""
    found = linked_relationships(index, set(place))
    limit = max(len(place) * RELATIONSHIPS_PER_ENTITY, 1000)
    strongest = sorted(found, key=lambda row: (-(finite(row["weight"]) or 0.0), row["human_readable_id"]))[
        :limit
    ]
    kept = sorted(strongest, key=lambda row: (row["human_readable_id"], row["id"]))
    relationships = [
        {
            "id": row["id"],
            "source": place[row["source_id"]],
            "target": place[row["target_id"]],
            "predicate": row["predicate"] or "",
            "description": _cut(row["description"] or "", MAX_DESCRIPTION),
            "weight": round(finite(row["weight"]) or 0.0, 3),
        }
        for row in kept
    ]
    return relationships, len(found)


def _claims(
    index: TableSource, place: dict[str, int], sources: _Sources
) -> tuple[list[Row], dict[int, list[int]]]:
    claims: list[Row] = []
    claims_of: dict[int, list[int]] = {}
    for row in rows(index, "covariates"):
        ends = [place.get(row["subject_entity_id"], -1), place.get(row["object_entity_id"], -1)]
        if max(ends) < 0:
            continue
        for end in sorted(set(ends) - {-1}):
            claims_of.setdefault(end, []).append(len(claims))
        claims.append(
            {
                "subject": ends[0],
                "object": ends[1],
                "subjectName": row["subject_id"] or "",
                "objectName": row["object_id"] if row["object_id"] not in (None, "NONE") else "",
                "type": row["type"] or "",
                "status": row["status"] or "",
                "description": _cut(row["description"] or "", MAX_DESCRIPTION),
                "dates": [row["start_date"] or "", row["end_date"] or ""],
                "quote": _cut(row["source_text"] or "", MAX_SENTENCE),
                "document": sources.document_of_unit(row["text_unit_id"]),
            }
        )
    return claims, claims_of


def _levels(index: TableSource, place: dict[str, int]) -> list[Row]:
    """Return per level its communities, largest first, and for each entity the position of its community."""
    reports = {row["community"]: row for row in rows(index, "community_reports")}
    levels = []
    for level, communities in community_levels(index).items():
        members = {
            row["community"]: [place[item] for item in row["entity_ids"] or () if item in place]
            for row in communities
        }
        shown = [row for row in communities if members[row["community"]]]
        shown.sort(key=lambda row: (-len(members[row["community"]]), row["community"]))
        member = [-1] * len(place)
        for number, row in enumerate(shown):
            for position in members[row["community"]]:
                member[position] = number
        levels.append(
            {
                "level": level,
                "member": member,
                "communities": [
                    {
                        "title": report.get("title") or row["title"] or f"Community {row['community']}",
                        "summary": _cut(report.get("summary") or "", MAX_DESCRIPTION),
                        "findings": [item["summary"] or "" for item in report.get("findings") or ()],
                        "size": len(members[row["community"]]),
                    }
                    for row in shown
                    for report in (reports.get(row["community"], {}),)
                ],
            }
        )
    return levels


def _mentions_by(index: TableSource, table: str, column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows(index, table):
        found.setdefault(row[column], []).append(row)
    return found


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


class _Sources:
    """The sentences that the page quotes, each once: ``sentences`` holds [document, text].

    A reference to one is [sentence, start, end]: where in it the name stands, in characters (0, 0 when there
    is nothing to point out).
    """

    def __init__(self, index: TableSource, documents: list[Row]) -> None:
        self.sentences: list[tuple[int, str]] = []
        self._units = {row["id"]: row for row in rows(index, "text_units")}
        self._documents = {row["id"]: position for position, row in enumerate(documents)}
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._numbers: dict[tuple[int, str], int] = {}

    def document_of_unit(self, unit_id: str | None) -> int:
        """Return the position of the document of a text unit, or -1."""
        unit = self._units.get(unit_id or "")
        return self._documents.get(unit["document_id"], -1) if unit else -1

    def of_mention(self, mention: Row) -> list[int] | None:
        """Return the sentence a mention with offsets stands in, or None where it has none."""
        unit = self._units.get(mention["text_unit_id"])
        if unit is None or mention["start_char"] is None or mention["end_char"] is None:
            return None
        offset = unit["start_char"] or 0
        return self._quote(unit, mention["start_char"] - offset, mention["end_char"] - offset)

    def of_entity(self, entity: Row, mentions: list[Row]) -> list[list[int]]:
        """Return a sentence for each text unit of ``entity``, in the order of the text.

        Where no mention has offsets, the first sentence that holds one of the entity's names is taken;
        a text unit without any of them gives none.
        """
        by_unit: dict[str, list[Row]] = {unit_id: [] for unit_id in entity["text_unit_ids"] or ()}
        for mention in mentions:
            by_unit.setdefault(mention["text_unit_id"], []).append(mention)
        names = [
            entity["title"] or "",
            *(entity["aliases"] or ()),
            *(mention["name"] or "" for mention in mentions),
        ]
        known = [self._units[unit_id] for unit_id in by_unit if unit_id in self._units]
        known.sort(key=lambda unit: (unit["human_readable_id"], unit["id"]))
        found: dict[int, list[int]] = {}
        for unit in known:
            quotes = [quote for mention in by_unit[unit["id"]] if (quote := self.of_mention(mention))]
            if not quotes and (place := _find(unit["text"] or "", names)):
                quotes = [quote] if (quote := self._quote(unit, *place)) else []
            for quote in quotes:
                found.setdefault(quote[0], quote)
        return list(found.values())

    def _quote(self, unit: Row, start: int, end: int) -> list[int] | None:
        text = unit["text"] or ""
        spans = self._spans.get(unit["id"])
        if spans is None:
            spans = self._spans[unit["id"]] = sentence_spans(text)
        if not spans or not 0 <= start <= end <= len(text):
            return None
        first, last = spans[max(0, bisect_right(spans, start, key=lambda span: span[0]) - 1)]
        if last - first > MAX_SENTENCE:  # a table or a poem: keep what stands around the name
            first = max(first, start - MAX_SENTENCE // 2)
            last = min(last, first + MAX_SENTENCE)
        key = (self._documents.get(unit["document_id"], -1), text[first:last])
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self.sentences):
            self.sentences.append(key)
        # A relation mention covers its whole sentence: nothing to point out.
        inside = first <= start < end <= last and (start, end) != (first, last)
        return [number, start - first, end - first] if inside else [number, 0, 0]


def _find(text: str, names: list[str]) -> tuple[int, int] | None:
    for name in sorted({name for name in names if name}, key=lambda name: (-len(name), name)):
        match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
        if match:
            return match.span()
    return None
