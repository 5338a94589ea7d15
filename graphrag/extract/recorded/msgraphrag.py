"""Output folders of Microsoft GraphRAG: Parquet tables, of releases 0.x (``create_final_*``) to 2.x.

Its tables say in which text units an entity or relationship was found, not what was said there, so
each goes to every one of its text units, a relationship with its share of the summed weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.extract.facts import ClaimFact, RelationFact
from graphrag.extract.grounding import UNLABELLED
from graphrag.extract.recorded.phrases import verb_phrase
from graphrag.extract.recorded.recording import Collector, Recording
from graphrag.extract.recorded.values import NO_VALUE, optional_text, strength_of, text_of

FORMAT = "msgraphrag"
_REQUIRED = ("text_units", "entities", "relationships")
_COLUMNS = {
    "documents": ("id", "title", "text", "raw_content", "creation_date", "text_unit_ids"),
    "text_units": ("id", "human_readable_id", "text", "document_id", "document_ids"),
    "entities": ("title", "name", "type", "description", "text_unit_ids"),
    "relationships": ("source", "target", "description", "weight", "text_unit_ids"),
    "covariates": (
        "type", "description", "subject_id", "object_id", "status", "start_date", "end_date", "source_text",
        "text_unit_id",
    ),
}  # fmt: skip


def is_msgraphrag(folder: Path) -> bool:
    """Return whether ``folder`` has the tables that are needed."""
    return all(_table(folder, name) is not None for name in _REQUIRED)


def read_msgraphrag(folder: Path) -> Recording:
    """Read the tables of ``folder``.

    Raises:
        ConfigError: a table cannot be read, or lacks a column that is needed.
    """
    collector = Collector(FORMAT, folder.name)
    units = _add_texts(collector, folder)
    for row in _rows(folder, "entities"):
        collector.tally.seen("entities")
        name = text_of(row.get("title")) or text_of(row.get("name"))
        type_ = "" if text_of(row.get("type")).strip().lower() in NO_VALUE else text_of(row.get("type"))
        for unit_id in _places(collector, "entities", name, row, units):
            collector.entity(unit_id, name, type_, text_of(row.get("description")))
    for row in _rows(folder, "relationships"):
        collector.tally.seen("relationships")
        _add_relation(collector, row, units)
    for row in _rows(folder, "covariates"):
        collector.tally.seen("claims")
        _add_claim(collector, row, units)
    return collector.finish()


def _add_texts(collector: Collector, folder: Path) -> dict[str, str]:
    """Add documents and text units; return our ids of text units by theirs."""
    chunks = {text_of(row.get("id")): row for row in _rows(folder, "text_units")}
    documents = {text_of(row.get("id")): row for row in _rows(folder, "documents")}
    listed = {chunk: key for key, row in documents.items() for chunk in _ids(row.get("text_unit_ids"))}
    by_document: dict[str, list[tuple[str, str]]] = {}
    for chunk_id, row in chunks.items():
        named = [text_of(row.get("document_id")), *_ids(row.get("document_ids")), listed.get(chunk_id, "")]
        document_key = next((key for key in named if key in documents), "")
        by_document.setdefault(document_key, []).append((chunk_id, text_of(row.get("text"))))
    units: dict[str, str] = {}
    for key, rows in by_document.items():
        document = documents.get(key, {})
        text = text_of(document.get("text")) or text_of(document.get("raw_content"))
        title = optional_text(document.get("title"))
        if text.strip():
            collector.tally.seen("documents")
            document_id = collector.document(
                f"{collector.name}/{title or key}",
                text,
                record_id=key,
                title=title,
                creation_date=optional_text(document.get("creation_date")),
            )
            units |= collector.chunks(document_id, _in_order(rows, document))
        else:
            for chunk_id, chunk in rows:
                uri = f"{collector.name}#{chunk_id}"
                units[chunk_id] = collector.passage(uri, chunk, record_id=chunk_id, title=title)
    return units


def _in_order(rows: list[tuple[str, str]], document: dict[str, Any]) -> list[tuple[str, str]]:
    """Sort chunks as their document lists them; the others keep their order, at the end."""
    order = {chunk_id: n for n, chunk_id in enumerate(_ids(document.get("text_unit_ids")))}
    return sorted(rows, key=lambda row: order.get(row[0], len(order)))


def _add_relation(collector: Collector, row: dict[str, Any], units: dict[str, str]) -> None:
    source, target = text_of(row.get("source")), text_of(row.get("target"))
    description = text_of(row.get("description"))
    said = verb_phrase(description, source, target) or (source, UNLABELLED, target)
    places = _places(collector, "relationships", f"{source} - {target}", row, units)
    strength = strength_of(row.get("weight"), len(places))
    for unit_id in places:
        collector.relation(unit_id, RelationFact(*said, description, strength))


def _add_claim(collector: Collector, row: dict[str, Any], units: dict[str, str]) -> None:
    subject, type_ = text_of(row.get("subject_id")), optional_text(row.get("type"))
    unit_id = units.get(text_of(row.get("text_unit_id")))
    if type_ is None:  # the answer could not be parsed, or said that there is no claim
        collector.tally.fault("claims", "have no type, so are not claims, and are left out", subject)
    elif unit_id is None:
        collector.tally.fault("claims", "name no text unit that is there and are left out", subject)
    else:
        collector.claim(
            unit_id,
            ClaimFact(
                subject,
                optional_text(row.get("object_id")),
                type_,
                text_of(row.get("status")),
                text_of(row.get("description")),
                optional_text(row.get("source_text")) or "",
                optional_text(row.get("start_date")),
                optional_text(row.get("end_date")),
            ),
        )


def _places(
    collector: Collector, things: str, name: str, row: dict[str, Any], units: dict[str, str]
) -> list[str]:
    """Return the text units of a row, each once; tally those that are not there."""
    named = _ids(row.get("text_unit_ids"))
    found = list(dict.fromkeys(units[chunk_id] for chunk_id in named if chunk_id in units))
    if not found:
        collector.tally.fault(things, "name no text unit that is there and are left out", name)
    elif any(chunk_id not in units for chunk_id in named):
        collector.tally.fault(things, "name text units that are not there", name)
    return found


def _ids(value: Any) -> list[str]:
    """Return a list of ids that is an array, or one string with commas (release 0.1)."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [text_of(item) for item in value] if isinstance(value, list) else []


def _table(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}.parquet", folder / f"create_final_{name}.parquet")
    return next((path for path in paths if path.is_file()), None)


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    path = _table(folder, name)
    if path is None:
        return []
    import pyarrow as pa
    from pyarrow import parquet

    try:
        present = parquet.read_schema(path).names
        table = parquet.read_table(path, columns=[column for column in _COLUMNS[name] if column in present])
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    needed = {"text_units": ("id", "text"), "relationships": ("source", "target", "text_unit_ids")}
    missing = [column for column in needed.get(name, ()) if column not in present]
    if missing:
        raise ConfigError(f"{path} has no column {', '.join(missing)}; it has {', '.join(present)}.")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
