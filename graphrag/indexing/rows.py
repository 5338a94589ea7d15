"""Row-by-row stages: the ledger, the anti-join, and concurrent work committed in small batches.

One mechanism serves resume, update, retry and deletion: a stage's work is its input rows that
have no ledger entry for the current fingerprint; entries of rows that are gone, or of another
fingerprint, are dropped together with what the stage had written for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from graphrag.indexing.stage import StageContext
from graphrag.schema import LEDGER, WORKING_TABLES

Status = Literal["done", "empty", "failed"]
_TABLES = {table.name: table for table in WORKING_TABLES}
_COMMIT_ROWS = 64


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What came of one input row: its status, the reason of a failure, and rows by table."""

    row_id: str
    status: Status
    reason: str | None = None
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def pending(
    context: StageContext, stage: str, row_fingerprint: str, source: str, owned: Sequence[tuple[str, str]]
) -> pa.Table:
    """Drop what is stale and return the rows of table ``source`` that ``stage`` has yet to do.

    ``owned`` names the tables the stage writes and in each the column that points to ``source``.
    Rows that failed are pending only when the run was asked to retry them. Sorted by id.
    """
    store = context.store
    statuses = "('done', 'empty')" if context.retry_failed else "('done', 'empty', 'failed')"
    stale = store.sql(
        f"""SELECT l.row_id FROM ledger l LEFT JOIN "{source}" s ON s.id = l.row_id
            WHERE l.stage = $1 AND (s.id IS NULL OR l.fingerprint <> $2)""",
        [stage, row_fingerprint],
    )["row_id"].to_pylist()
    with store.transaction():
        for table, column in owned:
            store.delete_keys(table, column, stale)
            store.delete_where_missing(table, column, source)
        store.delete_keys("ledger", "row_id", stale, only=("stage", stage))
    return store.sql(
        f"""SELECT s.* FROM "{source}" s ANTI JOIN
            (SELECT row_id FROM ledger WHERE stage = $1 AND fingerprint = $2 AND status IN {statuses}) l
            ON l.row_id = s.id ORDER BY s.id""",
        [stage, row_fingerprint],
    )


def commit(context: StageContext, stage: str, row_fingerprint: str, outcomes: Sequence[RowOutcome]) -> None:
    """Write outcomes and their ledger entries in one transaction."""
    if not outcomes:
        return
    store = context.store
    tables: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        for name, rows in outcome.rows.items():
            tables.setdefault(name, []).extend(rows)
    ids = pa.table({"row_id": [outcome.row_id for outcome in outcomes]})
    earlier = store.sql(
        "SELECT l.row_id, l.attempts FROM ledger l JOIN ids USING (row_id) "
        "WHERE l.stage = $1 AND l.fingerprint = $2",
        [stage, row_fingerprint],
        ids=ids,
    ).to_pylist()
    attempts = {row["row_id"]: row["attempts"] for row in earlier}
    entries = [
        {
            "stage": stage,
            "row_id": outcome.row_id,
            "fingerprint": row_fingerprint,
            "status": outcome.status,
            "reason": outcome.reason,
            "attempts": attempts.get(outcome.row_id, 0) + 1,
        }
        for outcome in outcomes
    ]
    with store.transaction():
        for name, rows in tables.items():
            store.append(name, _TABLES[name].of(rows))
        store.upsert("ledger", LEDGER.of(entries), key=("stage", "row_id"))


def fail(context: StageContext, stage: str, failures: Mapping[str, str], row_fingerprint: str) -> None:
    """Make ``failures`` (row id to reason) the failures of ``stage``; those of an earlier run are forgotten.

    For stages that key their rows by content and so need no entries for what succeeded.
    """
    store = context.store
    earlier = store.sql("SELECT row_id, attempts FROM ledger WHERE stage = $1", [stage])
    attempts = dict(zip(earlier["row_id"].to_pylist(), earlier["attempts"].to_pylist(), strict=True))
    rows = [
        {
            "stage": stage,
            "row_id": row_id,
            "fingerprint": row_fingerprint,
            "status": "failed",
            "reason": reason,
            "attempts": attempts.get(row_id, 0) + 1,
        }
        for row_id, reason in sorted(failures.items())
    ]
    with store.transaction():
        store.delete_keys("ledger", "row_id", attempts, only=("stage", stage))
        store.append("ledger", LEDGER.of(rows))


async def work(
    context: StageContext,
    rows: Iterable[dict[str, Any]],
    do: Callable[[dict[str, Any]], Awaitable[RowOutcome]],
    *,
    concurrency: int,
) -> AsyncIterator[RowOutcome]:
    """Yield the outcomes of ``do`` over ``rows`` as they come, at most ``concurrency`` at once.

    Only so many rows are taken from ``rows`` as are in flight. When the run is asked to stop, no
    new row is begun and those in flight are finished.
    """
    waiting: set[asyncio.Task[RowOutcome]] = set()
    iterator = iter(rows)
    exhausted = False
    try:
        while True:
            while not exhausted and len(waiting) < concurrency and not context.stopping.is_set():
                try:
                    row = next(iterator)
                except StopIteration:
                    exhausted = True
                    break
                waiting.add(asyncio.ensure_future(do(row)))
            if not waiting:
                return
            finished, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            errors = [error for task in finished if (error := task.exception()) is not None]
            for task in finished:
                if task.exception() is None:  # what was answered is handed on, also beside an error
                    context.progress.advance()
                    yield task.result()
            if errors:
                raise errors[0]
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def run_rows(
    context: StageContext,
    stage: str,
    row_fingerprint: str,
    rows: Iterable[dict[str, Any]],
    do: Callable[[dict[str, Any]], Awaitable[RowOutcome]],
    *,
    concurrency: int,
) -> None:
    """Do ``rows`` concurrently and commit outcomes in batches; what was answered is never lost."""
    batch: list[RowOutcome] = []
    try:
        async for outcome in work(context, rows, do, concurrency=concurrency):
            batch.append(outcome)
            if len(batch) >= _COMMIT_ROWS:
                commit(context, stage, row_fingerprint, batch)
                batch = []
    finally:
        commit(context, stage, row_fingerprint, batch)
