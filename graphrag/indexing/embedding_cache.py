"""An embedder that asks the store first: a text is embedded once per model, ever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Embedder, MeteredEmbedder, Vectors
from graphrag.errors import EmbeddingError
from graphrag.hashing import text_hash
from graphrag.indexing.stage import StageContext
from graphrag.llm.base import Usage
from graphrag.schema import EMBEDDINGS
from graphrag.store.store import Store
from graphrag.tokens import approximate_tokens

_BATCH = 128


def stored_dimension(store: Store, model_id: str) -> int | None:
    """Return the length of the vectors that ``store`` holds of a model; None when it holds none."""
    found = store.sql(
        "SELECT octet_length(vector) // 4 AS n FROM embeddings WHERE model = $1 LIMIT 1", [model_id]
    )["n"].to_pylist()
    return int(found[0]) if found else None


class StoredEmbedder:
    """Wraps an embedder; vectors live in the table ``embeddings`` under hash(model, text)."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self.model_id = context.models.embedder_id
        self._inner: Embedder | None = None
        self._stored: int | None = None  # numbers in a stored vector of this model

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._embedder().dimension

    def key(self, text: str) -> str:
        """Return the row id that the vector of ``text`` has."""
        return text_hash(f"{self.model_id}\0{text}")

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct texts that have no vector yet, in order of first appearance."""
        distinct = list(dict.fromkeys(texts))
        wanted = pa.table({"id": pa.array([self.key(text) for text in distinct], pa.string())})
        found = self._context.store.sql(
            "SELECT w.id FROM wanted w JOIN embeddings e ON e.id = w.id", wanted=wanted
        )
        known = set(found["id"].to_pylist())
        return [
            text for text, key in zip(distinct, wanted["id"].to_pylist(), strict=True) if key not in known
        ]

    def ensure(self, texts: Sequence[str]) -> int:
        """Embed the texts that have no vector, committing batch by batch; return how many."""
        todo = self.missing(texts)
        self._context.progress.total(len(todo), "texts")
        # Texts of like length share a batch, so that little of it is padding.
        todo.sort(key=lambda text: (len(text), text))
        for start in range(0, len(todo), _BATCH):
            if self._context.stopping.is_set():
                break
            batch = todo[start : start + _BATCH]
            vectors = self._embed(batch)
            self._check_dimension(vectors)
            rows = pa.table(
                {
                    "id": pa.array([self.key(text) for text in batch], pa.string()),
                    "model": pa.array([self.model_id] * len(batch), pa.string()),
                    "vector": pa.array([row.tobytes() for row in vectors.astype("<f4")], pa.binary()),
                },
                schema=EMBEDDINGS.schema,
            )
            self._context.store.append("embeddings", rows)
            self._context.progress.advance(len(batch))
        return len(todo)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order; embeds only what is not stored."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        self.ensure(texts)
        keys = [self.key(text) for text in texts]
        wanted = pa.table(
            {"id": pa.array(keys, pa.string()), "place": pa.array(range(len(keys)), pa.int64())}
        )
        found = self._context.store.sql(
            "SELECT w.place, e.vector FROM wanted w JOIN embeddings e ON e.id = w.id ORDER BY w.place",
            wanted=wanted,
        )
        flat = np.frombuffer(b"".join(found["vector"].to_pylist()), dtype="<f4")
        return np.ascontiguousarray(flat, dtype=np.float32).reshape(len(keys), -1)

    def _embed(self, texts: list[str]) -> Vectors:
        embedder, budget = self._embedder(), self._context.budget
        charged = embedder.prompt_tokens if isinstance(embedder, MeteredEmbedder) else 0
        if budget is not None and budget.embedding_cost(1):
            with budget.embedding(sum(map(approximate_tokens, texts))):
                vectors = embedder.embed(texts)
        else:
            vectors = embedder.embed(texts)
        tokens = embedder.prompt_tokens - charged if isinstance(embedder, MeteredEmbedder) else 0
        self._context.usage.add("embedding", self.model_id, Usage(len(texts), 0, tokens))
        return vectors

    def _check_dimension(self, vectors: Vectors) -> None:
        """Raise when the model of this name gave the store vectors of another size before."""
        if self._stored is None:
            self._stored = stored_dimension(self._context.store, self.model_id) or vectors.shape[1]
        if vectors.shape[1] != self._stored:
            raise EmbeddingError(
                f"{self.model_id} gave vectors of {vectors.shape[1]} numbers, the index has {self._stored}.",
                hint="Is another model served under the same name? Give it its own name in embedding.model.",
            )

    def _embedder(self) -> Embedder:
        if self._inner is None:
            self._inner = self._context.models.embedder()
        return self._inner
