"""Rows by words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from graphrag.retrieve.base import Found
from graphrag.retrieve.texts import check_kind, row_texts
from graphrag.store.index import Index
from graphrag.store.lexical import LexicalIndex, build_lexical_index


@dataclass(frozen=True, slots=True)
class BM25Retriever:
    """BM25 over the rows of table ``kind``; needs no model.

    Text units have an index on disk; for other kinds one is made in memory at the first search
    (80,000 relationships take about three seconds).
    """

    index: Index
    kind: str = "text_units"

    def __post_init__(self) -> None:
        check_kind(self.kind)

    def search(self, query: str, k: int) -> Found:
        """Return the ``k`` best (row id, BM25 score); rows that share no word are left out."""
        if k <= 0:
            return []
        lexical = (
            self.index.lexical("text_units") if self.kind == "text_units" else _built(self.index, self.kind)
        )
        return lexical.search(query, k)


@lru_cache(maxsize=8)
def _built(index: Index, kind: str) -> LexicalIndex:
    return build_lexical_index(index.table(kind)["id"].to_pylist(), row_texts(index, kind))
