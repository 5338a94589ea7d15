"""``graphrag tune planner``: what it trains on, and that what it leaves out is what is asked later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import ConfigError
from graphrag.evaluate.path_questions import read_path_questions, split_questions

WORDS = {
    ("directed_by",): "who directed [{}]",
    ("starred_actors",): "who acted in [{}]",
    ("release_year",): "when was [{}] released",
    ("directed_by", "~directed_by"): "which films share their director with [{}]",
    ("starred_actors", "~starred_actors"): "which films share an actor with [{}]",
}
FILMS = [(f"Film {n}", f"Person {n % 4}", f"Actor {n % 3}", str(1990 + n % 5)) for n in range(12)]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    file = tmp_path / "kb.txt"
    rows = [
        f"{film}|{relation}|{value}"
        for film, *values in FILMS
        for relation, value in zip(("directed_by", "starred_actors", "release_year"), values, strict=True)
    ]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    def answers(place: int, path: tuple[str, ...]) -> list[str]:
        column = ("directed_by", "starred_actors", "release_year").index(path[0]) + 1
        mine = FILMS[place]
        if len(path) == 1:
            return [mine[column]]
        return [one[0] for one in FILMS if one[column] == mine[column] and one != mine]

    file = tmp_path / "questions.jsonl"
    rows = [
        {
            "question": words.format(film[0]),
            "topic": film[0],
            "answers": answers(n, path),
            "relation_path": list(path),
        }
        for n, film in enumerate(FILMS)
        for path, words in WORDS.items()
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def tuned(graph: Path, questions: Path, out: Path, *more: str) -> dict[str, object]:
    arguments = ["tune", "planner", "-g", str(graph), "-q", str(questions), "-o", str(out), "--max-hops", "2"]
    arguments += ["--root", str(graph.parent), *more]
    run = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert run.exit_code == 0, run.output
    read: dict[str, object] = json.loads((out / "planner.json").read_text(encoding="utf-8"))
    return read


def test_what_a_split_keeps_for_asking_is_not_trained_on(
    graph: Path, questions: Path, tmp_path: Path
) -> None:
    rest, asked = split_questions(read_path_questions(questions), "path")
    paths = {tuple(one.path or ()) for one in rest}
    kept = {tuple(one.path or ()) for one in asked}
    assert kept
    assert not kept & paths
    planner = tuned(graph, questions, tmp_path / "planner", "--split", "path")
    plans = planner["plans"]
    assert isinstance(plans, list)
    assert not kept & {tuple(plan) for plan in plans}
    figures = tmp_path / "figures.json"
    run = CliRunner().invoke(
        app,
        [
            "evaluate",
            "paths",
            "-g",
            str(graph),
            "-q",
            str(questions),
            "--split",
            "path",
            "--max-hops",
            "2",
            "--planner-folder",
            str(tmp_path / "planner"),
            "--root",
            str(tmp_path),
            "--json",
            str(figures),
        ],
        catch_exceptions=False,
    )
    assert run.exit_code == 0, run.output
    assert json.loads(figures.read_text(encoding="utf-8"))["n"] == len(asked)


def test_a_limit_draws_of_every_file(graph: Path, questions: Path, tmp_path: Path) -> None:
    few = tuned(graph, questions, tmp_path / "few", "--limit", "2")
    plans = few["plans"]
    assert isinstance(plans, list)
    assert len(plans) <= 3  # two questions, and one that was made of both


def test_a_split_that_does_not_exist_is_named(graph: Path, questions: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no split 'half'"):
        tuned(graph, questions, tmp_path / "planner", "--split", "half")
