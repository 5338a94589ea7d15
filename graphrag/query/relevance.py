"""How near rows and sentences are to a question: by vectors, or by words where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder, Vectors, question_vectors
from graphrag.store.index import Index
from graphrag.store.lexical import FUNCTION_WORDS, terms

Scores = npt.NDArray[np.float64]


def content_terms(text: str) -> frozenset[str]:
    """Return the search terms of ``text`` without function words (all terms if nothing is left)."""
    found = frozenset(terms(text))
    return (found - FUNCTION_WORDS) or found


def word_overlap(question: frozenset[str], text: str) -> float:
    """Return the part of the question's terms that ``text`` holds, 0 to 1."""
    if not question:
        return 0.0
    return len(question & frozenset(terms(text))) / len(question)


@dataclass(frozen=True, slots=True)
class Relevance:
    """Similarity of rows and texts to one question.

    With a ``vector`` it is the cosine; without one (an index made without an embedder) the part
    of the question's words that a text holds.
    """

    index: Index
    question: str
    embedder: Embedder | None = None
    vector: Vectors | None = None

    @classmethod
    def of(cls, index: Index, question: str, embedder: Embedder | None) -> Relevance:
        """Embed ``question`` once, if the index has vectors to compare it with."""
        if embedder is None or index.embedding_model is None:
            return cls(index, question)
        return cls(index, question, embedder, question_vectors(embedder, [question]))

    def has(self, kind: str) -> bool:
        """Return whether rows of ``kind`` are compared by vectors: whether any of them has one."""
        kinds = self.index.manifest["vector_kinds"]
        return self.vector is not None and kind in kinds and self.index.vectors(kind).dimension > 0

    def nearest(self, kind: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` rows of ``kind`` with the highest cosine; nothing without vectors."""
        if self.vector is None or not self.has(kind):
            return []
        return self.index.vectors(kind).search(self.vector, k)[0]

    def of_rows(self, kind: str, places: npt.NDArray[np.int64], *columns: str) -> Scores:
        """Score the rows of table ``kind`` at ``places``; without vectors by the words in ``columns``."""
        if not len(places):
            return np.zeros(0)
        if self.vector is not None and self.has(kind):
            stored = self.index.vectors(kind).vectors_of([int(place) for place in places])
            return np.asarray(stored @ self.vector[0], dtype=np.float64)
        wanted = content_terms(self.question)
        rows = self.index.rows_at(kind, places.tolist(), columns)
        texts = [" ".join(str(value) for value in row.values() if value) for row in rows]
        return np.array([word_overlap(wanted, text) for text in texts])

    def of_texts(self, texts: Sequence[str]) -> tuple[Scores, Vectors | None]:
        """Score ``texts``, and return their vectors where they were made (one embedding each)."""
        if not texts:
            return np.zeros(0), None
        if self.embedder is not None and self.vector is not None:
            vectors = self.embedder.embed(list(texts))
            return np.asarray(vectors @ self.vector[0], dtype=np.float64), vectors
        wanted = content_terms(self.question)
        return np.array([word_overlap(wanted, text) for text in texts]), None
