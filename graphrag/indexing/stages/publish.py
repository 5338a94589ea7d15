"""Publish what readers see; nothing is written when nothing has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from graphrag.embed.base import Vectors
from graphrag.extract.reports import Finding, full_content
from graphrag.indexing.stage import Stage, StageContext
from graphrag.indexing.stages.embed_text import KINDS
from graphrag.indexing.stages.embed_text import STAGE as EMBED
from graphrag.settings import Settings
from graphrag.store.publish import publish
from graphrag.store.store import Store


async def run(context: StageContext) -> None:
    """Write the published tables and the search indexes, and make them visible at once."""
    publish(
        context.store,
        context.layout,
        settings=snapshot(context.settings),
        embedding_model=context.models.embedder_id,
        embedding_tuning=getattr(context.models.embedder(), "tuning", None),
        vectors=StoredVectors(context.store),
        vector_kinds=KINDS,
        report_text=_report_text,
        exact_up_to=context.settings.embedding.exact_up_to,
    )


class StoredVectors:
    """The vectors of rows as the ledger of embedding names them; a row that failed has none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ids(self, kind: str, rows: pa.Table) -> list[str | None]:
        """Return for each row the id of its vector."""
        key = "community_id" if kind == "community_reports" else "id"
        wanted = pa.table({"row_id": rows[key], "place": pa.array(range(rows.num_rows), pa.int64())})
        found = self._store.sql(
            """SELECT e.id FROM wanted w LEFT JOIN ledger l
               ON l.row_id = w.row_id AND l.stage = $1 AND l.status = 'done'
               LEFT JOIN embeddings e ON e.id = l.fingerprint ORDER BY w.place""",
            [EMBED.name],
            wanted=wanted,
        )
        ids: list[str | None] = found["id"].to_pylist()
        return ids

    def fetch(self, ids: Sequence[str]) -> Vectors:
        """Return the vectors with these ids, in their order."""
        wanted = pa.table({"id": pa.array(ids, pa.string()), "place": pa.array(range(len(ids)), pa.int64())})
        found = self._store.sql(
            "SELECT e.vector FROM wanted w JOIN embeddings e ON e.id = w.id ORDER BY w.place", wanted=wanted
        )
        flat = np.frombuffer(b"".join(found["vector"].to_pylist()), dtype="<f4")
        return np.ascontiguousarray(flat, dtype=np.float32).reshape(len(ids), -1 if len(ids) else 0)


def _report_text(report: dict[str, Any], numbers: dict[str, tuple[str, int]]) -> str:
    findings = [
        Finding(one["summary"], one["explanation"], tuple(one["citations"])) for one in report["findings"]
    ]
    return full_content(report["title"], report["summary"], findings, numbers)


def snapshot(settings: Settings) -> dict[str, object]:
    """Return the settings an index was made with: no keys, addresses or limits, which do not shape it."""
    return {
        "pipeline": settings.pipeline,
        "llm": {"provider": settings.llm.provider, "model": settings.llm.model},
        "embedding": {
            "provider": settings.embedding.provider,
            "model": settings.embedding.model,
            "entity_text": settings.embedding.entity_text,
            "text_prefix": settings.embedding.text_prefix,
        },
        **{
            name: settings.value(name)
            for name in (
                "input",
                "chunking",
                "extraction",
                "resolution",
                "descriptions",
                "communities",
                "reports",
            )
        },
    }


STAGE = Stage(
    name="publish",
    version="1",
    inputs=(),
    outputs=(),
    uses_embedder=lambda _: True,
    run=run,
    always=True,
)
