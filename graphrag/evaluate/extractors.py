"""The extractors that can be measured against gold, by name.

* ``rules``: no language model, the rules alone; ``spacy``: an installed pipeline, else the shipped one;
* ``zero-shot``: the embedded language model as it is, told the schema, under the grammar of the answer;
* ``in-context``: the same with four solved examples of the same corpus before each question;
* ``tuned``: the same with the adapter that comes with the library, asked like ``zero-shot``;
* ``llm``: the project's language model with the prompt and the wire format that indexing uses;
* a folder: the embedded language model with the adapter that lies there, asked like ``zero-shot``; or with
  the demonstrations that lie there before each text; or the classifier on its states.

``rules``, ``spacy`` and ``llm`` are told the gold's entity types but not its predicates, for indexing has no
such list: their strict relation F1 is close to zero by construction; read ``name_f1`` and ``pair_f1`` there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from graphrag.errors import ConfigError, StructuredOutputError
from graphrag.evaluate.extraction import Answer, score_extraction
from graphrag.extract.compact import ExtractionSchema, windows
from graphrag.extract.facts import Extraction
from graphrag.extract.gold import GoldCorpus, GoldText, read_gold
from graphrag.extract.gold.corpus import part_of
from graphrag.extract.gold.passages import gold_passage
from graphrag.extract.windowed import Choice, CompactExtractor
from graphrag.hashing import text_hash
from graphrag.llm.base import ChatModel

if TYPE_CHECKING:
    from graphrag.settings import Settings
    from graphrag.tune.features import FeatureClassifier

NAMES = ("rules", "spacy", "zero-shot", "in-context", "tuned", "llm")
_TOGETHER = 512  # texts in flight at once: enough to decode answers of like length together
_SHOWN_WORDS = 40

Advance = Callable[[], None]


class MeasuredExtractor(Protocol):
    """Reads texts under a schema and tells what it cost."""

    def answers(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance = ...
    ) -> list[Answer]:
        """Return one answer for each text, in order."""
        ...


class RuleExtractor:
    """The extractor without a language model; ``model`` is ``settings.spacy_model``."""

    def __init__(self, model: str | None) -> None:
        self._model = model

    def answers(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance = lambda: None
    ) -> list[Answer]:
        """Return the facts that the rules find; every answer is valid and writes no token."""
        from graphrag.extract.nlp import NlpExtractor
        from graphrag.settings import ExtractionSettings

        settings = ExtractionSettings(
            method="nlp", entity_types=schema.entity_types or (), spacy_model=self._model
        )
        extractor = NlpExtractor(settings)
        found = []
        for text in texts:
            found.append(Answer(extractor.extract([text.text])[0]))
            advance()
        return found


class ModelExtractor:
    """A chat model in the compact format; ``demonstrations`` are shown before each text."""

    def __init__(
        self, model: ChatModel, demonstrations: Sequence[tuple[str, str]] | Choice = (), readings: int = 1
    ) -> None:
        self._model = model
        self._demonstrations = demonstrations
        self._readings = readings

    def answers(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance = lambda: None
    ) -> list[Answer]:
        """Return what the model writes; an answer is valid when it ended by itself and holds its form."""
        return asyncio.run(self._all(texts, schema, advance))

    async def _all(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance
    ) -> list[Answer]:
        extractor = CompactExtractor(self._model, schema, self._demonstrations, readings=self._readings)
        gate = asyncio.Semaphore(_TOGETHER)

        async def one(text: GoldText) -> Answer:
            async with gate:
                responses = await extractor.ask(text.text)
            advance()
            return Answer(
                extractor.read(text.text, responses),
                valid=sum(response.finish_reason == "stop" for response in responses),
                answers=len(responses),
                output_tokens=sum(response.usage.completion_tokens for response in responses),
            )

        return list(await asyncio.gather(*map(one, texts)))


class ClassifierExtractor:
    """A classifier on the states of a frozen model: it writes nothing, so every answer is valid."""

    def __init__(self, classifier: FeatureClassifier) -> None:
        self._classifier = classifier

    def answers(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance = lambda: None
    ) -> list[Answer]:
        """Return the facts that the classifier finds."""
        found = []
        for text in texts:
            found.append(Answer(self._classifier.extract(text.text, schema)))
            advance()
        return found


class ProjectExtractor:
    """The language model of a project, asked as indexing asks it; ``backend`` is a ready-made one instead."""

    def __init__(self, settings: Settings, root: Path, backend: ChatModel | None = None) -> None:
        self._settings = settings
        self._root = root
        self._backend = backend

    def answers(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance = lambda: None
    ) -> list[Answer]:
        """Return what indexing would keep, claims apart; an answer is valid when indexing could use it.

        Answers are asked for anew, not taken from the project's cache: their cost is what is measured.

        Raises:
            ConfigError: neither the gold data nor the settings name entity types.
            LLMError: the model did not answer.
        """
        return asyncio.run(self._all(texts, schema, advance))

    async def _all(
        self, texts: Sequence[GoldText], schema: ExtractionSchema, advance: Advance
    ) -> list[Answer]:
        from graphrag.extract.graph import LlmExtractor
        from graphrag.indexing.stages.extract_graph import wire_format
        from graphrag.llm import aclose, make_chat_model
        from graphrag.llm.usage import MeteredModel, UsageLog

        types = schema.entity_types or self._settings.extraction.entity_types
        if not types:
            raise ConfigError(
                "Neither the gold data nor the settings name entity types.",
                hint="Name them in settings.yaml under extraction.entity_types.",
            )
        settings = self._settings.extraction.model_copy(update={"claims": False})
        model = make_chat_model(self._settings.llm, backend=self._backend)
        gate = asyncio.Semaphore(self._settings.llm.concurrency)

        async def one(text: GoldText) -> Answer:
            log = UsageLog()
            metered = MeteredModel(model, log)
            asked = LlmExtractor(metered, settings, wire_format(self._settings), types, self._root)
            async with gate:
                try:
                    found, valid = await asked.extract(text.text), 1
                except StructuredOutputError:
                    found, valid = Extraction(), 0
            advance()
            return Answer(found, valid, 1, log.total().completion_tokens)

        try:
            return list(await asyncio.gather(*map(one, texts)))
        finally:
            await aclose(model)


def evaluate_extraction(
    path: Path,
    format: str,
    name: str,
    *,
    part: str | None = None,
    limit: int | None = None,
    root: Path = Path(),
    readings: int = 1,
    started: Callable[[int], None] = lambda _total: None,
    advance: Advance = lambda: None,
) -> dict[str, Any]:
    """Measure the extractor ``name`` on the gold corpus at ``path``; return the figures as plain data.

    ``part`` is ``held-out``, ``train`` or ``all``; by default ``held-out`` (one text in five, by its hash)
    for Re-DocRED, so that the rest can be trained on, and ``all`` otherwise. Demonstrations for
    ``in-context`` come from ``train.json.gz`` beside the file, else from the part ``train``. ``seconds``
    is wall time and ``cpu_seconds`` processor time of this process, both with loading a model.
    How right and wrong are counted: :mod:`graphrag.evaluate.extraction`.

    Raises:
        ConfigError: there is no such extractor, or nothing to measure.
        InputError: the corpus cannot be read.
    """
    corpus = read_gold(path, format)
    part = part or ("held-out" if format == "redocred" else "all")
    texts = part_of(corpus, part).texts[:limit]
    if not texts:
        raise ConfigError(f"The part {part!r} of {path} holds no text to measure.")
    shown = demonstrations(path, format, corpus) if name == "in-context" else ()
    extractor = measured_extractor(name, shown, root, readings)
    started(len(texts))
    wall, cpu = time.perf_counter(), time.process_time()
    answers = extractor.answers(texts, corpus.schema, advance)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    scores = score_extraction(texts, answers)
    result: dict[str, Any] = {"extractor": name, "format": format, "part": part, "n": len(texts)}
    for what in ("entity", "relation", "name", "pair"):
        result[f"{what}_f1"] = round(scores.f1(what), 4)
        result[f"{what}_precision"] = round(scores.precision(what), 4)
        result[f"{what}_recall"] = round(scores.recall(what), 4)
    return {**result, **costs(answers), "seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}


def costs(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the share of valid answers, how many there were, and the tokens written."""
    asked = sum(answer.answers for answer in answers)
    return {
        "valid_rate": round(sum(answer.valid for answer in answers) / max(1, asked), 4),
        "answers": asked,
        "output_tokens": sum(answer.output_tokens for answer in answers),
    }


