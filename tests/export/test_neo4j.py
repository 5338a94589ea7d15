from __future__ import annotations

import csv
from pathlib import Path

import pytest

from graphrag.export import export
from graphrag.export.neo4j import ARRAY_DELIMITER, relationship_type
from tests.export.conftest import MemoryIndex


@pytest.fixture(scope="module")
def folder(index: MemoryIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("neo4j")
    written = export(index, "neo4j", out)
    assert isinstance(written, list)
    assert len(written) == len(list(out.iterdir()))
    return out


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_names_come_back_with_quotes_commas_and_line_ends(folder: Path, index: MemoryIndex) -> None:
    found = _rows(folder, "entities.csv")
    entities = index.table("entities").to_pylist()
    assert [row["name"] for row in found] == [row["title"] for row in entities]
    assert {row[":LABEL"] for row in found} == {"Entity"}
    assert found[3]["aliases:string[]"].split(ARRAY_DELIMITER)[1:] == entities[3]["aliases"][1:]


def test_relationships_keep_direction_and_predicate(folder: Path, index: MemoryIndex) -> None:
    found = _rows(folder, "relationships.csv")
    expected = [
        (r["source_id"], r["target_id"], r["predicate"]) for r in index.table("relationships").to_pylist()
    ]
    assert [(r[":START_ID(Entity)"], r[":END_ID(Entity)"], r["predicate"]) for r in found] == expected
    assert {row[":TYPE"] for row in found} == {"KNOWS", "IS_WAS", "도왔다"}


def test_every_end_of_a_relationship_is_a_node(folder: Path) -> None:
    ids: dict[str, set[str]] = {}
    ends: list[tuple[str, str]] = []
    for path in sorted(folder.iterdir()):
        for row in _rows(folder, path.name):
            for column, value in row.items():
                kind, _, space = column.rstrip(")").partition("(")
                if kind == ":ID":
                    ids.setdefault(space, set()).add(value)
                elif kind in (":START_ID", ":END_ID"):
                    ends.append((space, value))
    assert set(ids) == {"Entity", "TextUnit", "Document", "Community", "Claim"}
    assert ends
    assert all(value in ids[space] for space, value in ends)


def test_links_between_text_and_graph(folder: Path) -> None:
    assert len(_rows(folder, "mentions.csv")) == 30
    assert _rows(folder, "part_of.csv") == [
        {":START_ID(TextUnit)": "t0", ":END_ID(Document)": "d0", ":TYPE": "PART_OF"}
    ]
    assert {row[":TYPE"] for row in _rows(folder, "in_community.csv")} == {"IN_COMMUNITY"}
    assert len(_rows(folder, "sub_community_of.csv")) == 5
    assert [row[":END_ID(Entity)"] for row in _rows(folder, "claim_subjects.csv")] == ["e0", "e0"]
    assert [row[":END_ID(Entity)"] for row in _rows(folder, "claim_objects.csv")] == ["e1"]


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("was born in", "WAS_BORN_IN"),
        ("--", "RELATED_TO"),
        (None, "RELATED_TO"),
        ("`; DROP", "DROP"),
        ("누구의 딸", "누구의_딸"),
    ],
)
def test_relationship_types(predicate: str | None, expected: str) -> None:
    assert relationship_type(predicate) == expected
