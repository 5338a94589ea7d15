"""Scorers for reranking: a cross-encoder, a language model, or the nearest sentence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from graphrag.embed.base import Embedder, question_vectors
from graphrag.errors import ConfigError, MissingExtraError
from graphrag.llm.base import ChatRequest
from graphrag.text.sentences import sentence_spans

Scores = npt.NDArray[np.float64]


class CrossEncoderScorer:
    """Reads question and text together by a sentence-transformers cross-encoder (folder or hub name).

    Nogueira and Cho, "Passage Re-ranking with BERT", 2019. The model is loaded at the first use.

    Raises:
        ConfigError: the folder is not there.
        MissingExtraError: sentence-transformers is not installed.
    """

    def __init__(self, source: str, *, batch_size: int = 32) -> None:
        folder = Path(source)
        if not folder.exists() and (folder.is_absolute() or source.startswith(".")):
            raise ConfigError(
                f"There is no folder {source!r} to load a reranker from.",
                hint="retrieval.reranker is `sentences`, `lm`, a folder, or a name on the Hugging Face hub.",
            )
        self.source = source
        self._batch_size = batch_size
        self._lock = threading.Lock()

    @cached_property
    def _model(self) -> Any:
        try:
            from sentence_transformers import CrossEncoder
        except ImportError:
            what = "A cross-encoder"
            raise MissingExtraError(what, "sentence-transformers", "sentence-transformers") from None
        return CrossEncoder(self.source)

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """Return the cross-encoder's score of each text."""
        if not texts:
            return np.zeros(0)
        with self._lock:
            pairs = [(query, text) for text in texts]
            scores = self._model.predict(pairs, batch_size=self._batch_size, show_progress_bar=False)
        return np.asarray(scores, dtype=np.float64).reshape(len(texts), -1)[:, -1]


class LikelihoodModel(Protocol):
    """A language model that can say how likely a continuation is; the local ones can."""

    async def score(self, request: ChatRequest, continuations: Sequence[str]) -> list[float]:
        """Return the log-likelihood of each continuation as the answer to ``request``."""
        ...


@dataclass(frozen=True, slots=True)
class QueryLikelihoodScorer:
    """How likely a language model finds the question after the text: log p(question | text).

    Sachan et al., "Improving Passage Retrieval with Zero-Shot Question Generation" (UPR), EMNLP 2022.
    Costs one reading of every text; nothing is generated.
    """

    model: LikelihoodModel
    max_characters: int = 2000

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """Return the question's log-likelihood after each text."""

        async def all_of_them() -> list[list[float]]:
            asked = (self.model.score(self._request(text), [query]) for text in texts)
            return list(await asyncio.gather(*asked))

        return np.array([scores[0] for scores in asyncio.run(all_of_them())], dtype=np.float64)

    def _request(self, text: str) -> ChatRequest:
        prompt = f"Passage: {text[: self.max_characters]}\nPlease write a question based on this passage."
        return ChatRequest.of(None, prompt, task="rerank")


@dataclass(frozen=True, slots=True)
class SentenceScorer:
    """The cosine of the question and the nearest sentence of each text; needs no model but the embedder.

    A text unit's vector is a mean over all that it says; the sentence that answers is often far
    from that mean.
    """

    embedder: Embedder

    def score(self, query: str, texts: Sequence[str]) -> Scores:
        """Return the best cosine among the sentences of each text."""
        if not texts:
            return np.zeros(0)
        parts = [[text[a:b] for a, b in sentence_spans(text)] or [text] for text in texts]
        vectors = self.embedder.embed([part for some in parts for part in some])
        cosines = np.asarray(vectors @ question_vectors(self.embedder, [query])[0], dtype=np.float64)
        starts = np.cumsum([0, *(len(some) for some in parts[:-1])])
        return np.maximum.reduceat(cosines, starts)
