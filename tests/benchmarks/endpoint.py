"""What the engine itself costs when the model costs nothing: one book against a deterministic endpoint.

    python -m tests.benchmarks.endpoint --shared ../shared [--gleanings 0,1] [--latency-ms 0] [--json OUT]

starts ``bench/mock_openai.py`` (needs aiohttp), indexes ``bench/book.txt.gz`` in a fresh process for
each number of gleanings, and asks one global and one local question. Printed: calls and tokens by
task as the endpoint counted them (characters / 4), CPU seconds of the whole process and of the work
after the imports, peak memory, and the estimate that ``--dry-run`` gave beforehand.
"""

from __future__ import annotations

import argparse
import gzip
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

WORKER = """
import json, resource, sys, time
from pathlib import Path
from graphrag import GraphRAG
import graphrag.indexing.runner, graphrag.llm.openai_compatible, graphrag.embed.openai_compatible, openai, duckdb
import igraph, leidenalg, faiss, bm25s, pyarrow.parquet
from graphrag.indexing.stages import NAMES, stage_named
for name in NAMES: stage_named(name)
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
rag = GraphRAG.open(sys.argv[1])
found = rag.estimate()
begun = cpu()
report = rag.index()
work = cpu() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({
    "work_cpu_s": round(work, 2), "peak_rss_mb": round(peak), "counts": report.counts,
    "estimate": {name: [one.calls, one.prompt_tokens] for name, one in found.items() if one.calls},
    "stages": {stage.name: round(stage.seconds, 2) for stage in report.stages},
}))
"""


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def stats(port: int, *, reset: bool = False) -> dict[str, Any]:
    """Read, or reset, what the endpoint counted."""
    url = f"http://127.0.0.1:{port}/stats" + ("/reset" if reset else "")
    with urllib.request.urlopen(urllib.request.Request(url, method="POST" if reset else "GET")) as answer:
        return dict(json.loads(answer.read() or b"{}"))


def run(shared: Path, port: int, gleanings: int) -> dict[str, Any]:
    """Index the book in a process of its own and return what it took."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "input").mkdir()
        (root / "input" / "book.txt").write_bytes(
            gzip.decompress((shared / "bench" / "book.txt.gz").read_bytes())
        )
        address = f"http://127.0.0.1:{port}/v1"
        settings = {
            "llm": {"provider": "openai", "model": "mock", "base_url": address, "api_key": "x"},
            "embedding": {"provider": "openai", "model": "mock", "base_url": address, "api_key": "x"},
            "extraction": {"max_gleanings": gleanings},
        }
        (root / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")
        stats(port, reset=True)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(root)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        result["wall_s"] = round(time.perf_counter() - begun, 1)
        result["endpoint"] = stats(port)
        result["files"] = sum(1 for path in (root / ".graphrag").rglob("*") if path.is_file())
        size = sum(path.stat().st_size for path in (root / ".graphrag").rglob("*") if path.is_file())
        result["mb_kept"] = round(size / 2**20, 1)
        for method, question in (("global", "What are the main themes?"), ("local", "Who is Alice?")):
            stats(port, reset=True)
            subprocess.run(
                [sys.executable, "-m", "graphrag.cli.main", "query", question, "-m", method, "-r", str(root)],
                capture_output=True,
                check=True,
            )
            result[f"{method}_query"] = stats(port)
        return result


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--gleanings", default="0,1")
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    port = free_port()
    script = arguments.shared / "bench" / "mock_openai.py"
    server = subprocess.Popen(
        [sys.executable, str(script), "--port", str(port), "--latency-ms", str(arguments.latency_ms)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                stats(port)
                break
            except OSError:
                time.sleep(0.1)
        results = {
            f"gleanings {n}": run(arguments.shared, port, int(n)) for n in arguments.gleanings.split(",")
        }
    finally:
        server.terminate()
        server.wait()
    print(json.dumps(results, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
