"""Whatever an endpoint does, the run ends, every chunk is accounted for, and a later run heals the index."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrag import GraphRAG
from graphrag.errors import ConfigError
from graphrag.store.store import Store
from tests.reliability.corpus import documents, write_documents
from tests.reliability.faults import CHAT, Draws
from tests.reliability.project import Endpoint, differences, make_project, published

COUNT = 6
# Shares of the calls that go wrong, each in its own way: half of them together.
RATES = {
    "500": 0.1,
    "429": 0.05,
    "hang": 0.02,
    "connection cut": 0.03,
    "body is not JSON": 0.03,
    "no choices": 0.03,
    "cut answer": 0.08,
    "malformed answer": 0.04,
    "wrong schema": 0.04,
    "empty answer": 0.04,
    "10 MB answer": 0.02,
    "10 MB of text": 0.02,
}


@pytest.fixture
def endpoint():
    with Endpoint() as found:
        yield found


def project(root: Path, endpoint: Endpoint) -> GraphRAG:
    make_project(root, endpoint.base_url, timeout=1.0, max_retries=1)
    write_documents(root / "input", documents(COUNT))
    return GraphRAG.open(root)


def test_every_chunk_is_accounted_for_and_a_retry_heals_the_index(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrag.patience._FIRST_SECONDS", 0.01)
    quiet = project(tmp_path / "quiet", endpoint)
    quiet.index()
    rag = project(tmp_path / "loud", endpoint)
    draws = Draws(RATES, seed=3)
    endpoint.fault_of = draws
    report = rag.index()
    assert len(draws.served) > 5
    counts = report.counts
    units = counts["text units"]
    assert units > COUNT
    assert sum(counts[f"text units {status}"] for status in ("done", "empty", "failed")) == units
    for row in report.failed:
        assert row["reason"]
        assert row["attempts"] >= 1
    endpoint.fault_of = lambda path, body: None
    healed = rag.index(retry_failed=True)
    assert not healed.failed
    assert differences(published(rag.layout.root), published(quiet.layout.root)) == []


@pytest.mark.parametrize("fault", sorted(set(CHAT) - {"hang", "control characters"}))
def test_a_fault_that_never_ends_is_named_and_in_the_ledger(
    fault: str, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrag.patience._FIRST_SECONDS", 0.01)
    make_project(tmp_path, endpoint.base_url, timeout=1.0, max_retries=1)
    write_documents(tmp_path / "input", documents(1))
    endpoint.fault_of = Draws({fault: 1.0})
    rag = GraphRAG.open(tmp_path)
    with pytest.raises(ConfigError, match="extraction failed in every text unit; the first reason was"):
        rag.index()
    with Store(rag.layout.store) as store:
        rows = store.sql("SELECT status, reason FROM ledger WHERE stage = 'extract_graph'").to_pylist()
        assert len(rows) == store.count("text_units") > 0
    assert {row["status"] for row in rows} == {"failed"}
    assert all(row["reason"] for row in rows)
    assert not rag.layout.output.exists()
