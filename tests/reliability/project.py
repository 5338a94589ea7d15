"""A project whose models are behind an endpoint, and the real ``graphrag index`` process on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from json import dumps
from pathlib import Path
from threading import Thread
from typing import Any

from graphrag.project import init_project
from tests.openai_server import OpenAIServer
from tests.reliability.corpus import answer

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """\
pipeline: standard
llm:
  provider: openai
  model: test-model
  base_url: {url}
  concurrency: 4
  timeout: {timeout}
  max_retries: {max_retries}
embedding:
  provider: openai
  model: test-embedder
  base_url: {url}
  batch_size: 16
  concurrency: 2
  timeout: {timeout}
  max_retries: {max_retries}
chunking: {{size: 64, overlap: 0}}
descriptions: {{max_tokens: 48}}
reports: {{min_llm_size: 3, min_llm_tokens: 0}}
"""


def make_project(root: Path, url: str, *, timeout: float = 30, max_retries: int = 2) -> None:
    """Write a project whose chat model and embedder are the endpoint at ``url``."""
    init_project(root)
    text = SETTINGS.format(url=url, timeout=timeout, max_retries=max_retries)
    (root / "settings.yaml").write_text(text, encoding="utf-8")


class Endpoint(OpenAIServer):
    """An endpoint that remembers when each distinct prompt was answered in full.

    ``latency`` is slept before every chat answer, so that a kill finds calls in flight.
    """

    def __init__(self, *, latency: float = 0.0, dimension: int = 32) -> None:
        super().__init__(answer=self._slowly, dimension=dimension)
        self.latency = latency
        self.sent: dict[str, list[float]] = {}
        self.embedded: Counter[str] = Counter()
        embed = self.embed_answer

        def counted(texts: list[str]) -> list[list[float]]:
            with self.lock:
                self.embedded.update(texts)
            return embed(texts)

        self.embed_answer = counted

    def _slowly(self, body: dict[str, Any]) -> Any:
        time.sleep(self.latency)
        return answer(body)

    def answered(self, body: dict[str, Any]) -> None:
        """Note that the whole answer to ``body`` is written to the client's socket."""
        key = blake2b(dumps(body, sort_keys=True).encode(), digest_size=12).hexdigest()
        with self.lock:
            self.sent.setdefault(key, []).append(time.monotonic())

    def forget(self) -> None:
        """Begin a new count."""
        with self.lock:
            self.sent.clear()
            self.embedded.clear()
            self.requests.clear()


def command(*arguments: str) -> list[str]:
    """Return the command line of ``graphrag``."""
    return [sys.executable, "-m", "graphrag.cli.main", *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a child: this checkout first, no colours, one thread per library."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


def graphrag(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run ``graphrag`` to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout, env=environment(), check=False
    )


@dataclass(slots=True)
class Indexer:
    """A running ``graphrag index``, leader of its own process group, whose progress can be waited for."""

    process: subprocess.Popen[str]
    lines: list[tuple[float, str]] = field(default_factory=list)
    reader: Thread | None = None

    @classmethod
    def start(cls, root: Path, *arguments: str) -> Indexer:
        """Start indexing the project at ``root``."""
        process = subprocess.Popen(
            command("index", "--root", str(root), *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        indexer = cls(process)
        indexer.reader = Thread(target=indexer._read)
        indexer.reader.start()
        return indexer

    def kill(self) -> None:
        """Kill the whole process group with SIGKILL and wait for its end."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def wait(self, timeout: float = 120) -> int:
        """Wait for the end; return the exit status."""
        status = self.process.wait(timeout)
        assert self.reader is not None
        self.reader.join()
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self.lines.append((time.monotonic(), line.rstrip()))


def published(root: Path) -> dict[str, bytes]:
    """Return every file of the published index by its path: tables, vectors, BM25 and manifest."""
    folder = root / "output"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> Sequence[str]:
    """Return the names of files that only one side has or that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
