"""Measure configurations: one value per question, with everything that trials share kept between them."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrag.embed import make_embedder
from graphrag.embed.base import Embedder
from graphrag.errors import ConfigError
from graphrag.evaluate.answer_measures import any_said
from graphrag.evaluate.question_sets import fitted
from graphrag.evaluate.questions import GoldQuestion, PassageIds
from graphrag.evaluate.retrieval import MEASURES, run_retriever
from graphrag.hashing import canonical_json, content_hash
from graphrag.indexing.models import ProjectModels
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.indexing.runner import run_pipeline
from graphrag.indexing.stage import StageContext
from graphrag.llm.base import ChatModel
from graphrag.llm.usage import UsageLog
from graphrag.optimize.memory import Memory, RememberingEmbedder, remembering
from graphrag.optimize.space import ASKING, METHOD, Configuration, Measured
from graphrag.query.engine import QueryEngine
from graphrag.retrieve import RetrieverSources, default_retriever
from graphrag.settings import Settings, load_settings
from graphrag.store.index import Index
from graphrag.store.layout import Layout
from graphrag.store.store import Store

# Beside the documents, what an index is made of that lies in the project's folder.
_SHARED = ("prompts", "merge_overrides.jsonl")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a configuration scored, question by question, and its mean milliseconds per question."""

    values: tuple[float, ...]
    milliseconds: float

    @property
    def mean(self) -> float:
        """Return the mean over the questions."""
        return statistics.fmean(self.values)


