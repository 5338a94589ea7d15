from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.api import GraphRAG
from graphrag.cli.main import app
from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import ConfigError

LINES = [
    "Tracker|directed_by|Ian Sharp",
    "Tracker|starred_actors|Ray Winstone",
    "Tracker|starred_actors|Ray Winstone",
    "broken|line",
    "Nemo|starred_actors|Ray Winstone",
    "Ray Winstone|knows|Ray Winstone",
]


def test_an_imported_graph_is_an_index_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "kb.txt"
    file.write_text("\n".join(LINES))
    rag = GraphRAG.init(tmp_path / "project", embedder=FakeEmbedder(64))
    made = rag.import_triples(file)
    assert (made.entities, made.predicates, made.relationships) == (4, 3, 4)
    assert (made.malformed, made.repeated) == (1, 1)
    table = rag.open_index().table("relationships")
    twice = [
        row for row in table.to_pylist() if row["target"] == "Ray Winstone" and row["source"] == "Tracker"
    ]
    assert (twice[0]["frequency"], twice[0]["weight"]) == (2, 2.0)
    with rag:
        result = rag.query(
            "which films share actors with Tracker", method="path", planner="embed", max_hops=2
        )
    for citation in result.citations:
        assert citation.text in {line.replace("|", " | ") for line in LINES}
    assert result.citations
    with pytest.raises(ConfigError, match="holds an index"):
        rag.import_triples(file)
    before = rag.open_index().generation
    assert rag.import_triples(file, replace=True).relationships == 4
    assert rag.open_index().generation == before
    rag.import_triples(file, embed=True, replace=True)
    assert rag.open_index().manifest["vector_kinds"] == ["entities"]


def test_the_command_imports_into_a_new_project(tmp_path: Path) -> None:
    (tmp_path / "kb.tsv").write_text("\n".join(LINES).replace("|", "\t"))
    command = ["import", "--triples", str(tmp_path / "kb.tsv"), "--root", str(tmp_path / "new")]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert "4 entities, 3 predicates, 4 relationships" in run.output
