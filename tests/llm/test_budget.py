"""A budget is never exceeded, lets no call begin that could exceed it, and lets those in flight finish."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from graphrag.errors import BudgetExceededError, ConfigError, LLMError
from graphrag.llm import ChatRequest, ChatResponse, FakeChatModel, Usage, make_chat_model
from graphrag.llm.budget import Budget, BudgetedModel, Limit, parse_limit
from graphrag.settings import LLMSettings, Prices

FREE = Prices()


class Costly:
    """Answers after a moment; every call comes to ``tokens``."""

    model_id = "costly"

    def __init__(self, prompt: int, completion: int) -> None:
        self.usage = Usage(1, 0, prompt, completion)
        self.begun = 0
        self.done = 0

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.begun += 1
        await asyncio.sleep(0.01)
        self.done += 1
        return ChatResponse("x", usage=self.usage)

    async def stream(self, request: ChatRequest):
        yield (await self.complete(request)).text


def ask_many(model: BudgetedModel, count: int, max_tokens: int) -> list:
    async def run() -> list:
        request = ChatRequest.of(None, "a b c d e f", task="t", max_tokens=max_tokens)  # 10 tokens
        return await asyncio.gather(*(model.complete(request) for _ in range(count)), return_exceptions=True)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("200000", 200_000, "tokens"),
        ("200_000", 200_000, "tokens"),
        ("200k", 200_000, "tokens"),
        ("200 k", 200_000, "tokens"),
        ("1.5M tokens", 1_500_000, "tokens"),
        ("2.50usd", 2.5, "money"),
        ("$2.50", 2.5, "money"),
        ("3 eur", 3, "money"),
        ("5000 krw", 5000, "money"),
        ("₩5k", 5000, "money"),
    ],
)
def test_tokens_and_money_are_read(text: str, amount: float, unit: str) -> None:
    assert parse_limit(text) == Limit(amount, unit)
    assert LLMSettings(budget=text).budget == text


@pytest.mark.parametrize("text", ["", "much", "2,50", "-5", "1e6", "5 dollars"])
def test_what_is_no_budget_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="no budget"):
        parse_limit(text)
    with pytest.raises(ValidationError, match="no budget"):
        LLMSettings(budget=text)


def test_a_number_in_the_settings_file_is_tokens() -> None:
    assert parse_limit(LLMSettings(budget=200_000).budget or "") == Limit(200_000, "tokens")


def test_money_without_prices_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"llm\.prices"):
        Budget(Limit(1, "money"), FREE, FREE)


def test_the_budget_holds_and_what_was_begun_is_finished() -> None:
    backend = Costly(10, 40)
    budget = Budget(Limit(1000, "tokens"), FREE, FREE)
    answers = ask_many(BudgetedModel(backend, budget), 100, max_tokens=90)
    done = [one for one in answers if isinstance(one, ChatResponse)]
    refused = [one for one in answers if isinstance(one, BudgetExceededError)]
    assert len(done) + len(refused) == 100
    assert backend.begun == backend.done == len(done)
    assert budget.spent == 50 * len(done) <= 1000
    assert budget.spent > 1000 - 100  # nothing is given up before the longest answer does not fit any more
    assert "950 tokens" in str(refused[0]) or "900 tokens" in str(refused[0])


def test_money_counts_by_the_prices() -> None:
    prices = Prices(prompt=1.0, completion=10.0)
    budget = Budget(Limit(0.01, "money"), prices, Prices(prompt=0.5))
    assert budget.cost(1000, 100) == pytest.approx(0.002)
    with budget.embedding(4000):
        pass
    assert budget.spent == pytest.approx(0.002)
    answers = ask_many(BudgetedModel(Costly(10, 100), budget), 20, max_tokens=100)
    assert budget.spent <= 0.01
    assert sum(isinstance(one, ChatResponse) for one in answers) == 7


def test_embedding_that_does_not_fit_is_refused_and_what_failed_is_free() -> None:
    budget = Budget(Limit(0.001, "money"), FREE, Prices(prompt=1.0))
    with pytest.raises(LLMError), budget.embedding(900):
        raise LLMError("broken")
    assert budget.spent == 0
    with pytest.raises(BudgetExceededError), budget.embedding(1100):
        pass


def test_a_useless_answer_is_charged_and_a_failure_is_not() -> None:
    class Useless(Costly):
        async def complete(self, request: ChatRequest) -> ChatResponse:
            raise LLMError("empty", retryable=True, answered=self.usage.prompt_tokens > 0)

    for prompt, spent in ((10, 10), (0, 0)):
        budget = Budget(Limit(1000, "tokens"), FREE, FREE)
        ask_many(BudgetedModel(Useless(prompt, 0), budget), 1, max_tokens=10)
        assert budget.spent == spent


def test_a_stored_answer_costs_nothing(tmp_path: Path) -> None:
    request = ChatRequest.of(None, "a b c", task="t", max_tokens=20)

    def run(limit: float) -> ChatResponse:
        budget = Budget(Limit(limit, "tokens"), FREE, FREE)
        model = make_chat_model(
            LLMSettings(), cache=tmp_path / "c.sqlite", backend=FakeChatModel(lambda _: "x"), budget=budget
        )

        async def ask() -> ChatResponse:
            try:
                return await model.complete(request)
            finally:
                await model.aclose()

        return asyncio.run(ask())

    with pytest.raises(BudgetExceededError):
        run(5)
    assert not run(100).cached
    assert run(5).cached
