"""Chat models: one protocol, one file per backend, wrappers for cache, limits and usage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graphrag.errors import ConfigError
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Message, Usage, aclose
from graphrag.llm.budget import Budget, BudgetedModel
from graphrag.llm.fake import FakeChatModel
from graphrag.llm.limits import LimitedModel
from graphrag.llm.retries import RetryingModel
from graphrag.llm.structured import ValidatedModel
from graphrag.llm.usage import MeteredModel, UsageLog
from graphrag.settings import LLMSettings

if TYPE_CHECKING:
    from graphrag.llm.local import TransformersModel

__all__ = [
    "ChatModel",
    "ChatRequest",
    "ChatResponse",
    "FakeChatModel",
    "Message",
    "Usage",
    "UsageLog",
    "aclose",
    "make_chat_model",
    "make_likelihood_model",
]


def make_chat_model(
    settings: LLMSettings,
    *,
    cache: Path | None = None,
    usage: UsageLog | None = None,
    backend: ChatModel | None = None,
    budget: Budget | None = None,
) -> ChatModel:
    """Return the model that ``settings`` names, inside its wrappers.

    From outside in: usage count, cache, validation, retries (both for endpoints only), limits, budget.
    ``cache`` is the file of stored answers, ``backend`` a ready-made model to wrap instead. A local
    model is loaded at its first use. Close it with :func:`aclose` before the event loop ends.

    Raises:
        ConfigError: the model's folder is not one, or its package is not installed.
        MissingExtraError: a package that an adapter or 4 bit needs is not installed.
    """
    model = backend or _backend(settings)
    if budget is not None:
        model = BudgetedModel(model, budget)
    model = LimitedModel(
        model, settings.concurrency, settings.requests_per_minute, settings.tokens_per_minute
    )
    if backend is None and settings.provider == "openai":
        model = ValidatedModel(RetryingModel(model, settings.max_retries))
    if cache is not None:
        from graphrag.llm.cache import CachedModel

        model = CachedModel(model, cache)
    return model if usage is None else MeteredModel(model, usage)


def make_likelihood_model(settings: LLMSettings) -> TransformersModel:
    """Return the local model that ``settings`` names, bare, for the likelihoods of given texts.

    Raises:
        ConfigError: the provider is an endpoint, which does not tell likelihoods.
    """
    if settings.provider == "openai":
        raise ConfigError(
            "Likelihoods need a local language model, and llm.provider is `openai`.",
            hint="Set llm.provider to `embedded` or `local`, or name a cross-encoder in retrieval.reranker.",
        )
    return _local(settings)


def _backend(settings: LLMSettings) -> ChatModel:
    if settings.provider == "openai":
        from graphrag.llm.openai_compatible import OpenAICompatible

        return OpenAICompatible(settings)
    return _local(settings)


def _local(settings: LLMSettings) -> TransformersModel:
    if settings.provider == "embedded":
        from graphrag.llm.embedded import embedded_model

        return embedded_model(adapter=settings.adapter, context_window=settings.context_window)
    from graphrag.llm.local import TransformersModel

    return TransformersModel(
        settings.model,
        adapter=settings.adapter,
        load_in_4bit=settings.load_in_4bit,
        context_window=settings.context_window,
    )
