"""What a stage is, and what it may use.

A stage reads and writes tables of the store and nothing else. Its *fingerprint* covers all that
its result depends on: name and version, the settings it declares, prompts, models, and the
content of its input tables. A stage whose fingerprint is the one of its last run is skipped.

Stages that ask a model row by row additionally keep a ledger entry per row, so an interrupted or
enlarged run does only what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphrag.embed.base import Embedder
from graphrag.hashing import fingerprint
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.llm.base import ChatModel
from graphrag.llm.budget import Budget
from graphrag.llm.prompts import prompt_hash
from graphrag.llm.usage import UsageLog
from graphrag.settings import Settings
from graphrag.store.layout import Layout
from graphrag.store.store import Store


class Models(Protocol):
    """Gives the models when a stage first needs them; loading one can take seconds."""

    @property
    def chat_id(self) -> str:
        """Return the chat model's id without loading its weights."""
        ...

    @property
    def embedder_id(self) -> str:
        """Return the embedder's id without loading its weights."""
        ...

    def chat(self) -> ChatModel:
        """Return the chat model, with cache, limits and usage count around it."""
        ...

    def embedder(self) -> Embedder:
        """Return the embedder."""
        ...


@dataclass(slots=True)
class StageContext:
    """What a running stage may use."""

    layout: Layout
    settings: Settings
    store: Store
    models: Models
    usage: UsageLog
    progress: Progress = field(default_factory=NoProgress)
    retry_failed: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    budget: Budget | None = None
    stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """End the run at the next safe point: what is in flight is finished and kept."""
        self.stop_reason = self.stop_reason or reason
        self.stopping.set()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stage is going to do.

    ``todo`` rows are new or made anew, for the reasons in ``why``; ``dropped`` ones go. Prompt tokens
    are those of the real prompts, of answers that are in part guessed; completion tokens are guesses.
    """

    unchanged: int = 0
    todo: int = 0
    dropped: int = 0
    why: tuple[str, ...] = ()
    calls: int = 0
    cached_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    embedded_texts: int = 0
    embedded_tokens: int = 0
    cost: float = 0.0


Names = tuple[str, ...] | Callable[[Settings], tuple[str, ...]]


def _never(_: Settings) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a pipeline. ``version`` is raised by hand when the result of ``run`` changes."""

    name: str
    version: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Callable[[StageContext], Awaitable[None]]
    settings: Names = ()  # dotted paths
    prompts: Names = ()  # read only where the chat model is used
    uses_chat: Callable[[Settings], bool] = _never
    uses_embedder: Callable[[Settings], bool] = _never
    always: bool = False  # its input is outside the store, or it keeps a ledger of its own
    extra: Callable[[StageContext], dict[str, Any]] | None = None  # other things its result depends on

    def reads(self, context: StageContext) -> dict[str, Any]:
        """Return what one row's result depends on, apart from the row itself: flat, by words a user knows."""
        settings = context.settings
        chat = self.uses_chat(settings)
        found: dict[str, Any] = {"version": self.version}
        for path in _names(self.settings, settings):
            found |= _leaves(f"setting {path}", settings.value(path))
        for name in _names(self.prompts, settings) if chat else ():
            found[f"prompt {name}"] = prompt_hash(name, context.layout.root)
        found["chat model"] = context.models.chat_id if chat else None
        found["embedding model"] = context.models.embedder_id if self.uses_embedder(settings) else None
        if self.extra:
            found |= _leaves("", self.extra(context))
        return found

    def row_fingerprint(self, context: StageContext) -> str:
        """Hash what :meth:`reads` returns."""
        return fingerprint(name=self.name, reads=self.reads(context))

    def input_versions(self, context: StageContext) -> dict[str, str]:
        """Return the digests of the tables that the stage reads."""
        return {name: context.store.version(name) for name in self.inputs}

    def fingerprint(self, reads: dict[str, Any], inputs: dict[str, str]) -> str:
        """Hash everything the stage's result depends on: what it reads, and the digests of its inputs."""
        return fingerprint(name=self.name, reads=reads, inputs=inputs)


def _names(names: Names, settings: Settings) -> tuple[str, ...]:
    return names(settings) if callable(names) else names


def _leaves(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= _leaves(f"{path}.{name}" if path else name, inner)
    return found
