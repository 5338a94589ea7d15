"""Make an index from a ready-made graph: every triple is a relationship, its line the source.

The triples are written into one document, a line each, so what holds for an index made of texts holds
here: a relationship leads to the text unit that states it, and a citation to the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Embedder, Vectors
from graphrag.errors import ConfigError
from graphrag.graph.triples import Triples
from graphrag.hashing import content_hash, text_hash
from graphrag.schema import WORKING_TABLES
from graphrag.store.layout import Layout
from graphrag.store.publish import publish
from graphrag.store.store import Store
from graphrag.tokens import approximate_tokens

ENTITY_TYPE = "entity"
_BETWEEN = " | "


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made; ``malformed`` lines and ``repeated`` triples of the file are counted apart."""

    folder: Path
    entities: int
    predicates: int
    relationships: int
    malformed: int
    repeated: int


def import_triples(
    layout: Layout,
    triples: Triples,
    name: str,
    *,
    embedder: Embedder | None = None,
    replace: bool = False,
) -> Imported:
    """Write ``triples`` as the index of the project and publish it.

    Entities are exactly the names of the file: nothing is merged. ``embedder`` makes vectors of entity
    names, by which questions find entities they do not spell out; without it names have to be there.
    ``name`` is the document's. Equal triples give equal ids.

    Raises:
        ConfigError: the project holds an index already, and ``replace`` is false.
        StoreLockedError: another process writes this project.
    """
    rows, counted = _rows(triples, name)
    with Store(layout.store) as store:
        if store.count("documents") and not replace:
            raise ConfigError(
                f"{layout.root} holds an index of {store.count('documents')} documents already.",
                hint="Import into a new project, or put the imported graph in its place with --replace.",
            )
        with store.transaction():
            for table in WORKING_TABLES:
                store.replace(table.name, rows.get(table.name, table.of([])))

        folder = publish(
            store,
            layout,
            settings={"imported": name},
            embedding_model=None if embedder is None else embedder.model_id,
            vectors=None if embedder is None else _Titles(embedder),
            vector_kinds=() if embedder is None else ("entities",),
            report_text=lambda _report, _numbers: "",
        )
    n_entities, n_predicates, n_relationships = counted
    return Imported(
        folder, n_entities, n_predicates, n_relationships, triples.malformed, len(triples) - n_relationships
    )


class _Titles:
    """Vectors of names: a name is the id of its vector."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def ids(self, _kind: str, rows: pa.Table) -> list[str | None]:
        titles: list[str | None] = rows["title"].to_pylist()
        return titles

    def fetch(self, ids: Sequence[str]) -> Vectors:
        return self._embedder.embed(ids)


def _rows(triples: Triples, name: str) -> tuple[dict[str, pa.Table], tuple[int, int, int]]:
    columns = (triples.table[column].to_pylist() for column in ("head", "relation", "tail"))
    every = list(zip(*columns, strict=True))
    counts = Counter(every)
    facts: list[tuple[str, str, str]] = list(dict.fromkeys(every))
    lines = [_BETWEEN.join(fact) for fact in facts]
    text = "\n".join(lines)
    document = content_hash(name, text)
    ends = np.cumsum([len(line) + 1 for line in lines])
    starts = (ends - np.array([len(line) + 1 for line in lines])).tolist()
    names = sorted({end for head, _, tail in facts for end in (head, tail)})
    entities = {one: content_hash(one, ENTITY_TYPE) for one in names}
    predicates = {one: content_hash(one) for one in sorted({relation for _, relation, _ in facts})}
    units = [
        content_hash(document, start, start + len(line)) for start, line in zip(starts, lines, strict=True)
    ]
    mentions = _entity_mentions(facts, units, starts)
    heads, relations, tails = (list(column) for column in zip(*facts, strict=True))
    owners = [
        content_hash(entities[head], predicates[relation], entities[tail]) for head, relation, tail in facts
    ]
    stated = [content_hash("statement", unit, owner) for unit, owner in zip(units, owners, strict=True)]
    mention_at = {
        (unit, end): own
        for unit, end, own in zip(mentions["unit"], mentions["name"], mentions["id"], strict=True)
    }
    line_ends = [start + len(line) for start, line in zip(starts, lines, strict=True)]
    frequency = Counter(mentions["name"])
    uses = Counter(relations)
    tables: dict[str, dict[str, Sequence[Any]]] = {
        "documents": {
            "id": [document], "uri": [name], "title": [name], "media_type": ["text/plain"],
            "metadata": ["{}"], "text": [text],
        },
        "text_units": {
            "id": units, "document_id": [document] * len(units), "ordinal": list(range(len(units))),
            "start_char": starts, "end_char": line_ends,
            "n_tokens": [approximate_tokens(line) for line in lines], "text": lines,
        },
        "entity_mentions": {
            "id": mentions["id"], "text_unit_id": mentions["unit"], "name": mentions["name"],
            "type": [ENTITY_TYPE] * len(mentions["id"]), "description": [""] * len(mentions["id"]),
            "start_char": mentions["start"], "end_char": mentions["end"],
            "confidence": [1.0] * len(mentions["id"]),
        },
        "mention_entities": {
            "mention_id": mentions["id"], "entity_id": [entities[one] for one in mentions["name"]],
        },
        "entities": {
            "id": list(entities.values()), "title": names, "type": [ENTITY_TYPE] * len(names),
            "aliases": [[] for _ in names], "frequency": [frequency[one] for one in names],
        },
        "predicates": {
            "id": list(predicates.values()), "label": list(predicates), "description": [""] * len(predicates),
            "frequency": [uses[one] for one in predicates],
        },
        "relation_mentions": {
            "id": stated, "text_unit_id": units,
            "head_id": [mention_at[unit, head] for unit, head in zip(units, heads, strict=True)],
            "predicate": relations,
            "tail_id": [mention_at[unit, tail] for unit, tail in zip(units, tails, strict=True)],
            "description": [""] * len(units), "strength": [1.0] * len(units),
            "start_char": starts, "end_char": line_ends,
        },
        "relation_relationships": {"mention_id": stated, "relationship_id": owners},
        "relationships": {
            "id": owners, "source_id": [entities[one] for one in heads],
            "predicate_id": [predicates[one] for one in relations],
            "target_id": [entities[one] for one in tails],
            "weight": [float(counts[fact]) for fact in facts], "frequency": [counts[fact] for fact in facts],
        },
        "descriptions": {
            "owner_id": owners, "fingerprint": [text_hash(line) for line in lines],
            "text": [" ".join(fact) for fact in facts],
        },
    }  # fmt: skip
    schemas = {table.name: table.schema for table in WORKING_TABLES}
    made = {key: _table(schemas[key], values) for key, values in tables.items()}
    return made, (len(entities), len(predicates), len(facts))


def _entity_mentions(
    facts: Sequence[tuple[str, str, str]], units: Sequence[str], starts: Sequence[int]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [] for key in ("id", "unit", "name", "start", "end")}
    for (head, relation, tail), unit, start in zip(facts, units, starts, strict=True):
        after = start + len(head) + len(relation) + 2 * len(_BETWEEN)
        for name, at in {tail: after, head: start}.items():
            for key, value in zip(
                found, (content_hash(unit, name, ENTITY_TYPE), unit, name, at, at + len(name)), strict=True
            ):
                found[key].append(value)
    return found


def _table(schema: pa.Schema, columns: dict[str, Sequence[Any]]) -> pa.Table:
    n = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
