"""What trials share: vectors of texts, rankings of retrievers and judgements of rerankers, each made once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder, Vectors, question_vectors
from graphrag.retrieve.base import Found, Retriever, Scorer
from graphrag.retrieve.bm25 import BM25Retriever
from graphrag.retrieve.dense import DenseRetriever
from graphrag.retrieve.hybrid import HybridRetriever
from graphrag.retrieve.rerank import RerankRetriever


class RememberingEmbedder:
    """Embeds a text once, whoever asks."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._known: dict[str, Vectors] = {}
        self._asked: dict[str, Vectors] = {}
        self.model_id = inner.model_id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._inner.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order."""
        return self._rows(self._known, texts, self._inner.embed)

    def embed_questions(self, questions: Sequence[str]) -> Vectors:
        """Return one unit-length row per question, in order."""
        return self._rows(self._asked, questions, lambda new: question_vectors(self._inner, new))

    def _rows(
        self, known: dict[str, Vectors], texts: Sequence[str], embed: Callable[[Sequence[str]], Vectors]
    ) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, embed(new), strict=True))
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([known[text] for text in texts])


@dataclass(slots=True)
class Memory:
    """Rankings by (retriever, question) and scores by (scorer, question, text), with the seconds each took.

    ``saved`` adds up the seconds of what was answered from memory: a configuration is as slow as it
    would be alone.
    """

    rankings: dict[tuple[str, str], tuple[int, Found, float]] = field(default_factory=dict)
    scores: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)
    searches: int = 0
    judged: int = 0
    saved: float = 0.0


@dataclass(frozen=True, slots=True)
class RememberedRetriever:
    """A retriever whose rankings are kept under ``key``; a shorter one is the beginning of a longer one."""

    inner: Retriever
    memory: Memory
    key: str

    def search(self, query: str, k: int) -> Found:
        """Return the ``k`` best (row id, score), best first, ties by id."""
        asked, found, seconds = self.memory.rankings.get((self.key, query), (-1, [], 0.0))
        if asked < k:
            self.memory.searches += 1
            began = time.perf_counter()
            found = self.inner.search(query, k)
            self.memory.rankings[self.key, query] = (k, found, time.perf_counter() - began)
        else:
            self.memory.saved += seconds
        return found[: max(k, 0)]


@dataclass(frozen=True, slots=True)
class RememberedScorer:
    """A scorer that judges a pair of question and text once."""

    inner: Scorer
    memory: Memory
    key: str

    def score(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return one score per text, in order."""
        known = self.memory.scores
        new = [text for text in dict.fromkeys(texts) if (self.key, query, text) not in known]
        self.memory.saved += sum(known[self.key, query, text][1] for text in texts if text not in set(new))
        if new:
            self.memory.judged += len(new)
            began = time.perf_counter()
            scores = self.inner.score(query, new)
            each = (time.perf_counter() - began) / len(new)
            for text, score in zip(new, scores, strict=True):
                known[self.key, query, text] = (float(score), each)
        return np.array([known[self.key, query, text][0] for text in texts], dtype=np.float64)


def remembering(retriever: Retriever, memory: Memory, index: str, settings: str) -> Retriever:
    """Return ``retriever`` with everything that its parts find or judge kept in ``memory``.

    ``index`` names the index; ``settings`` those that other retrievers than BM25 and dense follow.
    """
    if isinstance(retriever, HybridRetriever):
        parts = tuple(remembering(one, memory, index, settings) for one in retriever.retrievers)
        return replace(retriever, retrievers=parts)
    if isinstance(retriever, RerankRetriever):
        parts = tuple(remembering(one, memory, index, settings) for one in retriever.retrievers)
        scorer = retriever.scorer
        name = type(scorer).__name__ + str(getattr(scorer, "source", ""))
        return replace(retriever, retrievers=parts, scorer=RememberedScorer(scorer, memory, name))
    plain = isinstance(retriever, BM25Retriever | DenseRetriever)
    key = f"{index}/{type(retriever).__name__}" + ("" if plain else f"/{settings}")
    return RememberedRetriever(retriever, memory, key)
