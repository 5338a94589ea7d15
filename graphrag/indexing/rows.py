"""Row-by-row stages: the ledger, the anti-join, and concurrent work committed in small batches.

One mechanism serves resume, update, retry and deletion: a stage's work is its input rows that
have no ledger entry for the current fingerprint; entries of rows that are gone, or of another
fingerprint, are dropped together with what the stage had written for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from graphrag.errors import RunStoppedError
from graphrag.indexing.stage import StageContext
from graphrag.llm.limits import AHEAD, Ahead, NotBegunError
from graphrag.schema import LEDGER, WORKING_TABLES
from graphrag.store.store import Store

Status = Literal["done", "empty", "failed"]
Failures = Mapping[str, tuple[str, str]]
_TABLES = {table.name: table for table in WORKING_TABLES}
_COMMIT_ROWS = 64
_READ_ROWS = 512  # read ahead of the rows in flight


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What came of one input row: its status, the reason of a failure, and rows by table."""

    row_id: str
    status: Status
    reason: str | None = None
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """Rows of one table that are to be done; only their ids are in memory, sorted."""

    _store: Store
    _source: str
    _ids: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self._ids)

    def batches(self, size: int) -> Iterator[list[dict[str, Any]]]:
        """Read the rows, ``size`` at a time, sorted by id."""
        query = f'SELECT s.* FROM "{self._source}" s SEMI JOIN wanted ON wanted.id = s.id ORDER BY s.id'
        for start in range(0, len(self), size):
            wanted = pa.table({"id": self._ids.slice(start, size)})
            yield self._store.sql(query, wanted=wanted).to_pylist()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Read the rows one by one, as they are taken."""
        for batch in self.batches(_READ_ROWS):
            yield from batch


def pending(
    context: StageContext, stage: str, row_fingerprint: str, source: str, owned: Sequence[tuple[str, str]]
) -> Pending:
    """Drop what is stale and return the rows of table ``source`` that ``stage`` has yet to do.

    ``owned`` names the tables the stage writes and in each the column that points to ``source``.
    Rows that failed are pending only when the run was asked to retry them.
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
    found = store.sql(
        f"""SELECT s.id FROM "{source}" s ANTI JOIN
            (SELECT row_id FROM ledger WHERE stage = $1 AND fingerprint = $2 AND status IN {statuses}) l
            ON l.row_id = s.id ORDER BY s.id""",
        [stage, row_fingerprint],
    )
    return Pending(store, source, found["id"])


