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


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stage is going to do: rows of work, LLM calls and their tokens (guessed)."""

    rows: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    embedded_texts: int = 0


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
    settings: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    uses_chat: Callable[[Settings], bool] = _never
    uses_embedder: Callable[[Settings], bool] = _never
    always: bool = False  # its input is outside the store, or it keeps a ledger of its own
    extra: Callable[[StageContext], Any] | None = None  # other things its result depends on
    estimate: Callable[[StageContext], Estimate] | None = None

    def row_fingerprint(self, context: StageContext) -> str:
        """Hash what one row's result depends on, apart from the row itself."""
        settings = context.settings
        return fingerprint(
            name=self.name,
            version=self.version,
            settings={path: settings.value(path) for path in self.settings},
            prompts={name: prompt_hash(name, context.layout.root) for name in self.prompts},
            chat=context.models.chat_id if self.uses_chat(settings) else None,
            embedder=context.models.embedder_id if self.uses_embedder(settings) else None,
            extra=self.extra(context) if self.extra else None,
        )

    def fingerprint(self, context: StageContext) -> str:
        """Hash everything the stage's result depends on."""
        versions = {name: context.store.version(name) for name in self.inputs}
        return fingerprint(row=self.row_fingerprint(context), inputs=versions)
