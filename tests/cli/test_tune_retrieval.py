from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import ConfigError
from tests.tune.small_encoder import small_encoder, write_questions

pytest.importorskip("sentence_transformers", reason="tuning needs sentence-transformers")
pytest.importorskip("datasets", reason="tuning needs datasets")


def test_the_commands_tune_and_say_how_to_use_it(tmp_path: Path) -> None:
    base = small_encoder(tmp_path / "encoder")
    questions, corpus = write_questions(tmp_path / "data")
    common = ["-q", str(questions), "--corpus", str(corpus), "-m", str(base), "-o", str(tmp_path / "models")]
    common += ["--split", "all", "--max-length", "32", "--batch-size", "8", "--epochs", "1"]
    run = CliRunner().invoke(app, ["tune", "retriever", *common, "--held-out", "0.3"], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    (folder,) = (tmp_path / "models").iterdir()
    said = run.output.replace("\n", "")
    assert "40 questions, 40 passages" in said
    assert "untuned" in said
    assert f"model: {folder}" in said
    assert "graphrag index" in said
    options = [*common, "--held-out", "0", "--lora-rank", "2"]
    run = CliRunner().invoke(app, ["tune", "reranker", *options], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    reranker = next((tmp_path / "models").glob("*reranker*"))
    assert f"reranker: {reranker}" in run.output.replace("\n", "")
    assert "nothing was compared" in run.output
    for command, message in ((["--method", "luck"], "luck"), (["--split", "test"], "no split 'test'")):
        with pytest.raises(ConfigError, match=message):
            CliRunner().invoke(app, ["tune", "retriever", *common, *command], catch_exceptions=False)
