from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from graphrag.errors import InputError
from graphrag.graph.paths import PathTrie
from graphrag.graph.triples import read_triples


@pytest.mark.parametrize(("separator", "name"), [("\t", "kb.tsv"), ("|", "kb.txt"), ("|", "kb.txt.gz")])
def test_lines_are_read_whatever_the_separator(tmp_path: Path, separator: str, name: str) -> None:
    lines = ['Fram,built by,"Colin" Archer', " Fram ,sailed under,Nansen", "", "Fram,broken", "a,,b"]
    data = "\n".join(lines).replace(",", separator).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    triples = read_triples(tmp_path / name)
    graph = triples.graph()
    assert (len(triples), triples.malformed) == (2, 2)
    assert graph.names == ["Fram", '"Colin" Archer', "Nansen"]
    assert [graph.path_names(path) for path in PathTrie(graph, [0]).paths(1)] == [
        ("built by",),
        ("sailed under",),
    ]


def test_a_header_is_no_triple(tmp_path: Path) -> None:
    (tmp_path / "kb.tsv").write_text("head\trelation\ttail\na\tr\tb\n")
    assert len(read_triples(tmp_path / "kb.tsv")) == 1


@pytest.mark.parametrize("content", ["", "no triples\nhere\n"])
def test_a_file_without_triples_is_an_error_that_helps(tmp_path: Path, content: str) -> None:
    (tmp_path / "kb.txt").write_text(content)
    with pytest.raises(InputError, match="one triple a line"):
        read_triples(tmp_path / "kb.txt")
    with pytest.raises(InputError, match="There is no file"):
        read_triples(tmp_path / "nothing.tsv")


def test_rdf_is_read_with_its_labels(tmp_path: Path) -> None:
    pytest.importorskip("rdflib", reason="reads RDF")
    (tmp_path / "kb.ttl").write_text(
        "@prefix : <http://x.org/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        ':fram rdfs:label "Fram" ; :builtBy :archer ; :year "1892" .\n'
        ':a rdfs:label "Twin" . :b rdfs:label "Twin" ; :near :a .\n'
    )
    graph = read_triples(tmp_path / "kb.ttl").graph()
    rows = {
        (graph.names[h], graph.relation_names[r], graph.names[t])
        for h, r, t in zip(graph.heads, graph.relations, graph.tails, strict=True)
    }
    assert rows == {
        ("Fram", "builtBy", "archer"),
        ("Fram", "year", "1892"),
        ("Twin (b)", "near", "Twin (a)"),
    }
    (tmp_path / "bad.nt").write_text("this is not RDF")
    with pytest.raises(InputError, match="not valid RDF"):
        read_triples(tmp_path / "bad.nt")
