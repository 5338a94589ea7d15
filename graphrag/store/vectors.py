"""Vector search: a FAISS file derived from the embeddings, rebuilt at every publish.

Few vectors are all compared. Of many, codes of four bits for every three numbers are scanned first,
and the best of those compared exactly: product quantisation, Jégou et al., IEEE TPAMI 2011; André et
al., "Quicker ADC", 2019. docs/benchmarks/search.md has what that finds and what a graph (HNSW) would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphrag.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT_UP_TO = 50_000  # rows; an exact scan of more costs over 20 ms a query on one core
_NUMBERS_PER_CODE = 3
_CANDIDATES, _FEWEST_CANDIDATES = 20, 400  # compared exactly: so many times what is asked for
_LEAST_CODED = 1_000  # fewer rows are too few to learn from, and quick anyway
_LEARNT_FROM = 16_384  # vectors that codes are learnt from: 1.5 s, whatever the number of all


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
        k = min(k, len(self.ids))
        scores, places = self._faiss.search(queries, k, params=_compared(self._faiss, k))
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


def write_vector_index(
    folder: Path, kind: str, vectors: npt.NDArray[np.float32], *, exact_up_to: int = EXACT_UP_TO
) -> None:
    """Write ``kind``.faiss into ``folder``. ``vectors`` has shape (rows, dimension).

    More than ``exact_up_to`` rows get codes beside the vectors; the same bytes for the same vectors.
    """
    import faiss

    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    dimension = int(vectors.shape[1]) if vectors.ndim == 2 else 0
    codes = n_codes(dimension) if len(vectors) > max(exact_up_to, _LEAST_CODED) else 0
    if not codes:
        index: Any = faiss.IndexFlatIP(dimension)
    else:
        index = faiss.index_factory(dimension, f"PQ{codes}x4fs,RFlat", faiss.METRIC_INNER_PRODUCT)
        chosen = np.random.default_rng(0).permutation(len(vectors))[:_LEARNT_FROM]
        faiss.omp_set_num_threads(1)  # several add up in another order each time
        index.train(vectors[np.sort(chosen)])
    if len(vectors):
        index.add(vectors)
    faiss.write_index(index, str(folder / f"{kind}.faiss"))


def n_codes(dimension: int) -> int:
    """Return how many codes a vector gets: an even divisor of ``dimension``, 0 where there is none."""
    fitting = range(2, dimension // _NUMBERS_PER_CODE + 1, 2)
    return max((codes for codes in fitting if dimension % codes == 0), default=0)


def read_vector_index(folder: Path, kind: str, ids: Sequence[str], model: str) -> VectorIndex:
    """Open what :func:`write_vector_index` wrote for the rows ``ids`` with the vectors of ``model``.

    The vectors are memory-mapped: opening takes no time, and processes share what they read.
    """
    import faiss

    # FAISS shares out questions among threads, never one question: a second thread would only be waited for.
    faiss.omp_set_num_threads(1)
    found = faiss.read_index(str(folder / f"{kind}.faiss"), faiss.IO_FLAG_MMAP_IFC)
    return VectorIndex(tuple(ids), model, found.d, found)


def _compared(index: Any, k: int) -> Any:
    """Return how many candidates an index of codes compares exactly; nothing for an exact one."""
    import faiss

    if not isinstance(index, faiss.IndexRefineFlat):
        return None
    wanted: Any = faiss.IndexRefineSearchParameters()
    wanted.k_factor = max(_CANDIDATES, _FEWEST_CANDIDATES / k)
    return wanted
