from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from graphrag.errors import ConfigError
from graphrag.export import FORMATS, export
from graphrag.export.atomic import replacing
from graphrag.schema import PUBLISHED_TABLES
from tests.export.conftest import MemoryIndex, make_index


def _bytes(written: Path | list[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (written if isinstance(written, list) else [written])}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_same_index_gives_the_same_bytes(index: MemoryIndex, tmp_path: Path, name: str) -> None:
    first, second = (_bytes(export(index, name, tmp_path / part / "out")) for part in ("a", "b"))
    assert list(first) == list(second)
    assert first == second


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_empty_index_can_be_written(tmp_path: Path, name: str) -> None:
    written = export(MemoryIndex({}), name, tmp_path / "out")
    assert all(_bytes(written).values())


@pytest.mark.parametrize("name", ["gexf", "graphml", "html", "jsonld"])
def test_a_folder_gets_the_usual_file_name(index: MemoryIndex, tmp_path: Path, name: str) -> None:
    assert export(index, name, tmp_path) == tmp_path / f"graph.{name}"
    assert [path.name for path in tmp_path.iterdir()] == [f"graph.{name}"]


def test_parquet_files_hold_the_published_tables(index: MemoryIndex, tmp_path: Path) -> None:
    written = export(index, "parquet", tmp_path / "tables")
    assert isinstance(written, list)
    assert [path.stem for path in written] == sorted(table.name for table in PUBLISHED_TABLES)
    for path in written:
        back, table = pq.read_table(path), index.table(path.stem)
        assert back.schema == table.schema
        assert repr(back.to_pylist()) == repr(table.to_pylist())  # NaN is no equal of itself


def test_unknown_names_are_refused_with_those_there_are(index: MemoryIndex, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gexf, graphml, html"):
        export(index, "pajek", tmp_path / "x")
    with pytest.raises(ConfigError, match="Levels: 0, 1"):
        export(index, "graphml", tmp_path / "x", level=7)
    with pytest.raises(ConfigError, match="max_nodes"):
        export(index, "html", tmp_path / "x", max_nodes=0)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_index_without_communities_is_drawn(tmp_path: Path) -> None:
    full = make_index(("A", "B", "C"))
    names = ("documents", "text_units", "entities", "relationships")
    bare = MemoryIndex({name: full.table(name).to_pylist() for name in names})
    assert b'"levels":[]' in _bytes(export(bare, "html", tmp_path / "page.html"))["page.html"]
