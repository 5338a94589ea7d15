"""Our own format: JSON Lines, one text unit a line with all that was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphrag.extract.facts import ClaimFact, RelationFact
from graphrag.extract.recorded.files import plain_name, read_records
from graphrag.extract.recorded.recording import Collector, Recording
from graphrag.extract.recorded.values import number_of, optional_text, text_of

FORMAT = "jsonl"
_FACTS = ("entities", "relationships", "claims")
_OWN_KEYS = frozenset({"id", "title", "text", "creation_date", *_FACTS})


def is_native(record: Any) -> bool:
    """Return whether ``record`` is a line of this format."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("text"), str)
        and any(key in record for key in _FACTS)
    )


def read_native(paths: Sequence[Path]) -> Recording:
    """Read files of this format as one recording; every line is a document that is one text unit."""
    collector = Collector(FORMAT, plain_name(paths[0]))
    seen: set[str] = set()
    for path in paths:
        for number, record in read_records(path):
            _read_line(collector, plain_name(path), number, record, seen)
    return collector.finish()


def _read_line(collector: Collector, name: str, number: int, record: Any, seen: set[str]) -> None:
    tally = collector.tally
    tally.seen("lines")
    if not isinstance(record, dict):
        tally.fault("lines", "are not a JSON object and are left out", f"line {number} of {name}")
        return
    text = text_of(record.get("text"))
    if not text.strip():
        tally.fault("lines", "have no text and are left out", f"line {number} of {name}")
        return
    record_id = optional_text(record.get("id"))
    uri = f"{name}#{record_id or number}"
    if uri in seen:
        tally.fault("lines", "have the id of an earlier line", f"line {number} of {name}: {record_id}")
    seen.add(uri)
    document_id = collector.document(
        uri,
        text,
        record_id=record_id,
        title=optional_text(record.get("title")),
        creation_date=optional_text(record.get("creation_date")),
        metadata={key: value for key, value in record.items() if key not in _OWN_KEYS},
    )
    unit_id = collector.text_unit(document_id, 0, 0, len(text))
    for entity in _listed(collector, record, "entities", name, number):
        _add_entity(collector, unit_id, entity)
    for relation in _listed(collector, record, "relationships", name, number):
        _add_relation(collector, unit_id, relation)
    for claim in _listed(collector, record, "claims", name, number):
        _add_claim(collector, unit_id, claim)


def _listed(collector: Collector, record: dict[str, Any], key: str, name: str, number: int) -> list[Any]:
    items = record.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        collector.tally.fault(
            "lines", f"have {key} that are no list; these are left out", f"line {number} of {name}"
        )
        return []
    collector.tally.seen(key, len(items))
    return items


def _add_entity(collector: Collector, unit_id: str, item: Any) -> None:
    fields = item if isinstance(item, dict) else {"name": item}
    name = text_of(fields.get("name"))
    if not name.strip():
        collector.tally.fault("entities", "have no name and are left out", item)
        return
    collector.entity(unit_id, name, text_of(fields.get("type")), text_of(fields.get("description")))


def _add_relation(collector: Collector, unit_id: str, item: Any) -> None:
    fields = item if isinstance(item, dict) else {}
    source, target = text_of(fields.get("source")), text_of(fields.get("target"))
    if not source.strip() or not target.strip():
        collector.tally.fault("relationships", "lack a source or target and are left out", item)
        return
    collector.relation(
        unit_id,
        RelationFact(
            source,
            text_of(fields.get("predicate")),
            target,
            text_of(fields.get("description")),
            number_of(fields.get("strength")),
        ),
    )


def _add_claim(collector: Collector, unit_id: str, item: Any) -> None:
    fields = item if isinstance(item, dict) else {}
    subject, description = text_of(fields.get("subject")), text_of(fields.get("description"))
    source_text = text_of(fields.get("source_text"))
    if not subject.strip() or not (description.strip() or source_text.strip()):
        collector.tally.fault("claims", "lack a subject or any words and are left out", item)
        return
    collector.claim(
        unit_id,
        ClaimFact(
            subject,
            optional_text(fields.get("object")),
            text_of(fields.get("type")),
            text_of(fields.get("status")),
            description,
            source_text,
            optional_text(fields.get("start_date")),
            optional_text(fields.get("end_date")),
        ),
    )
