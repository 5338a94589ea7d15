"""One question on its way through the engine: what it is asked of, and what was found so far."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphrag.embed.base import Embedder
from graphrag.graph.paths import Walk
from graphrag.llm.base import ChatModel, ChatRequest
from graphrag.query.answer import Account, Writer, no_model
from graphrag.query.citations import CitationResolver
from graphrag.query.context import Context
from graphrag.query.extractive import COMPARED, Candidate, Chosen, choose, in_reading_order
from graphrag.query.path_graph import PathResources
from graphrag.query.planning.base import Planner
from graphrag.query.relevance import Relevance
from graphrag.query.result import NO_ANSWER, QueryResult
from graphrag.query.selection import ReportTree
from graphrag.retrieve.base import Retriever
from graphrag.retrieve.graph_view import GraphView
from graphrag.settings import Settings
from graphrag.tokens import approximate_tokens


@dataclass(slots=True)
class Question:
    """State of one question. The methods fill ``answer``, ``context``, ``allowed`` and ``trace``."""

    text: str
    method: str
    mode: str
    settings: Settings
    view: GraphView
    reports: ReportTree
    chat_model: ChatModel | None
    embedder: Embedder | None
    retriever: Retriever
    root: Path | None
    stream: bool
    paths: PathResources
    answer: str = ""
    context: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    context_text: str = ""
    connections: list[Walk] = field(default_factory=list)
    allowed: Mapping[str, Iterable[int]] = field(default_factory=dict)
    trace: list[dict[str, Any]] = field(default_factory=list)
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(self.settings.llm.prices, self.settings.embedding.prices)

    @property
    def writer(self) -> Writer:
        """Return what asks the chat model, counting for this question."""
        if self.chat_model is None:
            raise no_model()
        return Writer(self.chat_model, self.settings, self.account, self.trace, self.root)

    @property
    def context_order(self) -> str:
        """Return how rows stand in a context that is written from; quoting goes by rank, best first."""
        return self.settings.query.context_order if self.mode == "llm" else "best_first"

    @property
    def answered(self) -> bool:
        """Return whether there is an answer by now."""
        return self.answer not in ("", NO_ANSWER)

    def planner(self, name: str) -> Planner:
        """Return planner ``name`` for this question."""
        return self.paths.planner(name, self.settings.query, self.chat_model, self.account)

    async def relevance(self) -> Relevance:
        """Embed the question, outside of the event loop."""
        found = await asyncio.to_thread(Relevance.of, self.view.index, self.text, self.embedder)
        if found.vector is not None and self.embedder is not None:
            self.account.add_embedding(self.embedder.model_id, 1, approximate_tokens(self.text))
        else:
            self.trace.append({"event": "no_vectors", "why": "the index has none; words are compared"})
        return found

    async def passages(self, k: int) -> list[tuple[str, float]]:
        """Retrieve text units for the question, outside of the event loop."""
        return await asyncio.to_thread(self.retriever.search, self.text, k)

    def use(self, context: Context) -> None:
        """Make ``context`` the one that the answer may cite, and note what was cut from it."""
        self.context = context.as_dicts()
        self.context_text = context.text
        self.allowed = context.numbers()
        for cut in context.cut:
            event = {"event": "cut", "section": cut.section, "number": cut.number, "tokens": cut.n_tokens}
            self.trace.append({**event, "why": cut.why})

    async def write(self, step: str, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the model's answer and keep it."""
        pieces = []
        async for piece in self.writer.write(step, request, stream=self.stream):
            pieces.append(piece)
            yield piece
        self.answer = "".join(pieces).strip()

    async def quote(
        self,
        candidates: Sequence[Candidate],
        relevance: Relevance,
        *,
        least: float,
        names: Sequence[str] = (),
        limit: int | None = None,
        per_group: int | None = None,
    ) -> list[Chosen]:
        """Choose sentences of the sources, outside of the event loop, and note them in the trace."""
        options: dict[str, Any] = {"least": least, "per_group": per_group}
        if limit is not None:
            options["limit"] = limit
        chosen = await asyncio.to_thread(choose, candidates, relevance, names, **options)
        compared = [one.text for one in candidates[: min(len(candidates), COMPARED)]]
        self.note_sentences(chosen, relevance, compared, len(candidates), least)
        return chosen

    def note_sentences(
        self,
        chosen: Sequence[Chosen],
        relevance: Relevance,
        embedded: Sequence[str],
        considered: int,
        least: float,
    ) -> None:
        """Count what was embedded, and note chosen sentences, or that there are none, in the trace."""
        if relevance.vector is not None and embedded and self.embedder is not None:
            tokens = sum(approximate_tokens(text) for text in embedded)
            self.account.add_embedding(self.embedder.model_id, len(embedded), tokens)
        for one in chosen:
            event = {"event": "sentence", "section": "Sources", "number": one.candidate.unit}
            similarity = round(one.similarity, 4)
            self.trace.append({**event, "similarity": similarity, "text": one.candidate.text})
        if not chosen:
            why = f"none of {considered} sentences comes as near to the question as {least}"
            self.trace.append({"event": "no_answer", "why": why})

    async def tell(self, blocks: Sequence[tuple[str, Sequence[Chosen]]]) -> AsyncIterator[str]:
        """Yield quoted sentences, block after block, each under its heading; keep them as the answer."""
        pieces = []
        for number, (heading, chosen) in enumerate(blocks):
            before = "\n\n" if number else ""
            title = f"{heading}:\n" if heading else ""
            for place, one in enumerate(chosen):
                piece = (" " if place else before + title) + one.cited
                pieces.append(piece)
                yield piece
        if not pieces:
            pieces.append(NO_ANSWER)
            yield NO_ANSWER
        self.answer = "".join(pieces)

    def result(self) -> QueryResult:
        """Check the citations of the answer and put everything together."""
        units = frozenset(row["id"] for row in self.context.get("Sources", ()))
        checked = CitationResolver(self.view, units).check(self.answer, self.allowed)
        return QueryResult(
            question=self.text,
            method=self.method,
            mode=self.mode,
            answer=checked.text,
            citations=checked.citations,
            context=self.context,
            usage=self.account.steps(),
            trace=(*self.trace, *checked.trace),
            removed_citations=checked.removed,
            generation=self.view.index.generation,
        )


def one_block(chosen: Sequence[Chosen]) -> list[tuple[str, Sequence[Chosen]]]:
    """Return chosen sentences as one block without a heading, the best first."""
    return [("", in_reading_order(chosen))] if chosen else []
