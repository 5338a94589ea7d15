"""Rows in workers of Daft: processes of this machine, or actors of a Ray cluster.

Daft spreads batches of rows over the workers and streams the answers back; ledger, tables and the
published index are written here, by the one process that holds the store.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphrag.errors import MissingExtraError, StageError
from graphrag.indexing.executors.base import Job
from graphrag.indexing.executors.worker import Order, RowWorker, share
from graphrag.indexing.rows import Pending, RowOutcome
from graphrag.indexing.stage import StageContext
from graphrag.llm.base import Usage

_CALLS_A_PLACE = 4  # rows of a batch per call in flight: its slowest row holds up the rest of the batch
_BATCHES = 64  # of each worker in one query: workers start anew with every query, and stop at its end


class DaftExecutor:
    """Spreads rows over ``workers``; each keeps its share of ``llm.concurrency`` in flight."""

    def __init__(self, workers: int) -> None:
        # Read when Daft is first imported: no report of the run to its makers, no second progress bar.
        os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
        os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
        try:
            import daft  # noqa: F401
        except ImportError:
            raise MissingExtraError("The executor `daft`", "daft", "distributed") from None
        self._workers = workers

    async def outcomes(self, context: StageContext, job: Job, rows: Pending) -> AsyncGenerator[RowOutcome]:
        """Yield the outcomes as batches come back.

        Raises:
            StageError: a worker ended, could not make the model, or met an error that all rows share.
        """
        batch = _CALLS_A_PLACE * -(-context.settings.llm.concurrency // self._workers)
        wave = _BATCHES * batch * self._workers
        stop = context.layout.work / "workers_stop"
        watcher = asyncio.ensure_future(_touch_when_stopping(context, stop))
        _keep_interrupts()
        finished = False
        try:
            for found in rows.batches(wave):
                stop.unlink(missing_ok=True)
                if context.stopping.is_set():
                    break
                order = json.dumps(asdict(self._order(context, job, stop)))
                texts = [json.dumps(row) for row in found]
                async for outcome in self._wave(context, _answers(texts, order, self._workers, batch), stop):
                    yield outcome
            finished = True
        finally:
            watcher.cancel()
            if finished:
                stop.unlink(missing_ok=True)
            else:
                stop.touch()  # workers still at it, of a run that was cancelled, begin nothing more

    async def _wave(
        self, context: StageContext, answers: Iterator[dict[str, Any]], stop: Path
    ) -> AsyncGenerator[RowOutcome]:
        error: StageError | None = None
        while True:
            try:
                answer = await asyncio.to_thread(next, answers, None)
            except Exception as failure:
                if context.stopping.is_set():
                    return  # a worker that Ctrl-C reached before it began
                raise StageError(
                    f"A worker ended: {failure}", hint="What was done is kept; run the same command to go on."
                ) from failure
            if answer is None:
                break
            for task, model_id, usage in answer.get("usage", ()):
                context.usage.add(task, model_id, Usage(**usage))
            if context.budget is not None:
                context.budget.charge(answer.get("spent", 0.0))
            if "error" in answer:
                error = error or StageError(answer["error"], hint=answer["hint"])
                stop.touch()
            elif "outcome" in answer:
                context.progress.advance()
                yield RowOutcome(**answer["outcome"])
            elif answer["left"] == "budget" and context.budget is not None:
                context.stop(context.budget.used_up(f"the next call did not fit a {self._workers}th of it"))
        if error is not None:
            raise error

    def _order(self, context: StageContext, job: Job, stop: Path) -> Order:
        from daft.runners import get_or_infer_runner_type

        settings = context.settings.model_dump(mode="json")
        settings["llm"] |= share(context.settings.llm, self._workers)
        # The file of answers is a write-ahead log, which holds on one machine only.
        cache = None if get_or_infer_runner_type() == "ray" else str(context.layout.llm_cache.resolve())
        return Order(
            asdict(job),
            settings,
            context.models.chat_id,
            str(context.layout.root.resolve()),
            str(stop.resolve()),
            cache,
            context.budget.part(self._workers) if context.budget else None,
        )


def _answers(rows: list[str], order: str, workers: int, batch: int) -> Iterator[dict[str, Any]]:
    """Let ``workers`` do ``rows`` in batches and yield their answers as they come."""
    import daft
    from daft import DataType, Series

    class Remote:
        """The worker, in the form that Daft starts."""

        def __init__(self, order: str) -> None:
            # Ctrl-C reaches every process of the terminal: what is in flight is to be finished.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._worker = RowWorker(order)

        @daft.method.batch(return_dtype=DataType.string(), batch_size=batch)  # type: ignore[untyped-decorator]
        def answer(self, rows: Series) -> list[str]:
            return self._worker.answer(rows.to_pylist())

    started = daft.cls(Remote, use_process=True, max_concurrency=workers)(order)
    frame = daft.from_pydict({"row": rows})
    frame = frame.select(started.answer(frame["row"]).alias("answer"))
    for found in frame.to_arrow_iter(results_buffer_size=workers):
        for text in found.column(0).to_pylist():
            yield json.loads(text)


def _keep_interrupts() -> None:
    """Leave Ctrl-C to this process: Daft, from its first query on, answers it by dropping the query.

    It would be dropped with the rows in flight, and the engine may then abort at the process's end.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    import daft

    handler = signal.getsignal(signal.SIGINT)
    daft.from_pydict({"row": ["one"]}).select(daft.col("row") + "").collect()
    if handler is not None:  # one that Python did not set is not ours to set again
        signal.signal(signal.SIGINT, handler)


async def _touch_when_stopping(context: StageContext, stop: Path) -> None:
    await context.stopping.wait()
    with suppress(OSError):  # then the run stops at the end of the wave
        stop.touch()
