"""A budget of tokens or money: no call begins that could exceed it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from graphrag.errors import BudgetExceededError, ConfigError, LLMError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Usage, aclose, is_gone
from graphrag.llm.usage import prompt_tokens
from graphrag.settings import BUDGET_PATTERN, Prices
from graphrag.tokens import approximate_tokens

_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent, in tokens or in money."""

    amount: float
    unit: Literal["tokens", "money"]

    def __str__(self) -> str:
        return show(self.amount, self.unit)


def show(amount: float, unit: Literal["tokens", "money"]) -> str:
    """Write an amount as people read it."""
    return f"{amount:,.0f} tokens" if unit == "tokens" else f"{amount:,.4f} in money"


def parse_limit(text: str) -> Limit:
    """Read ``200000``, ``200k``, ``1.5m tokens`` as tokens and ``2.50usd``, ``$2.50``, ``3 eur`` as money.

    The currency's name is not looked at: prices are in the currency you think in.

    Raises:
        ConfigError: the text is neither.
    """
    found = re.fullmatch(BUDGET_PATTERN, text.strip())
    if found is None:
        raise ConfigError(
            f"{text!r} is no budget.", hint="Write tokens as 200000 or 200k, money as 2.50usd or $2.50."
        )
    sign, number, factor, word = (part or "" for part in found.groups())
    amount = float(number.replace("_", "")) * _SUFFIX[factor.lower()]
    money = bool(sign) or word.lower() not in ("", "token", "tokens")
    return Limit(amount, "money" if money else "tokens")


class Budget:
    """Keeps account of what was spent and of what calls in flight may still cost.

    A limit in tokens counts those of the chat model, prompt and answer; one in money also what
    embedding costs. Thread-safe; waiting (:meth:`reserve`) belongs to one event loop.
    """

    def __init__(self, limit: Limit, chat: Prices, embedding: Prices) -> None:
        if limit.unit == "money" and not (chat.prompt or chat.completion or embedding.prompt):
            raise ConfigError(
                f"A budget of money ({limit}) needs prices.",
                hint="Set llm.prices in settings.yaml (per million tokens), or give the budget in tokens.",
            )
        self.limit = limit
        self._chat = chat
        self._embedding = embedding
        self._lock = threading.Lock()
        self._settled = asyncio.Event()
        self.spent = 0.0
        self._reserved = 0.0
        self._in_flight = 0

    def cost(self, prompt: int, completion: int) -> float:
        """Return what a call of the chat model costs, in the limit's unit."""
        if self.limit.unit == "tokens":
            return prompt + completion
        return (prompt * self._chat.prompt + completion * self._chat.completion) / 1e6

    def embedding_cost(self, tokens: int) -> float:
        """Return what embedding costs, in the limit's unit."""
        return 0.0 if self.limit.unit == "tokens" else tokens * self._embedding.prompt / 1e6

    async def reserve(self, amount: float) -> None:
        """Set ``amount`` aside; wait as long as calls in flight may turn out cheaper than they could be.

        Raises:
            BudgetExceededError: it does not fit, and nothing is in flight that could give room.
        """
        while True:
            self._settled.clear()
            try:
                self.take(amount)
            except BudgetExceededError:
                if not self._in_flight:
                    raise
                await self._settled.wait()
            else:
                return

    def take(self, amount: float) -> None:
        """Set ``amount`` aside, or raise at once."""
        with self._lock:
            if self.spent + self._reserved + amount > self.limit.amount:
                raise BudgetExceededError(
                    self.used_up(f"the next call could cost {show(amount, self.limit.unit)}")
                )
            self._reserved += amount
            self._in_flight += 1

    def settle(self, reserved: float, actual: float) -> None:
        """Replace what was set aside by what it came to."""
        with self._lock:
            self._reserved -= reserved
            self._in_flight -= 1
            self.spent += actual

    @contextmanager
    def embedding(self, tokens: int) -> Iterator[None]:
        """Account for one batch of texts; what fails costs nothing.

        Raises:
            BudgetExceededError: it does not fit.
        """
        amount = self.embedding_cost(tokens)
        self.take(amount)
        actual = 0.0
        try:
            yield
            actual = amount
        finally:
            self.settle(amount, actual)

    def charge(self, amount: float) -> None:
        """Count what was spent elsewhere, out of a :meth:`part`."""
        with self._lock:
            self.spent += amount

    def part(self, parts: int) -> str:
        """Return one of ``parts`` equal parts of what is left, as :func:`parse_limit` reads it."""
        left = max(0.0, self.limit.amount - self.spent - self._reserved) / parts
        return f"{int(left)} tokens" if self.limit.unit == "tokens" else f"${left:.9f}"

    def used_up(self, why: str) -> str:
        """Say that the budget is used up, what was spent, and ``why`` the next call did not begin."""
        spent = show(self.spent, self.limit.unit)
        return f"The budget of {self.limit} is used up: {spent} were spent, and {why}."

    def wake(self) -> None:
        """Let those who wait look again; call it in the event loop, after :meth:`settle`."""
        self._settled.set()


class BudgetedModel:
    """Lets a call of ``model`` begin only when the longest answer it may give still fits ``budget``.

    Stands inside of cache and retries: what is stored costs nothing, what failed neither.
    """

    def __init__(self, model: ChatModel, budget: Budget) -> None:
        self._model = model
        self._budget = budget

    @property
    def model_id(self) -> str:
        """Name of model and weights."""
        return self._model.model_id

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request.

        Raises:
            BudgetExceededError: it could cost more than what is left.
        """
        reserved = await self._reserve(request)
        usage = Usage()
        try:
            response = await self._model.complete(request)
            usage = response.usage
            return response
        except LLMError as error:
            if error.answered:
                usage = Usage(1, 0, prompt_tokens(request), 0)
            raise
        finally:
            self._settle(reserved, usage)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's pieces; they are counted by estimate."""
        reserved = await self._reserve(request)
        pieces: list[str] = []
        try:
            async for piece in self._model.stream(request):
                pieces.append(piece)
                yield piece
        finally:
            text = "".join(pieces)
            self._settle(reserved, Usage(1, 0, prompt_tokens(request), approximate_tokens(text)))

    async def is_gone(self) -> bool:
        """Tell whether nothing answers any more where the model behind is."""
        return await is_gone(self._model)

    async def aclose(self) -> None:
        """Close the model behind."""
        await aclose(self._model)

    async def _reserve(self, request: ChatRequest) -> float:
        amount = self._budget.cost(prompt_tokens(request), request.max_tokens)
        await self._budget.reserve(amount)
        return amount

    def _settle(self, reserved: float, usage: Usage) -> None:
        self._budget.settle(reserved, self._budget.cost(usage.prompt_tokens, usage.completion_tokens))
        self._budget.wake()
