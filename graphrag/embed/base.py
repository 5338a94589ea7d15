"""The Embedder seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@runtime_checkable
class MeteredEmbedder(Protocol):
    """An embedder that is paid by the token: ``prompt_tokens`` is what it charged for so far."""

    @property
    def prompt_tokens(self) -> int: ...  # noqa: D102


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors.

    ``model_id`` identifies model and weights; an index remembers it and refuses another one.
    """

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, shape ``(len(texts), dimension)``, in order.

        Deterministic: a text has the same vector whatever the batch it comes in (to 1e-6).

        Raises:
            EmbeddingError: the model did not answer, or with vectors of another size.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The tokens of one text in its context: ``vectors`` (n, dimension), ``spans`` (n, 2) in characters."""

    vectors: Vectors
    spans: npt.NDArray[np.int64]


@runtime_checkable
class TokenEmbedder(Protocol):
    """An embedder that also tells its tokens apart (local models can, endpoints cannot)."""

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, as :class:`Embedder` does."""
        ...

    def embed_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """Return the last hidden states of every text's tokens, not normalised; long texts are cut."""
        ...


def question_vectors(embedder: Embedder, questions: Sequence[str]) -> Vectors:
    """Embed questions: as texts, unless the model tells the two apart."""
    own = getattr(embedder, "embed_questions", None)
    found: Vectors = embedder.embed(questions) if own is None else own(questions)
    return found