def demonstrations(path: Path, format: str, corpus: GoldCorpus) -> list[tuple[str, str]]:
    """Return four (text, answer) examples of the corpus that are not among the texts to be measured.

    They are short, hold a relation each, and are chosen by a hash of their text.
    """
    beside = path.parent / "train.json.gz"
    other = read_gold(beside, format) if beside.is_file() and beside != path else part_of(corpus, "train")
    passages = []
    for text in sorted(other.texts, key=lambda text: text_hash(text.text)):
        start, end = windows(text.text, _SHOWN_WORDS)[0]
        passage = gold_passage(text, start, end)
        if passage.relations and len(passage.text.split()) <= _SHOWN_WORDS:
            passages.append(passage)
    return [(passage.line, passage.answer(corpus.schema)) for passage in passages[:4]]


def measured_extractor(
    name: str, demonstrations: Sequence[tuple[str, str]] = (), root: Path = Path(), readings: int = 1
) -> MeasuredExtractor:
    """Return the extractor ``name``: one of :data:`NAMES`, or the folder of an adapter.

    ``root`` is the project whose settings ``llm`` follows; ``readings`` is how often a model reads long texts
    in the compact format.

    Raises:
        ConfigError: there is no such extractor, or no project at ``root``.
        MissingExtraError: it needs a package that is not installed.
    """
    from graphrag.extract.nlp import RULES_ONLY, SHIPPED
    from graphrag.extract.nlp_pipeline import find_spacy_model
    from graphrag.extract.tuned import EXTRACTION_ROWS, tuned_model
    from graphrag.llm.embedded import embedded_model

    if name == "rules":
        return RuleExtractor(RULES_ONLY)
    if name == "spacy":
        return RuleExtractor(find_spacy_model() or SHIPPED)
    if name == "zero-shot":
        return ModelExtractor(embedded_model(rows=EXTRACTION_ROWS), readings=readings)
    if name == "in-context":
        return ModelExtractor(embedded_model(rows=EXTRACTION_ROWS), demonstrations, readings)
    if name == "tuned":
        return ModelExtractor(tuned_model(), readings=readings)
    if name == "llm":
        from graphrag.settings import load_settings

        return ProjectExtractor(load_settings(root)[0], root)
    folder = Path(name)
    if (folder / "demonstrations.jsonl").is_file():
        from graphrag.embed import make_embedder
        from graphrag.settings import EmbeddingSettings
        from graphrag.tune.demonstrations import Demonstrations

        shown = Demonstrations.load(folder, make_embedder(EmbeddingSettings()))
        return ModelExtractor(embedded_model(rows=EXTRACTION_ROWS), shown.for_text, readings)
    if (folder / "classifier.safetensors").is_file():
        from graphrag.llm.embedded import embedded_folder
        from graphrag.llm.generation import load_generator
        from graphrag.tune.features import FeatureClassifier

        generator = load_generator(str(embedded_folder()))
        return ClassifierExtractor(FeatureClassifier.load(folder, generator.model, generator.tokenizer))
    if not (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"There is no extractor {name!r}.",
            hint=f"There are: {', '.join(NAMES)}; or a folder that graphrag tune extractor wrote.",
        )
    return ModelExtractor(tuned_model(folder), readings=readings)
