"""Answers are kept, so that nothing is paid for twice: one SQLite file, shareable between processes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import weakref
import zlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from graphrag.errors import StoreError, StructuredOutputError
from graphrag.hashing import canonical_json, hash_of_json
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Usage, aclose
from graphrag.llm.structured import parse_output, strict_schema
from graphrag.llm.usage import prompt_tokens
from graphrag.tokens import approximate_tokens

T = TypeVar("T")

_BUSY_SECONDS = 30.0
# Answers lie in the order they came and packed: keyed by hash they would be scattered over all pages.
# Files of earlier releases keep theirs as text, and by key.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    task TEXT NOT NULL,
    text BLOB NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL
)
"""
_READ = "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM answers WHERE key = ?"


def request_key(request: ChatRequest, model_id: str) -> str:
    """Hash everything that the answer depends on; the task's name is not part of it."""
    # Part of the key only where there are any, so that the answers of all other requests keep theirs.
    readings = [
        [request.combine, reading.log_weight, *([one.role, one.content] for one in reading.messages)]
        for reading in request.readings
    ]
    before = [model_id, [[message.role, message.content] for message in request.messages]]
    after = [
        request.grammar("") if callable(request.grammar) else request.grammar,
        request.max_tokens,
        request.temperature,
        request.seed,
        list(request.stop),
        *([readings] if readings else []),
    ]
    schema = "null" if request.output is None else _schema_json(request.output)
    return hash_of_json(f"{canonical_json(before)[:-1]},{schema},{canonical_json(after)[1:]}")


@lru_cache(maxsize=64)  # as long as a prompt, and the same in every request of a stage
def _schema_json(output: type[BaseModel]) -> str:
    return canonical_json(strict_schema(output))


class CachedModel:
    """Answers from the file at ``path`` what was asked before, and asks ``model`` the rest.

    An answer is committed before it is returned: a process that is killed afterwards finds it again.
    A stored answer is validated like a fresh one; one that does not validate is asked for anew.
    Failures are not stored. Several processes may share the file (write-ahead log).
    """

    def __init__(self, model: ChatModel, path: Path) -> None:
        self._model = model
        self._file = _AnswerFile(path)

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        return self._model.model_id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request, from the file if it is there."""
        key = request_key(request, self.model_id)
        stored = await self._file.read(key)
        if stored is not None:
            try:
                parsed = None if request.output is None else parse_output(stored.text, request.output)
            except StructuredOutputError:
                stored = None
            else:
                return replace(stored, parsed=parsed, usage=Usage(cached_calls=1), cached=True)
        response = await self._model.complete(request)
        await self._file.run(lambda file: file.write(key, self.model_id, request.task, response))
        return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield a stored answer in one piece, or a fresh one as it is made; only a whole one is stored."""
        key = request_key(request, self.model_id)
        stored = await self._file.read(key)
        if stored is not None:
            yield stored.text
            return
        pieces: list[str] = []
        async for piece in self._model.stream(request):
            pieces.append(piece)
            yield piece
        text = "".join(pieces)
        usage = Usage(1, 0, prompt_tokens(request), approximate_tokens(text))
        response = ChatResponse(text=text, usage=usage)
        await self._file.run(lambda file: file.write(key, self.model_id, request.task, response))

    async def forget(self, request: ChatRequest) -> None:
        """Drop the stored answer to ``request``."""
        key = request_key(request, self.model_id)
        await self._file.run(lambda file: file.delete(key))

    async def aclose(self) -> None:
        """Close the file and the model behind; a later call opens them again."""
        await self._file.close()
        await aclose(self._model)


