"""Methods are compared cell by cell: under one budget, each in a process of its own, resumable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.errors import ConfigError, InputError
from graphrag.evaluate import methods
from graphrag.evaluate.method_tasks import (
    ChoiceTask,
    ExtractionTask,
    completion_loss,
    option_scores,
    perplexity,
    read_choices,
)
from graphrag.evaluate.methods import Comparison, compare_methods, measure_cell, summary
from graphrag.llm.generation import load_generator
from tests.llm.conftest import Shape, tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), Shape())


def gold(path: Path, first: int, number: int) -> Path:
    rows = [
        {
            "tokens": ["Ann", f"Berg{at}", "lives", "in", f"Oslo{at}", "."],
            "entities": [{"start": 0, "end": 2, "type": "Peop"}, {"start": 4, "end": 5, "type": "Loc"}],
            "relations": [{"type": "Live_In", "head": 0, "tail": 1}],
        }
        for at in range(first, first + number)
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def choices(path: Path, questions: list[str]) -> Path:
    rows = [
        {
            "instruction": f"Please choose the correct answer to the question: {question}\n\n"
            "Answer1: red Answer2: a blue one Answer3: green\n\nAnswer format: answer1/answer2/answer3",
            "answer": "answer2",
        }
        for question in questions
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.fixture
def comparison(tiny: Path, tmp_path: Path) -> Comparison:
    text = tmp_path / "text.txt"
    text.write_text("It was the best of times. " * 20, encoding="utf-8")
    return Comparison(
        format="pfn",
        train=gold(tmp_path / "train.json", 0, 12),
        test=gold(tmp_path / "test.json", 20, 3),
        base=str(tiny),
        tokens=700,
        row_tokens=400,
        limit=2,
        text=text,
        text_tokens=60,
    )


def test_every_kind_of_method_becomes_a_cell(comparison: Comparison) -> None:
    cells = {
        name: measure_cell(comparison, name, 1)
        for name in ("untuned", "in-context", "features", "lora", "prompt", "full")
    }
    losses = {name: cell["loss"] for name, cell in cells.items() if name != "features"}
    assert all(0 < loss < 20 for loss in losses.values())
    assert losses["full"] < losses["untuned"]
    for name, cell in cells.items():
        assert {"entity_f1", "relation_f1", "valid_rate", "n"} <= cell.keys(), name
        assert cell["n"] == 2
    assert "trainable" not in cells["untuned"]
    assert cells["in-context"]["trainable"] == 0
    assert cells["full"]["trainable"] == cells["full"]["total"]
    assert cells["full"]["bytes"] > cells["lora"]["bytes"] > cells["prompt"]["bytes"] > 0
    # A linear layer on what tells the words apart learns so regular a corpus, also from random states.
    assert cells["features"]["entity_f1"] >= 0.4
    # Nothing that is tuned may be read in the same budget twice as much as another.
    assert {cells[name]["tokens"] for name in ("lora", "prompt", "full")} == {cells["lora"]["tokens"]}
    assert cells["lora"]["tokens"] <= 700
    assert cells["untuned"]["perplexity"] == cells["features"]["perplexity"]
    assert cells["lora"]["perplexity"] != cells["untuned"]["perplexity"]


def test_a_stopped_comparison_goes_on(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def quick(_: Comparison, name: str, seed: int) -> dict[str, Any]:
        asked.append((name, seed))
        return {"method": name, "seed": seed, "loss": float(seed), "n": 2}

    monkeypatch.setattr(methods, "_in_a_process", quick)
    out = tmp_path / "cells.json"
    names = ["untuned", "lora", "prompt"]
    compare_methods(comparison, names, out, seeds=(1, 3), most=2)
    assert asked == [("untuned", 1), ("lora", 1)]
    cells = compare_methods(comparison, names, out, seeds=(1, 3))
    assert asked[2:] == [("prompt", 1), ("lora", 3), ("prompt", 3)]
    assert json.loads(out.read_text())["cells"] == cells
    rows = {row["method"]: row for row in summary(cells)}
    assert (rows["lora"]["loss"], rows["lora"]["seeds"], round(rows["lora"]["loss_sd"], 3)) == (2, 2, 1.414)
    assert "loss_sd" not in rows["untuned"]
    assert compare_methods(comparison, names, out, seeds=(1, 3), minutes=0) == cells
    other = Comparison(format="pfn", train=comparison.train, test=comparison.test, tokens=9)
    with pytest.raises(ConfigError, match="another budget"):
        compare_methods(other, names, out)


def test_what_cannot_be_compared_is_refused(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tuning method"):
        compare_methods(comparison, ["lara"], tmp_path / "a.json")
    with pytest.raises(ConfigError, match="choice"):
        compare_methods(Comparison("luck", comparison.train, comparison.test), ["lora"], tmp_path / "a.json")
    with pytest.raises(InputError, match="no file"):
        compare_methods(Comparison("pfn", tmp_path / "no", comparison.test), ["lora"], tmp_path / "a.json")
    with pytest.raises(InputError, match="questions with options"):
        read_choices(comparison.train)


def test_options_are_weighed_as_if_each_was_read_alone(tiny: Path, tmp_path: Path) -> None:
    generator = load_generator(str(tiny), dtype=torch.float32)
    prompt = generator.encode([("user", "what?")])
    options = ["red", "a blue one", "x"]
    alone = [
        generator.score(prompt, [generator.tokenizer(option, add_special_tokens=False)["input_ids"]])[0]
        for option in options
    ]
    assert option_scores(generator, prompt, options) == pytest.approx(alone, abs=1e-3)
    task = ChoiceTask(
        choices(tmp_path / "a.json", ["one?", "two?", "a longer question?"]),
        choices(tmp_path / "b.json", ["two?", "three?"]),
        9,
        2,
    )
    assert [choice.question for choice in task.tested] == ["three?"]  # "two?" is trained on
    assert sorted(pair[0][-1][1] for pair in task.train(1)) == ["one?", "two?"]
    assert {pair[1] for pair in task.train(1)} == {"a blue one"}
    assert task.measure(generator)["accuracy"] in (0.0, 1.0)


def test_losses_are_those_of_the_model(tiny: Path) -> None:
    generator = load_generator(str(tiny), dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    prompt, answer = generator.encode([("user", "ab")]), tokenizer("cd")["input_ids"]
    ids = torch.tensor([[*prompt, *answer, tokenizer.eos_token_id]])
    labels = ids.clone()
    labels[0, : len(prompt)] = -100
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=labels).loss)
        plain = torch.tensor([tokenizer("some words")["input_ids"]])
        surprise = float(model(input_ids=plain, labels=plain).loss.exp())
    assert completion_loss(generator, [("ab", "cd")]) == pytest.approx(expected, abs=1e-3)
    assert perplexity(generator, "some words", 99) == pytest.approx(surprise, rel=1e-3)


def test_held_out_texts_of_one_file_are_not_tuned_on(tmp_path: Path) -> None:
    file = gold(tmp_path / "all.json", 0, 40)
    task = ExtractionTask("pfn", file, file, 99, None)
    tuned = {str(pair[0]) for pair in task.train(1)}
    assert not tuned & {str(pair[0]) for pair in task.held_out()}
    assert len(tuned) + len(task.tested.texts) == 40


def test_the_command_prints_one_table(comparison: Comparison, tmp_path: Path) -> None:
    arguments = [
        "evaluate", "methods", "--train", str(comparison.train), "--test", str(comparison.test),
        "--model", comparison.base, "--json", str(tmp_path / "out.json"), "--tokens", "500", "--row-tokens", "400",
        "--limit", "1", "--method", "untuned", "--method", "bitfit",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    head, _, *rows = (line for line in result.stdout.splitlines() if line.startswith("|"))
    assert head.startswith("| method | trained | % |")
    assert [row.split("|")[1].strip() for row in rows] == ["untuned", "bitfit"]
    cells = json.loads((tmp_path / "out.json").read_text())["cells"]
    assert 50e6 < cells[1]["peak_memory"] < 2e9
    # A second call has nothing to do, and says the same.
    assert CliRunner().invoke(app, arguments).stdout.splitlines()[-2:] == rows
