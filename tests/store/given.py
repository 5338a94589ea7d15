"""Vectors at hand, written as publishing writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrag.store.lexical import write_lexical_index
from graphrag.store.sharing import write_places
from graphrag.store.vectors import EXACT_UP_TO, write_vector_index


class Given:
    """Vectors by their ids; ``fetched`` are those that were asked for."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.place = {id_: place for place, id_ in enumerate(vectors)}
        self.rows = np.array(list(vectors.values()), dtype=np.float32)
        self.fetched: list[str] = []

    def ids(self, kind: str, rows: pa.Table) -> list[str | None]:
        return list(rows["id"].to_pylist())

    def fetch(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        self.fetched += ids
        return self.rows[np.array([self.place[id_] for id_ in ids], dtype=np.int64)]


def write_vectors(
    folder: Path,
    rows: Sequence[str | None],
    source: Given,
    before: Path | None = None,
    *,
    kind: str = "x",
    exact_up_to: int = EXACT_UP_TO,
) -> Path:
    """Write one kind of vectors into ``folder``; return it."""
    folder.mkdir(exist_ok=True)
    found = write_vector_index(folder, kind, rows, source, before, exact_up_to=exact_up_to)
    write_places(folder, [found])
    return folder


def rows_at_hand(
    folder: Path, kind: str, vectors: npt.NDArray[np.float32], *, exact_up_to: int = EXACT_UP_TO
) -> pa.Table:
    """Write the vectors of rows that have nothing else; return their places."""
    source = Given({})
    source.place = {str(place): place for place in range(len(vectors))}
    source.rows = vectors
    return write_vector_index(folder, kind, list(source.place), source, exact_up_to=exact_up_to)


def write_rows(folder: Path, kind: str, vectors: npt.NDArray[np.float32], **options: int) -> None:
    """Write vectors alone, of one kind."""
    folder.mkdir(exist_ok=True)
    write_places(folder, [rows_at_hand(folder, kind, vectors, **options)])


def write_texts(folder: Path, texts: Sequence[str], before: Path | None = None) -> Path:
    """Write a BM25 index into ``folder``; return it."""
    folder.mkdir(exist_ok=True)
    write_places(folder, [write_lexical_index(folder, "x", texts, before)])
    return folder
