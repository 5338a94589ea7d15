"""Microsoft GraphRAG's tables, in their older and newer columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from graphrag.errors import ConfigError
from graphrag.extract.recorded import Recording, read_recording
from tests.extract.test_recorded import assert_consistent

TEXT = "Colin Archer built the Fram. Nansen sailed the Fram. Amundsen took the Fram south."
CHUNKS = [
    "title: fram.txt.\nColin Archer built the Fram.",
    "title: fram.txt.\n Nansen sailed the Fram.",
    "Amundsen was elsewhere.",
]
TABLES: dict[str, list[dict[str, Any]]] = {
    "documents": [
        {
            "id": "d",
            "title": "fram.txt",
            "text": TEXT,
            "creation_date": "2025-03-04",
            "text_unit_ids": ["t0", "t1", "t2"],
        }
    ],
    "text_units": [
        {"id": f"t{n}", "text": CHUNKS[n], "n_tokens": 9, "document_id": "d", "entity_ids": []}
        for n in (2, 1, 0)
    ],
    "entities": [
        {"title": "FRAM", "type": "SHIP", "description": "A ship.", "text_unit_ids": ["t0", "t1", "t1"]},
        {"title": "COLIN ARCHER", "type": "PERSON", "description": "Shipbuilder.", "text_unit_ids": ["t0"]},
        {"title": "GHOST", "type": "NONE", "description": None, "text_unit_ids": ["t9"]},
        {"title": "NANSEN", "type": "", "description": None, "text_unit_ids": ["t1", "t9"]},
    ],
    "relationships": [
        {
            "source": "FRAM",
            "target": "COLIN ARCHER",
            "description": "Colin Archer built the Fram.",
            "weight": 14.0,
            "text_unit_ids": ["t0", "t1"],
        },
        {
            "source": "NANSEN",
            "target": "LARVIK",
            "description": "They are connected.",
            "weight": 40.0,
            "text_unit_ids": ["t1"],
        },
        {"source": "NANSEN", "target": "FRAM", "description": "", "weight": None, "text_unit_ids": []},
    ],
    "covariates": [
        {
            "type": "VOYAGE",
            "description": "Nansen sailed.",
            "subject_id": "NANSEN",
            "object_id": "NONE",
            "status": "TRUE",
            "start_date": "1893-06-24T00:00:00",
            "end_date": "NONE",
            "source_text": "Nansen sailed the Fram.",
            "text_unit_id": "t1",
        },
        {
            "type": None,
            "description": None,
            "subject_id": "He said so.",
            "object_id": None,
            "status": None,
            "start_date": None,
            "end_date": None,
            "source_text": None,
            "text_unit_id": "t1",
        },
        {
            "type": "VOYAGE",
            "description": "Lost.",
            "subject_id": "NANSEN",
            "object_id": "FRAM",
            "status": "NONE",
            "start_date": None,
            "end_date": None,
            "source_text": "NONE",
            "text_unit_id": "t9",
        },
    ],
}


def write_tables(folder: Path, tables: dict[str, list[dict[str, Any]]], prefix: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in tables.items():
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{prefix}{name}.parquet")
    return folder


def unit_with(recording: Recording, text: str) -> dict[str, Any]:
    return next(unit for unit in recording.text_units if text in unit["text"])


def counts(recording: Recording) -> dict[str, int]:
    """Return distinct typed entities, distinct relationships, and claims."""
    found = recording.extractions.values()
    return {
        "entities": len({e.name for x in found for e in x.entities if e.type != "other"}),
        "untyped": len({e.name for x in found for e in x.entities if e.type == "other"}),
        "relationships": len({(r.head, r.predicate, r.tail) for x in found for r in x.relations}),
        "claims": sum(len(x.claims) for x in found),
    }


def test_chunks_become_text_units_of_their_document(tmp_path: Path) -> None:
    recording = read_recording(write_tables(tmp_path / "run", TABLES))
    assert_consistent(recording)
    assert recording.format == "msgraphrag"
    book, alone = recording.documents
    assert (book["uri"], book["record_id"], book["title"], book["creation_date"]) == (
        "run/fram.txt",
        "d",
        "fram.txt",
        "2025-03-04",
    )
    assert (alone["uri"], alone["record_id"]) == ("run/fram.txt#t2", "t2")
    assert [unit["start_char"] for unit in recording.text_units] == [0, 28, 0]
    assert [unit["ordinal"] for unit in recording.text_units] == [0, 1, 0]
    assert any(
        "1 of 3 chunks are not in their document word for word" in problem for problem in recording.problems
    )


def test_things_go_to_each_of_their_text_units_and_weights_are_divided(tmp_path: Path) -> None:
    recording = read_recording(write_tables(tmp_path / "run", TABLES))
    first = recording.extractions[unit_with(recording, "Archer")["id"]]
    second = recording.extractions[unit_with(recording, "Nansen")["id"]]
    (built,) = first.relations
    assert (built.head, built.predicate, built.tail, built.strength, built.start) == (
        "COLIN ARCHER",
        "built",
        "FRAM",
        7.0,
        0,
    )
    assert [(e.name, e.type) for e in second.entities] == [
        ("FRAM", "ship"), ("NANSEN", "other"), ("COLIN ARCHER", "person"), ("LARVIK", "other"),
    ]  # fmt: skip
    assert [(r.predicate, r.strength) for r in second.relations] == [("built", 7.0), ("related to", 10.0)]
    (claim,) = second.claims
    assert (claim.subject, claim.object, claim.start_date, claim.end_date) == (
        "NANSEN",
        None,
        "1893-06-24",
        None,
    )
    said = "\n".join(recording.problems)
    for expected in (
        "1 of 4 entities name no text unit that is there and are left out (the first: GHOST).",
        "1 of 4 entities name text units that are not there (the first: NANSEN).",
        "1 of 3 relationships name no text unit that is there and are left out (the first: NANSEN - FRAM).",
        "1 of 3 claims have no type, so are not claims, and are left out (the first: He said so.).",
        "1 of 3 claims name no text unit that is there",
        "1 names in relationships or claims are no listed entity; each becomes an untyped",
    ):
        assert expected in said


def test_tables_of_older_releases_say_the_same(tmp_path: Path) -> None:
    rename = {"entities": {"title": "name"}, "documents": {"text": "raw_content"}}
    tables = {
        name: [{rename.get(name, {}).get(key, key): value for key, value in row.items()} for row in rows]
        for name, rows in TABLES.items()
    }
    tables["text_units"] = [
        {"id": row["id"], "text": row["text"], "document_ids": [row["document_id"]]}
        for row in TABLES["text_units"]
    ]
    tables["relationships"] = [
        row | {"text_unit_ids": ",".join(row["text_unit_ids"])} for row in TABLES["relationships"]
    ]
    (tmp_path / "old").mkdir()
    new = read_recording(write_tables(tmp_path / "run", TABLES))
    old = read_recording(write_tables(tmp_path / "old" / "run", tables, "create_final_"))
    assert old == new


def test_one_of_the_tables_stands_for_the_folder(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "run", TABLES)
    assert read_recording(folder / "entities.parquet") == read_recording(folder)


def test_without_documents_every_chunk_is_one(tmp_path: Path) -> None:
    tables = {name: rows for name, rows in TABLES.items() if name not in ("documents", "covariates")}
    recording = read_recording(write_tables(tmp_path / "run", tables))
    assert_consistent(recording)
    assert [document["record_id"] for document in recording.documents] == ["t2", "t1", "t0"]


def test_a_table_that_lacks_a_column_or_is_broken_is_named(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "run", TABLES | {"relationships": [{"source": "A", "target": "B"}]})
    with pytest.raises(ConfigError, match=r"relationships\.parquet has no column text_unit_ids"):
        read_recording(folder)
    (folder / "relationships.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(ConfigError, match=r"relationships\.parquet cannot be read"):
        read_recording(folder)


@pytest.mark.parametrize(
    ("name", "documents", "units", "expected"),
    [
        # One relationship fewer than the 978 recorded: "X is a member of Y" was recorded both ways once.
        # 27 of the 406 claims are no claims and reported as such.
        ("msgraphrag_verbs", 1, 42, {"entities": 529, "untyped": 73, "relationships": 977, "claims": 379}),
        ("msgraphrag_dulce", 1, 5, {"entities": 39, "untyped": 8, "relationships": 107, "claims": 41}),
        (
            "christmas_carol_recorded/msgraphrag_yoshi",
            1,
            42,
            {"entities": 87, "untyped": 0, "relationships": 127, "claims": 0},
        ),
    ],
)
def test_real_tables_come_whole(
    shared: Path, name: str, documents: int, units: int, expected: dict[str, int]
) -> None:
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not here")
    recording = read_recording(folder)
    assert_consistent(recording)
    assert (len(recording.documents), len(recording.text_units)) == (documents, units)
    assert counts(recording) == expected
    assert parquet.read_metadata(folder / "relationships.parquet").num_rows - expected["relationships"] in (
        0,
        1,
    )
    if name == "msgraphrag_verbs":
        assert recording.problems[0].startswith("27 of 406 claims have no type")
        pairs = {(r.head, r.predicate, r.tail) for x in recording.extractions.values() for r in x.relations}
        assert ("BOB CRATCHIT", "is the clerk to", "EBENEZER SCROOGE") in pairs
