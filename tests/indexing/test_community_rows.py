"""What a report is made from is recognised by its digest."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from graphrag.indexing.community_rows import community_digests
from graphrag.schema import (
    COMMUNITIES,
    ENTITIES,
    ENTITY_MENTIONS,
    MENTION_ENTITIES,
    RELATION_MENTIONS,
    Table,
)
from graphrag.store.store import Store


def fill(store: Store, table: Table, *rows: dict[str, object]) -> None:
    store.append(table.name, pa.Table.from_pylist(list(rows), schema=table.schema))


def test_another_sentence_about_two_members_changes_the_digest(tmp_path: Path) -> None:
    with Store(tmp_path / "store.duckdb") as store:
        fill(store, ENTITIES, {"id": "a", "title": "A", "type": "x"}, {"id": "b", "title": "B", "type": "x"})
        fill(
            store,
            ENTITY_MENTIONS,
            {"id": "ma", "text_unit_id": "u1", "start_char": 0},
            {"id": "mb", "text_unit_id": "u1", "start_char": 9},
        )
        fill(
            store,
            MENTION_ENTITIES,
            {"mention_id": "ma", "entity_id": "a"},
            {"mention_id": "mb", "entity_id": "b"},
        )
        fill(store, COMMUNITIES, {"id": "c", "community": 0, "level": 0, "entity_ids": ["a", "b"]})
        before = community_digests(store)
        assert community_digests(store) == before
        relation = {"id": "r", "text_unit_id": "u2", "head_id": "ma", "tail_id": "mb", "start_char": 40}
        fill(store, RELATION_MENTIONS, relation)
        assert community_digests(store) != before
