"""Publish what readers see; nothing is written when nothing has changed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from graphrag.embed.base import Vectors
from graphrag.extract.reports import Finding, full_content
from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.stage import Stage, StageContext
from graphrag.indexing.stages.embed_text import KINDS, row_vectors, searched_texts
from graphrag.settings import Settings
from graphrag.store.publish import publish


async def run(context: StageContext) -> None:
    """Write the published tables and the search indexes, and make them visible at once."""
    embedder = StoredEmbedder(context)

    def vectors(kind: str, table: pa.Table) -> Vectors:
        return row_vectors(embedder, searched_texts(kind, table, context.store, context.settings))

    publish(
        context.store,
        context.layout,
        settings=snapshot(context.settings),
        embedding_model=embedder.model_id,
        embedding_tuning=getattr(context.models.embedder(), "tuning", None),
        vectors=vectors,
        vector_kinds=KINDS,
        report_text=_report_text,
        exact_up_to=context.settings.embedding.exact_up_to,
    )


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
