from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphrag.export import export
from tests.export.conftest import HOSTILE_NAMES, MemoryIndex


@pytest.fixture(scope="module")
def path(index: MemoryIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = export(index, "jsonld", tmp_path_factory.mktemp("jsonld"))
    assert isinstance(written, Path)
    return written


def _nodes(path: Path) -> dict[str, dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert not [value for value in document["@context"].values() if isinstance(value, dict) and not value]
    return {node["@id"]: node for node in document["@graph"]}


def test_everything_is_there_once_by_name(path: Path) -> None:
    nodes = _nodes(path)
    kinds = [node["@type"] for node in nodes.values()]
    assert kinds.count("Thing") == 30
    assert kinds.count("Claim") == 2
    assert kinds.count("Collection") == 8
    assert kinds.count("rdf:Property") == 3
    assert [nodes[f"urn:graphrag:entity:e{i}"]["name"] for i in range(len(HOSTILE_NAMES))] == list(
        HOSTILE_NAMES
    )


def test_a_relationship_is_a_triple_and_a_statement(path: Path) -> None:
    nodes = _nodes(path)
    statement = nodes["urn:graphrag:relationship:r0"]
    triple = {"@id": statement["object"]}
    assert triple in nodes[statement["subject"]][statement["predicate"]]
    assert "weight" not in nodes["urn:graphrag:relationship:r5"]  # it is no number


@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")  # its reader uses its own old class
def test_rdflib_reads_the_triples_that_were_meant(path: Path, index: MemoryIndex) -> None:
    rdflib = pytest.importorskip("rdflib")
    graph = rdflib.Graph().parse(path, format="json-ld")
    rdf, schema = rdflib.RDF, rdflib.Namespace("https://schema.org/")
    assert len(list(graph.subjects(rdf.type, schema.Thing))) == 30
    names = {str(name) for name in graph.objects(rdflib.URIRef("urn:graphrag:entity:e2"), schema.name)}
    assert names == {HOSTILE_NAMES[2]}
    for row in index.table("relationships").to_pylist():
        ends = (f"urn:graphrag:entity:{row['source_id']}", f"urn:graphrag:predicate:{row['predicate_id']}")
        triple = (*map(rdflib.URIRef, ends), rdflib.URIRef(f"urn:graphrag:entity:{row['target_id']}"))
        assert triple in graph
        assert (rdflib.URIRef(f"urn:graphrag:relationship:{row['id']}"), rdf.type, rdf.Statement) in graph
