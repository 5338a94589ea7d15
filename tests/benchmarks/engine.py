"""What the engine itself costs when the model costs nothing: books against a deterministic endpoint.

    python -m tests.benchmarks.engine --shared ../shared [--books 1,3,10] [--update] [--json OUT]
    python -m tests.benchmarks.engine --shared ../shared --in-flight 16,64 --latency-ms 50,500
    python -m tests.benchmarks.engine --shared ../shared --faults

starts ``bench/mock_openai.py`` (``--mock-python`` names another interpreter for it), indexes
``bench/book.txt.gz`` and copies of it with other names (15 % of the names shared), each in a fresh
process. Counted: calls and tokens as the endpoint sees them (characters / 4), CPU seconds of the work
after the imports, peak memory, bytes handed to write() (``wchar``; sockets are not counted), files and
bytes kept. ``--update`` adds ``bench/extra.txt.gz`` to the largest index. ``--in-flight`` asks for so many
calls at once on ten books and reports how many there were; ``--faults`` compares the graph of a run with 5 % HTTP 500 and 5 %
cut replies with the one of a clean run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

QUESTIONS = {"global": "What are the main themes?", "local": "Who is Arthur?"}
SHARED_NAMES = 0.15

WORKER = """
import json, resource, sys
begun = resource.getrusage(resource.RUSAGE_SELF)
from graphrag import GraphRAG
import graphrag.indexing.runner, graphrag.llm.openai_compatible, graphrag.embed.openai_compatible, aiohttp, duckdb
import igraph, faiss, pyarrow.parquet, jinja2, sqlite3, rapidfuzz
import graphrag.query.engine, graphrag.retrieve.hybrid
from graphrag.indexing.stages import NAMES, stage_named
for name in NAMES: stage_named(name)
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
def written():
    return int(dict(line.split(": ") for line in open("/proc/self/io"))["wchar"])
startup = cpu()
rag = GraphRAG.open(sys.argv[1])
out = {"startup_cpu_s": round(startup, 2)}
before, bytes_before = cpu(), written()
if sys.argv[2] == "index":
    report = rag.index()
    out["counts"] = report.counts
    out["failed"] = len(report.failed)
    out["stages"] = {stage.name: round(stage.seconds, 3) for stage in report.stages}
else:
    result = rag.query(sys.argv[3], method=sys.argv[2])
    first = cpu() - before
    before = cpu()
    for n in range(4):
        rag.query(sys.argv[3] + " " * (n + 1), method=sys.argv[2])
    out["first_cpu_s"], out["next_cpu_s"] = round(first, 3), round((cpu() - before) / 4, 3)
