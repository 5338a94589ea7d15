"""A connection to an endpoint that speaks the OpenAI protocol: plain data out, plain data back.

What the protocol needs is one POST with JSON and a stream of lines. Both are bounded here: a server or
proxy that is broken can send without end, fill the memory, or answer 200 with half a JSON text.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
import time
import weakref
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

T = TypeVar("T")

OPENAI = "https://api.openai.com/v1"
_PROBE_SECONDS = 10.0
_GATEWAY = (502, 503, 504)  # what a gateway says for a server that is gone
_SHOWN = 300  # characters of an error's body that is not JSON
_CONNECT_SECONDS = 30.0


class CallError(Exception):
    """A call gave no answer of use; the message says why."""


class TimedOutError(CallError):
    """The answer did not begin, go on or end in time."""


class UnreachableError(CallError):
    """The server is not there, or the connection broke off."""


class UnreadableError(CallError):
    """The server answered with something that is not JSON."""


class TooLongError(CallError):
    """The answer is longer than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer has more than {limit:,} bytes")
        self.limit = limit


class StatusError(CallError):
    """The server refused with an HTTP status; ``code`` and ``param`` are what the protocol's error names."""

    def __init__(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            told = None
        told = told.get("error", told) if isinstance(told, dict) else told
        known = told if isinstance(told, dict) else {"message": told if isinstance(told, str) else None}
        super().__init__(str(known.get("message") or body[:_SHOWN] or "nothing more was said"))
        self.status = status
        self.headers = headers
        self.code, self.param = (
            value if isinstance(value, str) else None for value in (known.get("code"), known.get("param"))
        )


class Connection:
    """Connections to one endpoint, kept open; every event loop has its own, closed by :meth:`aclose`.

    ``timeout`` is the seconds until an answer begins and, again, until it ends; in a stream, from piece to
    piece. ``longest`` is the bytes that an answer may have. Nothing is repeated. Proxies are those of
    the environment.
    """

    def __init__(self, base_url: str | None, api_key: str | None, *, timeout: float, longest: int) -> None:
        self._base = (base_url or OPENAI).rstrip("/")
        self._key = api_key
        self._timeout = timeout
        self._longest = longest
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ClientSession] = (
            weakref.WeakKeyDictionary()
        )

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send ``body``; return the answer's JSON.

        Raises:
            CallError: in one of its forms.
        """
        async with self._response("POST", path, body, self._timeout) as response:
            return _decoded(await self._read(response))

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Send ``body``; yield the JSON of each server-sent event until ``[DONE]``.

        Raises:
            CallError: in one of its forms, also in the midst of the stream.
        """
        async with self._response("POST", path, body, self._timeout) as response:
            rest = b""
            async for piece in response.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > self._longest:
                    raise TooLongError(self._longest)
                for line in lines:
                    name, _, data = line.strip().partition(b":")
                    if name != b"data":
                        continue
                    if data.strip() == b"[DONE]":
                        return
                    event = _decoded(data)
                    if isinstance(event, dict) and event.get("error"):
                        raise StatusError(500, data.decode(errors="replace"), {})
                    yield event

    async def is_gone(self) -> bool:
        """Ask once for the list of models: any reply of the server itself means that it is there."""
        seconds = min(_PROBE_SECONDS, self._timeout)
        try:
            async with self._response("GET", "/models", None, seconds):
                return False
        except StatusError as error:
            return error.status in _GATEWAY
        except (UnreachableError, TimedOutError):
            return True
        except CallError:
            return False

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> AsyncIterator[ClientResponse]:
        """Send a request and give the answer, with errors of connection and status as ours."""
        import aiohttp

        data = None if body is None else _encoded(body)
        limits = aiohttp.ClientTimeout(
            total=None, sock_read=seconds, sock_connect=min(_CONNECT_SECONDS, seconds)
        )
        try:
            async with self._session().request(
                method, self._base + path, data=data, timeout=limits
            ) as response:
                if response.status >= 400:
                    text = (await self._read(response)).decode(errors="replace")
                    raise StatusError(response.status, text, response.headers)
                yield response
        except TimeoutError as error:
            raise TimedOutError("no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error

    async def _read(self, response: ClientResponse) -> bytes:
        pieces: list[bytes] = []
        left = self._longest
        due = time.monotonic() + self._timeout
        async for piece in response.content.iter_any():
            left -= len(piece)
            if left < 0:
                raise TooLongError(self._longest)
            if time.monotonic() > due:
                raise TimedOutError("the answer did not come to an end")
            pieces.append(piece)
        return b"".join(pieces)

    def _session(self) -> ClientSession:
        import aiohttp

        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            headers = {"Content-Type": "application/json", "User-Agent": "graphrag-engine"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            # How many calls run at once is for the model's limits to say, not for the pool.
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls())
            session = aiohttp.ClientSession(headers=headers, connector=connector, proxy=self._proxy())
            self._sessions[loop] = session
        return session

    def _proxy(self) -> str | None:
        """Return the environment's proxy; aiohttp would look for it at every call, for half of its cost."""
        address = urlsplit(self._base)
        if proxy_bypass(address.hostname or ""):
            return None
        proxies = getproxies()
        return proxies.get(address.scheme) or proxies.get("all")

    def _tls(self) -> ssl.SSLContext | bool:
        """Trust what the operating system trusts, which knows a company's own certificates."""
        if not self._base.startswith("https"):
            return True
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class BlockingConnection:
    """A connection for callers who wait: its event loop has a thread of its own. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="endpoint", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, _stop, connection, self._loop)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Do what :meth:`Connection.post` does."""
        return self._wait(self._connection.post(path, body))

    def is_gone(self) -> bool:
        """Do what :meth:`Connection.is_gone` does."""
        return self._wait(self._connection.is_gone())

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._end()
        self._thread.join()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _stop(connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
    """Let ``loop`` end itself: the last reference can be dropped in any thread, also in its own."""

    async def end() -> None:
        await connection.aclose()
        loop.stop()

    asyncio.run_coroutine_threadsafe(end(), loop)


def api_key(given: str | None, base_url: str | None) -> str | None:
    """Return the key to send: the given one or, to OpenAI itself, that of ``OPENAI_API_KEY``."""
    return given or (None if base_url else os.environ.get("OPENAI_API_KEY"))


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"the body is not JSON ({error})") from error
