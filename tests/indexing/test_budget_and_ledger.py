"""Budgets and the ledger over real HTTP: where a run stops, what it keeps, what it owes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphrag.cli.main import app
from graphrag.indexing.report import RunReport
from tests.indexing.endpoint import answer, asked, open_project, published
from tests.openai_server import Fault, OpenAIServer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer) as running:
        yield running


def spent(report: RunReport) -> int:
    chat = [row for row in report.usage if row.task != "embedding"]
    return sum(row.prompt_tokens + row.completion_tokens for row in chat)


def ledger(report: RunReport) -> dict[str, dict[str, Any]]:
    return {row["stage"]: row for row in report.ledger}


def test_runs_within_a_budget_add_up_to_one_without(tmp_path: Path, server: OpenAIServer) -> None:
    whole = open_project(tmp_path / "whole", server)
    whole.index()
    paid = asked(server)
    rag = open_project(
        tmp_path / "parts", server, extraction={"max_tokens": 300}, reports={"max_tokens": 300}
    )
    reference = open_project(
        tmp_path / "whole", server, extraction={"max_tokens": 300}, reports={"max_tokens": 300}
    )
    reference.index()
    asked(server)
    reports = []
    for _ in range(30):
        reports.append(rag.index(budget="750"))
        assert spent(reports[-1]) <= 750
        if not reports[-1].stopped:
            break
        assert "budget of 750 tokens" in (reports[-1].stop_reason or "")
    assert len(reports) > 2
    pending = [ledger(report)["extract_graph"]["pending"] for report in reports]
    assert pending == sorted(pending, reverse=True)
    total = asked(server)
    assert {name: total[name] for name in ("ExtractedGraphWithClaims", "ReportAnswer")} == {
        name: paid[name] for name in ("ExtractedGraphWithClaims", "ReportAnswer")
    }
    assert published(tmp_path / "parts") == published(tmp_path / "whole")


def test_money_counts_chat_and_embedding(tmp_path: Path, server: OpenAIServer) -> None:
    prices = {"llm": {"prices": {"prompt": 1.0}}, "embedding": {"prices": {"prompt": 1.0}}}
    rag = open_project(tmp_path, server, **prices)
    report = rag.index(budget="0.0001usd")
    assert report.stopped
    assert sum(row.cost for row in report.usage) <= 0.0001
    assert not rag.index().stopped


def test_the_command_says_how_far_it_got_and_what_is_left(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    settings = {"llm": rag.settings.llm.model_dump(), "embedding": rag.settings.embedding.model_dump()}
    (tmp_path / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "graphrag.cli.main", *arguments, "--root", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "200"},
        )

    stopped = run("index", "--budget", "2500")
    assert stopped.returncode == 3, stopped.stderr
    assert "The budget of 2,500 tokens is used up" in stopped.stderr
    assert "pending" in stopped.stderr
    assert "What a run would do" in stopped.stdout
    shown = run("status")
    assert "Ledger" in shown.stdout
    assert "Stopped: The budget" in shown.stdout
    assert run("index").returncode == 0
    status = json.loads(run("status", "--json").stdout)
    assert [row["pending"] for row in status["ledger"]] == [0, 0, 0, 0, 0]
    assert {row["stage"] for row in status["usage"]} >= {"extract_graph", "embed_text"}
    estimate = json.loads(run("index", "--dry-run", "--json").stdout)
    assert sum(one["calls"] for one in estimate.values()) == 0
    wrong = run("index", "--budget", "much")
    assert wrong.returncode == 1
    assert "no budget" in wrong.stderr


@pytest.mark.parametrize(
    ("form", "stage"),
    [
        ("ExtractedGraphWithClaims", "extract_graph"),
        ("ReportAnswer", "report_communities"),
        ("text", "summarize_descriptions"),
    ],
)
def test_failures_wait_for_a_retry_in_every_stage(
    tmp_path: Path, server: OpenAIServer, form: str, stage: str
) -> None:
    broken = {"on": True}

    def sometimes(body: dict[str, Any]) -> Any:
        kind = body.get("response_format", {}).get("json_schema", {}).get("name", "text")
        return Fault(500) if broken["on"] and kind == form else answer(body)

    server.answer = sometimes
    rag = open_project(tmp_path / "broken", server, descriptions={"max_tokens": 16})
    if stage == "extract_graph":
        with pytest.raises(Exception, match="extraction failed in every text unit"):
            rag.index()
        failed = 3
        asked(server)
    else:
        report = rag.index()
        failed = asked(server)[form]
        assert ledger(report)[stage]["failed"] == failed > 0
        assert ledger(report)[stage]["pending"] == 0
        assert {row["attempts"] for row in report.failed} == {1}
        again = rag.index()
        assert asked(server).get(form, 0) == 0  # they are left alone until somebody asks
        assert ledger(again)[stage]["failed"] == failed
    assert rag.estimate(retry_failed=True)[stage].calls == failed
    broken["on"] = False
    repaired = rag.index(retry_failed=True)
    assert asked(server)[form] == failed
    assert ledger(repaired)[stage]["failed"] == ledger(repaired)[stage]["pending"] == 0
    assert repaired.failed == ()
    reference = open_project(tmp_path / "whole", server, descriptions={"max_tokens": 16})
    reference.index()
    assert published(tmp_path / "broken") == published(tmp_path / "whole")


def test_a_report_that_fails_does_not_leave_an_old_one(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    rag.index()
    before = {row["community"] for row in rag.open_index().table("community_reports").to_pylist()}
    server.answer = lambda body: (
        Fault(500)
        if body.get("response_format", {}).get("json_schema", {}).get("name") == "ReportAnswer"
        else answer(body)
    )
    report = open_project(tmp_path, server, reports={"max_findings": 3}).index()
    failed = ledger(report)["report_communities"]["failed"]
    assert failed > 0
    after = open_project(tmp_path, server).open_index().table("community_reports").to_pylist()
    assert len(after) == len(before) - failed
    assert not any(row["method"] == "llm" for row in after)


def test_what_is_in_flight_when_a_row_ends_the_run_is_kept(tmp_path: Path, server: OpenAIServer) -> None:
    def one_key_error(body: dict[str, Any]) -> Any:
        if "Gjoa" in body["messages"][-1]["content"]:
            return Fault(401, body='{"error": {"message": "Incorrect API key provided"}}')
        time.sleep(0.2)  # the others are still in flight when this one fails
        return answer(body)

    server.answer = one_key_error
    rag = open_project(tmp_path, server)
    with pytest.raises(Exception, match="Incorrect API key"):
        rag.index()
    assert asked(server)["ExtractedGraphWithClaims"] == 3
    server.answer = answer
    assert not rag.index().failed
    assert asked(server)["ExtractedGraphWithClaims"] == 1


def test_the_loop_stays_free_while_texts_are_embedded(tmp_path: Path, server: OpenAIServer) -> None:
    """Somebody may want to stop the run just then: signals are heard by the loop."""
    seconds = 0.3
    vectors = server.embed_answer

    def slow(texts: list[str]) -> list[list[float]]:
        time.sleep(seconds)
        return vectors(texts)

    open_project(tmp_path / "warm", server).index()  # what is imported at first use blocks as well
    server.requests.clear()
    server.embed_answer = slow
    rag = open_project(tmp_path / "slow", server)

    async def run() -> list[float]:
        running = asyncio.create_task(rag.aindex())
        lags = []
        while not running.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - before - 0.01)
        await running
        return sorted(lags)

    lags = asyncio.run(run())
    batches = sum(request.path.endswith("/embeddings") for request in server.requests)
    assert batches >= 3
    # One late tick per batch is what blocking would give; a busy machine may be late now and then.
    assert sum(lag >= 0.9 * seconds for lag in lags) < batches / 2


def test_status_reads_the_report_of_an_older_release(tmp_path: Path, server: OpenAIServer) -> None:
    rag = open_project(tmp_path, server)
    rag.index()
    report = json.loads(rag.layout.last_run.read_text(encoding="utf-8"))
    for row in report["usage"]:
        del row["stage"], row["cost"]
    for row in report["stages"]:
        del row["peak_rss_mb"]
    del report["ledger"], report["stop_reason"]
    rag.layout.last_run.write_text(json.dumps(report), encoding="utf-8")
    shown = CliRunner().invoke(app, ["status", "--root", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "Model use of the last run" in shown.output
    rag.layout.store.unlink()
    shown = CliRunner().invoke(app, ["status", "--root", str(tmp_path)])
    assert shown.exit_code == 0, shown.output


def test_the_status_of_a_run_that_was_killed_is_read_from_the_store(
    tmp_path: Path, server: OpenAIServer
) -> None:
    rag = open_project(tmp_path, server)
    rag.index()
    rag.layout.last_run.unlink()  # as if the run had died before its report
    status = rag.status()
    assert {row["stage"]: row["done"] for row in status["ledger"]}["extract_graph"] == 3
    assert status["counts"]["documents"] == 3
    hold = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    rag.index()
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(rag.layout.store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert f"process {holder.pid}" in rag.status()["indexing"]
        assert holder.stdin is not None
        holder.stdin.close()