out["work_cpu_s"] = round(cpu() - before, 3)
out["mb_written"] = round((written() - bytes_before) / 2**20, 2)
out["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(json.dumps(out))
"""


def with_other_names(text: str, copy: int) -> str:
    """Return ``text`` with its names changed, all but 15 %, differently for each ``copy`` (0: unchanged)."""
    if copy == 0:
        return text
    lower = set(re.findall(r"\b[a-z]+\b", text))
    names = set(re.findall(r"(?<=[a-z,;] )([A-Z][a-z]{2,})\b", text))
    names = {name for name in names if name.lower() not in lower}
    letters = ("aeiou", "bcdfghjklmnpqrstvwxyz")

    def other(match: re.Match[str]) -> str:
        name = match.group()
        if name not in names or blake2b(name.encode(), digest_size=1).digest()[0] < SHARED_NAMES * 256:
            return name
        changed = ""
        for place, letter in enumerate(name.lower()):
            row = next((row for row in letters if letter in row), letter)
            changed += row[(row.index(letter) + copy * (place + 1)) % len(row)] if len(row) > 1 else letter
        return changed.capitalize()

    return re.sub(r"\b[A-Z][a-z]{2,}\b", other, text)


class Endpoint:
    """The running mock and what it counted."""

    python = sys.executable

    def __init__(self, script: Path, *options: str) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        self._process = subprocess.Popen(
            [self.python, str(script), "--port", str(self.port), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                self.stats()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("The endpoint did not start: is aiohttp installed?")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self, *, reset: bool = False) -> dict[str, Any]:
        """Read, or reset, what the endpoint counted."""
        url = f"http://127.0.0.1:{self.port}/stats" + ("/reset" if reset else "")
        with urllib.request.urlopen(urllib.request.Request(url, method="POST" if reset else "GET")) as answer:
            return dict(json.loads(answer.read() or b"{}"))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def endpoint(shared: Path, *options: str) -> Iterator[Endpoint]:
    """Run the mock for as long as the block lasts."""
    found = Endpoint(shared / "bench" / "mock_openai.py", *options)
    try:
        yield found
    finally:
        found.close()


def write_books(root: Path, shared: Path, books: int) -> None:
    """Write ``books`` books into the folder ``input`` of a new ``root``."""
    (root / "input").mkdir(parents=True)
    text = gzip.decompress((shared / "bench" / "book.txt.gz").read_bytes()).decode()
    for copy in range(books):
        (root / "input" / f"book{copy:02}.txt").write_text(with_other_names(text, copy), encoding="utf-8")


def add_document(root: Path, shared: Path) -> None:
    """Write the document of an update beside the books."""
    (root / "input" / "extra.txt").write_bytes(
        gzip.decompress((shared / "bench" / "extra.txt.gz").read_bytes())
    )


def project(root: Path, shared: Path, books: int, address: str, **llm: Any) -> None:
    """Write the project: ``books`` books and settings that ask the endpoint for everything."""
    write_books(root, shared, books)
    model = {"provider": "openai", "model": "mock", "base_url": address, "api_key": "x"}
    settings = {"llm": {**model, "concurrency": 16, **llm}, "embedding": model}
    (root / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")


def measured(mock: Endpoint, root: Path, *arguments: str) -> dict[str, Any]:
    """Run one phase in a process of its own; return its figures and the endpoint's."""
    mock.stats(reset=True)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(root), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["wall_s"] = round(time.perf_counter() - begun, 1)
    result |= served(mock)
    calls = result["llm_calls"] + result["embedding_calls"]
    result["ms_per_call"] = round(1000 * result["work_cpu_s"] / max(1, calls), 2)
    return result | kept(path for path in root.rglob("*") if ".graphrag" in path.parts)


def served(mock: Endpoint) -> dict[str, Any]:
    """Return what the endpoint counted since it was reset."""
    seen = mock.stats()
    return {name: seen[name] for name in ("llm_calls", "prompt_tokens", "completion_tokens")} | {
        "embedding_calls": seen["embedding_calls"],
        "embedded_texts": seen["embedding_items"],
        "in_flight": seen["max_concurrency"],
        "families": {k: [v["calls"], v["prompt_tokens"]] for k, v in seen["families"].items()},
    }


def kept(paths: Iterable[Path]) -> dict[str, Any]:
    """Count the files among ``paths`` and their MiB."""
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    return {"files": len(sizes), "mb_kept": round(sum(sizes) / 2**20, 2)}


def growth(shared: Path, books: list[int], *, update: bool, gleanings: int) -> dict[str, Any]:
    """Index 1, 3, 10 … books, ask two questions, add a document to the largest index."""
    results: dict[str, Any] = {}
    with endpoint(shared) as mock, tempfile.TemporaryDirectory() as folder:
        for count in books:
            root = Path(folder) / str(count)
            project(root, shared, count, mock.address)
            if gleanings:
                settings = json.loads((root / "settings.yaml").read_text())
                settings["extraction"] = {"max_gleanings": gleanings}
                (root / "settings.yaml").write_text(json.dumps(settings))
            found = {"index": measured(mock, root, "index")}
            for method, question in QUESTIONS.items():
                found[method] = measured(mock, root, method, question)
            if update and count == max(books):
                add_document(root, shared)
                found["update"] = measured(mock, root, "index")
                found["update"]["share"] = _shares(found["index"], found["update"])
                found["update"]["in_community"] = coverage(root, "extra.txt")
            results[f"{count} books"] = found
            shutil.rmtree(root)
    if len(books) > 1:
        low, high = results[f"{min(books)} books"]["index"], results[f"{max(books)} books"]["index"]
        ratio = math.log(max(books) / min(books))
        results["growth exponent"] = {
            name: round(math.log(high[name] / low[name]) / ratio, 3)
            for name in ("work_cpu_s", "prompt_tokens", "mb_written", "peak_rss_mb")
        }
    return results


def _shares(index: dict[str, Any], update: dict[str, Any]) -> dict[str, float]:
    names = ("work_cpu_s", "prompt_tokens", "llm_calls", "embedded_texts", "mb_written")
    return {name: round(100 * update[name] / index[name], 2) for name in names}


def coverage(root: Path, uri: str) -> str:
    """Return how many entities of the document ``uri`` are in a community."""
    from graphrag.store.index import Index

    index = Index.open(root)
    documents = {row["id"] for row in index.table("documents").to_pylist() if row["uri"] == uri}
    members = {one for row in index.table("communities")["entity_ids"].to_pylist() for one in row}
    mentions = index.table("entity_mentions").select(["entity_id", "document_id"]).to_pylist()
    mine = {row["entity_id"] for row in mentions if row["document_id"] in documents}
    return f"{len(mine & members)} of {len(mine)}"


def in_flight(shared: Path, wanted: list[int], latencies: list[int], books: int) -> dict[str, Any]:
    """Ask for so many calls at once; report the most there were, and how busy the places were kept.

    Busy is the time of all extraction calls between the first call's start and the last one's start, as a
    share of that time times the places; the tail, when nothing is left to begin, is not counted.
    """
    results = {}
    for latency in latencies:
        for places in wanted:
            with tempfile.TemporaryDirectory() as folder:
                log = Path(folder) / "calls.jsonl"
                options = ("--latency-ms", str(latency), "--log", str(log))
                with endpoint(shared, *options) as mock:
                    root = Path(folder) / "project"
                    project(root, shared, books, mock.address, concurrency=places)
                    found = measured(mock, root, "index")
                    mock.stats(reset=True)
                calls = [json.loads(line) for line in log.read_text().splitlines()]
            first = max(
                ({c["family"] for c in calls if c["family"] != "embeddings"}),
                key=lambda family: sum(c["family"] == family for c in calls),
            )
            spans = [(c["start"], c["end"]) for c in calls if c["family"] == first]
            begun, last = min(s for s, _ in spans), max(s for s, _ in spans)
            used = sum(min(end, last) - start for start, end in spans)
            results[f"{places} places, {latency} ms"] = {
                "most in flight": found["in_flight"]["chat"],
                "busy": round(used / (places * (last - begun)), 3),
                "calls": len(spans),
                "wall_s": found["wall_s"],
                "work_cpu_s": found["work_cpu_s"],
            }
    return results


def faults(shared: Path) -> dict[str, Any]:
    """Compare the graph made through 5 % HTTP 500 and 5 % cut replies with the undisturbed one."""
    results = {}
    for name, options in (
        ("clean", ()),
        ("faults", ("--fail-rate", "0.05", "--malformed-rate", "0.05")),
    ):
        with endpoint(shared, *options) as mock, tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            project(root, shared, 1, mock.address)
            found = measured(mock, root, "index")
            found["faults"] = mock.stats()["faults"]
            results[name] = found
    results["same graph"] = results["clean"]["counts"] == results["faults"]["counts"]
    return results


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--books", default="1,3,10")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--gleanings", type=int, default=0)
    parser.add_argument("--in-flight")
    parser.add_argument("--latency-ms", default="50,500")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--mock-python", default=sys.executable)
    arguments = parser.parse_args()
    Endpoint.python = arguments.mock_python
    numbers = [int(one) for one in arguments.books.split(",")]
    if arguments.faults:
        results = faults(arguments.shared)
    elif arguments.in_flight:
        wanted = [int(one) for one in arguments.in_flight.split(",")]
        latencies = [int(one) for one in arguments.latency_ms.split(",")]
        results = in_flight(arguments.shared, wanted, latencies, max(numbers))
    else:
        results = growth(arguments.shared, numbers, update=arguments.update, gleanings=arguments.gleanings)
    print(json.dumps(results, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
