"""A chat model behind any endpoint that speaks the OpenAI protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import Any

from graphrag.characters import clean
from graphrag.connection import (
    CallError,
    Connection,
    StatusError,
    TimedOutError,
    TooLongError,
    UnreachableError,
    api_key,
)
from graphrag.errors import ConfigError, LLMError
from graphrag.llm.base import ChatRequest, ChatResponse, Message, Usage
from graphrag.llm.structured import schema_instruction, strict_schema
from graphrag.llm.usage import prompt_tokens
from graphrag.patience import can_be_repeated, retry_after
from graphrag.settings import LLMSettings
from graphrag.tokens import approximate_tokens

_PATH = "/chat/completions"
_LONGEST_BODY = 4 << 20  # bytes; an answer of 100,000 tokens has a tenth of it
# Some models refuse these (reasoning models a temperature, some gateways a seed): left out once refused.
_OPTIONAL = frozenset({"temperature", "seed", "stop", "max_tokens", "max_completion_tokens"})


class OpenAICompatible:
    """Asks an endpoint: OpenAI, vLLM, SGLang, llama.cpp, Ollama, or a gateway.

    :meth:`aclose` closes the connections of the running event loop and belongs before its end. One
    request is one call: nothing is repeated or validated here
    (:func:`graphrag.llm.make_chat_model` puts :class:`~graphrag.llm.retries.RetryingModel` and
    :class:`~graphrag.llm.structured.ValidatedModel` around it). Answers with a schema are asked for
    as ``json_schema`` or, with ``structured_output`` off, in the prompt.
    """

    def __init__(self, settings: LLMSettings) -> None:
        self._settings = settings
        self._refused: set[str] = set()
        self.model_id = f"{settings.model}@{settings.base_url or 'openai'}"

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request: one call (one more each time a parameter is refused for good)."""
        answer = await self._answer(request)
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            refusal, text = message.get("refusal"), message.get("content") or ""
            finish = "length" if choice.get("finish_reason") == "length" else "stop"
            counted = answer.get("usage") or {}
            asked, answered = counted.get("prompt_tokens"), counted.get("completion_tokens")
        except (TypeError, KeyError, IndexError, AttributeError):
            raise LLMError(
                f"{self._where()} answered without a choice.", retryable=True, answered=True
            ) from None
        if refusal:
            raise LLMError(f"The model refused to answer: {refusal}", answered=True)
        if not isinstance(text, str) or (not text and finish == "stop"):
            raise LLMError(f"{self._where()} gave an empty answer.", retryable=True, answered=True)
        usage = Usage(
            calls=1,
            prompt_tokens=asked or prompt_tokens(request),
            completion_tokens=answered or approximate_tokens(text),
        )
        return ChatResponse(text=text, usage=usage, finish_reason=finish)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the answer's text as the endpoint sends it."""
        while True:
            sent = self._arguments(request) | {"stream": True}
            try:
                async for event in self._connection.events(_PATH, sent):
                    if piece := _piece(event):
                        yield clean(piece)
                return
            except CallError as error:
                self._leave_out(error, sent)

    async def is_gone(self) -> bool:
        """Ask once for the list of models: any reply of the server itself means that it is there."""
        return await self._connection.is_gone()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._connection.aclose()

    async def _answer(self, request: ChatRequest) -> Any:
        while True:
            sent = self._arguments(request)
            try:
                return await self._connection.post(_PATH, sent)
            except CallError as error:
                self._leave_out(error, sent)

    def _leave_out(self, error: CallError, sent: Mapping[str, Any]) -> None:
        """Send a parameter no more that was refused; raise what is wrong otherwise."""
        refused = isinstance(error, StatusError) and error.status == 400 and error.param
        if refused not in _OPTIONAL & sent.keys():
            raise explain(error, self._settings) from error
        self._refused.add(str(refused))

    def _arguments(self, request: ChatRequest) -> dict[str, Any]:
        # OpenAI's own newer models know only the second name, most other servers only the first.
        if request.readings:
            raise LLMError(
                f"An endpoint cannot answer by {request.combine}: it tells no probabilities.",
                hint="Set query.combine to `concat`, or llm.provider to `local`.",
            )
        limit = "max_tokens" if self._settings.base_url else "max_completion_tokens"
        arguments: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [{"role": m.role, "content": m.content} for m in self._messages(request)],
            "temperature": request.temperature,
            "seed": request.seed,
            limit: request.max_tokens,
        }
        if request.stop:
            arguments["stop"] = list(request.stop)
        if request.output is not None and self._settings.structured_output:
            arguments["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": request.output.__name__,
                    "schema": strict_schema(request.output),
                    "strict": True,
                },
            }
        return {name: value for name, value in arguments.items() if name not in self._refused}

    def _messages(self, request: ChatRequest) -> tuple[Message, ...]:
        if request.output is None or self._settings.structured_output:
            return request.messages
        *before, last = request.messages
        return (*before, Message(last.role, f"{last.content}\n\n{schema_instruction(request.output)}"))

    @cached_property
    def _connection(self) -> Connection:
        settings = self._settings
        key = api_key(settings.api_key, settings.base_url)
        if not (key or settings.base_url):
            raise ConfigError(
                "The OpenAI API cannot be used without a key.",
                hint="Put llm.api_key: ${GRAPHRAG_API_KEY} into settings.yaml and the key into .env.",
            )
        return Connection(settings.base_url, key, timeout=settings.timeout, longest=_LONGEST_BODY)

    def _where(self) -> str:
        return self._settings.base_url or "The OpenAI API"


def _piece(event: Any) -> str | None:
    """Return the text that one event of a stream brings, if it brings any."""
    try:
        piece = event["choices"][0]["delta"].get("content")
    except (TypeError, KeyError, IndexError, AttributeError):  # the count at the end, a sign of life
        return None
    return piece if isinstance(piece, str) else None


def explain(error: CallError, settings: LLMSettings) -> LLMError:
    """Turn an error of the connection into one that says what to do."""
    where = settings.base_url or "The OpenAI API"
    if isinstance(error, TimedOutError):
        return LLMError(
            f"{where} did not answer within {settings.timeout:g} seconds.",
            hint="Raise llm.timeout, or lower llm.concurrency.",
            retryable=True,
        )
    if isinstance(error, UnreachableError):
        return LLMError(
            f"{where} cannot be reached: {error}.",
            hint="Is the server running? Check llm.base_url.",
            retryable=True,
        )
    if isinstance(error, TooLongError):
        return LLMError(
            f"{where} sent more than {error.limit:,} bytes as one answer.",
            hint="Does the endpoint honour max_tokens?",
            retryable=True,
            answered=True,
        )
    if not isinstance(error, StatusError):
        return LLMError(f"{where} gave an answer that cannot be read: {error}.", retryable=True)
    status = error.status
    said = str(error).rstrip(".")
    quota = error.code == "insufficient_quota"
    hints = {
        400: "If it knows no json_schema, set llm.structured_output: false."
        if "response_format" in said or "json_schema" in said
        else None,
        401: "Check llm.api_key (GRAPHRAG_API_KEY in .env).",
        402: "The account needs credit.",
        403: "Check llm.api_key and what it may use.",
        404: f"Check llm.model ({settings.model!r}) and llm.base_url (it usually ends in /v1).",
        429: "The account has no quota left."
        if quota
        else "Lower llm.concurrency, or set llm.requests_per_minute and llm.tokens_per_minute.",
    }
    return LLMError(
        f"{where} answered {status}: {said}.",
        hint=hints.get(status),
        retryable=can_be_repeated(status, quota=quota),
        retry_after=retry_after(error.headers),
    )
