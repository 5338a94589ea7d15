"""The working store: what is written is there, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graphrag.errors import StoreError
from graphrag.schema import COMMUNITY_REPORTS, MENTION_ENTITIES, TEXT_UNITS, WORKING_TABLES
from graphrag.store.store import Store


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store.duckdb") as opened:
        yield opened


def links(*pairs: tuple[str, str]):
    return MENTION_ENTITIES.of([{"mention_id": a, "entity_id": b} for a, b in pairs])


def test_every_working_table_is_there_and_empty(store: Store) -> None:
    for table in WORKING_TABLES:
        assert store.count(table.name) == 0
        assert store.table(table.name).schema == table.schema


def test_upsert_replaces_by_key(store: Store) -> None:
    store.append("mention_entities", links(("a", "1"), ("b", "2")))
    store.upsert("mention_entities", links(("b", "3"), ("c", "4")))
    assert (
        store.table("mention_entities").to_pylist() == links(("a", "1"), ("b", "3"), ("c", "4")).to_pylist()
    )


def test_nested_values_come_back(store: Store) -> None:
    findings = [{"summary": "s", "explanation": "e", "citations": ["x", "y"]}]
    store.append(
        "community_reports", COMMUNITY_REPORTS.of([{"id": "1", "community_id": "c", "findings": findings}])
    )
    assert store.table("community_reports")["findings"].to_pylist() == [findings]


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.append("mention_entities", links(("a", "1")))
        1 / 0  # noqa: B018
    assert store.count("mention_entities") == 0


def test_version_depends_on_content_only(store: Store) -> None:
    store.append("mention_entities", links(("a", "1"), ("b", "2")))
    first = store.version("mention_entities")
    store.replace("mention_entities", links(("b", "2"), ("a", "1")))
    assert store.version("mention_entities") == first
    store.replace("mention_entities", links(("b", "2"), ("a", "2")))
    assert store.version("mention_entities") != first


def test_orphans_are_deleted(store: Store) -> None:
    store.append("mention_entities", links(("a", "1"), ("b", "2")))
    assert store.delete_where_missing("mention_entities", "entity_id", "entities") == 2
    assert store.count("mention_entities") == 0


def test_unknown_tables_and_columns_are_named(store: Store) -> None:
    with pytest.raises(StoreError, match="no working table 'x; DROP'"):
        store.count("x; DROP")
    with pytest.raises(StoreError, match="no column 'zzz'"):
        store.delete_keys("entities", "zzz", ["a"])
    with pytest.raises(KeyError, match="typo"):
        MENTION_ENTITIES.of([{"typo": 1}])


def test_a_second_process_is_told_who_holds_the_store(store: Store) -> None:
    code = "import sys; from pathlib import Path; from graphrag.store.store import Store; Store(Path(sys.argv[1]))"
    run = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "StoreLockedError: Another process is indexing this project (process" in run.stderr


def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "store.duckdb"
    Store(path).close()
    connection = duckdb.connect(str(path))
    connection.execute("INSERT INTO layout VALUES (99)")
    connection.close()
    with pytest.raises(StoreError, match="layout 99"):
        Store(path)


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(path)


def test_vectors_kept_as_lists_become_bytes(tmp_path: Path) -> None:
    import duckdb
    import numpy as np

    path = tmp_path / "store.duckdb"
    Store(path).close()
    connection = duckdb.connect(str(path))
    connection.execute("DELETE FROM layout WHERE version > 3")
    connection.execute("CREATE OR REPLACE TABLE embeddings (id VARCHAR, model VARCHAR, vector FLOAT[])")
    connection.execute("INSERT INTO embeddings VALUES ('e', 'm', [0.5, -1.0, 2.0])")
    connection.close()
    with Store(path) as store:
        (row,) = store.table("embeddings").to_pylist()
    assert np.frombuffer(row["vector"], dtype="<f4").tolist() == [0.5, -1.0, 2.0]


def test_a_small_change_does_not_rewrite_the_store(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    rows = [{"id": f"u{n}", "document_id": "d", "text": f"{n} " * 50} for n in range(5000)]
    with Store(path) as store:
        store.append("text_units", TEXT_UNITS.of(rows))
        store.checkpoint()
    before = path.stat().st_mtime_ns, path.stat().st_size
    with Store(path) as store:
        store.append("text_units", TEXT_UNITS.of([{"id": "new", "document_id": "d", "text": "little"}]))
        store.checkpoint()
    assert (path.stat().st_mtime_ns, path.stat().st_size) == before
    with Store(path) as store:
        assert store.count("text_units") == 5001
