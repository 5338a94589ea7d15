"""The ten lines a user writes.

    rag = GraphRAG.init("project")              # settings.yaml, .env, input/
    report = rag.index()                        # input/ becomes a graph with summarised communities
    result = rag.query("Who built the Fram?", method="local")
    print(result.answer)
    for citation in result.citations:
        print(citation.document_title, citation.start_char, citation.text)
    rag.export("html", "graph.html")

Every method that waits for a model has an ``a…`` twin for use inside a running event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError
from graphrag.project import init_project
from graphrag.settings import SETTINGS_FILE, Settings, load_settings
from graphrag.store.layout import Layout

if TYPE_CHECKING:
    from graphrag.embed.base import Embedder
    from graphrag.evaluate.question_sets import QuestionSet
    from graphrag.evaluate.questions import Split
    from graphrag.indexing.imported_graph import Imported
    from graphrag.indexing.progress import Progress
    from graphrag.indexing.report import RunReport
    from graphrag.indexing.stage import Estimate
    from graphrag.llm.base import ChatModel
    from graphrag.llm.usage import UsageLog
    from graphrag.query.engine import QueryEngine
    from graphrag.query.result import QueryResult
    from graphrag.retrieve import Retriever, RetrieverSources
    from graphrag.store.index import Index


class GraphRAG:
    """A project: documents, settings, and the index made from them.

    ``chat_model`` and ``embedder`` replace those that the settings name; ``settings`` are nested
    plain values that replace those of settings.yaml, such as ``{"chunking": {"size": 600}}``.
    """

    def __init__(
        self,
        root: Path | str = ".",
        *,
        settings: dict[str, Any] | None = None,
        chat_model: ChatModel | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.layout = Layout(Path(root).resolve())
        if not (self.layout.root / SETTINGS_FILE).is_file():
            raise ConfigError(
                f"{self.layout.root} is not a project: there is no {SETTINGS_FILE}.",
                hint="Make one with `graphrag init --root ROOT`, or name the right folder with --root.",
            )
        self._arguments = settings or {}
        self._chat_model = chat_model
        self._embedder = embedder
        self.settings, self._stages = load_settings(self.layout.root, arguments=self._arguments)
        self._engine: QueryEngine | None = None

    @classmethod
    def init(
        cls, root: Path | str, *, force: bool = False, with_prompts: bool = False, **kwargs: Any
    ) -> GraphRAG:
        """Make the project folder if there is none and open it."""
        folder = Path(root)
        if force or not (folder / SETTINGS_FILE).exists():
            init_project(folder, force=force, with_prompts=with_prompts)
        return cls(folder, **kwargs)

    @classmethod
    def open(cls, root: Path | str = ".", **kwargs: Any) -> GraphRAG:
        """Open the project at ``root``."""
        return cls(root, **kwargs)

    # -- indexing ------------------------------------------------------------------------------
    def index(
        self,
        *,
        method: str | None = None,
        extraction: Path | str | None = None,
        retry_failed: bool = False,
        budget: str | None = None,
        executor: str | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> RunReport:
        """Bring the index up to date with the input folder and the settings.

        Only what depends on a change is recomputed. ``method`` names a pipeline (``standard``,
        ``fast``, …); ``extraction`` a recorded extraction to use instead of the input folder.
        ``budget`` (``"200k"`` tokens, ``"2.50usd"``) ends the run before it costs more: the report
        is ``stopped``, what is paid for is kept, and the next run goes on. ``executor`` (``asyncio``
        or ``daft`` with ``workers``) says where extraction by the LLM runs; it changes no result.

        Raises:
            ConfigError, StoreLockedError, LLMError: see their texts; what was done so far is kept.
        """
        return asyncio.run(
            self.aindex(
                method=method,
                extraction=extraction,
                retry_failed=retry_failed,
                budget=budget,
                executor=executor,
                workers=workers,
                progress=progress,
            )
        )

    async def aindex(
        self,
        *,
        method: str | None = None,
        extraction: Path | str | None = None,
        retry_failed: bool = False,
        budget: str | None = None,
        executor: str | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
        stopping: asyncio.Event | None = None,
    ) -> RunReport:
        """Do what :meth:`index` does; setting ``stopping`` ends the run at the next safe point."""
        from graphrag.indexing.runner import run_pipeline

        settings, stages = self._configured(method, extraction, budget, executor=executor, workers=workers)
        context, models = self._context(settings, progress)
        try:
            context.retry_failed = retry_failed
            if stopping is not None:
                context.stopping = stopping
            return await run_pipeline(context, stages)
        finally:
            context.store.close()
            await models.aclose()
            self._engine = None

    def estimate(
        self,
        *,
        method: str | None = None,
        extraction: Path | str | None = None,
        retry_failed: bool = False,
        executor: str | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Estimate]:
        """Return what an index run would do and cost by stage, before anything is spent.

        The run is rehearsed on a copy of the store with models that cost nothing, in this process whatever
        the ``executor``; the project stays as it is.
        """
        from graphrag.indexing.estimate import estimate
        from graphrag.indexing.models import ProjectModels
        from graphrag.llm.usage import UsageLog

        settings, stages = self._configured(method, extraction, executor=executor, workers=workers)
        models = ProjectModels(
            settings, self.layout, UsageLog(), chat=self._chat_model, embedder=self._embedder
        )
        return estimate(self.layout, settings, stages, models, retry_failed=retry_failed, progress=progress)

    def status(self) -> dict[str, Any]:
        """Return the report of the last run (empty if there was none), with the ledger as it is now.

        While another process indexes, ``indexing`` names it, and the ledger is that of the last run's end.
        """
        from graphrag.indexing.report import current_status

        return current_status(self.layout)

    def import_triples(self, file: Path | str, *, embed: bool = False, replace: bool = False) -> Imported:
        """Make the index from a ready-made graph: lines of head, relation and tail, or RDF.

        ``embed`` also makes vectors of the names; ``replace`` puts the graph in the place of the
        index that is there. No LLM call.
        """
        from graphrag.embed import make_embedder
        from graphrag.graph.triples import read_triples
        from graphrag.indexing.imported_graph import import_triples

        embedder = (self._embedder or make_embedder(self.settings.embedding)) if embed else None
        path = Path(file)
        self._engine = None
        return import_triples(self.layout, read_triples(path), path.name, embedder=embedder, replace=replace)

    # -- asking --------------------------------------------------------------------------------
    def open_index(self) -> Index:
        """Open the published index.

        Raises:
            NotIndexedError: nothing was indexed yet.
        """
        from graphrag.store.index import Index

        return Index.open(self.layout.root)

    def query(self, question: str, *, method: str = "local", **options: Any) -> QueryResult:
        """Answer ``question`` by ``method``: auto, global, local, basic, path or explore."""
        return self._query_engine().query(question, method=method, **options)

    async def aquery(self, question: str, *, method: str = "local", **options: Any) -> QueryResult:
        """Do what :meth:`query` does."""
        return await self._query_engine().aquery(question, method=method, **options)

    def astream(
        self, question: str, *, method: str = "local", **options: Any
    ) -> AsyncIterator[str | QueryResult]:
        """Yield the answer piece by piece, then the whole result."""
        return self._query_engine().astream(question, method=method, **options)

    def close(self) -> None:
        """Close what :meth:`query` keeps open between questions; leaving a ``with`` block does it too."""
        if self._engine is not None:
            self._engine.close()

    async def aclose(self) -> None:
        """Close what ``aquery`` and ``astream`` keep open in the running event loop."""
        if self._engine is not None:
            await self._engine.aclose()

    def __enter__(self) -> GraphRAG:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def retriever(self, name: str | None = None, *, kind: str = "text_units") -> Retriever:
        """Return the retriever ``name`` (that of the settings when not given) over the rows of ``kind``.

        ``retriever.search(question, k)`` gives (row id, score), best first. Kinds: ``text_units``,
        ``entities``, ``relationships``, ``covariates`` (claims), ``community_reports``.
        """
        from graphrag.retrieve import default_retriever, make_retriever

        sources = self._retriever_sources(kind)
        return default_retriever(sources) if name is None else make_retriever(name, sources)

    def evaluate_retrieval(
        self,
        questions: Path | str,
        *,
        retrievers: Sequence[str] = ("bm25", "dense", "hybrid", "rerank"),
        split: Split = "test",
        limit: int | None = None,
        started: Callable[[str, int], None] = lambda _name, _total: None,
        advance: Callable[[], None] = lambda: None,
    ) -> list[dict[str, Any]]:
        """Measure ``retrievers`` on a question file with gold passages; return one row for each.

        BM25 and dense are always among them. ``split`` is the half of the questions that is asked:
        ``test`` is the one that tuning and optimising leave alone. No LLM call, unless a reranker is one.
        """
        from graphrag.evaluate.question_sets import fitted
        from graphrag.evaluate.questions import PassageIds, read_questions
        from graphrag.evaluate.retrieval import BASELINES, evaluate_retrieval
        from graphrag.retrieve import make_retriever

        sources = self._retriever_sources("text_units")
        asked = fitted(read_questions(Path(questions), split=split, limit=limit), sources.index)
        makers = {
            name: partial(make_retriever, name, sources) for name in dict.fromkeys((*BASELINES, *retrievers))
        }
        passages = PassageIds.of(sources.index, asked)
        rows, _ = evaluate_retrieval(makers, asked, passages, started=started, advance=advance)
        return [{**row, "split": split} for row in rows]

    def evaluate_answers(
        self,
        questions: Path | str,
        *,
        methods: Sequence[str] = ("basic", "local"),
        split: Split = "test",
        limit: int | None = None,
        started: Callable[[str, int], None] = lambda _name, _total: None,
        advance: Callable[[], None] = lambda: None,
    ) -> list[dict[str, Any]]:
        """Ask by ``methods`` what a question file holds answers to; return one row of measures for each.

        ``basic`` over BM25 and over dense passages are always among them (``bm25``, ``dense``). ``split`` is
        as in :meth:`evaluate_retrieval`. LLM calls: what each method costs, from the cache where it was asked
        before.

        Raises:
            InputError: no question has answers.
        """
        from graphrag.evaluate.answers import evaluate_answers
        from graphrag.evaluate.questions import read_questions
        from graphrag.indexing.models import ProjectModels
        from graphrag.llm.usage import UsageLog

        asked = read_questions(Path(questions), split=split, limit=limit)
        index, root = self.open_index(), self.layout.root
        models = ProjectModels(
            self.settings, self.layout, UsageLog(), chat=self._chat_model, embedder=self._embedder
        )

        async def run() -> list[dict[str, Any]]:
            try:
                return await evaluate_answers(
                    index, self.settings, models, root, asked, methods, started, advance
                )
            finally:
                await models.aclose()

        return [{**row, "split": split} for row in asyncio.run(run())]

    def make_questions(
        self,
        out: Path | str,
        *,
        count: int = 100,
        by: str = "auto",
        two_hop: float = 0.3,
        budget: str | None = None,
        seed: int = 42,
        progress: Progress | None = None,
    ) -> tuple[QuestionSet, UsageLog]:
        """Write ``count`` questions made from this index to ``out``; gold is the passages they came from.

        ``by`` is ``llm`` (see :func:`~graphrag.evaluate.questions_by_llm.questions_by_llm` for the calls
        it makes), ``graph`` (no model), or ``auto``. Nothing is written if no question was kept.

        Raises:
            InputError: the index holds nothing to ask for.
            BudgetExceededError: ``budget`` is spent; what was paid for is found again by the next run.
        """
        from graphrag.errors import InputError
        from graphrag.evaluate.question_sets import write_questions
        from graphrag.evaluate.questions_from_graph import questions_from_graph
        from graphrag.llm.usage import UsageLog

        if by not in ("auto", "llm", "graph"):
            raise ConfigError(f"Questions cannot be made by {by!r}.", hint="There are: auto, llm, graph.")
        if by == "auto":
            by = "llm" if self.settings.resolved("auto") == "llm" else "graph"
        usage = UsageLog()
        if by == "graph":
            made = questions_from_graph(
                self.open_index(), count=count, two_hop=two_hop, seed=seed, progress=progress
            )
        else:
            made = asyncio.run(self._written(usage, budget, count, two_hop, seed, progress))
        if not made.questions:
            why = ", ".join(f"{number} × {reason}" for reason, number in sorted(made.refused.items()))
            raise InputError(
                f"No question could be kept ({why or 'no text unit is long enough'}).",
                hint="Make them the other way with --by, or index more documents.",
            )
        write_questions(made.questions, Path(out))
        return made, usage

    def evaluate_paths(
        self,
        questions: Path | str,
        *,
        method: str = "path",
        mode: str = "extractive",
        limit: int | None = None,
        seed: int = 0,
        advance: Callable[[], None] = lambda: None,
        **overrides: Any,
    ) -> dict[str, Any]:
        """Measure ``query(method="path")`` on this index: answers at the ends of paths, passages recalled.

        ``questions`` is a file with answers and gold passages, of which the first ``limit`` are asked. BM25,
        dense and graph retrieval are beside it; no LLM call but the planner's. ``method`` ``explore``: a
        file with topics and answers, of which ``seed`` draws ``limit``; in ``mode`` ``llm`` at most
        ``query.explore_calls`` LLM calls a question. ``overrides`` are query settings such as ``planner``.
        """
        from graphrag.evaluate.index_paths import ask_index, explore_index
        from graphrag.evaluate.path_questions import read_path_questions, sampled
        from graphrag.evaluate.questions import read_questions

        engine = self._query_engine()
        if method == "explore":
            drawn = sampled(read_path_questions(Path(questions)), limit, seed=seed)
            return asyncio.run(explore_index(engine, drawn, mode=mode, advance=advance, **overrides))
        asked = read_questions(Path(questions), limit=limit)
        baselines = {name: self.retriever(name) for name in ("bm25", "dense", "graph")}
        return asyncio.run(ask_index(engine, asked, baselines, mode=mode, advance=advance, **overrides))

    # -- looking -------------------------------------------------------------------------------
    def export(self, format: str, out: Path | str, **options: Any) -> Path | list[Path]:
        """Write the graph as ``graphml``, ``gexf``, ``neo4j``, ``jsonld``, ``parquet`` or ``html``.

        Return what was written: a file, or the files of formats that have several.
        """
        from graphrag.export import export

        return export(self.open_index(), format, Path(out), **options)

    # ------------------------------------------------------------------------------------------
    def _configured(
        self,
        method: str | None,
        extraction: Path | str | None,
        budget: str | None = None,
        **execution: str | int | None,
    ) -> tuple[Settings, tuple[str, ...]]:
        arguments = dict(self._arguments)
        if extraction is not None:
            recorded = {"recorded": str(Path(extraction).resolve())}
            arguments["extraction"] = {**arguments.get("extraction", {}), **recorded}
            method = method or "recorded"
        if method is not None:
            arguments["pipeline"] = method
        if budget is not None:
            arguments["llm"] = {**arguments.get("llm", {}), "budget": budget}
        chosen = {name: value for name, value in execution.items() if value is not None}
        if chosen:
            arguments["execution"] = {**arguments.get("execution", {}), **chosen}
        return load_settings(self.layout.root, arguments=arguments)

    def _context(self, settings: Settings, progress: Progress | None) -> tuple[Any, Any]:
        from graphrag.indexing.models import ProjectModels
        from graphrag.indexing.progress import NoProgress
        from graphrag.indexing.stage import StageContext
        from graphrag.llm.budget import Budget, parse_limit
        from graphrag.llm.usage import UsageLog
        from graphrag.store.store import Store

        usage = UsageLog()
        limit = settings.llm.budget
        budget = Budget(parse_limit(limit), settings.llm.prices, settings.embedding.prices) if limit else None
        models = ProjectModels(
            settings, self.layout, usage, chat=self._chat_model, embedder=self._embedder, budget=budget
        )
        store = Store(self.layout.store)
        context = StageContext(self.layout, settings, store, models, usage, progress or NoProgress())
        context.budget = budget
        return context, models

    async def _written(
        self,
        usage: UsageLog,
        budget: str | None,
        count: int,
        two_hop: float,
        seed: int,
        progress: Progress | None,
    ) -> QuestionSet:
        from graphrag.evaluate.questions_by_llm import questions_by_llm
        from graphrag.indexing.models import ProjectModels
        from graphrag.llm.budget import Budget, parse_limit

        settings = self.settings
        allowed = (
            Budget(parse_limit(budget), settings.llm.prices, settings.embedding.prices) if budget else None
        )
        models = ProjectModels(settings, self.layout, usage, chat=self._chat_model, budget=allowed)
        root, index = self.layout.root, self.open_index()
        try:
            return await questions_by_llm(
                index, models.chat(), count=count, two_hop=two_hop, seed=seed, root=root, progress=progress
            )
        finally:
            await models.aclose()

    def _retriever_sources(self, kind: str) -> RetrieverSources:
        from graphrag.embed import make_embedder
        from graphrag.retrieve import RetrieverSources

        index = self.open_index()
        embedder = self._embedder
        if embedder is None and index.embedding_model is not None:
            embedder = make_embedder(self.settings.embedding)
        return RetrieverSources(index, self.settings.retrieval, embedder, self.settings.llm, kind)

    def _query_engine(self) -> QueryEngine:
        index = self.open_index()
        if self._engine is None or self._engine.index.generation != index.generation:
            from graphrag.indexing.models import ProjectModels
            from graphrag.llm.usage import UsageLog
            from graphrag.query.engine import QueryEngine

            usage = UsageLog()
            models = ProjectModels(
                self.settings, self.layout, usage, chat=self._chat_model, embedder=self._embedder
            )
            self._engine = QueryEngine(index, self.settings, models.chat, models.embedder(), self.layout.root)
        return self._engine
