"""What any endpoint's answer has to be before it is read: not endless and not huge.

The SDK leaves two things open that a broken server or proxy can do: send without end (its timeout is
one between two pieces), and fill the memory. Response hooks on the SDK's HTTP client settle them;
streamed answers pass unchanged.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx2

from graphrag.errors import GraphRAGError

TooLong = Callable[[int], GraphRAGError]


def async_bounds(
    limit: int, seconds: float, too_long: TooLong
) -> Callable[[httpx2.Response], Awaitable[None]]:
    """Return a hook for an asynchronous client: a body has at most ``limit`` bytes and ``seconds``.

    One that takes longer is a timeout like any other; for one that is larger ``too_long(limit)`` is raised.
    """

    async def check(response: httpx2.Response) -> None:
        if not _is_stream(response):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _AsyncBounded(response.stream, _Bounds(limit, seconds, too_long))

    return check


def bounds(limit: int, seconds: float, too_long: TooLong) -> Callable[[httpx2.Response], None]:
    """Return the same for a synchronous client."""

    def check(response: httpx2.Response) -> None:
        if not _is_stream(response):
            assert isinstance(response.stream, httpx2.SyncByteStream)
            response.stream = _Bounded(response.stream, _Bounds(limit, seconds, too_long))

    return check


def _is_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


class _Bounds:
    """How much may still come, and until when."""

    def __init__(self, limit: int, seconds: float, too_long: TooLong) -> None:
        self._limit = limit
        self._left = limit
        self._due = time.monotonic() + seconds
        self._too_long = too_long

    def count(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise self._too_long(self._limit)
        if time.monotonic() > self._due:
            raise httpx2.ReadTimeout("the answer did not come to an end")
        return piece


class _AsyncBounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, bounds: _Bounds) -> None:
        self._stream = stream
        self._bounds = bounds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield self._bounds.count(piece)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, bounds: _Bounds) -> None:
        self._stream = stream
        self._bounds = bounds

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield self._bounds.count(piece)

    def close(self) -> None:
        self._stream.close()
