"""The models of a project, made when first needed."""

from __future__ import annotations

from functools import cached_property

from graphrag.embed import Embedder, make_embedder
from graphrag.llm import ChatModel, aclose, make_chat_model
from graphrag.llm.budget import Budget
from graphrag.llm.usage import UsageLog
from graphrag.settings import Settings
from graphrag.store.layout import Layout


class ProjectModels:
    """Makes the chat model and the embedder that the settings name; ready-made ones take precedence."""

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        usage: UsageLog,
        *,
        chat: ChatModel | None = None,
        embedder: Embedder | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._usage = usage
        self._given_chat = chat
        self._budget = budget
        self._given_embedder = embedder

    @cached_property
    def _chat(self) -> ChatModel:
        return make_chat_model(
            self._settings.llm,
            cache=self._layout.llm_cache,
            usage=self._usage,
            backend=self._given_chat,
            budget=self._budget,
        )

    @cached_property
    def _embedder(self) -> Embedder:
        return self._given_embedder or make_embedder(self._settings.embedding)

    @property
    def chat_id(self) -> str:
        """Return the chat model's id."""
        return self._chat.model_id

    @property
    def embedder_id(self) -> str:
        """Return the embedder's id."""
        return self._embedder.model_id

    def chat(self) -> ChatModel:
        """Return the chat model with cache, limits and usage count around it."""
        return self._chat

    def embedder(self) -> Embedder:
        """Return the embedder."""
        return self._embedder

    async def aclose(self) -> None:
        """Close the chat model if it was made."""
        if "_chat" in self.__dict__:
            await aclose(self._chat)
