"""Take documents, text units and facts from a recorded extraction instead of reading and asking.

The ledger says of each text unit which facts it has, so a text unit whose facts did not change
keeps its rows, and later stages find the tables as they were.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError
from graphrag.extract.mentions import mention_rows
from graphrag.extract.recorded import Recording, read_recording
from graphrag.hashing import content_hash
from graphrag.indexing.stage import Stage, StageContext
from graphrag.schema import (
    CLAIM_MENTIONS,
    DOCUMENTS,
    ENTITY_MENTIONS,
    LEDGER,
    RELATION_MENTIONS,
    SKIPPED_INPUTS,
    TEXT_UNITS,
    Table,
)
from graphrag.store.store import Store

_LEDGER_STAGE = "extract_graph"  # reports and later stages look for facts under this name
_MENTIONS = (ENTITY_MENTIONS, RELATION_MENTIONS, CLAIM_MENTIONS)


async def run(context: StageContext) -> None:
    """Make the tables up to the mentions equal to the recording; write only what differs.

    What the recording could not give is listed with the inputs that were skipped.
    """
    path = recording_path(context)
    recording = read_recording(path)
    context.progress.total(len(recording.text_units), "text units")
    store = context.store
    with store.transaction():
        _replace_if_changed(store, DOCUMENTS, recording.documents)
        _replace_if_changed(store, TEXT_UNITS, recording.text_units)
        _store_facts(store, recording)
        # The documents of the input folder are gone: when they come back they are to be chunked again.
        chunked = store.sql("SELECT row_id FROM ledger WHERE stage = 'chunk_documents'")["row_id"].to_pylist()
        store.delete_keys("ledger", "row_id", chunked, only=("stage", "chunk_documents"))
        problems = [{"uri": path.name, "reason": problem} for problem in recording.problems]
        store.replace("skipped_inputs", SKIPPED_INPUTS.of(problems))
    context.progress.advance(len(recording.text_units))


def recording_path(context: StageContext) -> Path:
    """Return the path of the recording that the settings name.

    Raises:
        ConfigError: they name none.
    """
    recorded = context.settings.extraction.recorded
    if not recorded:
        raise ConfigError(
            "No recorded extraction is named.",
            hint="Use `graphrag index --extraction PATH`, or set extraction.recorded in settings.yaml.",
        )
    return context.layout.root / recorded  # an absolute path stays what it is


def _replace_if_changed(store: Store, table: Table, rows: list[dict[str, Any]]) -> None:
    wanted = table.of(sorted(rows, key=lambda row: str(row[table.key])))
    if not store.table(table.name).equals(wanted):
        store.replace(table.name, wanted)


def _store_facts(store: Store, recording: Recording) -> None:
    """Write the mentions of text units whose facts are new or differ, and their ledger entries."""
    ledger = store.sql("SELECT row_id, fingerprint FROM ledger WHERE stage = $1", [_LEDGER_STAGE])
    known = dict(zip(ledger["row_id"].to_pylist(), ledger["fingerprint"].to_pylist(), strict=True))
    kept: set[str] = set()
    entries: list[dict[str, Any]] = []
    mentions: dict[str, list[dict[str, Any]]] = {table.name: [] for table in _MENTIONS}
    for unit in recording.text_units:
        rows = mention_rows(unit, recording.extractions[unit["id"]])
        fingerprint = content_hash(STAGE.name, STAGE.version, rows)
        if known.get(unit["id"]) == fingerprint:
            kept.add(unit["id"])
            continue
        for name, found in rows.items():
            mentions[name] += found
        entries.append(
            {
                "stage": _LEDGER_STAGE,
                "row_id": unit["id"],
                "fingerprint": fingerprint,
                "status": "done" if any(rows.values()) else "empty",
                "reason": None,
                "attempts": 1,
            }
        )
    for table in _MENTIONS:
        there = store.sql(f'SELECT DISTINCT text_unit_id FROM "{table.name}"')["text_unit_id"].to_pylist()
        store.delete_keys(table.name, "text_unit_id", set(there) - kept)
        store.append(table.name, table.of(mentions[table.name]))
    store.delete_keys("ledger", "row_id", known.keys() - kept, only=("stage", _LEDGER_STAGE))
    store.append("ledger", LEDGER.of(entries))


STAGE = Stage(
    name="load_recording",
    version="1",
    inputs=(),
    outputs=("documents", "text_units", *(table.name for table in _MENTIONS), "skipped_inputs"),
    settings=("extraction.recorded",),
    run=run,
    always=True,
)
