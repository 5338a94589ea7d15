"""Rows done by workers give the ledger and the tables of rows done in this process."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from graphrag import GraphRAG
from graphrag.errors import ConfigError, MissingExtraError, StageError
from graphrag.indexing.executors import AsyncioExecutor, make_executor
from graphrag.indexing.executors.worker import Order, RowWorker, share
from graphrag.indexing.report import RunReport
from graphrag.indexing.rows import Pending, RowOutcome
from graphrag.llm.base import ChatModel
from graphrag.llm.budget import Budget, parse_limit
from graphrag.schema import LEDGER, TEXT_UNITS
from graphrag.settings import ExecutionSettings, LLMSettings, Prices, Settings
from graphrag.store.store import Store
from tests.indexing.endpoint import answer, open_project, published
from tests.openai_server import Fault, OpenAIServer

SHIPS = (
    "Fram",
    "Gjoa",
    "Maud",
    "Belgica",
    "Endurance",
    "Nimrod",
    "Discovery",
    "Aurora",
    "Quest",
    "Terra Nova",
)
ROWS = len(SHIPS) + 3
DAFT = {"executor": "daft", "workers": 2}
# Daft leaves the pipe of a worker that has ended to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture
def daft() -> Iterator[None]:
    """Collect these pipes before the next test, which may not ignore them."""
    yield
    gc.collect()


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(answer) as running:
        yield running


def project(root: Path, server: OpenAIServer, **settings: Any) -> GraphRAG:
    """Open a project of thirteen text units; two calls in flight make batches of four rows."""
    llm = {"concurrency": 2, **settings.pop("llm", {})}
    rag = open_project(root, server, llm=llm, **settings)
    for number, ship in enumerate(SHIPS):
        text = f"Fridtjof Nansen saw the {ship} in 18{number}0. Otto Sverdrup sailed the {ship} with Colin Archer."
        (root / "input" / f"ship{number}.txt").write_text(text, encoding="utf-8")
    return rag


def ledger(root: Path) -> list[dict[str, Any]]:
    with Store(root / ".graphrag" / "store.duckdb") as store:
        return store.sql("SELECT * FROM ledger ORDER BY stage, row_id").to_pylist()


def extractions(server: OpenAIServer) -> Counter[str]:
    """Count the extraction prompts that came in."""
    prompts = [
        request.body["messages"][-1]["content"] for request in server.requests if "messages" in request.body
    ]
    return Counter(prompt for prompt in prompts if "<text>" in prompt)


def one_is_refused(path: str, body: dict[str, Any]) -> Fault | None:
    text = json.dumps(body)
    return Fault(500) if "<text>" in text and "the Nimrod" in text else None


@dataclass
class Here:
    """A project indexed in this process, one of its rows refused, and the endpoint that did it."""

    root: Path
    server: OpenAIServer
    report: RunReport


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    root = tmp_path_factory.mktemp("here")
    with OpenAIServer(answer) as server:
        server.fault_of = one_is_refused
        yield Here(root, server, project(root, server).index())


def test_two_workers_publish_what_one_process_does(tmp_path: Path, here: Here, daft: None) -> None:
    report = project(tmp_path, here.server, execution=DAFT).index()
    assert published(tmp_path) == published(here.root)
    assert ledger(tmp_path) == ledger(here.root)
    failed = [row for row in ledger(tmp_path) if row["status"] == "failed"]
    assert [(row["stage"], row["attempts"]) for row in failed] == [("extract_graph", 1)]
    assert report.usage == here.report.usage
    left = {path.name for path in (tmp_path / ".graphrag").iterdir()}
    assert left == {path.name for path in (here.root / ".graphrag").iterdir()}


def test_a_killed_run_goes_on_and_pays_nothing_twice(tmp_path: Path, here: Here) -> None:
    server = here.server
    arguments = project(tmp_path, server, execution=DAFT).settings.model_dump(mode="json")
    (tmp_path / "settings.yaml").write_text(json.dumps(arguments), encoding="utf-8")
    server.requests.clear()
    delivered: list[dict[str, Any]] = []

    def slowly(body: dict[str, Any]) -> Any:
        time.sleep(0.3)
        return answer(body)

    server.answer = slowly
    server.answered = delivered.append  # type: ignore[method-assign]
    command = [sys.executable, "-m", "graphrag.cli.main", "index", "--root", str(tmp_path)]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 60
    while len(delivered) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.15)  # the answers that were delivered are stored by then; others are on their way
    in_flight = server.in_flight
    os.killpg(process.pid, signal.SIGKILL)
    out, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, out.decode()
    assert 5 <= len(delivered) < ROWS - 1
    server.answer = answer

    GraphRAG.open(tmp_path).index(executor="asyncio")
    assert published(tmp_path) == published(here.root)
    asked = extractions(server)
    assert len(asked) == ROWS
    again = [prompt for prompt, times in asked.items() if times > 1 and "the Nimrod" not in prompt]
    assert len(again) <= max(in_flight, 2)


def test_a_budget_holds_in_a_worker(tmp_path: Path, server: OpenAIServer, daft: None) -> None:
    rag = project(tmp_path, server, extraction={"max_tokens": 64})
    report = rag.index(budget="2000", executor="daft", workers=1)
    spent = sum(row.prompt_tokens + row.completion_tokens for row in report.usage if row.task != "embedding")
    assert report.stopped
    assert "budget of 2,000 tokens" in str(report.stop_reason)
    assert 0 < spent <= 2000
    done = [row for row in ledger(tmp_path) if row["stage"] == "extract_graph"]
    assert 0 < len(done) < ROWS
    assert {row["status"] for row in done} == {"done"}


def test_what_fails_every_row_ends_the_run_with_its_reason(
    tmp_path: Path, server: OpenAIServer, daft: None
) -> None:
    server.api_key = "another"
    with pytest.raises(StageError, match="401"):
        project(tmp_path, server).index(executor="daft", workers=1)
    assert not [row for row in ledger(tmp_path) if row["stage"] == "extract_graph"]


def test_a_rehearsal_asks_nobody_whatever_the_executor(
    tmp_path: Path, server: OpenAIServer, daft: None
) -> None:
    rag = open_project(tmp_path, server, execution=DAFT)
    assert rag.estimate()["extract_graph"].calls > 0
    assert rag.estimate(executor="daft", workers=1)["extract_graph"].calls > 0
    assert server.requests == []
    with pytest.raises(ConfigError, match="execution"):
        rag.estimate(executor="nobody")


def test_only_the_ids_of_rows_to_come_are_in_memory(tmp_path: Path) -> None:
    with Store(tmp_path / "store.duckdb") as store:
        ids = [f"u{n}" for n in range(7)]
        store.append("text_units", TEXT_UNITS.of([{"id": id_, "text": id_.upper()} for id_ in ids]))
        found = Pending(
            store, "text_units", store.sql("SELECT id FROM text_units WHERE id <> 'u3' ORDER BY id")["id"]
        )
        assert len(found) == 6
        batches = found.batches(4)
        assert [row["id"] for row in next(batches)] == ["u0", "u1", "u2", "u4"]
        store.append(
            "ledger", LEDGER.of([{"stage": "extract_graph", "row_id": "u0"}])
        )  # written between reads
        assert [row["text"] for row in next(batches)] == ["U5", "U6"]
        assert next(batches, None) is None
        assert [row["id"] for row in found.rows()] == [id_ for id_ in ids if id_ != "u3"]


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "daft", None)
    with pytest.raises(MissingExtraError, match=r"graphrag-engine\[distributed\]"):
        make_executor(ExecutionSettings(executor="daft"))
    assert isinstance(make_executor(ExecutionSettings()), AsyncioExecutor)


# -- the worker, without Daft ------------------------------------------------------------------


def echo(model: ChatModel, settings: Settings, root: Path) -> Any:
    async def do(row: dict[str, Any]) -> RowOutcome:
        await asyncio.sleep(0)
        return RowOutcome(row["id"], "done", rows={"seen": [row]})

    return do


@contextmanager
def worker(root: Path, **changes: Any) -> Iterator[RowWorker]:
    settings = Settings(
        llm=LLMSettings(provider="openai", model="m", base_url="http://127.0.0.1:9/v1", api_key="x")
    )
    job = {"factory": f"{__name__}:echo", "arguments": {}, "prompts": changes.pop("prompts", {})}
    order = {
        "job": job,
        "settings": settings.model_dump(mode="json"),
        "model_id": "m@http://127.0.0.1:9/v1",
        "root": str(root),
        "stop": str(root / "stop"),
        "cache": None,
        "budget": None,
    }
    started = RowWorker(json.dumps(asdict(Order(**{**order, **changes}))))
    try:
        yield started
    finally:
        started.close()


def test_a_worker_begins_nothing_once_it_is_to_stop(tmp_path: Path) -> None:
    rows = [json.dumps({"id": name}) for name in "ab"]
    with worker(tmp_path) as one:
        assert [json.loads(text)["outcome"]["rows"] for text in one.answer(rows)] == [
            {"seen": [{"id": "a"}]},
            {"seen": [{"id": "b"}]},
        ]
        (tmp_path / "stop").touch()
        assert [json.loads(text)["left"] for text in one.answer(rows)] == ["stop", "stop"]


def test_a_worker_refuses_another_model_or_prompt(tmp_path: Path) -> None:
    row = json.dumps({"id": "a"})
    with worker(tmp_path, model_id="fake") as one:
        assert "this run's is 'fake'" in json.loads(one.answer([row])[0])["error"]
    with worker(tmp_path, prompts={"extract_graph": "0"}) as one:
        assert "another wording of the prompt 'extract_graph'" in json.loads(one.answer([row])[0])["error"]


def test_workers_share_what_one_process_may_do() -> None:
    limits = LLMSettings(concurrency=5, requests_per_minute=1, tokens_per_minute=900)
    assert share(limits, 2) == {"concurrency": 3, "requests_per_minute": 1, "tokens_per_minute": 450}
    tokens = Budget(parse_limit("1k"), Prices(), Prices())
    tokens.charge(301)
    assert parse_limit(tokens.part(2)) == parse_limit("349")
    money = Budget(parse_limit("2 eur"), Prices(prompt=1), Prices())
    assert parse_limit(money.part(4)).amount == pytest.approx(0.5)
