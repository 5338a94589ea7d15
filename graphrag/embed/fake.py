"""An embedder that needs no model: for tests, of this library and of its users."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from graphrag.embed.base import TokenVectors, Vectors

_WORD = re.compile(r"\w+")
_WORD_WEIGHT = 3
_NGRAM = 3


class FakeEmbedder:
    """Embeds by hashing words and character trigrams into ``dimension`` signed buckets.

    Texts that share words, or spellings, are near each other; the meaning of words is unknown to
    it. The same text gives the same vector in every process. ``calls`` counts the texts asked for.
    """

    def __init__(self, dimension: int = 64) -> None:
        self._dimension = dimension
        self.model_id = f"fake-embedder-{dimension}"
        self.calls = 0

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order."""
        self.calls += len(texts)
        rows = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for number, text in enumerate(texts):
            row = rows[number]
            for feature, weight in sorted(_features(text).items()):
                bucket, sign = _bucket(feature, self._dimension)
                row[bucket] += sign * weight
            if not row.any():
                row[0] = 1.0
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def embed_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """Return a row for every word, as :meth:`embed` makes it; a word knows nothing of its neighbours."""
        found = []
        for text in texts:
            words = list(_WORD.finditer(text))
            rows = self.embed([word.group() for word in words])
            spans = np.array([word.span() for word in words], dtype=np.int64).reshape(-1, 2)
            found.append(TokenVectors(rows, spans))
        return found


def _features(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for word in _WORD.findall(text.casefold()):
        found[word] += _WORD_WEIGHT
        padded = f"^{word}$"
        found.update(padded[i : i + _NGRAM] for i in range(len(padded) - _NGRAM + 1))
    return found


@lru_cache(maxsize=65_536)
def _bucket(feature: str, dimension: int) -> tuple[int, float]:
    number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
    return (number >> 1) % dimension, 1.0 if number & 1 else -1.0
