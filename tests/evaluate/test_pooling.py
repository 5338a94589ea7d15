"""Evaluations of several question sets as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import InputError
from graphrag.evaluate.pooling import pooled
from graphrag.evaluate.retrieval import MEASURES, Scored, summary


def evaluation(path: Path, **recalls: list[float]) -> Path:
    rows = []
    for name, values in recalls.items():
        scored = Scored(
            name,
            tuple(f"{path.stem}{place}" for place in range(len(values))),
            {measure: tuple(values) for measure in MEASURES},
            tuple(range(1, len(values) + 1)),
        )
        rows.append({**summary(scored), "by_question": scored.as_row()})
    path.write_text(json.dumps(rows))
    return path


def test_every_question_counts_the_same(tmp_path: Path) -> None:
    first = evaluation(tmp_path / "a.json", dense=[0.0, 0.0, 1.0], graph=[1.0, 1.0, 1.0])
    second = evaluation(tmp_path / "b.json", bm25=[1.0], graph=[0.0], dense=[0.0])
    dense, graph = pooled([first, second])
    assert (dense["retriever"], graph["retriever"]) == ("dense", "graph")  # bm25 is not in both
    assert dense["n"] == graph["n"] == 4
    assert (dense["recall@5"], graph["recall@5"]) == (0.25, 0.75)
    assert graph["vs_dense"]["recall@5"]["difference"] == 0.5
    assert graph["vs_dense"]["all_gold@5"]["p"] == 0.5  # two wins, no loss: 2 / 2**2
    assert graph["p50_ms"] == 1.5
    assert "vs_dense" not in dense


def test_more_questions_make_a_difference_sure(tmp_path: Path) -> None:
    files = [
        evaluation(tmp_path / f"{n}.json", dense=[0.0, 1.0, 0.5, 0.0], graph=[0.5, 1.0, 0.5, 0.5])
        for n in range(6)
    ]
    alone, together = pooled(files[:1])[1], pooled(files)[1]
    assert together["p_vs_dense"] < 0.01 < alone["p_vs_dense"]


def test_what_cannot_be_pooled_is_refused(tmp_path: Path) -> None:
    good = evaluation(tmp_path / "a.json", dense=[1.0])
    with pytest.raises(InputError, match="given twice"):
        pooled([good, good])
    with pytest.raises(InputError, match="no retriever in common"):
        pooled([good, evaluation(tmp_path / "b.json", graph=[1.0])])
    with pytest.raises(InputError, match="There is no file"):
        pooled([tmp_path / "missing.json"])
    (tmp_path / "old.json").write_text('[{"retriever": "dense", "recall@5": 0.5}]')
    with pytest.raises(InputError, match="is no evaluation of retrievers"):
        pooled([tmp_path / "old.json"])
    uneven = evaluation(tmp_path / "c.json", dense=[1.0], graph=[1.0, 0.0])
    with pytest.raises(InputError, match="not asked the same questions"):
        pooled([uneven])


def test_the_command_shows_and_writes_the_table(tmp_path: Path) -> None:
    files = [evaluation(tmp_path / name, dense=[0.0, 1.0], graph=[1.0, 1.0]) for name in ("a.json", "b.json")]
    out = tmp_path / "out.json"
    result = CliRunner().invoke(
        app, ["evaluate", "pool", *map(str, files), "--json", str(out)], env={"COLUMNS": "160"}
    )
    assert result.exit_code == 0, result.output
    assert "4 questions of 2 evaluations" in result.output
    assert "+0.500" in result.output
    assert [row["n"] for row in json.loads(out.read_text())] == [4, 4]
