"""Embedders: one protocol, one file per way of making vectors."""

from __future__ import annotations

from graphrag.embed.base import Embedder, TokenEmbedder, TokenVectors, Vectors
from graphrag.embed.fake import FakeEmbedder
from graphrag.settings import EmbeddingSettings

__all__ = ["Embedder", "FakeEmbedder", "TokenEmbedder", "TokenVectors", "Vectors", "make_embedder"]


def make_embedder(settings: EmbeddingSettings) -> Embedder:
    """Return the embedder that ``settings`` names; a local model is loaded at its first use.

    Raises:
        ConfigError: the model's folder is not one, or the endpoint's settings are incomplete.
        MissingExtraError: a package that the provider needs is not installed.
    """
    if settings.provider == "openai":
        from graphrag.embed.openai_compatible import OpenAICompatibleEmbedder

        return OpenAICompatibleEmbedder(settings)
    from graphrag.embed.sentence_transformer import SentenceTransformerEmbedder, embedded_folder

    source = str(embedded_folder()) if settings.provider == "embedded" else settings.model
    return SentenceTransformerEmbedder(source, batch_size=settings.batch_size)
