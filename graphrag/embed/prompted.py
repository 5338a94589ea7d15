"""Models that were trained with words in front of each text, one for questions and another for passages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphrag.embed.base import Embedder, Vectors
from graphrag.hashing import text_hash


class PromptedEmbedder:
    """Puts ``text`` before every text and ``question`` before every question, and asks ``inner``.

    E5 wants "passage: " and "query: " (Wang et al., "Text Embeddings by Weakly-Supervised Contrastive
    Pre-training", 2022); others a sentence before questions alone. What stands before texts is part of
    the model's id, for it changes every vector of an index; what stands before questions is not.
    """

    def __init__(self, inner: Embedder, *, question: str, text: str) -> None:
        self.inner = inner
        self._question = question
        self._text = text

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)  # vectors of tokens, tuning records, counts, where there are any

    @property
    def model_id(self) -> str:
        """Name of model and weights, and a hash of what stands before texts."""
        own = self.inner.model_id
        return f"{own}+{text_hash(self._text).removeprefix('b2:')[:8]}" if self._text else own

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.inner.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order."""
        return self.inner.embed(self.prompted(texts))

    def prompted(self, texts: Sequence[str]) -> list[str]:
        """Return what ``inner`` is asked for ``texts``."""
        return [self._text + text for text in texts]

    def embed_questions(self, questions: Sequence[str]) -> Vectors:
        """Return one unit-length row per question, in order."""
        return self.inner.embed([self._question + question for question in questions])
