"""Whatever an endpoint of vectors does, every row is in the ledger, no vector is empty, none is paid twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrag import GraphRAG
from graphrag.errors import EmbeddingError
from graphrag.store.store import Store
from tests.openai_server import Fault
from tests.reliability.corpus import documents, write_documents
from tests.reliability.faults import EMBEDDING, Draws
from tests.reliability.project import Endpoint, differences, make_project, published

COUNT = 2
DIMENSION = 32
BY_TEXT = ("500", "zeros for the first")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr("graphrag.patience._FIRST_SECONDS", 0.01)
    with Endpoint(dimension=DIMENSION) as found:
        yield found


def project(root: Path, endpoint: Endpoint, *, count: int = COUNT, max_retries: int = 1) -> GraphRAG:
    make_project(root, endpoint.base_url, timeout=1.0, max_retries=max_retries)
    write_documents(root / "input", documents(count))
    return GraphRAG.open(root)


def ledger(rag: GraphRAG) -> dict[str, Any]:
    return next(row for row in rag.status()["ledger"] if row["stage"] == "embed_text")


def vectors(rag: GraphRAG) -> np.ndarray:
    with Store(rag.layout.store, read_only=True) as store:
        stored = store.sql("SELECT vector FROM embeddings")["vector"].to_pylist()
    return np.array([np.frombuffer(one, dtype="<f4") for one in stored])


def assert_accounted_for(rag: GraphRAG, endpoint: Endpoint) -> None:
    """Every row is done or failed with a reason; every vector is whole; no text was embedded twice."""
    counts = ledger(rag)
    with Store(rag.layout.store, read_only=True) as store:
        rows = sum(store.count(name) for name in ("text_units", "entities", "community_reports"))
    assert counts["done"] + counts["failed"] == rows > 0
    assert counts["pending"] == counts["empty"] == 0
    failed = [row for row in rag.status()["failed"] if "EmbeddingError" in row["reason"]]
    assert len([row for row in failed if row["stage"] == "embed_text"]) == counts["failed"]
    assert all(row["attempts"] >= 1 for row in failed)
    found = vectors(rag)
    assert found.shape[1:] == (DIMENSION,)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert {text: times for text, times in endpoint.embedded.items() if times > 1} == {}


@pytest.mark.parametrize("fault", [*BY_TEXT, "no vectors", "another size"])
def test_what_an_endpoint_keeps_doing_to_some_texts_is_named_and_heals(
    fault: str, tmp_path: Path, endpoint: Endpoint
) -> None:
    quiet = project(tmp_path / "quiet", endpoint)
    quiet.index()
    endpoint.forget()
    rag = project(tmp_path / "loud", endpoint)

    def spoil(path: str, body: dict[str, Any]) -> Fault | None:
        # One of the texts to come, whoever asks for it: a name, a report, a text unit.
        hit = path.endswith("/embeddings") and any("Ada" in text or "box 1" in text for text in body["input"])
        return EMBEDDING[fault](body) if hit else None

    endpoint.fault_of = spoil
    report = rag.index()
    assert not report.stopped
    assert ledger(rag)["failed"] > 0
    # What is no answer is asked for again in halves; an answer of no use was paid for, and is not.
    assert (ledger(rag)["done"] > ledger(rag)["failed"]) == (fault in BY_TEXT)
    assert_accounted_for(rag, endpoint)
    asked = len(endpoint.requests)
    rag.index()  # what failed is left alone until a retry is asked for
    assert len(endpoint.requests) == asked
    endpoint.fault_of = lambda path, body: None
    healed = rag.index(retry_failed=True)
    assert not healed.failed
    assert_accounted_for(rag, endpoint)
    assert differences(tables(rag), tables(quiet)) == []
    assert found_by_vector(rag) == found_by_vector(quiet)


def tables(rag: GraphRAG) -> dict[str, bytes]:
    return {name: data for name, data in published(rag.layout.root).items() if name.endswith(".parquet")}


def found_by_vector(rag: GraphRAG) -> dict[str, list[Any]]:
    """Return for each kind every row and its vector, whatever files they lie in."""
    index = rag.open_index()
    found = {}
    for kind in ("text_units", "entities", "community_reports"):
        ids = index.table(kind)["id"].to_pylist()
        rows = index.vectors(kind).vectors_of(range(len(ids)))
        found[kind] = [(id_, row.tobytes()) for id_, row in zip(ids, rows, strict=True)]
    return found


def test_faults_at_random_lose_nothing_and_pay_nothing_twice(tmp_path: Path, endpoint: Endpoint) -> None:
    rag = project(tmp_path, endpoint, count=6, max_retries=6)
    rates = {
        "500": 0.2,
        "429": 0.1,
        "connection cut": 0.1,
        "body is not JSON": 0.1,
        "no vectors": 0.05,
        "zeros for the first": 0.05,
    }
    draws = Draws({}, rates, seed=5)
    endpoint.fault_of = draws
    rag.index()
    assert len(draws.served) >= 4
    assert_accounted_for(rag, endpoint)
    endpoint.fault_of = lambda path, body: None
    assert not rag.index(retry_failed=True).failed
    assert_accounted_for(rag, endpoint)


def test_an_endpoint_that_is_gone_stops_the_run_and_keeps_what_was_answered(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    rag = project(tmp_path, endpoint)
    calls = 0

    def leave(path: str, body: dict[str, Any]) -> Fault | None:
        nonlocal calls
        calls += path.endswith("/embeddings")
        return Fault(503) if path.endswith("/embeddings") and calls > 5 else None

    endpoint.fault_of = leave
    endpoint.models = Fault(503)
    with pytest.raises(EmbeddingError, match="503"):
        rag.index()
    kept = len(vectors(rag))
    assert kept == len(endpoint.embedded.keys() - {"dimension"}) > 0
    endpoint.fault_of = lambda path, body: None
    assert not rag.index().failed
    assert_accounted_for(rag, endpoint)


def test_vectors_of_another_size_are_not_stored_and_name_the_cause(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    rag = project(tmp_path, endpoint)
    rag.index()
    right = endpoint.embed_answer
    endpoint.embed_answer = lambda texts: [[1.0] * 5 for _ in texts]
    write_documents(tmp_path / "input", {"new.md": "Nora Lund founded the Harbour Guild in Alta."})
    report = rag.index()
    assert {row["stage"] for row in report.failed} >= {"embed_text"}
    assert all("vectors of 5 numbers; those before had 32" in row["reason"] for row in report.failed)
    index = rag.open_index()
    place = index.table("entities")["title"].to_pylist().index("Nora Lund")
    assert not index.vectors("entities").vectors_of([place]).any()
    assert "Nora Lund" not in [
        index.row("entities", id_)["title"]
        for id_, _ in index.vectors("entities").search(vectors(rag)[:1], 1000)[0]
    ]
    endpoint.embed_answer = right
    assert "Nora" in rag.query("Nora Lund", method="basic", mode="extractive").answer
    assert not rag.index(retry_failed=True).failed
    assert rag.open_index().vectors("entities").vectors_of([place]).any()


def test_a_text_that_is_refused_costs_no_other_its_vector(tmp_path: Path, endpoint: Endpoint) -> None:
    project(tmp_path, endpoint)
    rag = GraphRAG.open(tmp_path, settings={"embedding": {"text_prefix": "passage: "}})

    def refuse(path: str, body: dict[str, Any]) -> Fault | None:
        hit = path.endswith("/embeddings") and any("box 1" in text for text in body["input"])
        return Fault(400, body='{"error": {"message": "maximum context length"}}') if hit else None

    endpoint.fault_of = refuse
    report = rag.index()
    failed = [row for row in report.failed if row["stage"] == "embed_text"]
    assert {row["uri"] for row in failed if row["uri"]} == {"box001.md"}
    assert ledger(rag)["done"] > ledger(rag)["failed"]
    assert "maximum context length" in failed[0]["reason"]
    assert {text[:9] for text in endpoint.embedded} == {"dimension", "passage: "}
    assert_accounted_for(rag, endpoint)


def test_a_wrong_key_stops_the_run(tmp_path: Path, endpoint: Endpoint) -> None:
    rag = project(tmp_path, endpoint)
    endpoint.fault_of = lambda path, body: Fault(401) if path.endswith("/embeddings") else None
    with pytest.raises(EmbeddingError, match=r"embedding\.api_key"):
        rag.index()
    assert ledger(rag)["failed"] == 0
