"""The whole way over real HTTP: documents in, index, answers with citations that lead to the sentence.

The server runs in this process and speaks the OpenAI protocol; the client is the real one.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphrag import GraphRAG, QueryResult
from graphrag.errors import LLMError, QueryError
from tests.openai_server import Fault, OpenAIServer

DOCUMENTS = {
    "fram.md": "# The Fram\n\nColin Archer built the Fram in Larvik. Fridtjof Nansen sailed the Fram into the ice.",
    "pole.txt": "Roald Amundsen took the Fram to Antarctica. Roald Amundsen reached the South Pole in 1911.",
    "people.jsonl": '{"id": "p1", "title": "Helmer Hanssen", "text": "Helmer Hanssen sailed with Roald Amundsen."}\n',
}
NAMES = (
    "Colin Archer",
    "Fram",
    "Larvik",
    "Fridtjof Nansen",
    "Roald Amundsen",
    "Antarctica",
    "South Pole",
    "Helmer Hanssen",
)


def read(text: str) -> dict[str, Any]:
    """Extract as a careful model would: the names above, and the sentences that hold two of them."""
    entities, relationships, claims = {}, [], []
    for sentence in re.split(r"(?<=\.)\s+", text):
        here = sorted((name for name in NAMES if name in sentence), key=sentence.index)
        entities.update({name: {"name": name, "type": "thing", "description": sentence} for name in here})
        if len(here) > 1:
            verb = sentence.split(here[0], 1)[1].split(here[1], 1)[0].strip()
            relationships.append(
                {
                    "source": here[0],
                    "target": here[1],
                    "predicate": verb,
                    "description": sentence,
                    "strength": 7,
                }
            )
        if "1911" in sentence:
            claims.append(
                {
                    "subject": here[0],
                    "object": "NONE",
                    "type": "first",
                    "status": "TRUE",
                    "start_date": "1911",
                    "end_date": "NONE",
                    "description": sentence,
                    "source_text": sentence,
                }
            )
    return {"entities": list(entities.values()), "relationships": relationships, "claims": claims}


def answer(body: dict[str, Any]) -> Any:
    """Play the model: by the schema that is asked for, else an answer that cites the first source."""
    prompt = body["messages"][-1]["content"]
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    wanted = set(schema.get("properties", {}))
    if "entities" in wanted:
        return read(prompt.split("<text>")[1].split("</text>")[0].strip())
    if "findings" in wanted:
        return {
            "title": "Polar people",
            "summary": "They sailed.",
            "rating": 7,
            "rating_explanation": "Central.",
            "findings": [
                {
                    "summary": "The Fram",
                    "explanation": "It was built. [Data: Relationships (0); Entities (77)]",
                }
            ],
        }
    if "points" in wanted:
        report = re.search(r"Reports\n.*?\n(\d+)", prompt, re.DOTALL)
        number = report.group(1) if report else "0"
        return {"points": [{"description": f"The Fram was built. [Data: Reports ({number})]", "score": 80}]}
    if "same" in wanted:
        return {"same": []}
    cited = re.search(r"Reports \(\d+\)|Sources\n.*?\n(\d+)", prompt, re.DOTALL)
    mark = (
        cited.group(0)
        if cited and cited.group(0).startswith("Reports (")
        else f"Sources ({cited.group(1) if cited else 0})"
    )
    return f"Colin Archer built the Fram in Larvik. [Data: {mark}] It never sank. [Data: Sources (999)]"


@pytest.fixture
def server():
    with OpenAIServer(answer=answer, dimension=32, api_key="right") as running:
        yield running


@pytest.fixture
def root(tmp_path: Path, server: OpenAIServer) -> Path:
    GraphRAG.init(tmp_path)
    for name, text in DOCUMENTS.items():
        (tmp_path / "input" / name).write_text(text, encoding="utf-8")
    (tmp_path / ".env").write_text("GRAPHRAG_API_KEY=right\n", encoding="utf-8")
    (tmp_path / "settings.yaml").write_text(
        f"""
llm:
  provider: openai
  model: test-model
  base_url: {server.base_url}
  api_key: ${{GRAPHRAG_API_KEY}}
  max_retries: 2
  prices: {{prompt: 1.0, completion: 2.0}}
embedding:
  provider: openai
  model: test-embedder
  base_url: {server.base_url}
  api_key: ${{GRAPHRAG_API_KEY}}
reports:
  min_llm_size: 2
