"""Rows in this process: concurrent calls of one model on one event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from graphrag.indexing.executors.base import Job
from graphrag.indexing.rows import Pending, RowOutcome, work
from graphrag.indexing.stage import StageContext


class AsyncioExecutor:
    """Keeps ``llm.concurrency`` rows in flight."""

    async def outcomes(self, context: StageContext, job: Job, rows: Pending) -> AsyncGenerator[RowOutcome]:
        """Yield the outcomes as they come."""
        settings = context.settings
        do = job.make(context.models.chat(), settings, context.layout.root)
        async for outcome in work(context, rows.rows(), do, concurrency=settings.llm.concurrency):
            yield outcome
