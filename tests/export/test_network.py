"""GraphML and GEXF, read back by networkx."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from graphrag.export import export
from graphrag.export.tables import xml_text
from tests.export.conftest import MemoryIndex


def _read(path: Path) -> nx.MultiDiGraph:
    if path.suffix == ".gexf":
        return nx.read_gexf(path)
    return nx.read_graphml(path, force_multigraph=True)


@pytest.fixture(scope="module", params=["graphml", "gexf"])
def graph(
    request: pytest.FixtureRequest, index: MemoryIndex, tmp_path_factory: pytest.TempPathFactory
) -> nx.MultiDiGraph:
    written = export(index, request.param, tmp_path_factory.mktemp("graph") / f"graph.{request.param}")
    assert isinstance(written, Path)
    return _read(written)


def test_every_node_and_parallel_edge_comes_back_in_its_direction(
    graph: nx.MultiDiGraph, index: MemoryIndex
) -> None:
    relationships = index.table("relationships").to_pylist()
    assert graph.is_directed()
    assert graph.is_multigraph()
    assert graph.number_of_nodes() == index.table("entities").num_rows
    back = {key: (head, tail) for head, tail, key in graph.edges(keys=True)}
    assert back == {row["id"]: (row["source_id"], row["target_id"]) for row in relationships}
    assert graph.number_of_edges("e0", "e1") >= 2


def test_attributes_come_back(graph: nx.MultiDiGraph, index: MemoryIndex) -> None:
    for row in index.table("entities").to_pylist():
        node = graph.nodes[row["id"]]
        assert node["label"] == xml_text(row["title"])
        assert node["type"] == row["type"]
        assert node["degree"] == row["degree"]
        assert node["description"] == xml_text(row["description"])
        if row["aliases"]:
            assert json.loads(node["aliases"])[1:] == row["aliases"][1:]
        assert node["community_level_0"] == row["human_readable_id"] // 10
    for _, _, key, edge in graph.edges(keys=True, data=True):
        row = index.table("relationships").to_pylist()[int(key[1:])]
        assert edge["predicate"] == row["predicate"] == edge["label"]
        assert edge["description"] == xml_text(row["description"])
        if key != "r5":  # its weight is no number
            assert edge["weight"] == row["weight"]


def test_missing_community_is_missing_not_none(graph: nx.MultiDiGraph) -> None:
    assert graph.nodes["e24"]["community_level_1"] == 7
    assert "community_level_1" not in graph.nodes["e29"]


@pytest.mark.parametrize("name", ["graphml", "gexf"])
def test_one_level_alone(index: MemoryIndex, tmp_path: Path, name: str) -> None:
    export(index, name, tmp_path, level=1)
    node = _read(tmp_path / f"graph.{name}").nodes["e0"]
    assert "community_level_1" in node
    assert "community_level_0" not in node


def test_gexf_holds_no_date(index: MemoryIndex, tmp_path: Path) -> None:
    export(index, "gexf", tmp_path)
    assert b"lastmodifieddate" not in (tmp_path / "graph.gexf").read_bytes()


def test_xml_text_drops_only_what_xml_cannot_carry() -> None:
    assert xml_text("a\x00b\x0bc\ufffed\r\ne\rf\tg😀한") == "abcd\ne\nf\tg😀한"
