"""The executor seam: rows go in, outcomes come out, and only plain data goes to where they are done."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from graphrag.indexing.rows import Pending, RowOutcome
from graphrag.indexing.stage import StageContext
from graphrag.llm.base import ChatModel
from graphrag.settings import Settings

Do = Callable[[dict[str, Any]], Awaitable[RowOutcome]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with each row: JSON data, so that it can travel.

    ``factory`` is ``module:function``; called with model, settings, the project's folder and
    ``arguments`` it returns the function that does one row. ``prompts`` are the names and hashes of
    those it will read.
    """

    factory: str
    arguments: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)

    def make(self, model: ChatModel, settings: Settings, root: Path) -> Do:
        """Return the function that does one row."""
        do: Do = pkgutil.resolve_name(self.factory)(model, settings, root, **self.arguments)
        return do


class Executor(Protocol):
    """Does rows somewhere. The caller writes what comes back; an executor writes no table."""

    def outcomes(self, context: StageContext, job: Job, rows: Pending) -> AsyncGenerator[RowOutcome]:
        """Yield the outcome of every row as it comes, in any order.

        When the run is asked to stop or the budget is used up no new row is begun, and those in flight
        are handed on. An error that other rows would share is raised after these.
        """
        ...
