"""Killed, refused, shared: the index comes out whole. The long form is ``python -m tests.reliability.crash``."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from graphrag import GraphRAG
from tests.reliability.corpus import documents, write_documents
from tests.reliability.crash import crash_test
from tests.reliability.project import (
    Endpoint,
    Indexer,
    command,
    differences,
    environment,
    graphrag,
    make_project,
    published,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills process groups")


def test_ten_kills_change_nothing_and_no_answer_is_paid_for_twice(tmp_path: Path) -> None:
    result = crash_test(tmp_path, kills=10, count=5)
    assert result.kills == 10
    assert result.prompts > 10
    assert not result.differing
    assert not result.paid_twice
    assert not result.left_behind


def test_a_second_process_is_told_who_is_indexing_and_readers_go_on(tmp_path: Path) -> None:
    texts = documents(6)
    with Endpoint() as endpoint:
        make_project(tmp_path, endpoint.base_url)
        write_documents(tmp_path / "input", texts)
        assert graphrag("index", "--root", str(tmp_path)).returncode == 0
        before = GraphRAG.open(tmp_path).open_index()
        endpoint.latency = 0.3
        write_documents(
            tmp_path / "input", {f"more-{name}": text for name, text in documents(6, seed=1).items()}
        )
        indexer = Indexer.start(tmp_path)
        try:
            while not any("extract" in line or "chunk" in line for _, line in indexer.lines):
                assert indexer.process.poll() is None
                time.sleep(0.01)
            second = graphrag("index", "--root", str(tmp_path))
            assert second.returncode == 1
            assert f"Another process is indexing this project (process {indexer.process.pid})" in (
                " ".join(second.stderr.split())
            )
            reader = GraphRAG.open(tmp_path).open_index()
            assert reader.generation == before.generation
            assert reader.table("documents").num_rows == 6
        finally:
            endpoint.latency = 0.0
            assert indexer.wait() == 0
        assert GraphRAG.open(tmp_path).open_index().table("documents").num_rows == 12
        assert before.table("entities").num_rows > 0  # a reader of the generation before still can


@pytest.mark.parametrize("limit", [96_000, 400_000, 1_500_000])
def test_a_disk_that_fills_up_loses_nothing(limit: int, tmp_path: Path) -> None:
    def no_file_grows_beyond() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    texts = documents(5)
    with Endpoint() as endpoint:
        for name in ("quiet", "full"):
            make_project(tmp_path / name, endpoint.base_url)
            write_documents(tmp_path / name / "input", texts)
        assert graphrag("index", "--root", str(tmp_path / "quiet")).returncode == 0
        asked = set(endpoint.sent)
        endpoint.forget()
        full = subprocess.run(
            command("index", "--root", str(tmp_path / "full")),
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
            preexec_fn=no_file_grows_beyond,
        )
        assert full.returncode == 1, full.stderr
        assert "Traceback" not in full.stderr
        assert "could not be" in full.stderr or "cannot be" in full.stderr
        again = graphrag("index", "--root", str(tmp_path / "full"))
        assert again.returncode == 0, again.stderr
    assert differences(published(tmp_path / "full"), published(tmp_path / "quiet")) == []
    # An answer that the cache could not hold any more is the only one that is asked for again.
    assert set(endpoint.sent) == asked
    assert sum(len(times) - 1 for times in endpoint.sent.values()) <= 4
