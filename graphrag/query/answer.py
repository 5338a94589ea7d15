"""Ask the language model, and keep account of what each step used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphrag.errors import LLMError, QueryError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Usage
from graphrag.llm.prompts import render
from graphrag.query.result import StepUsage
from graphrag.settings import Prices, Settings
from graphrag.tokens import approximate_tokens

_PROMPT_TOKENS = 450  # instructions and question around a context, generously
_LEAST_CONTEXT = 256
_WORDED = ("basic_answer", "local_answer")  # the prompts that have several wordings


def money(usage: Usage, prices: Prices) -> float:
    """Return the price of ``usage``; prices are per million tokens."""
    return (usage.prompt_tokens * prices.prompt + usage.completion_tokens * prices.completion) / 1e6


def context_limit(settings: Settings, wanted: int, question: str) -> int:
    """Return how many tokens of context fit into the model's window beside prompt and answer."""
    room = settings.llm.context_window - settings.query.max_tokens - _PROMPT_TOKENS
    return max(_LEAST_CONTEXT, min(wanted, room - approximate_tokens(question)))


@dataclass(slots=True)
class Account:
    """Usage by step, in the order of the steps."""

    prices: Prices
    embedding_prices: Prices
    _steps: dict[tuple[str, str, bool], tuple[Usage, float]] = field(default_factory=dict)

    def add(self, step: str, model: str, response: ChatResponse) -> None:
        """Count one answer; a cached one costs nothing."""
        cost = 0.0 if response.cached else money(response.usage, self.prices)
        self._add(step, model, response.usage, cost, estimated=False)

    def add_stream(self, step: str, model: str, request: ChatRequest, text: str) -> None:
        """Count a streamed answer by our own token counter: streams carry no figures."""
        prompt = sum(approximate_tokens(message.content) for message in request.messages)
        usage = Usage(calls=1, prompt_tokens=prompt, completion_tokens=approximate_tokens(text))
        self._add(step, model, usage, money(usage, self.prices), estimated=True)

    def add_embedding(self, model: str, texts: int, tokens: int) -> None:
        """Count texts that were embedded for the question."""
        usage = Usage(calls=texts, prompt_tokens=tokens)
        self._add("embed", model, usage, money(usage, self.embedding_prices), estimated=True)

    def steps(self) -> tuple[StepUsage, ...]:
        """Return what was used, one entry per step and model."""
        return tuple(
            StepUsage(step, model, usage, cost, estimated)
            for (step, model, estimated), (usage, cost) in self._steps.items()
        )

    def _add(self, step: str, model: str, usage: Usage, cost: float, *, estimated: bool) -> None:
        before, spent = self._steps.get((step, model, estimated), (Usage(), 0.0))
        self._steps[step, model, estimated] = (before + usage, spent + cost)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes answers with a chat model from the prompts of a project."""

    chat_model: ChatModel
    settings: Settings
    account: Account
    trace: list[dict[str, Any]]
    root: Path | None = None

    def request(self, prompt: str, question: str, context: str, **options: Any) -> ChatRequest:
        """Build the request of prompt ``prompt``; ``options`` are fields of :class:`ChatRequest`."""
        response_type = self.settings.query.response_type
        if prompt in _WORDED and self.settings.query.prompt != "full":
            prompt = f"{prompt}_{self.settings.query.prompt}"
        system, user = render(
            prompt, self.root, question=question, context=context, response_type=response_type
        )
        options.setdefault("max_tokens", self.settings.query.max_tokens)
        return ChatRequest.of(system, user, task=prompt, **options)

    async def complete(self, step: str, request: ChatRequest) -> ChatResponse:
        """Ask once and count it.

        Raises:
            LLMError: the model did not answer.
        """
        response = await self.chat_model.complete(request)
        self.account.add(step, self.chat_model.model_id, response)
        if response.finish_reason == "length":
            why = f"the answer reached max_tokens ({request.max_tokens})"
            self.trace.append({"event": "answer_cut", "step": step, "why": why})
        return response

    async def write(self, step: str, request: ChatRequest, *, stream: bool) -> AsyncIterator[str]:
        """Yield the answer, in pieces when ``stream``, and count it."""
        if not stream:
            response = await self.complete(step, request)
            yield response.text
            return
        pieces = []
        async for piece in self.chat_model.stream(request):
            pieces.append(piece)
            yield piece
        self.account.add_stream(step, self.chat_model.model_id, request, "".join(pieces))


def no_model() -> QueryError:
    """Return the error of a question that needs a model where there is none."""
    return QueryError(
        "This question needs a language model, and there is none.",
        hint="Configure `llm` in settings.yaml, or set query.method to 'extractive'.",
    )


def all_failed(step: str, errors: list[LLMError]) -> LLMError:
    """Return one error for several calls that all failed, with the reason of the first."""
    first = errors[0]
    return LLMError(
        f"All {len(errors)} {step} calls failed. The first: {first}",
        hint="Check the model with a short question, or ask with method 'local'.",
        retryable=first.retryable,
    )
