"""BM25 over text units: postings in files that generations share, scored when a question is asked.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the idf of
Lucene, which is never negative. Scores are not stored, because every text that is added changes all of them.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrag.store.sharing import Places, added, rows_of, share

if TYPE_CHECKING:
    from collections.abc import Sequence

_K1, _B = 1.5, 0.75  # how soon another occurrence adds little, and how much a long text is discounted
_SLICE = 256  # texts whose words are in memory, and sorted, at once
_ARRAYS = {"starts": pa.int64(), "texts": pa.int32(), "counts": pa.uint16(), "lengths": pa.int32()}
_WORD = re.compile(r"[^\W_]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


# Words that say how a question is put, not what it is about.
_FUNCTION_WORDS_TEXT = """
a about after all also am an and any are as at be been before but by can could did do does for from
had has have he her hers him his how i if in into is it its many me more most much my no not of on
or our out she so some such tell than that the their them then there these they this those to up us
was we were what when where which who whom whose why will with would you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())


def terms(text: str) -> list[str]:
    """Cut ``text`` into search terms: lower-case words; CJK and Hangul runs into pairs of letters.

    Pairs stand in for a morphological analyser: Korean particles and compounds would otherwise
    hide a word from the question that names it.
    """
    words = _WORD.findall(text.lower())
    if not _CJK.search(text):
        return words
    found: list[str] = []
    for word in words:
        if _CJK.search(word) and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


@dataclass(frozen=True, slots=True)
class Postings:
    """Which texts hold each term and how often; the postings of term ``n`` begin at ``starts[n]``."""

    vocabulary: dict[str, int]
    starts: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint16]
    lengths: npt.NDArray[np.int32]  # of every text, in terms

    @classmethod
    def of(cls, texts: Sequence[str]) -> Postings:
        """Read ``texts``."""
        vocabulary: dict[str, int] = defaultdict(count().__next__)  # a new term has the next number
        lengths = np.zeros(len(texts), dtype=np.int32)
        parts: list[tuple[npt.NDArray[np.int64], ...]] = []
        for start in range(0, len(texts), _SLICE):
            found: list[int] = []
            here = texts[start : start + _SLICE]
            for place, text in enumerate(here, start):
                before = len(found)
                found += [vocabulary[term] for term in terms(text)]
                lengths[place] = len(found) - before
            owners = np.repeat(np.arange(start, start + len(here)), lengths[start : start + len(here)])
            pairs, counts = np.unique(np.array(found, np.int64) << 32 | owners, return_counts=True)
            parts.append((pairs, counts))
        pairs, counts = (
            np.concatenate([part[n] for part in parts] or [np.zeros(0, np.int64)]) for n in (0, 1)
        )
        order = np.argsort(pairs, kind="stable") if len(parts) > 1 else slice(None)
        pairs, counts = pairs[order], counts[order]
        starts = np.searchsorted(pairs >> 32, np.arange(len(vocabulary) + 1))
        holders = (pairs & (1 << 32) - 1).astype(np.int32)
        return cls(
            dict(vocabulary), starts, holders, np.minimum(counts, 2**16 - 1).astype(np.uint16), lengths
        )

    def of_term(self, term: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint16]]:
        """Return the texts that hold ``term``, and how often each does."""
        number = self.vocabulary.get(term)
        here = slice(0, 0) if number is None else slice(self.starts[number], self.starts[number + 1])
        return self.texts[here], self.counts[here]


class LexicalIndex:
    """BM25 search; ids are those of the rows indexed."""

    def __init__(self, ids: Sequence[str], files: Sequence[tuple[Postings, Places]]) -> None:
        """Search the texts of ``files``, each with the row of every text (-1: of none any more)."""
        self.ids = tuple(ids)
        self._files = files
        lengths = np.concatenate([postings.lengths[rows >= 0] for postings, rows in files])
        self._total = len(lengths)
        mean = max(float(lengths.mean()), 1.0) if len(lengths) else 1.0
        self._slow = [
            (_K1 * (1 - _B + _B * postings.lengths / mean)).astype(np.float32) for postings, _ in files
        ]

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (id, score) with a score above zero, best first, ties by id."""
        scores = self._scores(terms(query))
        places = np.flatnonzero(scores > 0)
        if not len(places) or k <= 0:
            return []
        there = scores[places]
        least = np.partition(there, -min(k, len(there)))[-min(k, len(there))]
        sure, tied = places[there > least], places[there == least]
        # Of many equally good ones at the end of the list, the ids decide which are in it.
        last = heapq.nsmallest(k - len(sure), (self.ids[place] for place in tied.tolist()))
        found = [(self.ids[place], float(scores[place])) for place in sure.tolist()]
        return sorted(found, key=lambda pair: (-pair[1], pair[0])) + [(one, float(least)) for one in last]

    def _scores(self, asked: Sequence[str]) -> npt.NDArray[np.float32]:
        scores = np.zeros(len(self.ids), dtype=np.float32)
        for term in asked:
            found = []
            for (postings, rows), slow in zip(self._files, self._slow, strict=True):
                texts, counts = postings.of_term(term)
                places = rows[texts]
                alive = places >= 0
                found.append((places[alive], counts[alive] / (counts[alive] + slow[texts[alive]])))
            holding = sum(len(places) for places, _ in found)
            idf = np.log1p((self._total - holding + 0.5) / (holding + 0.5))
            for places, weights in found:
                scores[places] += (idf * weights).astype(
                    np.float32
                )  # a text stands once in a term's postings
        return scores


def write_lexical_index(
    folder: Path, kind: str, texts: Sequence[str], before: Path | None = None
) -> pa.Table:
    """Write a BM25 index of ``texts`` (one per row) as ``folder``/``kind``.bm25; return their places.

    ``before`` is the folder of a generation whose files may be shared.
    """
    name = f"{kind}.bm25"
    sharing = share(folder, name, texts, before)
    for file, rows in ((name, sharing.rows), (added(name), sharing.rows[sharing.new])):
        if sharing.whole if file == name else len(rows):
            _write(folder / file, Postings.of([texts[row] for row in rows]))
    return sharing.places


def build_lexical_index(ids: Sequence[str], texts: Sequence[str]) -> LexicalIndex:
    """Index ``texts`` (one per id) in memory."""
    return LexicalIndex(ids, [(Postings.of(texts), np.arange(len(texts)))])


def read_lexical_index(folder: Path, kind: str, ids: Sequence[str]) -> LexicalIndex:
    """Open what :func:`write_lexical_index` wrote, for the rows ``ids``; postings are memory-mapped."""
    return LexicalIndex(ids, [(_read(folder / name), rows) for name, rows in rows_of(folder, f"{kind}.bm25")])


def _write(path: Path, postings: Postings) -> None:
    columns = {"terms": pa.array([list(postings.vocabulary)], pa.large_list(pa.string()))}
    for name, type_ in _ARRAYS.items():
        values = pa.array(getattr(postings, name), type_)
        columns[name] = pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)


def _read(path: Path) -> Postings:
    row = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    vocabulary = {term: place for place, term in enumerate(row["terms"][0].values.to_pylist())}
    return Postings(vocabulary, **{name: row[name][0].values.to_numpy() for name in _ARRAYS})
