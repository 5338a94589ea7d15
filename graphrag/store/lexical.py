"""BM25 over text units (bm25s), derived and rebuilt at every publish."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARRAYS = {"data": pa.float32(), "indices": pa.int32(), "indptr": pa.int32()}  # of bm25s, compressed columns
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
class LexicalIndex:
    """BM25 search; ids are those of the rows indexed."""

    ids: tuple[str, ...]
    _vocabulary: dict[str, int]
    _bm25: Any

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (id, score) with a score above zero, best first, ties by id."""
        tokens = [self._vocabulary[term] for term in terms(query) if term in self._vocabulary]
        if not tokens or not self.ids:
            return []
        scores = np.asarray(self._bm25.get_scores_from_ids(tokens))
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


def write_lexical_index(folder: Path, kind: str, texts: Sequence[str]) -> None:
    """Write a BM25 index of ``texts`` to ``folder``/``kind``.bm25: an Arrow file of one row.

    bm25s would save it as seven files, some of them the same words again.
    """
    built = build_lexical_index([str(place) for place in range(len(texts))], texts)
    scores = built._bm25.scores if built._bm25 is not None else {}
    columns = {"terms": pa.array([list(built._vocabulary)], pa.large_list(pa.string()))}
    for name, type_ in _ARRAYS.items():
        values = pa.array(np.asarray(scores.get(name, ())).astype(type_.to_pandas_dtype()), type_)
        columns[name] = pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
    table = pa.table(columns)
    with pa.OSFile(str(folder / f"{kind}.bm25"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)


def build_lexical_index(ids: Sequence[str], texts: Sequence[str]) -> LexicalIndex:
    """Index ``texts`` (one per id) in memory."""
    import bm25s

    vocabulary: dict[str, int] = {}
    tokens = [[vocabulary.setdefault(term, len(vocabulary)) for term in terms(text)] for text in texts]
    if not vocabulary:
        return LexicalIndex((), {}, None)
    model = bm25s.BM25()
    model.index((tokens, vocabulary), show_progress=False)
    return LexicalIndex(tuple(ids), vocabulary, model)


def read_lexical_index(folder: Path, kind: str, ids: Sequence[str]) -> LexicalIndex:
    """Open what :func:`write_lexical_index` wrote, for the rows ``ids``; the scores are memory-mapped."""
    import bm25s

    row = pa.ipc.open_file(pa.memory_map(str(folder / f"{kind}.bm25"))).read_all()
    vocabulary = {term: place for place, term in enumerate(row["terms"][0].values.to_pylist())}
    if not vocabulary:
        return LexicalIndex((), {}, None)
    model = bm25s.BM25()
    model.scores = {name: row[name][0].values.to_numpy() for name in _ARRAYS}
    model.scores["num_docs"] = len(ids)
    model.nonoccurrence_array = None  # only variants of BM25 that are not used here have one
    return LexicalIndex(tuple(ids), vocabulary, model)
