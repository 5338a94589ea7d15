from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import BaseModel

from graphrag.errors import StoreError, StructuredOutputError
from graphrag.llm import ChatRequest, FakeChatModel, aclose
from graphrag.llm.cache import CachedModel, request_key

T = TypeVar("T")


class Note(BaseModel):
    text: str


class StricterNote(Note):
    text: str
    page: int


def use(path: Path, backend: FakeChatModel, work: Callable[[CachedModel], Awaitable[T]]) -> T:
    async def run() -> T:
        model = CachedModel(backend, path)
        try:
            return await work(model)
        finally:
            await aclose(model)

    return asyncio.run(run())


def ask(text: str = "q", **kwargs: object) -> ChatRequest:
    return ChatRequest.of(None, text, task="t", **kwargs)


def test_the_same_request_is_paid_for_once(tmp_path: Path) -> None:
    backend = FakeChatModel(['{"text": "a"}'])
    request = ask(output=Note)
    first = use(tmp_path / "c" / "cache.sqlite", backend, lambda m: m.complete(request))
    second = use(tmp_path / "c" / "cache.sqlite", backend, lambda m: m.complete(request))
    assert not first.cached
    assert first.usage.calls == 1
    assert second.cached
    assert (second.usage.calls, second.usage.cached_calls, second.usage.prompt_tokens) == (0, 1, 0)
    assert second.parsed == Note(text="a")
    assert len(backend.history) == 1


def test_everything_that_changes_an_answer_is_in_the_key_and_the_task_is_not() -> None:
    requests = [
        ask(),
        ask("other"),
        ask(output=Note),
        ask(output=StricterNote),
        ask(grammar='start: "a"'),
        ask(max_tokens=5),
        ask(temperature=0.5),
        ask(temperature=0.5, seed=1),
        ask(stop=("x",)),
        ChatRequest.of("system", "q", task="t"),
    ]
    keys = {request_key(request, "m") for request in requests} | {request_key(ask(), "other model")}
    assert len(keys) == len(requests) + 1
    assert request_key(ChatRequest.of(None, "q", task="another"), "m") == request_key(ask(), "m")


def test_an_answer_that_no_longer_validates_is_asked_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    request = ask(output=Note)
    use(path, FakeChatModel(['{"text": "old"}']), lambda m: m.complete(request))
    import sqlite3

    database = sqlite3.connect(path)
    database.execute("UPDATE answers SET text = 'garbage'")
    database.commit()
    database.close()
    backend = FakeChatModel(['{"text": "new"}'])
    assert use(path, backend, lambda m: m.complete(request)).parsed == Note(text="new")
    assert use(path, backend, lambda m: m.complete(request)).cached


def test_failures_are_not_kept(tmp_path: Path) -> None:
    backend = FakeChatModel(["bad", '{"text": "good"}'])
    request = ask(output=Note)
    with pytest.raises(StructuredOutputError):
        use(tmp_path / "cache.sqlite", backend, lambda m: m.complete(request))
    assert use(tmp_path / "cache.sqlite", backend, lambda m: m.complete(request)).parsed == Note(text="good")


def test_streams_are_kept_when_they_were_read_to_the_end(tmp_path: Path) -> None:
    backend = FakeChatModel(lambda request: "one two three")

    async def half(model: CachedModel) -> str:
        stream = model.stream(ask())
        first = await anext(stream)
        await stream.aclose()
        return first

    async def whole(model: CachedModel) -> str:
        return "".join([piece async for piece in model.stream(ask())])

    path = tmp_path / "cache.sqlite"
    assert use(path, backend, half) == "one "
    assert use(path, backend, whole) == "one two three"
    assert len(backend.history) == 2
    assert use(path, backend, whole) == "one two three"
    assert use(path, backend, lambda m: m.complete(ask())).cached
    assert len(backend.history) == 2


_WRITER = """
import asyncio, sys
from pathlib import Path
from graphrag.llm import ChatRequest, FakeChatModel
from graphrag.llm.cache import CachedModel

async def main():
    model = CachedModel(FakeChatModel(lambda r: r.messages[-1].content), Path(sys.argv[1]))
    for number in range(int(sys.argv[2]), 10**6):
        await model.complete(ChatRequest.of(None, str(number), task="t"))
        print(number, flush=True)

asyncio.run(main())
"""


def test_answers_survive_kill_and_processes_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), start],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for start in ("0", "500000")
    ]
    answered = []
    for writer in writers:
        assert writer.stdout is not None
        answered += [int(writer.stdout.readline()) for _ in range(200)]
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    backend = FakeChatModel([])

    async def read_all(model: CachedModel) -> list[str]:
        return [(await model.complete(ask(str(number)))).text for number in answered]

    assert use(path, backend, read_all) == [str(number) for number in answered]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_text("not a database, but a text that is long enough to be looked at" * 10)
    with pytest.raises(StoreError, match=r"cache\.sqlite"):
        use(path, FakeChatModel(["a"]), lambda m: m.complete(ask()))


def test_a_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "cache.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE answers (key TEXT PRIMARY KEY, model TEXT, task TEXT, text TEXT, finish_reason TEXT, "
            "prompt_tokens INTEGER, completion_tokens INTEGER) WITHOUT ROWID"
        )
        key = request_key(ask(), FakeChatModel([]).model_id)
        db.execute("INSERT INTO answers VALUES (?, 'm', 't', 'paid long ago', 'stop', 1, 1)", (key,))
    db.close()
    backend = FakeChatModel(["new"])
    assert use(path, backend, lambda m: m.complete(ask())).text == "paid long ago"
    assert use(path, backend, lambda m: m.complete(ask("other"))).text == "new"
    assert use(path, backend, lambda m: m.complete(ask("other"))).cached
