"""Embedders: one protocol, one file per way of making vectors."""

from __future__ import annotations

from graphrag.embed.base import Embedder, TokenEmbedder, TokenVectors, Vectors, question_vectors
from graphrag.embed.fake import FakeEmbedder
from graphrag.settings import EmbeddingSettings

__all__ = [
    "Embedder",
    "FakeEmbedder",
    "TokenEmbedder",
    "TokenVectors",
    "Vectors",
    "make_embedder",
    "question_vectors",
]


def make_embedder(settings: EmbeddingSettings) -> Embedder:
    """Return the embedder that ``settings`` names; a local model is loaded at its first use.

    Raises:
        ConfigError: the model's folder is not one, or the endpoint's settings are incomplete.
        MissingExtraError: a package that the provider needs is not installed.
    """
    embedder = _model(settings)
    if not settings.question_prefix and not settings.text_prefix:
        return embedder
    from graphrag.embed.prompted import PromptedEmbedder

    return PromptedEmbedder(embedder, question=settings.question_prefix, text=settings.text_prefix)


def _model(settings: EmbeddingSettings) -> Embedder:
    if settings.provider == "openai":
        from graphrag.embed.openai_compatible import OpenAICompatibleEmbedder
        from graphrag.embed.remote import RemoteEmbedder

        return RemoteEmbedder(OpenAICompatibleEmbedder(settings), settings)
    from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder, embedded_folder

    source = str(embedded_folder()) if settings.provider == "embedded" else settings.model
    return SentenceTransformerEmbedder(source, batch_size=settings.batch_size)
