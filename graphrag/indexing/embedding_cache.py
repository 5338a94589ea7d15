"""An embedder that asks the store first: a text is embedded once per model, ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Embedder, MeteredEmbedder, Vectors
from graphrag.embed.prompted import PromptedEmbedder
from graphrag.embed.remote import Part, RemoteEmbedder
from graphrag.errors import EmbeddingError, RunStoppedError
from graphrag.hashing import content_hash, text_hash
from graphrag.indexing.stage import StageContext
from graphrag.llm.base import Usage
from graphrag.schema import EMBEDDINGS
from graphrag.store.store import Store
from graphrag.tokens import approximate_tokens

_BATCH = 128  # of a model in this process


def stored_dimension(store: Store, model_id: str) -> int | None:
    """Return the length of the vectors that ``store`` holds of a model; None when it holds none."""
    found = store.sql(
        "SELECT octet_length(vector) // 4 AS n FROM embeddings WHERE model = $1 LIMIT 1", [model_id]
    )["n"].to_pylist()
    return int(found[0]) if found else None


class StoredEmbedder:
    """Wraps an embedder; vectors live in the table ``embeddings`` under hash(model, text).

    A text that got no vector is in ``failures`` with the reason. It is for the stage to put that
    into the ledger; nothing stands in the table for it.
    """

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self.model_id = context.models.embedder_id
        self.failures: dict[str, str] = {}
        self._inner: Embedder | None = None
        self._stored: int | None = None  # numbers in a stored vector of this model

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._embedder().dimension

    def key(self, text: str) -> str:
        """Return the row id that the vector of ``text`` has."""
        return text_hash(f"{self.model_id}\0{text}")

    def id_of(self, texts: Sequence[str]) -> str:
        """Return the row id of the vector of ``texts``: of several it is their mean."""
        return self.key(texts[0]) if len(texts) == 1 else content_hash(self.model_id, "mean", *texts)

    def stored(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are in the table."""
        wanted = pa.table({"id": pa.array(ids, pa.string())})
        query = "SELECT w.id FROM wanted w SEMI JOIN embeddings e ON e.id = w.id"
        return set(self._context.store.sql(query, wanted=wanted)["id"].to_pylist())

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct texts that have no vector yet, in order of first appearance."""
        keys = {self.key(text): text for text in dict.fromkeys(texts)}
        known = self.stored(list(keys))
        return [text for key, text in keys.items() if key not in known]

    def ensure(self, texts: Sequence[str]) -> None:
        """Embed the texts that have no vector, committing every answer as it comes.

        Raises:
            EmbeddingError: the next text would fare alike (a wrong key, an endpoint that is gone).
            BudgetExceededError: the next call does not fit. What was answered is kept in either case.
        """
        todo = self.missing(texts)
        self._context.progress.total(len(todo), "texts")
        if not todo:
            return
        # Texts of like length share a batch, so that little of it is padding.
        todo.sort(key=lambda text: (len(text), text))
        if self._stored is None:
            self._stored = stored_dimension(self._context.store, self.model_id)
        for part in self._parts(todo):
            batch = [todo[place] for place in part.places]
            if part.vectors is None:
                self.failures.update((text, str(part.error)) for text in batch)
            else:
                self._keep([self.key(text) for text in batch], part.vectors)
            self._context.progress.advance(len(batch))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, in order; embeds only what is not stored.

        Raises:
            EmbeddingError: a text got no vector.
            RunStoppedError: the run was asked to stop before all had one.
        """
        rows, lacking = self.embed_known(texts)
        if lacking:
            raise EmbeddingError(self.failures[lacking[0]], retryable=True)
        return rows

    def embed_known(self, texts: Sequence[str]) -> tuple[Vectors, list[str]]:
        """Return one row per text, in order, and the distinct texts that got none: their rows are zero.

        So they are near nothing. Nothing of the kind is stored.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32), []
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
        if found.num_rows == len(texts):
            return np.ascontiguousarray(flat, dtype=np.float32).reshape(len(keys), -1), []
        places = found["place"].to_numpy()
        rows = np.zeros((len(texts), self._stored or 1), dtype=np.float32)
        rows[places] = flat.reshape(len(places), -1) if len(places) else 0.0
        lacking = dict.fromkeys(texts[int(at)] for at in np.setdiff1d(np.arange(len(texts)), places))
        if any(text not in self.failures for text in lacking):
            raise RunStoppedError("The run was asked to stop while texts were embedded.")
        return rows, list(lacking)

    def combine(self, groups: Sequence[tuple[str, ...]]) -> None:
        """Store the mean of the vectors of each group of texts, all of which have one."""
        known = self.stored([self.id_of(texts) for texts in groups])
        todo = {key: texts for texts in groups if (key := self.id_of(texts)) not in known}
        if not todo:
            return
        flat = self.embed([text for texts in todo.values() for text in texts])
        starts = np.cumsum([0, *(len(texts) for texts in list(todo.values())[:-1])])
        sums = np.add.reduceat(flat, starts, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        self._keep(list(todo), np.asarray(sums / np.where(norms > 0, norms, 1.0), dtype=np.float32))

    def _parts(self, texts: Sequence[str]) -> Iterator[Part]:
        """Yield vectors as they come, and count what they cost."""
        embedder = self._embedder()
        stopping = self._context.stopping.is_set
        if isinstance(embedder, PromptedEmbedder):
            texts, embedder = embedder.prompted(texts), embedder.inner
        if isinstance(embedder, RemoteEmbedder):
            charged = embedder.prompt_tokens
            if self._stored is None:  # before the first batch, whose answer may be the one that is wrong
                self._stored = embedder.dimension
            embedder.endpoint.expect(self._stored)
            for part in embedder.parts(texts, stopping=stopping, account=self._account):
                answered = 0 if part.vectors is None else len(part.places)
                tokens, charged = embedder.prompt_tokens - charged, embedder.prompt_tokens
                self._context.usage.add("embedding", self.model_id, Usage(answered, 0, tokens))
                yield part
            return
        for start in range(0, len(texts), _BATCH):
            if stopping():
                return
            batch = list(texts[start : start + _BATCH])
            charged = embedder.prompt_tokens if isinstance(embedder, MeteredEmbedder) else 0
            with self._account(sum(map(approximate_tokens, batch))):
                vectors = embedder.embed(batch)
            tokens = embedder.prompt_tokens - charged if isinstance(embedder, MeteredEmbedder) else 0
            self._context.usage.add("embedding", self.model_id, Usage(len(batch), 0, tokens))
            yield Part(tuple(range(start, start + len(batch))), vectors)

    @contextmanager
    def _account(self, tokens: int) -> Iterator[None]:
        budget = self._context.budget
        if budget is None or not budget.embedding_cost(1):
            yield
            return
        with budget.embedding(tokens):
            yield

    def _keep(self, ids: list[str], vectors: Vectors) -> None:
        if self._stored is None:
            self._stored = vectors.shape[1]
        if vectors.shape[1] != self._stored:
            raise EmbeddingError(
                f"{self.model_id} gave vectors of {vectors.shape[1]} numbers, the index has {self._stored}.",
                hint="Is another model served under the same name? Give it its own name in embedding.model.",
            )
        rows = pa.table(
            {
                "id": pa.array(ids, pa.string()),
                "model": pa.array([self.model_id] * len(ids), pa.string()),
                "vector": pa.array([row.tobytes() for row in vectors.astype("<f4")], pa.binary()),
            },
            schema=EMBEDDINGS.schema,
        )
        self._context.store.append("embeddings", rows)

    def _embedder(self) -> Embedder:
        if self._inner is None:
            self._inner = self._context.models.embedder()
        return self._inner


class Tolerant:
    """An embedder for comparisons: a text that gets no vector is near nothing, and in ``failures``."""

    def __init__(self, stored: StoredEmbedder) -> None:
        self._stored = stored
        self.model_id = stored.model_id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._stored.dimension

    @property
    def failures(self) -> dict[str, str]:
        """Return ledger entries for the texts without a vector: row id to reason."""
        return {
            self._stored.key(text): f"EmbeddingError: no vector of {text[:60]!r}: {reason}"
            for text, reason in self._stored.failures.items()
        }

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row per text, zero where there is no vector."""
        return self._stored.embed_known(texts)[0]
