"""Open information extraction as HippoRAG records it: passages with entities and triples.

Two forms: its ``openie_results_*.json`` (an array ``docs`` with ``passage``, ``extracted_entities``,
``extracted_triples``), and JSON Lines with ``passage_id``, ``entities``, ``triples`` beside a
``corpus.jsonl`` that has the texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.extract.facts import RelationFact
from graphrag.extract.recorded.files import find_file, plain_name, read_records
from graphrag.extract.recorded.recording import Collector, Recording
from graphrag.extract.recorded.values import optional_text, text_of

FORMAT = "openie"
CORPUS = ("corpus.jsonl", "corpus.json")
_PARTS = 3
_LONGEST_TITLE = 200


def is_openie(record: Any) -> bool:
    """Return whether ``record`` is a passage of this format."""
    return isinstance(record, dict) and any(
        isinstance(record.get(key), list) for key in ("triples", "extracted_triples")
    )


def read_openie(path: Path) -> Recording:
    """Read the file; every passage is a document that is one text unit and keeps its id as ``record_id``.

    Raises:
        ConfigError: the passages have no text and there is no corpus beside the file.
    """
    collector = Collector(FORMAT, plain_name(path))
    records: dict[str, dict[str, Any]] = {}
    for number, record in read_records(path):
        collector.tally.seen("records")
        if not isinstance(record, dict):
            collector.tally.fault("records", "are not a JSON object and are left out", f"record {number}")
            continue
        identifier = _first_text(record, "passage_id", "id", "idx") or str(number)
        if identifier in records:
            collector.tally.fault("records", "have the id of an earlier one and are left out", identifier)
            continue
        records[identifier] = record
    passages = _passages(collector, path, records)
    for identifier, (title, text) in passages.items():
        uri = f"{collector.name}#{identifier}"
        unit_id = collector.passage(uri, text, record_id=identifier, title=title)
        _add_facts(collector, unit_id, records.get(identifier))
    for identifier in records:
        if identifier not in passages:
            collector.tally.fault(
                "records", "have no text, neither here nor in the corpus, and are left out", identifier
            )
    return collector.finish()


def _passages(
    collector: Collector, path: Path, records: dict[str, dict[str, Any]]
) -> dict[str, tuple[str | None, str]]:
    """Return title and text by id: those of the corpus in its order, then those the records bring."""
    found: dict[str, tuple[str | None, str]] = {}
    corpus = find_file(path.parent, *CORPUS)
    own = {identifier: text for identifier, record in records.items() if (text := _own_text(record))}
    if len(own) < len(records) and corpus is not None:
        for number, row in read_records(corpus):
            fields = row if isinstance(row, dict) else {}
            identifier = _first_text(fields, "id", "passage_id", "idx")
            text = _own_text(fields)
            collector.tally.seen("corpus passages")
            if identifier is None or not text:
                collector.tally.fault(
                    "corpus passages", "lack an id or a text and are left out", f"row {number}"
                )
            else:
                found.setdefault(identifier, (optional_text(fields.get("title")), text))
    for identifier, text in own.items():
        title = optional_text(records[identifier].get("title")) or _title_line(text)
        found.setdefault(identifier, (title, text))
    if records and not found:
        raise ConfigError(
            f"The passages of {path} have no text.",
            hint="Put corpus.jsonl beside it, one passage a line with the keys id, title and text.",
        )
    return found


def _add_facts(collector: Collector, unit_id: str, record: dict[str, Any] | None) -> None:
    tally = collector.tally
    if record is None:
        tally.fault("corpus passages", "have no recorded extraction")
        return
    for item in _list(record, "entities", "extracted_entities"):
        tally.seen("entities")
        name = text_of(item)
        if name.strip():
            collector.entity(unit_id, name)
        else:
            tally.fault("entities", "have no name and are left out", item)
    for item in _list(record, "triples", "extracted_triples"):
        tally.seen("triples")
        parts = _parts(item)
        if len(parts) != _PARTS:
            tally.fault("triples", "do not have three parts and are left out", item)
        elif not (parts[0].strip() and parts[2].strip()):
            tally.fault("triples", "have an empty end and are left out", item)
        else:
            subject, predicate, object_ = parts
            said = f"{subject} {predicate.replace('_', ' ')} {object_}"  # a triple is all the words there are
            collector.relation(unit_id, RelationFact(subject, predicate, object_, said))


def _parts(item: Any) -> list[str]:
    if isinstance(item, dict):
        keys = ("subject", "relation" if "relation" in item else "predicate", "object")
        return [text_of(item[key]) for key in keys if key in item]
    return [text_of(part) for part in item] if isinstance(item, list) else []


def _list(record: dict[str, Any], *keys: str) -> list[Any]:
    return next((record[key] for key in keys if isinstance(record.get(key), list)), [])


def _first_text(record: dict[str, Any], *keys: str) -> str | None:
    return next((text for key in keys if (text := optional_text(record.get(key))) is not None), None)


def _own_text(record: dict[str, Any]) -> str:
    return next((text for key in ("text", "passage") if (text := text_of(record.get(key))).strip()), "")


def _title_line(text: str) -> str | None:
    """Return the first line, where HippoRAG puts a passage's title."""
    first, newline, _ = text.partition("\n")
    return first.strip() if newline and 0 < len(first.strip()) <= _LONGEST_TITLE else None
