"""What a run would do and cost, before anything is spent."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from graphrag.indexing.models import ProjectModels
from graphrag.indexing.runner import estimate_pipeline
from graphrag.indexing.stage import Estimate, StageContext
from graphrag.indexing.stages import stage_named
from graphrag.llm.usage import UsageLog
from graphrag.settings import Settings
from graphrag.store.layout import Layout
from graphrag.store.store import Store

_FREE = ("load_documents", "chunk_documents")  # reading and cutting cost nothing and tell the amount


class _Undo(Exception):  # noqa: N818 - not an error: it makes the transaction roll back
    """Leaves the store as it was."""


def estimate(layout: Layout, settings: Settings, stage_names: Sequence[str]) -> dict[str, Estimate]:
    """Read and cut the documents, count the work, and leave the store as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = layout.store if layout.store.is_file() else Path(folder) / "store.duckdb"
        usage = UsageLog()
        models = ProjectModels(settings, layout, usage)
        found: dict[str, Estimate] = {}
        with Store(path) as store:
            context = StageContext(layout, settings, store, models, usage)
            try:
                with store.transaction():
                    for name in stage_names:
                        if name in _FREE:
                            asyncio.run(_run(context, name))
                    found = estimate_pipeline(context, stage_names)
                    raise _Undo
            except _Undo:
                return found


async def _run(context: StageContext, name: str) -> None:
    await stage_named(name).run(context)
