"""``graphrag tune extractor``: data of every kind, F1 in training, and what its folder is good for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag import FakeChatModel, FakeEmbedder, GraphRAG
from graphrag.cli.main import app
from graphrag.errors import ConfigError, InputError, NotIndexedError
from graphrag.llm.base import ChatRequest
from graphrag.tune.data.training import Drawing, training_data
from tests.llm.conftest import Shape, tiny_model

NAMES = ("Ann Berg", "Ole Dahl", "Eva Lind", "Per Holm")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), Shape())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose index a strong model made: it found the person of every document."""
    root = tmp_path_factory.mktemp("project")
    GraphRAG.init(root)
    for number, name in enumerate(NAMES * 3):
        text = f"In the year {1900 + number} {name} left Oslo."
        (root / "input" / f"{number}.txt").write_text(text, encoding="utf-8")
    settings = root / "settings.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    def answer(request: ChatRequest) -> str:
        found = re.search(r"\d{4} (\w+ \w+) left Oslo", request.messages[-1].content)
        if request.task != "extract_graph" or found is None:
            return "NONE"
        return json.dumps(
            {
                "entities": [
                    {"name": found[1], "type": "person", "description": "left"},
                    {"name": "Oslo", "type": "place", "description": "left by many"},
                ],
                "relations": [
                    {
                        "source": found[1],
                        "relation": "left",
                        "target": "Oslo",
                        "description": "d",
                        "strength": 5,
                    }
                ],
                "claims": [],
            }
        )

    GraphRAG.open(root, embedder=FakeEmbedder(), chat_model=FakeChatModel(answer=answer)).index()
    return root


def tuned(*arguments: str) -> str:
    run = CliRunner().invoke(app, ["tune", "extractor", *arguments], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    return run.output.replace("\n", "")


def test_an_index_teaches_a_small_model(project: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    said = tuned(
        "--from-index", "--root", str(project), "-m", str(tiny), "-o", str(out), "--max-steps", "4", "--bits", "32",
        "--row-tokens", "400", "--rows-per-step", "1", "--hold-out", "0.3", "--score", "1", "--evaluate-every", "2",
        "--metric", "entity_f1",
    )  # fmt: skip
    assert "entity_f1" in said
    record = json.loads((out / "tune.json").read_text(encoding="utf-8"))
    assert record["data"][0]["name"] == f"index {project.name}"
    assert record["data"][0]["records"] == len(NAMES * 3)
    scored = [entry["eval_entity_f1"] for entry in record["result"]["history"] if "eval_entity_f1" in entry]
    assert len(scored) == 2
    assert "that of the documents" in (out / "README.md").read_text(encoding="utf-8")
    assert (out / "adapter_model.safetensors").is_file()


def test_sources_of_several_kinds_are_mixed_and_texts_kept_apart(project: Path, tmp_path: Path) -> None:
    rows = [
        {
            "tokens": ["Ann", f"Berg{at}", "lives", "in", "Rome", "."],
            "entities": [[0, 2, "Peop"], [4, 5, "Loc"]],
            "relations": [[0, 2, 4, 5, "Live_In"]],
        }
        for at in range(30)
    ]
    (tmp_path / "gold.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "own.jsonl").write_text('{"prompt": "p", "completion": "c"}\n', encoding="utf-8")
    given = training_data(
        [f"pfn={tmp_path / 'gold.json'}@20@MIT", str(tmp_path / "own.jsonl")],
        index=project,
        share=0.3,
        licence="mine",
        drawing=Drawing(part="all", copies=3),
    )
    assert {source.name for source in given.sources} == {"own.jsonl", f"index {project.name}", tmp_path.name}
    texts = [
        {pair[0][-1][1] for pair in side if not isinstance(pair[0], str)}
        for side in (given.train, given.held)
    ]
    assert texts[0]
    assert texts[1]
    assert not texts[0] & texts[1]


def test_what_cannot_be_tuned_on_is_named(project: Path, tiny: Path, tmp_path: Path) -> None:
    out = ["-m", str(tiny), "-o", str(tmp_path / "a")]
    for arguments, message in (
        ([], "--from-index"),
        (["--data", "redocrd=x.json"], "no data set"),
        (["--data", "pfn="], "no source"),
        (["--from-index", "--root", str(tmp_path)], "index"),
        (["--from-index", "--root", str(project), "--metric", "f1"], "relation_f1"),
        (["--from-index", "--root", str(project), "--part", "half"], "held-out"),
        (
            ["--from-index", "--root", str(project), "--hold-out", "0", "--metric", "entity_f1"],
            "--metric loss",
        ),
    ):
        with pytest.raises((ConfigError, InputError, NotIndexedError)) as caught:
            CliRunner().invoke(app, ["tune", "extractor", *out, *arguments], catch_exceptions=False)
        assert message in f"{caught.value} {caught.value.hint}"


def test_what_lies_beside_the_model_extracts_too(project: Path, tiny: Path, tmp_path: Path) -> None:
    for method, file in (("in-context", "demonstrations.jsonl"), ("features", "classifier.safetensors")):
        out = tmp_path / method
        tuned("--from-index", "--root", str(project), "-m", str(tiny), "-o", str(out), "--method", method)
        assert (out / file).is_file()
        assert method in (out / "README.md").read_text(encoding="utf-8")
