"""How cost grows with the corpus: CPU by stage, peak memory, bytes, growth exponents, query times.

``python -m tests.benchmarks.scale --chunks 1000,10000,100000`` runs the whole ``fast`` pipeline on synthetic
documents; ``--relationships 1000000`` starts from mentions and resolves, builds, partitions and publishes;
with ``--queries`` the published index is then opened and asked. Vectors come from a hash (384 numbers), so
that our code is measured, not a model. Every size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphrag import GraphRAG
from graphrag.embed.base import Vectors
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel
from graphrag.store.layout import Layout
from tests.benchmarks.synthetic import fill_store, write_corpus

GRAPH_STAGES = ("resolve_entities", "build_graph", "detect_communities", "publish")
REPORT_STAGES = ("summarize_descriptions", "report_communities", "embed_text", "publish")
DIMENSION = 384  # of all-MiniLM-L6-v2, the embedded default


class HashEmbedder:
    """Vectors from a hash of the text: next to no work, and no two texts are near each other."""

    model_id = f"hash-{DIMENSION}"
    dimension = DIMENSION

    def embed(self, texts: Sequence[str]) -> Vectors:
        raw = b"".join(hashlib.shake_128(text.encode()).digest(DIMENSION) for text in texts)
        rows = np.frombuffer(raw, dtype=np.int8).reshape(len(texts), DIMENSION).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# -- one size, in a process of its own --------------------------------------------------------------
def run_chunks(root: Path, size: int) -> dict[str, Any]:
    rag = GraphRAG.init(root, embedder=HashEmbedder())
    input_bytes = write_corpus(root / "input", size)
    watch = StageWatch()
    report = rag.index(method="fast", progress=watch)
    counts = report.counts
    return {"input_bytes": input_bytes, "counts": counts, **watch.result(), **_kept(rag.layout)}


def run_relationships(root: Path, size: int, *, reports: bool) -> dict[str, Any]:
    from graphrag.indexing.runner import run_pipeline

    rag = GraphRAG.init(root, embedder=HashEmbedder())
    settings, _ = rag._configured("fast", None)
    filler = StageWatch()
    context, _ = rag._context(settings, filler)
    filler.stage("(generator)")
    fill_store(context.store, size)
    context.store.checkpoint()
    filler.done("(generator)", 0.0)
    watch = context.progress = StageWatch()
    result = {"counts": asyncio.run(run_pipeline(context, GRAPH_STAGES)).counts, **watch.result()}
    result.update(_kept(rag.layout))
    if reports:
        watch = context.progress = StageWatch()
        result["counts"] = asyncio.run(run_pipeline(context, REPORT_STAGES)).counts
        result["with_reports"] = {**watch.result(), **_kept(rag.layout)}
    context.store.close()
    return result


def _at_once(request: ChatRequest) -> str:
    return '{"points": []}' if request.output is not None else "Nothing is known."


def run_queries(root: Path, repeats: int = 25) -> dict[str, Any]:
    """Open the index of ``root`` and ask it: for the context alone, and for an extractive answer.

    The context is what mode ``llm`` makes; the model behind answers at once, with nothing. Milliseconds of
    the wall and of the CPU.
    """
    begun = time.perf_counter()
    rag = GraphRAG.open(root, embedder=HashEmbedder(), chat_model=FakeChatModel(_at_once))
    engine = rag._query_engine()
    result: dict[str, Any] = {"open_ms": _ms(begun)}
    entities = engine.index.table("entities")["title"]
    step = max(1, len(entities) // (repeats + 1))
    titles = [str(entities[step * turn]) for turn in range(repeats)]
    for method, mode in itertools.product(("local", "global", "basic"), ("llm", "extractive")):
        if method == "global" and not engine.index.table("community_reports").num_rows:
            continue
        begun = time.perf_counter()
        rag.query(f"What did {titles[-1]} do?", method=method, mode=mode)
        first, times, cpu = _ms(begun), [], []
        for title in titles:
            begun, used = time.perf_counter(), time.process_time()
            rag.query(f"What did {title} do, and who else was there?", method=method, mode=mode)
            times.append(_ms(begun))
            cpu.append(round(1000 * (time.process_time() - used), 1))
        times.sort()
        result[f"{method}, {'context' if mode == 'llm' else mode}"] = {
            "first_ms": first,
            "p50_ms": statistics.median(times),
            "p95_ms": times[int(0.95 * len(times))],
            "cpu_p50_ms": statistics.median(cpu),
        }
    result["peak_mb"] = _peak_mb()
    rag.close()
    return result


class StageWatch:
    """Notes CPU seconds and peak memory of every stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._cpu = 0.0
        self._written = _written()

    def stage(self, name: str, *, skipped: bool = False) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark of memory
        self._cpu = time.process_time()

    def total(self, rows: int, unit: str = "rows") -> None: ...

    def advance(self, rows: int = 1) -> None: ...

    def done(self, name: str, seconds: float, note: str = "") -> None:
        cpu = time.process_time() - self._cpu
        self.stages[name] = {"cpu_s": round(cpu, 3), "peak_mb": _peak_mb()}
        print(f"  {name:24s} {cpu:9.2f} s CPU {_peak_mb():8.0f} MB", file=sys.stderr, flush=True)

    def result(self) -> dict[str, Any]:
        return {
            "stages": self.stages,
            "cpu_s": round(sum(one["cpu_s"] for one in self.stages.values()), 2),
            "peak_mb": max(one["peak_mb"] for one in self.stages.values()),
            "written_mb": round((_written() - self._written) / 1e6, 1),
        }


