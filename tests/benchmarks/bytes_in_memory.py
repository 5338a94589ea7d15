"""Bytes of a vector in FAISS's indexes, and of an edge in igraph and a Leiden partition.

python -m tests.benchmarks.bytes_in_memory [--vectors 20000] [--edges 4000000]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

DIMENSION = 384


def main() -> None:
    """Print the figures as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--vectors", type=int, default=20_000)
    arguments.add_argument("--edges", type=int, default=4_000_000)
    options = arguments.parse_args()
    found = {"bytes a vector": vectors(options.vectors), "bytes an edge": edges(options.edges)}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def vectors(count: int) -> dict[str, list[float]]:
    """Return bytes and CPU milliseconds a vector by kind of index, for random unit vectors."""
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(1)
    rows = np.random.default_rng(0).standard_normal((count, DIMENSION), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = {}
    for kind in ("Flat", "PQ128x4fs,RFlat", "HNSW32", "SQ8"):
        index = faiss.index_factory(DIMENSION, kind)
        begun = time.process_time()
        index.train(rows)
        index.add(rows)
        spent = time.process_time() - begun
        found[kind] = [faiss.serialize_index(index).nbytes / count, 1e3 * spent / count]
    return found


def edges(count: int) -> dict[str, float]:
    """Return the growth of resident memory per edge of a random graph with a fifth as many nodes (Linux)."""
    import igraph
    import leidenalg
    import numpy as np

    ends = np.random.default_rng(1).integers(0, count // 5, (count, 2))
    before = resident()
    graph = igraph.Graph(count // 5, ends)
    middle = resident()
    partition = leidenalg.ModularityVertexPartition(graph, weights=np.ones(count))
    after = resident()
    assert len(partition) == count // 5
    return {"igraph": (middle - before) / count, "partition": (after - middle) / count}


def resident() -> int:
    """Return this process's resident bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


if __name__ == "__main__":
    main()
