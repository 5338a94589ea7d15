"""Vector search by FAISS, in files that generations share.

Few vectors are all compared. Of many, codes of four bits for every three numbers are scanned first,
and the best of those compared exactly: product quantisation, Jégou et al., IEEE TPAMI 2011; André et
al., "Quicker ADC", 2019. docs/benchmarks/search.md has what that finds and what a graph (HNSW) would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrag.errors import QueryError
from graphrag.store.sharing import added, rows_of, share

EXACT_UP_TO = 50_000  # rows; an exact scan of more costs over 20 ms a query on one core
_NUMBERS_PER_CODE = 3
_CANDIDATES, _FEWEST_CANDIDATES = 20, 400  # compared exactly: so many times what is asked for
_LEAST_CODED = 1_000  # fewer rows are too few to learn from, and quick anyway
_LEARNT_FROM = 16_384  # vectors that codes are learnt from: 1.5 s, whatever the number of all
_MORE_FOR_THE_DEAD = 64  # twice as many and these are asked of codes where vectors of no row lie between
_SHIFT = 40
Matrix = npt.NDArray[np.float32]


class VectorSource(Protocol):
    """Where vectors come from when an index is published."""

    def ids(self, kind: str, rows: pa.Table) -> list[str | None]:
        """Return the id of the vector of each row of the published table ``kind``, None where it has none."""
        ...

    def fetch(self, ids: Sequence[str]) -> Matrix:
        """Return the vectors with these ids, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class _File:
    """One FAISS index, and the row of each of its vectors (-1: of none)."""

    faiss: Any
    places: npt.NDArray[np.int64]
    dead: int
    alive: Any  # FAISS's parameters that leave out the dead, where it can

    def search(self, queries: Matrix, k: int) -> tuple[Matrix, npt.NDArray[np.int64]]:
        """Return scores and rows, -1 where there are fewer than ``k``."""
        if self.alive is None:
            k += min(self.dead, k + _MORE_FOR_THE_DEAD)
        k = min(k, len(self.places))
        scores, found = self.faiss.search(queries, k, params=self.alive or _compared(self.faiss, k))
        return scores, np.where(found >= 0, self.places[found], -1)

    def matrix(self) -> Matrix:
        """Return the vectors, without a copy."""
        import faiss

        flat: Any = self.faiss
        if isinstance(flat, faiss.IndexRefineFlat):
            flat = faiss.downcast_index(flat.refine_index)
        numbers = faiss.rev_swig_ptr(flat.get_xb(), len(self.places) * self.faiss.d)
        return np.asarray(numbers).reshape(len(self.places), self.faiss.d)


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Inner-product search over unit vectors; ids are those of the rows embedded."""

    ids: tuple[str, ...]
    model: str
    dimension: int
    _files: tuple[_File, ...]
    _at: npt.NDArray[np.int64]  # of each row: file number << 40 | place in it, or -1

    def search(self, queries: Matrix, k: int) -> list[list[tuple[str, float]]]:
        """Return for each row of ``queries`` (n, dimension) its ``k`` best (id, score), best first.

        Ties are broken by id, so the result does not depend on the order of building. Rows without a
        vector are not found.

        Raises:
            QueryError: the queries have another dimension than the index.
        """
        queries = np.atleast_2d(np.ascontiguousarray(queries, dtype=np.float32))
        files = [file for file in self._files if len(file.places)]
        if not files:
            return [[] for _ in range(len(queries))]
        if queries.shape[1] != self.dimension:
            raise QueryError(
                f"The index holds vectors of {self.dimension} numbers made by {self.model}, "
                f"the question has {queries.shape[1]}.",
                hint="Ask with the embedding model that the index was made with, or index again.",
            )
        found = [file.search(queries, k) for file in files]
        scores, places = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        results = []
        for row_scores, row_places in zip(scores, places, strict=True):
            known = row_places >= 0
            pairs = zip(row_places[known].tolist(), row_scores[known].tolist(), strict=True)
            results.append(
                sorted(((self.ids[place], score) for place, score in pairs), key=lambda p: (-p[1], p[0]))[:k]
            )
        return results

    def vectors_of(self, places: Sequence[int] | npt.NDArray[np.int64]) -> Matrix:
        """Return the vectors of the rows at ``places``, shape (n, dimension); zero where there is none."""
        at = self._at[np.asarray(places, dtype=np.int64)]
        found = np.zeros((len(at), self.dimension), dtype=np.float32)
        for number, file in enumerate(self._files):
            here = (at >= 0) & (at >> _SHIFT == number)
            if here.any():
                found[here] = file.matrix()[at[here] & (1 << _SHIFT) - 1]
        return found


def write_vector_index(
    folder: Path,
    kind: str,
    ids: Sequence[str | None],
    source: VectorSource,
    before: Path | None = None,
    *,
    exact_up_to: int = EXACT_UP_TO,
) -> pa.Table:
    """Write the vectors ``ids`` (one per row, None: the row has none) of ``kind``; return their places.

    ``before`` is the folder of a generation whose files may be shared. More than ``exact_up_to`` vectors
    get codes beside them; the same bytes for the same vectors, where nothing is shared.
    """
    name = f"{kind}.faiss"
    sharing = share(folder, name, ids, before)
    for file, rows in ((name, sharing.rows), (added(name), sharing.rows[sharing.new])):
        if sharing.whole if file == name else len(rows):
            _write(folder / file, source.fetch([str(ids[row]) for row in rows]), exact_up_to)
    return sharing.places


def read_vector_index(folder: Path, kind: str, ids: Sequence[str], model: str) -> VectorIndex:
    """Open what :func:`write_vector_index` wrote for the rows ``ids`` with the vectors of ``model``.

    The vectors are memory-mapped: opening takes no time, and processes share what they read.
    """
    import faiss

    # FAISS shares out questions among threads, never one question: a second thread would only be waited for.
    faiss.omp_set_num_threads(1)
    files = []
    at = np.full(len(ids), -1, dtype=np.int64)
    for number, (name, rows) in enumerate(rows_of(folder, f"{kind}.faiss")):
        index = faiss.read_index(str(folder / name), faiss.IO_FLAG_MMAP_IFC)
        files.append(_File(index, rows, int((rows < 0).sum()), _alive(index, rows)))
        known = np.nonzero(rows >= 0)[0]
        at[rows[known]] = number << _SHIFT | known
    return VectorIndex(tuple(ids), model, files[0].faiss.d, tuple(files), at)


def _write(path: Path, vectors: Matrix, exact_up_to: int) -> None:
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
    faiss.write_index(index, str(path))


def n_codes(dimension: int) -> int:
    """Return how many codes a vector gets: an even divisor of ``dimension``, 0 where there is none."""
    fitting = range(2, dimension // _NUMBERS_PER_CODE + 1, 2)
    return max((codes for codes in fitting if dimension % codes == 0), default=0)


def _compared(index: Any, k: int) -> Any:
    """Return how many candidates an index of codes compares exactly; nothing for an exact one."""
    import faiss

    if not isinstance(index, faiss.IndexRefineFlat):
        return None
    wanted: Any = faiss.IndexRefineSearchParameters()
    wanted.k_factor = max(_CANDIDATES, _FEWEST_CANDIDATES / k)
    return wanted


def _alive(index: Any, places: npt.NDArray[np.int64]) -> Any:
    """Return the search parameters that leave out vectors of no row; an index of codes knows none."""
    from importlib import import_module

    faiss: Any = import_module("faiss")  # whose stubs do not know these classes
    if (places >= 0).all() or isinstance(index, faiss.IndexRefineFlat):
        return None
    return faiss.SearchParameters(sel=faiss.IDSelectorBitmap(np.packbits(places >= 0, bitorder="little")))
