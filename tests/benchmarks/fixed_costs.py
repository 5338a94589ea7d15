"""What one call of an endpoint and one small statement cost, by client and by way of asking.

    python -m tests.benchmarks.fixed_costs --shared ../shared [--clients openai,httpx2,aiohttp]
    python -m tests.benchmarks.fixed_costs --statements

CPU of this process alone; the endpoint (``bench/mock_openai.py``) has its own. ``openai`` and ``openai over
aiohttp`` need the openai package, which the engine does not. Each client in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.engine import endpoint

CALLS, PLACES, STATEMENTS = 400, 16, 200
BODY = {
    "model": "mock",
    "messages": [
        {"role": "system", "content": "x " * 300},
        {"role": "user", "content": "Arthur met Merlin in Camelot. " * 200},
    ],
    "temperature": 0.0,
    "seed": 1,
    "max_tokens": 4000,
}


def cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def opened(client: str, address: str) -> tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]:
    """Return how to make one call with ``client``, and how to close it."""
    url = f"{address}/chat/completions"
    if client.startswith("openai"):
        import openai

        http = openai.DefaultAioHttpClient if "aiohttp" in client else openai.DefaultAsyncHttpxClient
        asked = openai.AsyncOpenAI(api_key="x", base_url=address, max_retries=0, http_client=http())
        security = {"security": {"bearer_auth": True}}
        return lambda: asked.post(
            "/chat/completions", cast_to=object, body=BODY, options=security
        ), asked.close
    if client == "aiohttp":
        from graphrag.connection import Connection

        ours = Connection(address, "x", timeout=30, longest=1 << 22)
        return lambda: ours.post("/chat/completions", BODY), ours.aclose
    plain = __import__(client).AsyncClient(timeout=30)

    async def call() -> Any:
        return (await plain.post(url, json=BODY)).json()

    return call, plain.aclose


async def client_cost(client: str, address: str, importing: float) -> None:
    """Print what ``client`` costs per call."""
    call, close = opened(client, address)
    await call()
    importing = cpu() - importing
    places = asyncio.Semaphore(PLACES)

    async def one() -> None:
        async with places:
            await call()

    begun = cpu()
    await asyncio.gather(*(one() for _ in range(CALLS)))
    each = (cpu() - begun) / CALLS * 1000
    await close()
    print(f"{client:20} {each:6.2f} ms a call, {importing:5.2f} s to import it and make the first")


def statements() -> None:
    """Print what small statements cost in DuckDB with one thread and with two."""
    import duckdb
    import pyarrow as pa

    given = pa.table({"id": ["1", "2"]})
    for threads in (1, 2):
        store = duckdb.connect(config={"threads": threads})
        store.execute("CREATE TABLE t AS SELECT i::VARCHAR AS id, hash(i) AS h FROM range(2000) r(i)")

        def register(store: Any = store) -> None:
            store.register("given", given)
            store.unregister("given")

        ways: dict[str, Callable[[], Any]] = {
            "sorted rows as Arrow": lambda s=store: s.sql("SELECT id, h FROM t ORDER BY id").to_arrow_table(),
            "a count by sql()": lambda s=store: s.sql("SELECT count(*) FROM t").fetchall(),
            "a count by execute()": lambda s=store: s.execute("SELECT count(*) FROM t").fetchall(),
            "a digest by execute()": lambda s=store: s.execute("SELECT bit_xor(hash(t)) FROM t").fetchall(),
            "register, unregister": register,
        }
        for name, do in ways.items():
            do()
            begun = cpu()
            for _ in range(STATEMENTS):
                do()
            print(f"{threads} threads  {name:24} {(cpu() - begun) / STATEMENTS * 1000:6.2f} ms")


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--clients", default="openai,openai over aiohttp,httpx2,aiohttp")
    parser.add_argument("--statements", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        asyncio.run(client_cost(*arguments.one, cpu()))
    elif arguments.statements:
        statements()
    else:
        with endpoint(arguments.shared) as mock:
            for client in arguments.clients.split(","):
                own = [sys.executable, "-m", "tests.benchmarks.fixed_costs", "--one", client, mock.address]
                subprocess.run(own, check=True)


if __name__ == "__main__":
    main()
