"""Milliseconds per question, bytes on disk and memory of the retrievers at any number of passages.

    python -m tests.benchmarks.search --passages 10000,100000,1000000

Every passage is about a name of its own (its title) and mentions four others by Zipf's law; its vector is the
sum of its words' (384 random numbers each, rare words weigh more), and so is a question's: what shares words
is near, and no model is measured. A question names a passage's title and two things that its text says.
The published files are written as publishing writes them, the tables that no retriever reads are empty.
Every size runs in a process of its own, on one thread.

    python -m tests.benchmarks.search --indexes 20000 [--vectors FILE.npy]

compares kinds of FAISS index on such vectors, or on pairs of rows of FILE, added up and disturbed.
"""

from __future__ import annotations

import argparse
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
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from graphrag.embed.base import Vectors
from graphrag.retrieve import RetrieverSources, make_retriever
from graphrag.schema import PUBLISHED_TABLES
from graphrag.settings import RetrievalSettings
from graphrag.store.index import Index
from graphrag.store.lexical import terms, write_lexical_index
from graphrag.store.publish import FORMAT, MANIFEST
from graphrag.store.sharing import write_places
from graphrag.store.vectors import EXACT_UP_TO, n_codes, read_vector_index
from tests.benchmarks.synthetic import VERBS, vocabulary
from tests.store.given import rows_at_hand

RETRIEVERS = ("bm25", "dense", "hybrid", "graph")
DIMENSION, OTHERS, QUESTIONS = 384, 4, 200


