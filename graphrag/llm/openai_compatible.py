"""A chat model behind any endpoint that speaks the OpenAI protocol."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from graphrag.characters import clean
from graphrag.errors import ConfigError, LLMError
from graphrag.llm.base import ChatRequest, ChatResponse, Message, Usage
from graphrag.llm.structured import schema_instruction, strict_schema
from graphrag.llm.usage import prompt_tokens
from graphrag.patience import GATEWAY, can_be_repeated, retry_after
from graphrag.settings import LLMSettings
from graphrag.tokens import approximate_tokens

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# Some models refuse these (reasoning models a temperature, some gateways a seed): left out once refused.
_LONGEST_BODY = 4 << 20  # bytes; an answer of 100,000 tokens has a tenth of it
_PROBE_SECONDS = 10.0
_OPTIONAL = frozenset({"temperature", "seed", "stop", "max_tokens", "max_completion_tokens"})


class OpenAICompatible:
    """Asks an endpoint: OpenAI, vLLM, SGLang, llama.cpp, Ollama, or a gateway.

    One client per event loop; :meth:`aclose` closes that of the running loop and belongs before its
    end. One request is one call: nothing is repeated or validated here, not by the SDK either
    (:func:`graphrag.llm.make_chat_model` puts :class:`~graphrag.llm.retries.RetryingModel` and
    :class:`~graphrag.llm.structured.ValidatedModel` around it). Answers with a schema are asked for
    as ``json_schema`` or, with ``structured_output`` off, in the prompt.
    """

    def __init__(self, settings: LLMSettings) -> None:
        self._settings = settings
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = (
            weakref.WeakKeyDictionary()
        )
        self._refused: set[str] = set()
        self.model_id = f"{settings.model}@{settings.base_url or 'openai'}"

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request: one call (one more each time a parameter is refused for good)."""
        answer = await self._create(request, stream=False)
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
        import openai

        pieces = await self._create(request, stream=True)
        try:
            async for chunk in pieces:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield clean(chunk.choices[0].delta.content)
        except openai.OpenAIError as error:
            raise explain(error, self._settings) from error
        finally:
            await pieces.close()

    async def is_gone(self) -> bool:
        """Ask once for the list of models: any reply of the server itself means that it is there."""
        import openai

        seconds = min(_PROBE_SECONDS, self._settings.timeout)
        try:
            await self._client().with_options(timeout=seconds).models.list()
        except openai.APIStatusError as error:
            return error.status_code in GATEWAY
        except openai.APIConnectionError:
            return True
        except (openai.OpenAIError, LLMError, ValueError):
            return False
        return False

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _create(self, request: ChatRequest, *, stream: bool) -> Any:
        """Post the request; return the answer as plain data, or the stream of its pieces.

        The SDK's typed answers are not built: walking its models takes longer than everything else a
        call costs here (2.7 against 1.8 ms of CPU).
        """
        import openai

        client = self._client()
        arguments = self._arguments(request)
        while True:
            kept = {key: value for key, value in arguments.items() if key not in self._refused}
            try:
                if stream:
                    return await client.chat.completions.create(stream=True, **kept)
                return await client.post(
                    "/chat/completions",
                    cast_to=object,
                    body=kept,
                    options={"security": {"bearer_auth": True}},
                )
            except openai.BadRequestError as error:
                if error.param not in _OPTIONAL & kept.keys():
                    raise explain(error, self._settings) from error
                self._refused.add(str(error.param))
            except (openai.OpenAIError, ValueError) as error:  # ValueError: a 200 whose body is not JSON
                raise explain(error, self._settings) from error

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
        return arguments

    def _messages(self, request: ChatRequest) -> tuple[Message, ...]:
        if request.output is None or self._settings.structured_output:
            return request.messages
        *before, last = request.messages
        return (*before, Message(last.role, f"{last.content}\n\n{schema_instruction(request.output)}"))

    def _client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = _new_client(self._settings)
        return client

    def _where(self) -> str:
        return self._settings.base_url or "The OpenAI API"


def _new_client(settings: LLMSettings) -> AsyncOpenAI:
    import openai

    from graphrag.endpoint import async_bounds

    # Servers without keys ignore it, but the SDK refuses to start without one.
    key = settings.api_key or ("unused" if settings.base_url else None)
    bounds = async_bounds(_LONGEST_BODY, settings.timeout, lambda limit: _too_long(limit, settings))
    try:
        return openai.AsyncOpenAI(
            api_key=key,
            base_url=settings.base_url,
            max_retries=0,  # RetryingModel repeats: two layers would multiply
            timeout=settings.timeout,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [bounds]}),
        )
    except openai.OpenAIError as error:
        raise ConfigError(
            f"The endpoint cannot be used: {error}",
            hint="Put llm.api_key: ${GRAPHRAG_API_KEY} into settings.yaml and the key into .env.",
        ) from error


def _too_long(limit: int, settings: LLMSettings) -> LLMError:
    return LLMError(
        f"{settings.base_url or 'The OpenAI API'} sent more than {limit:,} bytes as one answer.",
        hint="Does the endpoint honour max_tokens?",
        retryable=True,
        answered=True,
    )


def explain(error: Exception, settings: LLMSettings) -> LLMError:
    """Turn an error of the SDK into one that says what to do."""
    import openai

    where = settings.base_url or "The OpenAI API"
    if isinstance(error, openai.APITimeoutError):
        return LLMError(
            f"{where} did not answer within {settings.timeout:g} seconds.",
            hint="Raise llm.timeout, or lower llm.concurrency.",
            retryable=True,
        )
    if isinstance(error, openai.APIConnectionError):
        return LLMError(
            f"{where} cannot be reached: {error.__cause__ or error}.",
            hint="Is the server running? Check llm.base_url.",
            retryable=True,
        )
    if not isinstance(error, openai.APIStatusError):
        return LLMError(f"{where} gave an answer that cannot be read: {error}.", retryable=True)
    status = error.status_code
    said = str(error.message).rstrip(".")
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
        retry_after=retry_after(error.response.headers),
    )
