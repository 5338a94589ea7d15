"""Rows by vectors."""

from __future__ import annotations

from dataclasses import dataclass

from graphrag.embed.base import Embedder, question_vectors
from graphrag.errors import QueryError
from graphrag.store.index import Index


def check_embedder(index: Index, embedder: Embedder) -> None:
    """Refuse an embedder other than the one that made the vectors of ``index``.

    Raises:
        QueryError: the index has no vectors, or those of another model.
    """
    if index.embedding_model is None:
        raise QueryError(
            "This index holds no vectors.",
            hint="Index again with an embedding model, or search by words (BM25) only.",
        )
    if embedder.model_id != index.embedding_model:
        raise QueryError(
            f"The vectors of this index were made by {index.embedding_model!r}, "
            f"the question would be embedded by {embedder.model_id!r}.",
            hint=f"To ask this index, set {_made_with(index)}; to go over to the new model, run `graphrag "
            "index`: vectors are made anew, nothing else is done twice.",
        )


def _made_with(index: Index) -> str:
    """Return the settings that name the embedder of ``index``."""
    made = index.settings_snapshot.get("embedding", {})
    provider, model = made.get("provider"), made.get("model")
    if provider is None:
        return "`embedding` in settings.yaml to its model"
    if provider == "embedded":
        told = "embedding.provider to 'embedded'"
    else:
        told = f"embedding.provider to {provider!r} and embedding.model to {model!r}"
    if made.get("text_prefix"):
        told += f" and embedding.text_prefix to {made['text_prefix']!r}"
    return f"{told} in settings.yaml"


@dataclass(frozen=True, slots=True)
class DenseRetriever:
    """Cosine similarity to the rows of table ``kind``; embeds each query once.

    Raises:
        QueryError: the index was made with another embedder.
    """

    index: Index
    embedder: Embedder
    kind: str = "text_units"

    def __post_init__(self) -> None:
        check_embedder(self.index, self.embedder)

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """Return the ``k`` best (row id, cosine), best first, ties by id."""
        if k <= 0:
            return []
        return self.index.vectors(self.kind).search(question_vectors(self.embedder, [query]), k)[0]