class WordSumEmbedder:
    """The sum of the words' random vectors, rare words weighing more."""

    model_id = f"word-sum-{DIMENSION}"
    dimension = DIMENSION

    def __init__(self, weights: dict[str, float]) -> None:
        self._place = {word: place for place, word in enumerate(weights)}
        self._rows = np.random.default_rng(5).standard_normal((len(weights) + 1, DIMENSION), dtype=np.float32)
        self._rows[:-1] *= np.fromiter(weights.values(), np.float32)[:, None]
        self._rows[-1] = 0  # words that no passage has

    def embed(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            found[row] = self._rows[[self._place.get(word, -1) for word in terms(text)]].sum(axis=0)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def build(folder: Path, size: int, exact_up_to: int) -> tuple[WordSumEmbedder, list[str], dict[str, Any]]:
    """Write an index of ``size`` passages; return its embedder, questions, and what each part took."""
    known = vocabulary(size)
    random = np.random.default_rng(11)
    others = known.draw(random, size * OTHERS).reshape(size, OTHERS)
    verbs = (random.random((size, OTHERS)) ** 2 * len(VERBS)).astype(np.int64)
    years = random.integers(1800, 2000, (size, OTHERS))
    names = known.names
    texts = [
        " ".join(
            f"{names[row] if turn == 0 else 'Later it'} {VERBS[verb]} {names[other]} in {year}."
            for turn, (verb, other, year) in enumerate(zip(*parts, strict=True))
        )
        for row, parts in enumerate(zip(verbs.tolist(), others.tolist(), years.tolist(), strict=True))
    ]
    counts: dict[str, int] = {}
    for text in texts:
        for word in set(terms(text)):
            counts[word] = counts.get(word, 0) + 1
    embedder = WordSumEmbedder({word: math.log(1 + size / count) for word, count in counts.items()})
    spent: dict[str, Any] = {}

    began = time.process_time()
    _write_tables(folder, names, known.types, texts, others)
    spent["tables"] = time.process_time() - began
    searched = [f"{name}\n{text}" for name, text in zip(names, texts, strict=True)]
    del texts
    began = time.process_time()
    places = [write_lexical_index(folder, "text_units", searched)]
    spent["bm25"] = time.process_time() - began
    vectors = np.concatenate([embedder.embed(searched[at : at + 20_000]) for at in range(0, size, 20_000)])
    del searched
    began = time.process_time()
    places.append(rows_at_hand(folder, "text_units", vectors, exact_up_to=exact_up_to))
    write_places(folder, places)
    spent["vectors"] = time.process_time() - began
    asked = random.choice(size, QUESTIONS, replace=False).tolist()
    questions = [
        f"Whom did {names[row]} meet in {years[row, 1]} beside {names[others[row, 2]]}?" for row in asked
    ]
    spent["recall@10 of dense against a whole scan"] = _recall(folder, vectors, embedder, questions)
    manifest = {
        "format": FORMAT, "generation": str(size), "embedding_model": embedder.model_id,
        "vector_kinds": ["text_units"], "counts": {}, "settings": {},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return embedder, questions, spent


def _recall(folder: Path, vectors: Vectors, embedder: WordSumEmbedder, questions: Sequence[str]) -> float:
    queries = embedder.embed(questions)
    index = read_vector_index(folder, "text_units", [str(row) for row in range(len(vectors))], "")
    found = [{int(one) for one, _ in row} for row in index.search(queries, 10)]
    best = np.zeros((len(queries), 0), dtype=np.float32)
    rows = np.zeros((len(queries), 0), dtype=np.int64)
    for at in range(0, len(vectors), 50_000):
        scores = queries @ vectors[at : at + 50_000].T
        top = np.argpartition(-scores, 9, axis=1)[:, :10]
        best = np.concatenate([best, np.take_along_axis(scores, top, 1)], axis=1)
        rows = np.concatenate([rows, top + at], axis=1)
        keep = np.argsort(-best, axis=1, kind="stable")[:, :10]
        best, rows = np.take_along_axis(best, keep, 1), np.take_along_axis(rows, keep, 1)
    return statistics.fmean(len(one & set(gold.tolist())) / 10 for one, gold in zip(found, rows, strict=True))


def _write_tables(
    folder: Path,
    names: Sequence[str],
    types: Sequence[str],
    texts: Sequence[str],
    others: npt.NDArray[np.int64],
) -> None:
    size = len(texts)
    ids = {kind: pa.array([f"{kind}{row:07d}" for row in range(size)]) for kind in "due"}
    about = np.concatenate([np.arange(size)[:, None], others], axis=1)
    in_units = pa.ListArray.from_arrays(
        pa.array(np.arange(size + 1) * about.shape[1], pa.int32()), ids["e"].take(pa.array(about.ravel()))
    )
    owners = np.repeat(np.arange(size), about.shape[1])
    pairs = np.unique(about.ravel() * size + owners)
    offsets = np.searchsorted(pairs // size, np.arange(size + 1))
    of_entities = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), ids["u"].take(pa.array(pairs % size))
    )
    numbers = pa.array(np.arange(size))
    filled = {
        "documents": {
            "id": ids["d"], "human_readable_id": numbers, "title": pa.array(names), "text": pa.array(texts),
        },
        "text_units": {
            "id": ids["u"], "human_readable_id": numbers, "text": pa.array(texts), "document_id": ids["d"],
            "entity_ids": in_units,
        },
        "entities": {
            "id": ids["e"], "human_readable_id": numbers, "title": pa.array(names), "type": pa.array(types),
            "text_unit_ids": of_entities,
        },
    }  # fmt: skip
    for table in PUBLISHED_TABLES:
        rows = filled.get(table.name, {})
        count = size if rows else 0
        columns = [
            rows[field.name].cast(field.type) if field.name in rows else pa.nulls(count, field.type)
            for field in table.schema
        ]
        pq.write_table(
            pa.table(columns, schema=table.schema), folder / f"{table.name}.parquet", compression="zstd"
        )


def ask(folder: Path, embedder: WordSumEmbedder, questions: Sequence[str]) -> dict[str, Any]:
    """Return milliseconds by retriever: opening with the first question, median, 95th percentile."""
    found: dict[str, Any] = {}
    for name in RETRIEVERS:
        index = Index(folder)
        began = time.perf_counter()
        retriever = make_retriever(name, RetrieverSources(index, RetrievalSettings(), embedder))
        retriever.search(questions[0], 10)
        first = time.perf_counter() - began
        took = []
        for question in questions:
            began = time.perf_counter()
            retriever.search(question, 10)
            took.append(1000 * (time.perf_counter() - began))
        found[name] = {
            "p50_ms": round(statistics.median(took), 2),
            "p95_ms": round(float(np.quantile(took, 0.95)), 2),
            "first_s": round(first, 2),
        }
    return found


def one_size(folder: Path, size: int, exact_up_to: int) -> dict[str, Any]:
    """Build, ask, and measure the files of one size."""
    folder.mkdir(parents=True, exist_ok=True)
    embedder, questions, spent = build(folder, size, exact_up_to)
    built = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    megabytes = {path.name: path.stat().st_size / 1e6 for path in sorted(folder.iterdir())}
    shown = {name: round(value, 1) for name, value in megabytes.items() if value > 0.1}
    return {
        "passages": size,
        "questions": ask(folder, embedder, questions),
        "build_cpu_s": {name: round(value, 3) for name, value in spent.items()},
        "megabytes": {**shown, "together": round(sum(megabytes.values()), 1)},
        "peak_mb": {"build": round(built), "with_asking": _peak()},
    }


def compare_indexes(size: int, file: Path | None) -> None:
    """Print CPU seconds to build, bytes, milliseconds a question and recall@10 of kinds of index."""
    import faiss

    faiss.omp_set_num_threads(1)
    random = np.random.default_rng(0)
    if file is None:
        known = vocabulary(size + 200)
        words = sorted({word for name in known.names for word in terms(name)})
        embedder = WordSumEmbedder(dict.fromkeys(words, 1.0))
        others = known.draw(random, (size + 200) * OTHERS).reshape(-1, OTHERS)
        rows = embedder.embed(
            [
                f"{name} {' '.join(known.names[one] for one in four)}"
                for name, four in zip(known.names, others, strict=True)
            ]
        )
    else:
        real = np.load(file)
        first, second = random.integers(len(real), size=(2, size + 200))
        rows = real[first] + 0.7 * real[second] + random.normal(scale=0.02, size=(size + 200, real.shape[1]))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    vectors, queries = rows[:size], rows[size:]
    gold = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    codes = f"PQ{n_codes(rows.shape[1])}x4fs,RFlat"
    for kind, settings in (
        ("Flat", ("",)),
        ("HNSW32", ("efSearch=16", "efSearch=128")),
        (codes, ("k_factor_rf=40",)),
    ):
        index = faiss.index_factory(rows.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        began = time.process_time()
        index.train(vectors[:16_384])
        index.add(vectors)
        built = time.process_time() - began
        for setting in settings:
            if setting:
                faiss.ParameterSpace().set_index_parameters(index, setting)
            began = time.perf_counter()
            found = [index.search(query[None], 10)[1][0] for query in queries]
            took = 1000 * (time.perf_counter() - began) / len(queries)
            shared = [
                len(set(one.tolist()) & set(best.tolist())) / 10
                for one, best in zip(found, gold, strict=True)
            ]
            row = {
                "index": f"{kind} {setting}".strip(), "vectors": size, "build_cpu_s": round(built, 2),
                "bytes": round(faiss.serialize_index(index).nbytes / size), "ms": round(took, 2),
                "recall@10": round(statistics.fmean(shared), 4),
            }  # fmt: skip
            print(json.dumps(row), flush=True)


def _peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure each size in a process of its own, and how the figures grow between them."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--passages", default="10000,100000")
    arguments.add_argument("--exact-up-to", type=int, default=EXACT_UP_TO)
    arguments.add_argument("--folder", type=Path, help="where indexes are made; they are removed afterwards")
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--indexes", type=int, help="compare kinds of index on so many vectors instead")
    arguments.add_argument("--vectors", type=Path, help="of real texts, for --indexes")
    arguments.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    sizes = [int(size) for size in options.passages.split(",")]
    if options.indexes:
        compare_indexes(options.indexes, options.vectors)
        return
    if options.one:
        print(json.dumps(one_size(options.one, sizes[0], options.exact_up_to)))
        return
    told = []
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for size in sizes:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        command = [sys.executable, "-m", "tests.benchmarks.search", "--passages", str(size)]
        command += ["--exact-up-to", str(options.exact_up_to), "--one", str(folder)]
        try:
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, **threads})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        told.append(json.loads(run.stdout.splitlines()[-1]))
        print(json.dumps(told[-1]), flush=True)
    for smaller, larger in zip(told, told[1:], strict=False):
        ratio = math.log(larger["passages"] / smaller["passages"])
        grown = {
            name: round(
                math.log(larger["questions"][name]["p50_ms"] / smaller["questions"][name]["p50_ms"]) / ratio,
                2,
            )
            for name in RETRIEVERS
        }
        grown["bytes"] = round(
            math.log(larger["megabytes"]["together"] / smaller["megabytes"]["together"]) / ratio, 2
        )
        print(json.dumps({"exponents": grown}))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