class Trials:
    """Measures configurations of one project on given questions, each once.

    An index that a configuration needs and the project does not have is made in a copy of its store
    below ``.graphrag/optimize``: what the change does not touch is not done again. ``evaluated``
    counts configurations that were measured, not those answered from memory.
    """

    def __init__(
        self,
        root: Path,
        questions: Sequence[GoldQuestion],
        *,
        measure: str = "recall@5",
        embedder: Embedder | None = None,
        chat_model: ChatModel | None = None,
        progress: Progress | None = None,
        memory: Memory | None = None,
    ) -> None:
        if measure not in MEASURES:
            raise ConfigError(f"There is no measure {measure!r}.", hint=f"There are: {', '.join(MEASURES)}.")
        self.root = root
        self.questions = list(questions)
        self.measure = measure
        self.memory = memory or Memory()
        self.evaluated = 0
        self._progress = progress or NoProgress()
        self._settings = load_settings(root)[0]
        self._embedder = RememberingEmbedder(embedder or make_embedder(self._settings.embedding))
        self._models = ProjectModels(self._settings, Layout(root), UsageLog(), chat=chat_model)
        self._outcomes: dict[tuple[Measured, str, Configuration], Outcome] = {}
        self._indexes: dict[str, tuple[Index, Embedder]] = {}

    def asked(self, questions: Sequence[GoldQuestion]) -> Trials:
        """Return trials on other questions that share everything kept, except outcomes."""
        other = object.__new__(Trials)
        other.__dict__.update(self.__dict__)
        other.questions, other.evaluated, other._outcomes = list(questions), 0, {}
        return other

    def settings(self, configuration: Configuration) -> Settings:
        """Return the project's settings with those of ``configuration``."""
        return load_settings(self.root, arguments=configuration.nested())[0]

    def known(self, configuration: Configuration, measured: Measured) -> bool:
        """Say whether ``configuration`` has been measured."""
        return (measured, self.measure, configuration) in self._outcomes

    def outcome(self, configuration: Configuration, measured: Measured) -> Outcome:
        """Measure ``configuration``, or return what it scored before.

        ``retrieval``: the measure that was chosen, over questions with gold passages. ``answers``:
        whether an accepted answer stands in the answer, over questions with answers; one question
        to the engine each, so LLM calls as that costs (kept in the project's cache).

        Raises:
            ConfigError: no question has what it takes, or a setting cannot be used.
        """
        key = (measured, self.measure, configuration)
        if key not in self._outcomes:
            self.evaluated += 1
            run = self._retrieval if measured == "retrieval" else self._answers
            self._outcomes[key] = run(configuration)
        return self._outcomes[key]

    def close(self) -> None:
        """Close the chat model if it was made."""
        asyncio.run(self._models.aclose())

    def _retrieval(self, configuration: Configuration) -> Outcome:
        asked = [one for one in self.questions if one.gold]
        if not asked:
            raise ConfigError("No question has gold_passage_ids, so retrieval cannot be judged.")
        settings = self.settings(configuration)
        index, embedder = self._index(configuration)
        asked = fitted(asked, index)
        sources = RetrieverSources(index, settings.retrieval, embedder, settings.llm)
        told = canonical_json(settings.retrieval.model_dump(mode="json"))
        found = default_retriever(sources)
        found.search(asked[0].text, 1)  # loads models and files, which no question's time should hold
        retriever = remembering(found, self.memory, index.generation, told)
        before = self.memory.saved
        run = run_retriever("trial", retriever, asked, PassageIds.of(index, asked))
        saved = 1000 * (self.memory.saved - before) / len(asked)
        return Outcome(tuple(run.values(self.measure)), statistics.fmean(run.milliseconds) + saved)

    def _answers(self, configuration: Configuration) -> Outcome:
        asked = [one for one in self.questions if one.answers]
        if not asked:
            raise ConfigError(
                "No question has answers, so answers cannot be judged.",
                hint='Add `answers` to the questions, or leave the nodes with measure = "answers" out.',
            )
        index, embedder = self._index(configuration)
        engine = QueryEngine(index, self.settings(configuration), self._models.chat, embedder, self.root)
        method = str(configuration.values().get(METHOD, "basic"))
        values, milliseconds = [], []
        try:
            for one in asked:
                began = time.perf_counter()
                answer = engine.query(one.text, method).answer
                milliseconds.append((time.perf_counter() - began) * 1000)
                values.append(any_said(answer, one.answers))
        finally:
            engine.close()
        return Outcome(tuple(values), statistics.fmean(milliseconds))

    def _index(self, configuration: Configuration) -> tuple[Index, Embedder]:
        changed = {
            path: value
            for path, value in configuration.values().items()
            if path != METHOD and path.split(".")[0] not in ASKING and value != self._settings.value(path)
        }
        key = content_hash(changed)
        if key not in self._indexes:
            embedder: Embedder = self._embedder
            if any(path.startswith("embedding.") for path in changed):
                embedder = RememberingEmbedder(make_embedder(self.settings(configuration).embedding))
            root = self._indexed(changed, key.removeprefix("b2:"), embedder) if changed else self.root
            self._indexes[key] = (Index.open(root), embedder)
        return self._indexes[key]

    def _indexed(self, changed: Mapping[str, Any], name: str, embedder: Embedder) -> Path:
        """Index the project's documents with other settings, in a copy of its store; return its folder."""
        layout = Layout(Layout(self.root).work / "optimize" / name)
        layout.work.mkdir(parents=True, exist_ok=True)
        if not layout.store.exists():
            shutil.copyfile(Layout(self.root).store, layout.store)
        for shared in _SHARED:
            if (self.root / shared).exists() and not (layout.root / shared).exists():
                (layout.root / shared).symlink_to((self.root / shared).resolve())
        own = {"input.folder": str((self.root / self._settings.input.folder).resolve())}
        if self._settings.extraction.recorded is not None:
            own["extraction.recorded"] = str((self.root / self._settings.extraction.recorded).resolve())
        settings, stages = load_settings(self.root, arguments=Configuration.of({**changed, **own}).nested())
        usage = UsageLog()
        models = ProjectModels(settings, Layout(self.root), usage, embedder=embedder)

        async def run() -> None:
            try:
                await run_pipeline(
                    StageContext(layout, settings, store, models, usage, self._progress), stages
                )
            finally:
                await models.aclose()

        store = Store(layout.store)
        try:
            asyncio.run(run())
        finally:
            store.close()
        return layout.root
