"""An event loop in a thread of its own, for callers that are not async."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_PATIENCE = 5.0  # seconds to close connections in


class BackgroundLoop:
    """Runs coroutines for synchronous callers; works in scripts, threads and notebooks alike.

    All of them share one loop, so connections are kept from one question to the next. ``at_end`` is
    awaited in that loop when the object is closed, collected, or the interpreter ends.
    """

    def __init__(self, at_end: Callable[[], Awaitable[None]]) -> None:
        self._at_end = at_end
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._finish: weakref.finalize[..., BackgroundLoop] | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` and wait for it; an interruption of the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop; a later :meth:`run` starts another one."""
        with self._lock:
            if self._finish is not None:
                self._finish()
            self._loop = self._finish = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_serve, args=(loop,), name="graphrag-query", daemon=True)
                thread.start()
                self._finish = weakref.finalize(self, _end, loop, thread, self._at_end)
                self._loop = loop
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def _end(
    loop: asyncio.AbstractEventLoop, thread: threading.Thread, at_end: Callable[[], Awaitable[None]]
) -> None:
    async def finish() -> None:
        await at_end()
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()

    try:
        asyncio.run_coroutine_threadsafe(finish(), loop).result(_PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        if not loop.is_running():
            loop.close()
