"""Where row-by-row stages run: in this process, or in workers of a distributed engine."""

from __future__ import annotations

from graphrag.indexing.executors.base import Executor, Job
from graphrag.indexing.executors.in_process import AsyncioExecutor
from graphrag.settings import ExecutionSettings

__all__ = ["Executor", "Job", "make_executor"]


def make_executor(settings: ExecutionSettings) -> Executor:
    """Return the executor that ``settings`` names.

    Raises:
        MissingExtraError: its package is not installed.
    """
    if settings.executor == "daft":
        from graphrag.indexing.executors.daft import DaftExecutor

        return DaftExecutor(settings.workers)
    return AsyncioExecutor()
