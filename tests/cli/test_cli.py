"""A user's mistakes end in a sentence that says what to do, never in a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphrag import GraphRAG
from tests.openai_server import OpenAIServer


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphrag.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_version_and_help() -> None:
    assert run("--version").stdout.strip() == "0.1.0"
    assert "merges" in run("--help").stdout
    assert run().returncode != 0


@pytest.mark.parametrize(
    "command", [["index"], ["query", "x"], ["status"], ["export"], ["merges", "undo", "x"]]
)
def test_a_folder_that_is_no_project(command: list[str], tmp_path: Path) -> None:
    result = run(*command, "--root", str(tmp_path))
    assert result.returncode == 1
    assert "is not a project" in result.stderr
    assert "graphrag init" in result.stderr
    assert "Traceback" not in result.stderr


def test_init_writes_a_project_and_keeps_the_key(tmp_path: Path) -> None:
    root = tmp_path / "project"
    assert run("init", "--root", str(root)).returncode == 0
    assert sorted(path.name for path in root.iterdir()) == [".env", "input", "settings.yaml"]
    assert (root / ".env").stat().st_mode & 0o077 == 0
    (root / ".env").write_text("GRAPHRAG_API_KEY=secret\n", encoding="utf-8")
    again = run("init", "--root", str(root))
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert run("init", "--root", str(root), "--force", "--with-prompts").returncode == 0
    assert "secret" in (root / ".env").read_text(encoding="utf-8")
    assert (root / "prompts" / "extract_graph.j2").is_file()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("chunking: {size: 5}", "chunking.size"),
        ("chunkin: {size: 500}", "chunkin: Extra inputs are not permitted"),
        ("chunking: {size: 100, overlap: 100}", "overlap (100) must be smaller than size (100)"),
        ("llm: [", "is not valid YAML"),
        ("- a\n- b", "must hold sections"),
        ("pipeline: nonsense", "There are: embedded.toml, fast.toml"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "settings.yaml").write_text(settings, encoding="utf-8")
    result = run("index", "--root", str(tmp_path))
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    GraphRAG.init(tmp_path)
    (tmp_path / "input" / "good.txt").write_text("Colin Archer built the Fram in Larvik.", encoding="utf-8")
    (tmp_path / "input" / "empty.md").write_text("", encoding="utf-8")
    (tmp_path / "input" / "broken.json").write_text('{"text": ', encoding="utf-8")
    result = run("index", "--root", str(tmp_path), "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert {row["uri"] for row in report["skipped_inputs"]} == {"empty.md", "broken.json"}
    assert report["counts"]["documents"] == 1
    assert report["counts"]["entities"] >= 2
    asked = run("query", "Who built the Fram?", "--root", str(tmp_path))
    assert "Colin Archer built the Fram in Larvik." in asked.stdout
    assert "good.txt, characters 0–38" in asked.stdout


def test_texts_without_names_are_indexed_all_the_same(tmp_path: Path) -> None:
    GraphRAG.init(tmp_path)
    (tmp_path / "input" / "a.txt").write_text("nothing in here has a name at all.", encoding="utf-8")
    assert run("index", "--root", str(tmp_path)).returncode == 0
    assert "nothing in here" in run("query", "does anything here have a name", "--root", str(tmp_path)).stdout


def test_ctrl_c_leaves_an_index_that_the_next_run_continues(tmp_path: Path) -> None:
    def slow(body: dict) -> dict:
        time.sleep(0.15)
        text = body["messages"][-1]["content"]
        name = "Person " + text.split("number ")[1].split(".")[0].title()
        entity = {"name": name, "type": "person", "description": "Somebody."}
        return {"entities": [entity], "relationships": [], "claims": []}

    GraphRAG.init(tmp_path)
    words = (
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    )
    for word in words:
        text = f"Person {word.title()} is number {word}."
        (tmp_path / "input" / f"{word}.txt").write_text(text, encoding="utf-8")
    with OpenAIServer(answer=slow) as server:
        (tmp_path / "settings.yaml").write_text(
            f"llm: {{provider: openai, model: m, base_url: '{server.base_url}', api_key: x, concurrency: 2}}\n"
            "reports: {method: extractive}\ndescriptions: {method: extractive}\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "graphrag.cli.main", "index", "--root", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while len(server.requests) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "run the same command to go on" in stderr
        assert "Traceback" not in stderr
        before = len(server.requests)
        assert before < len(words)
        second = run("index", "--root", str(tmp_path))
        assert second.returncode == 0, second.stderr
        assert len(server.requests) == len(words)  # nothing was asked twice
    assert "(0 failed" in second.stdout
