"""Vector search: a FAISS file derived from the embeddings, rebuilt at every publish."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphrag.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT_UP_TO = 200_000  # beyond this an exact scan costs more than 100 ms a query on two cores


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Inner-product search over unit vectors; ids are those of the rows embedded."""

    ids: tuple[str, ...]
    model: str
    dimension: int
    _faiss: Any

    def search(self, queries: npt.NDArray[np.float32], k: int) -> list[list[tuple[str, float]]]:
        """Return for each row of ``queries`` (n, dimension) its ``k`` best (id, score), best first.

        Ties are broken by id, so the result does not depend on the order of building.

        Raises:
            QueryError: the queries have another dimension than the index.
        """
        queries = np.atleast_2d(np.ascontiguousarray(queries, dtype=np.float32))
        if queries.shape[1] != self.dimension:
            raise QueryError(
                f"The index holds vectors of {self.dimension} numbers made by {self.model}, "
                f"the question has {queries.shape[1]}.",
                hint="Ask with the embedding model that the index was made with, or index again.",
            )
        if not self.ids:
            return [[] for _ in range(len(queries))]
        scores, places = self._faiss.search(queries, min(k, len(self.ids)))
        results = []
        for row_scores, row_places in zip(scores, places, strict=True):
            found = [
                (self.ids[int(place)], float(score))
                for score, place in zip(row_scores, row_places, strict=True)
                if place >= 0
            ]
            results.append(sorted(found, key=lambda pair: (-pair[1], pair[0])))
        return results

    def vectors_of(self, places: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the stored vectors at ``places``, shape (n, dimension)."""
        found = [self._faiss.reconstruct(int(place)) for place in places]
        return np.asarray(found, dtype=np.float32).reshape(len(found), self.dimension)


def write_vector_index(folder: Path, kind: str, vectors: npt.NDArray[np.float32]) -> None:
    """Write ``kind``.faiss into ``folder``. ``vectors`` has shape (rows, dimension)."""
    import faiss

    dimension = int(vectors.shape[1]) if vectors.ndim == 2 else 0
    index: Any = (
        faiss.IndexFlatIP(dimension)
        if len(vectors) <= _EXACT_UP_TO
        else faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
    )
    if len(vectors):
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    faiss.write_index(index, str(folder / f"{kind}.faiss"))


def read_vector_index(folder: Path, kind: str, ids: Sequence[str], model: str) -> VectorIndex:
    """Open what :func:`write_vector_index` wrote for the rows ``ids`` with the vectors of ``model``."""
    import faiss

    faiss.omp_set_num_threads(max(1, min(4, os.cpu_count() or 1)))
    found = faiss.read_index(str(folder / f"{kind}.faiss"))
    return VectorIndex(tuple(ids), model, found.d, found)
