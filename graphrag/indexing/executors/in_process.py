"""Rows in this process: concurrent calls of one model on one event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pyarrow as pa

from graphrag.indexing.executors.base import Job
from graphrag.indexing.rows import RowOutcome, work
from graphrag.indexing.stage import StageContext


class AsyncioExecutor:
    """Keeps ``llm.concurrency`` rows in flight."""

    async def outcomes(self, context: StageContext, job: Job, rows: pa.Table) -> AsyncGenerator[RowOutcome]:
        """Yield the outcomes as they come."""
        settings = context.settings
        do = job.make(context.models.chat(), settings, context.layout.root)
        async for outcome in work(context, rows.to_pylist(), do, concurrency=settings.llm.concurrency):
            yield outcome