class StoredAnswers:
    """Reads the file at ``path`` and never writes: what was answered before, and how long answers were."""

    def __init__(self, path: Path) -> None:
        self._db: sqlite3.Connection | None = None
        if path.is_file():
            # A log beside the file has to be read too; without one, SQLite would make it just for reading.
            mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)

    def get(self, request: ChatRequest, model_id: str) -> ChatResponse | None:
        """Return the stored answer to ``request``, if there is a usable one."""
        if self._db is None:
            return None
        row = self._db.execute(_READ, (request_key(request, model_id),)).fetchone()
        if row is None:
            return None
        text = _unpacked(row[0])
        try:
            parsed = None if request.output is None else parse_output(text, request.output)
        except StructuredOutputError:
            return None
        return ChatResponse(text, parsed, Usage(cached_calls=1), row[1], cached=True)

    @lru_cache(maxsize=16)  # noqa: B019 - as short-lived as the estimate that it serves
    def mean_completion(self, task: str, model_id: str) -> float | None:
        """Return the mean number of tokens of the answers to ``task``; None when there are none."""
        if self._db is None:
            return None
        query = "SELECT avg(completion_tokens) FROM answers WHERE task = ? AND model = ?"
        mean: float | None = self._db.execute(query, (task, model_id)).fetchone()[0]
        return mean

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()


class _Connection:
    """The file, open in the one thread that works on it."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # WAL with synchronous=NORMAL: a commit survives the death of the process (not of the machine's
            # power) and costs tens of microseconds.
            _use_wal(self._db)
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The cache {path} cannot be opened: {error}.",
                hint="Delete the file if it is damaged; only paid answers are lost with it.",
            ) from error

    def read(self, key: str) -> ChatResponse | None:
        return _read(self._db, key)

    def write(self, key: str, model_id: str, task: str, response: ChatResponse) -> None:
        usage = response.usage
        self._db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                model_id,
                task,
                zlib.compress(response.text.encode(), 1),
                response.finish_reason,
                usage.prompt_tokens,
                usage.completion_tokens,
            ),
        )

    def delete(self, key: str) -> None:
        self._db.execute("DELETE FROM answers WHERE key = ?", (key,))

    def close(self) -> None:
        self._db.close()


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch the file to WAL; wait where another process is doing so, for SQLite itself does not."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _read(db: sqlite3.Connection, key: str) -> ChatResponse | None:
    row = db.execute(_READ, (key,)).fetchone()
    if row is None:
        return None
    return ChatResponse(text=_unpacked(row[0]), finish_reason=row[1], usage=Usage(1, 0, row[2], row[3]))


def _unpacked(text: bytes | str) -> str:
    return text if isinstance(text, str) else zlib.decompress(text).decode()


class _AnswerFile:
    """Writes to the file in a thread of its own, for a lock held elsewhere must not stop the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor: ThreadPoolExecutor | None = None
        self._open: list[_Connection] = []
        self._reader: list[sqlite3.Connection] = []
        weakref.finalize(self, _close_all, self._reader, self._open)

    async def read(self, key: str) -> ChatResponse | None:
        """Read on the loop once the file is open: who reads beside a log waits for nobody.

        A thread for it would cost more than the reading. What cannot be read at once is read there.
        """
        if self._open:
            try:
                if not self._reader:
                    self._reader.append(sqlite3.connect(self._path, timeout=0.0, check_same_thread=False))
                return _read(self._reader[0], key)
            except sqlite3.Error:
                pass
        return await self.run(lambda file: file.read(key))

    async def run(self, work: Callable[[_Connection], T]) -> T:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="graphrag-cache")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._call, work)

    def _call(self, work: Callable[[_Connection], T]) -> T:
        if not self._open:
            self._open.append(_Connection(self._path))
        try:
            return work(self._open[0])
        except sqlite3.Error as error:
            raise StoreError(
                f"The cache {self._path} cannot be used: {error}.",
                hint="Check that the disk has room; then run `graphrag index` again, it continues.",
            ) from error

    async def close(self) -> None:
        executor, self._executor = self._executor, None
        if executor is None:
            return
        try:
            closed = asyncio.get_running_loop().run_in_executor(
                executor, _close_all, self._reader, self._open
            )
        except RuntimeError:  # the interpreter is ending and takes no new work; everything is committed
            return
        await closed
        executor.shutdown()


def _close_all(*lists: list[Any]) -> None:
    """Close what is open; who closes last folds the log into the file, so the writer is named last."""
    for connections in lists:
        while connections:
            connections.pop().close()