def commit(context: StageContext, stage: str, row_fingerprint: str, outcomes: Sequence[RowOutcome]) -> None:
    """Write outcomes and their ledger entries in one transaction."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        for name, rows in outcome.rows.items():
            tables.setdefault(name, []).extend(rows)
    with context.store.transaction():
        for name, rows in tables.items():
            context.store.append(name, _TABLES[name].of(rows))
        record(context, stage, [(one, row_fingerprint) for one in outcomes])


def record(context: StageContext, stage: str, outcomes: Sequence[tuple[RowOutcome, str]]) -> None:
    """Write the ledger entries of outcomes, each with its fingerprint; attempts under the same one add up."""
    if not outcomes:
        return
    store = context.store
    ids = pa.table({"row_id": [outcome.row_id for outcome, _ in outcomes]})
    earlier = store.sql(
        "SELECT l.row_id, l.fingerprint, l.attempts FROM ledger l JOIN ids USING (row_id) WHERE l.stage = $1",
        [stage],
        ids=ids,
    ).to_pylist()
    attempts = {(row["row_id"], row["fingerprint"]): row["attempts"] for row in earlier}
    entries = [
        {
            "stage": stage,
            "row_id": outcome.row_id,
            "fingerprint": key,
            "status": outcome.status,
            "reason": outcome.reason,
            "attempts": attempts.get((outcome.row_id, key), 0) + 1,
        }
        for outcome, key in outcomes
    ]
    store.upsert("ledger", LEDGER.of(entries), key=("stage", "row_id"))


def forget_missing(context: StageContext, stage: str, row_ids: Collection[str]) -> None:
    """Drop the ledger entries of rows that are not among ``row_ids`` any more."""
    entries = context.store.sql("SELECT row_id FROM ledger WHERE stage = $1", [stage])["row_id"].to_pylist()
    context.store.delete_keys("ledger", "row_id", set(entries).difference(row_ids), only=("stage", stage))


def still_failed(context: StageContext, stage: str, keys: Mapping[str, str]) -> set[str]:
    """Return which rows (id to key) failed under the key they have now, and are not to be asked again.

    For stages whose rows are keyed by what they are made from. Failures under another key are forgotten.
    """
    entries = context.store.sql("SELECT row_id, fingerprint FROM ledger WHERE stage = $1", [stage])
    known = dict(zip(entries["row_id"].to_pylist(), entries["fingerprint"].to_pylist(), strict=True))
    changed = [row_id for row_id, key in keys.items() if known.get(row_id, key) != key]
    context.store.delete_keys("ledger", "row_id", changed, only=("stage", stage))
    if context.retry_failed:
        return set()
    return {row_id for row_id, key in keys.items() if known.get(row_id) == key}


def settle(
    context: StageContext, stage: str, table: str, column: str, rows: pa.Table, failures: Failures
) -> None:
    """Write ``rows`` of a stage keyed by content, and its failures (row id to key and reason).

    A row that failed loses what an earlier key had left in ``table``: it would speak of what is no
    more. A row that succeeded loses its failure. One transaction.
    """
    store = context.store
    failed = [(RowOutcome(row_id, "failed", why), key) for row_id, (key, why) in sorted(failures.items())]
    with store.transaction():
        store.upsert(table, rows)
        store.delete_keys("ledger", "row_id", rows[column].to_pylist(), only=("stage", stage))
        store.delete_keys(table, column, failures)
        record(context, stage, failed)


def fail(context: StageContext, stage: str, failures: Mapping[str, str], row_fingerprint: str) -> None:
    """Make ``failures`` (row id to reason) the failures of ``stage``; those of an earlier run are forgotten.

    For stages that key their rows by content and so need no entries for what succeeded.
    """
    with context.store.transaction():
        forget_missing(context, stage, failures)
        failed = [
            (RowOutcome(row_id, "failed", why), row_fingerprint) for row_id, why in sorted(failures.items())
        ]
        record(context, stage, failed)


async def work(
    context: StageContext,
    rows: Iterable[dict[str, Any]],
    do: Callable[[dict[str, Any]], Awaitable[RowOutcome]],
    *,
    concurrency: int,
) -> AsyncIterator[RowOutcome]:
    """Yield the outcomes of ``do`` over ``rows`` as they come.

    ``concurrency`` is how many calls the model lets run at once. As many rows again are made ready and wait
    for a place there, so that the next call begins the moment that another is answered, before that answer
    is read. When the run is asked to stop, when the budget is used up, or when a row fails in a way that
    others would too, no row's first call is begun, rows in flight are finished and handed on, and only
    then the error is raised.
    """
    waiting: set[asyncio.Task[RowOutcome]] = set()
    iterator = iter(rows)
    exhausted = failing = False
    error: BaseException | None = None

    def may_begin() -> bool:
        return not (failing or context.stopping.is_set())

    async def one(row: dict[str, Any]) -> RowOutcome:
        nonlocal failing
        AHEAD.set(Ahead(may_begin))  # in the context of this task alone
        try:
            return await do(row)
        except Exception:
            failing = True  # before the call's place goes to the next row
            raise

    try:
        while True:
            while not exhausted and len(waiting) < 2 * concurrency and may_begin():
                try:
                    row = next(iterator)
                except StopIteration:
                    exhausted = True
                    break
                waiting.add(asyncio.ensure_future(one(row)))
            if not waiting:
                break
            finished, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                failure = task.exception()
                if failure is None:
                    context.progress.advance()
                    yield task.result()
                elif isinstance(failure, RunStoppedError):
                    if not isinstance(failure, NotBegunError):
                        context.stop(str(failure))
                else:
                    error = error or failure
        if error is not None:
            raise error
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def run_rows(
    context: StageContext,
    stage: str,
    row_fingerprint: str,
    outcomes: AsyncGenerator[RowOutcome],
) -> None:
    """Commit ``outcomes`` (of an executor) in batches as they come; what was answered is never lost.

    Batches are written in a thread, while calls go on; nothing else uses the store meanwhile, for the
    executor reads more rows only when it is asked for more outcomes.
    """
    batch: list[RowOutcome] = []
    writing: asyncio.Future[None] | None = None
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                batch.append(outcome)
                if len(batch) >= _COMMIT_ROWS:
                    full, batch = batch, []
                    writing = asyncio.ensure_future(
                        asyncio.to_thread(commit, context, stage, row_fingerprint, full)
                    )
                    await asyncio.shield(writing)
    finally:
        if writing is not None and not writing.done():  # the run was cancelled in the midst of it
            await asyncio.wait([writing])
        commit(context, stage, row_fingerprint, batch)
