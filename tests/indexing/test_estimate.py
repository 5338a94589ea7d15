"""The estimate is a rehearsal: it spends nothing, writes nothing, and names what is recomputed and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graphrag.errors import StoreLockedError
from graphrag.store.store import Store
from tests.indexing.endpoint import answer, asked, everything, open_project
from tests.openai_server import OpenAIServer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer) as running:
        yield running


def test_nothing_is_asked_and_nothing_is_written(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    before = everything(tmp_path)
    found = rag.estimate()
    assert found["extract_graph"].calls == 3
    assert everything(tmp_path) == before
    rag.index()
    asked(server)
    before = everything(tmp_path)
    (tmp_path / "input" / "new.txt").write_text("Robert Scott met Colin Archer.", encoding="utf-8")
    assert rag.estimate()["extract_graph"].calls == 1
    assert server.requests == []
    (tmp_path / "input" / "new.txt").unlink()
    assert everything(tmp_path) == before


def test_calls_and_prompt_tokens_of_a_first_run(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    found = rag.estimate()
    report = rag.index()
    extraction = next(row for row in report.usage if row.stage == "extract_graph")
    assert found["extract_graph"].calls == extraction.calls == asked(server)["ExtractedGraphWithClaims"]
    assert found["load_documents"].todo == found["chunk_documents"].todo == 3
    assert found["report_communities"].calls > 0
    assert found["embed_text"].embedded_texts > 0
    assert all(one.dropped == 0 for one in found.values())
    assert {name for name, one in found.items() if one.unchanged} <= {"embed_text"}  # names of resolution


def test_after_a_run_there_is_nothing_to_do(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    rag.index()
    found = rag.estimate()
    assert {name for name, one in found.items() if one.todo or one.dropped or one.why} == set()
    assert sum(one.calls + one.cached_calls + one.embedded_texts for one in found.values()) == 0
    assert found["extract_graph"].unchanged == 3


def test_it_is_exact_where_every_answer_is_known(tmp_path: Path, server: OpenAIServer) -> None:
    """A run whose store was lost finds all its answers in the cache; the rehearsal finds them as well."""
    rag = open_project(tmp_path, server)
    first = rag.index()
    rag.layout.store.unlink()
    found = rag.estimate()
    assert sum(one.calls for one in found.values()) == 0
    paid = sum(row.calls for row in first.usage if row.task != "embedding")
    assert sum(one.cached_calls for one in found.values()) == paid
    assert found["report_communities"].todo == first.counts["reports"]
    assert found["resolve_entities"].todo == first.counts["entities"]


def test_it_says_what_goes_and_why(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    rag.index()
    (tmp_path / "input" / "gjoa.txt").unlink()
    found = rag.estimate()
    assert (found["extract_graph"].unchanged, found["extract_graph"].todo) == (2, 0)
    assert found["extract_graph"].dropped == 1
    assert found["resolve_entities"].dropped >= 1
    (tmp_path / "input" / "gjoa.txt").write_text("Roald Amundsen sailed the Gjoa.", encoding="utf-8")
    changed = open_project(tmp_path, server, extraction={"claims": False}, llm={"model": "other"})
    why = changed.estimate()["extract_graph"].why
    assert "setting extraction.claims: true → false" in why
    assert any(reason.startswith("chat model: chat@") and "→ other@" in reason for reason in why)
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    shipped = Path(__file__).resolve().parents[2] / "prompts" / "community_report.j2"
    (prompts / "community_report.j2").write_text("Be brief. " + shipped.read_text(encoding="utf-8"))
    found = rag.estimate()
    assert "prompt community_report changed" in found["report_communities"].why
    assert found["report_communities"].calls > 0


def test_money_follows_the_prices_of_both_models(tmp_path: Path, server: OpenAIServer) -> None:
    prices = {"llm": {"prices": {"prompt": 1e6}}, "embedding": {"prices": {"prompt": 1e6}}}
    found = open_project(tmp_path, server, **prices).estimate()
    for one in found.values():
        assert one.cost == one.prompt_tokens + one.embedded_tokens
    assert found["embed_text"].cost > 0


def test_a_run_in_progress_is_not_read(tmp_path: Path, server: OpenAIServer) -> None:
    import subprocess
    import sys

    rag = open_project(tmp_path, server)
    Store(rag.layout.store).close()
    hold = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(rag.layout.store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StoreLockedError):
            rag.estimate()
        assert holder.stdin is not None
        holder.stdin.close()
