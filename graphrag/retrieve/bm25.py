"""Passages by words."""

from __future__ import annotations

from dataclasses import dataclass

from graphrag.store.index import Index


@dataclass(frozen=True, slots=True)
class BM25Retriever:
    """BM25 over the text units of ``index``; needs no model."""

    index: Index

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (text unit id, BM25 score); units that share no word are left out."""
        return self.index.lexical("text_units").search(query, k) if k > 0 else []
