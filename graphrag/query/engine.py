"""The query engine: one question in, one checked answer out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphrag.embed.base import Embedder
from graphrag.errors import QueryError
from graphrag.llm.base import ChatModel, aclose
from graphrag.query.answer import no_model
from graphrag.query.background import BackgroundLoop
from graphrag.query.basic import answer_basic
from graphrag.query.explore import answer_explore
from graphrag.query.global_ import answer_global
from graphrag.query.local import answer_local
from graphrag.query.path import answer_path
from graphrag.query.path_graph import PathResources
from graphrag.query.question import Question
from graphrag.query.result import QueryResult
from graphrag.query.route import answer_auto
from graphrag.query.selection import ReportTree
from graphrag.retrieve import Retriever, RetrieverSources, default_retriever
from graphrag.retrieve.dense import check_embedder
from graphrag.retrieve.graph_view import GraphView
from graphrag.settings import QuerySettings, Settings
from graphrag.store.index import Index

Method = Callable[[Question], AsyncIterator[str]]
METHODS: Mapping[str, Method] = {
    "auto": answer_auto,
    "basic": answer_basic,
    "explore": answer_explore,
    "global": answer_global,
    "local": answer_local,
    "path": answer_path,
}


class _ModelOnDemand:
    """The chat model, made at the first question that needs it."""

    def __init__(self, given: ChatModel | Callable[[], ChatModel] | None) -> None:
        self._given = given
        self._model: ChatModel | None = None

    def get(self) -> ChatModel | None:
        if self._model is None and self._given is not None:
            self._model = self._given if isinstance(self._given, ChatModel) else self._given()
        return self._model

    async def aclose(self) -> None:
        if self._model is not None:
            await aclose(self._model)


class QueryEngine:
    """Answers questions from one published index.

    ``chat_model`` may be a function that makes the model: extractive answers never call it.
    ``root`` is the project whose ``prompts/`` replace the shipped ones. Without a chat model only
    extractive answers can be given; without an embedder passages are found by words. One engine
    may serve any number of questions at once.

    Raises:
        QueryError: the index was made with another embedder.
    """

    def __init__(
        self,
        index: Index,
        settings: Settings,
        chat_model: ChatModel | Callable[[], ChatModel] | None = None,
        embedder: Embedder | None = None,
        root: Path | None = None,
    ) -> None:
        if embedder is not None and index.embedding_model is not None:
            check_embedder(index, embedder)
        self.index = index
        self.settings = settings
        self._models = _ModelOnDemand(chat_model)
        self._background = BackgroundLoop(self._models.aclose)
        self.embedder = embedder
        self.root = root
        self.view = GraphView(index)
        self.reports = ReportTree(index)
        self.paths = PathResources(self.view, embedder, root)

    async def aquery(self, question: str, method: str = "local", **overrides: Any) -> QueryResult:
        """Answer ``question``.

        ``method`` is ``basic`` (passages), ``local`` (entities and what surrounds them), ``global``
        (community reports), ``path`` (planned relation paths), ``explore`` (step by step through the
        graph) or ``auto`` (by the question's form). ``overrides`` are fields of the ``query`` section of the
        settings; its own ``method`` (``llm`` or ``extractive``) is called ``mode`` here. LLM calls: none
        when extractive; one for basic and local; for global one per batch (at most
        ``max_map_calls``), one more, and at most ``max_rating_calls``.

        Raises:
            QueryError: the question, method, an override or the level cannot be used.
            LLMError: the model did not answer.
        """
        asked = self._question(question, method, overrides, stream=False)
        async for _ in METHODS[method](asked):
            pass
        return asked.result()

    async def astream(
        self, question: str, method: str = "local", **overrides: Any
    ) -> AsyncIterator[str | QueryResult]:
        """Answer as :meth:`aquery` does: yield the answer piece by piece, and the result at last.

        Citations can be checked only when the answer is complete: pieces may hold some that the
        result has removed.
        """
        asked = self._question(question, method, overrides, stream=True)
        async for piece in METHODS[method](asked):
            if piece:
                yield piece
        yield asked.result()

    def query(self, question: str, method: str = "local", **overrides: Any) -> QueryResult:
        """Answer as :meth:`aquery` does, and wait for it; also while an event loop is running (notebooks)."""
        return self._background.run(self.aquery(question, method, **overrides))

    async def aclose(self) -> None:
        """Close the model's connections of the running event loop, and what :meth:`close` closes."""
        await self._models.aclose()
        self.close()

    def close(self) -> None:
        """Close what :meth:`query` keeps open between questions; the engine can still be used."""
        self._background.close()

    @cached_property
    def retriever(self) -> Retriever:
        """Return what finds passages, by the settings; words alone where there are no vectors."""
        sources = RetrieverSources(self.index, self.settings.retrieval, self.embedder, self.settings.llm)
        return default_retriever(sources)

    def _question(self, text: str, method: str, overrides: dict[str, Any], *, stream: bool) -> Question:
        text = text.strip()
        if not text:
            raise QueryError("The question is empty.", hint="Ask something, such as: What is this about?")
        if method not in METHODS:
            raise QueryError(
                f"There is no query method {method!r}.", hint=f"There are: {', '.join(sorted(METHODS))}."
            )
        settings = self.settings.model_copy(update={"query": self._query_settings(overrides)})
        mode = settings.resolved(settings.query.method)
        chat_model = self._models.get() if mode == "llm" else None
        if mode == "llm" and chat_model is None:
            raise no_model()
        return Question(
            text=text,
            method=method,
            mode=mode,
            settings=settings,
            view=self.view,
            reports=self.reports,
            chat_model=chat_model,
            embedder=self.embedder,
            retriever=self.retriever,
            root=self.root,
            stream=stream,
            paths=self.paths,
        )

    def _query_settings(self, overrides: dict[str, Any]) -> QuerySettings:
        values = {"method" if key == "mode" else key: value for key, value in overrides.items()}
        try:
            return QuerySettings.model_validate({**self.settings.query.model_dump(), **values})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            there = ", ".join(["mode", *sorted(set(QuerySettings.model_fields) - {"method"})])
            raise QueryError(
                f"The query setting {name!r} cannot be used: {first['msg']}.", hint=f"There are: {there}."
            ) from None