def _written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _kept(layout: Layout) -> dict[str, Any]:
    folder = layout.output.resolve()
    published = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "store_mb": round(layout.store.stat().st_size / 1e6, 1),
        "published_mb": round(sum(path.stat().st_size for path in published) / 1e6, 1),
        "published_files": len(published),
    }


def _ms(begun: float) -> float:
    return round(1000 * (time.perf_counter() - begun), 1)


# -- all sizes ------------------------------------------------------------------------------------
def _measure(kind: str, size: int, root: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--one", kind, str(size), str(root), *options]
    print(f"{kind} {size:,}", file=sys.stderr, flush=True)
    run = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"}
    )
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return the slope of log cost over log size, by least squares."""
    slope = np.polyfit(np.log(sizes), np.log(np.maximum(costs, 1e-3)), 1)[0]
    return float(slope)


def show(kind: str, results: dict[int, dict[str, Any]]) -> None:
    """Print a Markdown table of CPU seconds by stage and size."""
    sizes = list(results)
    print(f"\n| {kind} | {' | '.join(f'{size:,}' for size in sizes)} | exponent, last step |")
    print(f"| --- |{' --- |' * len(sizes)} --- |")
    stages = list(results[sizes[-1]]["stages"])

    def line(label: str, values: list[float], form: str = ",.2f") -> None:
        grown = len(sizes) > 1 and min(values[-2:]) > 0
        slope = f"{math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2]):.2f}" if grown else ""
        print(f"| {label} | {' | '.join(format(value, form) for value in values)} | {slope} |")

    for stage in stages:
        line(
            f"{stage}, CPU s", [results[size]["stages"].get(stage, {"cpu_s": 0.0})["cpu_s"] for size in sizes]
        )
    line("**together, CPU s**", [results[size]["cpu_s"] for size in sizes])
    line("peak RSS, MB", [results[size]["peak_mb"] for size in sizes], ",.0f")
    line("store, MB", [results[size]["store_mb"] for size in sizes], ",.0f")
    line("published, MB", [results[size]["published_mb"] for size in sizes], ",.0f")
    if len(sizes) > 1:
        print(f"\nexponent over all sizes: {exponent(sizes, [results[s]['cpu_s'] for s in sizes]):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", help="sizes of the corpus, as in 1000,10000")
    parser.add_argument("--relationships", help="sizes of the graph, as in 100000,1000000")
    parser.add_argument("--reports", action="store_true", help="write extractive reports on the graph too")
    parser.add_argument("--queries", action="store_true", help="ask the last index")
    parser.add_argument("--keep", type=Path, help="folder in which the projects stay")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, size, root = options.one[0], int(options.one[1]), Path(options.one[2])
        if kind == "chunks":
            print(json.dumps(run_chunks(root, size)))
        elif kind == "relationships":
            print(json.dumps(run_relationships(root, size, reports=options.reports)))
        else:
            print(json.dumps(run_queries(root)))
        return
    base = options.keep or Path(tempfile.mkdtemp(prefix="graphrag-scale-"))
    try:
        for kind, given in (("chunks", options.chunks), ("relationships", options.relationships)):
            results: dict[int, dict[str, Any]] = {}
            for size in [int(one) for one in (given or "").split(",") if one]:
                root = base / f"{kind}-{size}"
                shutil.rmtree(root, ignore_errors=True)
                results[size] = _measure(kind, size, root, *(["--reports"] if options.reports else []))
                print(json.dumps({"kind": kind, "size": size, **results[size]}), file=sys.stderr)
                if options.queries:
                    print(json.dumps({"queries": _measure("queries", size, root)}))
            if results:
                show(kind, results)
    finally:
        if options.keep is None:
            shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