""",
        encoding="utf-8",
    )
    return tmp_path


def check_citations(rag: GraphRAG, result: QueryResult) -> None:
    texts = {row["id"]: row["text"] for row in rag.open_index().table("documents").to_pylist()}
    assert result.citations
    for citation in result.citations:
        assert texts[citation.document_id][citation.start_char : citation.end_char] == citation.text


def test_index_and_ask_over_http(root: Path, server: OpenAIServer) -> None:
    with GraphRAG.open(root) as rag:
        check_everything(rag, server)


def check_everything(rag: GraphRAG, server: OpenAIServer) -> None:
    report = rag.index()
    assert report.counts["text units done"] == 3
    assert report.counts["claims"] == 1
    extraction = next(row for row in report.usage if row.task == "extract_graph")
    assert extraction.calls == 3
    assert extraction.cost > 0
    bodies = [request.body for request in server.requests if request.path.endswith("chat/completions")]
    assert all(body["response_format"]["type"] == "json_schema" for body in bodies)

    local = rag.query("Who built the Fram?", method="local")
    assert "Colin Archer built the Fram in Larvik." in local.answer
    assert "999" not in local.answer
    assert local.removed_citations == 1
    check_citations(rag, local)
    assert local.citations[0].text == "Colin Archer built the Fram in Larvik."
    assert local.usage[0].usage.prompt_tokens > 0

    overall = rag.query("What is this collection about?", method="global")
    check_citations(rag, overall)
    assert {step.step for step in overall.usage} >= {"map", "reduce"}

    basic = rag.query("Who reached the South Pole?", method="basic")
    check_citations(rag, basic)


def test_the_answer_streams(root: Path) -> None:
    rag = GraphRAG.open(root)
    rag.index()

    async def ask() -> list[Any]:
        try:
            return [piece async for piece in rag.astream("Who built the Fram?", method="local")]
        finally:
            await rag.aclose()

    *pieces, result = asyncio.run(ask())
    assert len(pieces) > 3
    assert all(isinstance(piece, str) for piece in pieces)
    assert isinstance(result, QueryResult)
    assert result.removed_citations == 1


def test_faults_are_retried_and_the_graph_is_the_same(root: Path, server: OpenAIServer) -> None:
    server.faults = [
        Fault(500),
        Fault(429, headers={"retry-after": "0"}),
        Fault(finish_reason="length", body='{"entities": [{"name": "Fr'),
    ]
    report = GraphRAG.open(root).index()
    assert report.counts["text units failed"] == 0
    with_faults = {p.name: p.read_bytes() for p in (root / "output").glob("*.parquet")}
    for name in ("store.duckdb", "llm_cache.sqlite"):
        (root / ".graphrag" / name).unlink()
    GraphRAG.open(root).index()
    assert {p.name: p.read_bytes() for p in (root / "output").glob("*.parquet")} == with_faults


def test_a_wrong_key_stops_the_run_and_names_the_cure(root: Path) -> None:
    (root / ".env").write_text("GRAPHRAG_API_KEY=wrong\n", encoding="utf-8")
    with pytest.raises(LLMError, match=r"(?i)key"):
        GraphRAG.open(root).index()


def test_another_embedder_is_refused(root: Path) -> None:
    rag = GraphRAG.open(root)
    rag.index()
    other = GraphRAG.open(root, settings={"embedding": {"model": "another"}})
    with pytest.raises(QueryError, match="test-embedder"):
        other.query("Who built the Fram?")


def test_two_processes_with_different_concurrency_publish_the_same_bytes(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from graphrag import GraphRAG; "
        "GraphRAG.open(sys.argv[1], settings={'llm': {'concurrency': int(sys.argv[2])}}).index()"
    )
    published = []
    for concurrency, seed in (("1", "1"), ("16", "2")):
        for name in ("store.duckdb", "llm_cache.sqlite"):
            (root / ".graphrag" / name).unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-c", code, str(root), concurrency],
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )
        published.append({p.name: p.read_bytes() for p in sorted((root / "output").glob("*.parquet"))})
    assert len(published[0]) == 11
    assert published[0] == published[1]


def test_the_command_line_shows_the_way(root: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "graphrag.cli.main", *arguments, "--root", str(root)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert "What a run would do" in run("index", "--dry-run").stdout
    assert not (root / "output").exists()
    indexed = run("index")
    assert indexed.returncode == 0, indexed.stderr
    assert "relationships" in indexed.stdout
    assert "extract graph" in indexed.stderr
    asked = run("query", "Who built the Fram?", "--method", "local")
    assert "Colin Archer built the Fram in Larvik." in asked.stdout
    assert "fram.md, characters" in asked.stdout
    as_json = json.loads(run("query", "Who built the Fram?", "--json").stdout)
    assert as_json["citations"][0]["text"] == "Colin Archer built the Fram in Larvik."
    assert "Fram" in (root / "output" / "entities.parquet").read_bytes().decode("latin-1")
    exported = run("export", "--format", "html")
    assert exported.returncode == 0, exported.stderr
    assert (root / "export" / "graph.html").stat().st_size > 10_000
    assert "claims" in run("status").stdout
    wrong = run("query", "Who?", "--method", "nothing")
    assert wrong.returncode == 1
    assert "There is no query method 'nothing'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
