"""What runs in a worker: it makes its own model, does rows, and hands back JSON."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphrag.errors import BudgetExceededError, GraphRAGError
from graphrag.indexing.executors.base import Do, Job
from graphrag.llm import ChatModel, UsageLog, aclose, make_chat_model
from graphrag.llm.base import Usage
from graphrag.llm.budget import Budget, parse_limit
from graphrag.llm.prompts import prompt_hash
from graphrag.settings import LLMSettings, Settings


@dataclass(frozen=True, slots=True)
class Order:
    """Everything a worker gets to know; JSON data.

    ``settings`` are those of this worker (its share of concurrency, rates and budget), ``cache`` the file
    of stored answers, ``stop`` a file that appears when no new row is to be begun.
    """

    job: dict[str, Any]
    settings: dict[str, Any]
    model_id: str
    root: str
    stop: str
    cache: str | None
    budget: str | None


def share(settings: LLMSettings, workers: int) -> dict[str, int | None]:
    """Return one worker's part of what may be in flight and asked per minute, at least one of each."""
    rates = {name: getattr(settings, name) for name in ("requests_per_minute", "tokens_per_minute")}
    return {
        "concurrency": -(-settings.concurrency // workers),
        **{name: None if rate is None else max(1, rate // workers) for name, rate in rates.items()},
    }


class RowWorker:
    """Does rows with a model of its own, made at the first row."""

    def __init__(self, order: str) -> None:
        self._order = Order(**json.loads(order))
        self._loop = asyncio.new_event_loop()
        self._usage = UsageLog()
        self._reported: dict[tuple[str, str], Usage] = {}
        self._spent = 0.0
        self._budget: Budget | None = None
        self._model: ChatModel | None = None
        self._do: Do | None = None
        self._error: GraphRAGError | None = None
        self._over = False

    def close(self) -> None:
        """Close the model and the event loop."""
        if self._model is not None:
            self._loop.run_until_complete(aclose(self._model))
        self._loop.close()

    def answer(self, rows: list[str]) -> list[str]:
        """Do a batch (rows as JSON objects); return as many answers, in order.

        An answer is ``{"outcome": …}``, ``{"left": …}`` for a row that was not begun, or ``{"error": …}``;
        the first one also carries what the batch used.
        """
        answers = self._loop.run_until_complete(self._answer([json.loads(row) for row in rows]))
        if answers:
            answers[0] |= {"usage": self._used(), "spent": self._newly_spent()}
        return [json.dumps(one) for one in answers]

    async def _answer(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        places = asyncio.Semaphore(self._order.settings["llm"]["concurrency"])

        async def one(row: dict[str, Any]) -> dict[str, Any]:
            async with places:
                return await self._one(row)

        return list(await asyncio.gather(*map(one, rows)))

    async def _one(self, row: dict[str, Any]) -> dict[str, Any]:
        if self._over or self._error is not None or Path(self._order.stop).exists():
            return {"left": "budget" if self._over else "stop"}
        try:
            if self._do is None:
                self._do = self._make()
            return {"outcome": asdict(await self._do(row))}
        except BudgetExceededError:
            self._over = True
            return {"left": "budget"}
        except GraphRAGError as error:
            self._error = error
            return {"error": str(error.args[0]), "hint": error.hint}

    def _make(self) -> Do:
        order = self._order
        settings, root, job = Settings.model_validate(order.settings), Path(order.root), Job(**order.job)
        for name, expected in job.prompts.items():
            if prompt_hash(name, root) != expected:
                raise GraphRAGError(
                    f"A worker finds another wording of the prompt {name!r} than this run reads.",
                    hint=f"Workers need the same release, and the project's folder at {root}.",
                )
        if order.budget is not None:
            self._budget = Budget(parse_limit(order.budget), settings.llm.prices, settings.embedding.prices)
        cache = None if order.cache is None else Path(order.cache)
        model = self._model = make_chat_model(
            settings.llm, cache=cache, usage=self._usage, budget=self._budget
        )
        if model.model_id != order.model_id:
            raise GraphRAGError(
                f"A worker made the model {model.model_id!r}; this run's is {order.model_id!r}.",
                hint="Workers make the model of the settings: one made in Python works with the executor "
                "`asyncio` only.",
            )
        return job.make(model, settings, root)

    def _used(self) -> list[list[Any]]:
        now, before = self._usage.by_task(), self._reported
        self._reported = now
        used = {key: usage - before.get(key, Usage()) for key, usage in now.items()}
        return [[*key, asdict(usage)] for key, usage in used.items() if usage != Usage()]

    def _newly_spent(self) -> float:
        spent = self._budget.spent if self._budget else 0.0
        new, self._spent = spent - self._spent, spent
        return new
