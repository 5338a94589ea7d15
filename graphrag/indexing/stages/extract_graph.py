"""Find entities, relations and claims in every text unit: by LLM, or by rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphrag.errors import ConfigError, LLMError
from graphrag.extract import graph
from graphrag.extract.facts import Extraction
from graphrag.extract.mentions import mention_rows
from graphrag.hashing import fingerprint
from graphrag.indexing.executors import Job, make_executor
from graphrag.indexing.executors.base import Do
from graphrag.indexing.rows import RowOutcome, commit, pending, run_rows
from graphrag.indexing.stage import Stage, StageContext
from graphrag.llm.base import ChatModel
from graphrag.llm.prompts import prompt_hash
from graphrag.settings import ExtractionSettings, Settings

if TYPE_CHECKING:
    from graphrag.extract.nlp import NlpExtractor
    from graphrag.extract.tuned import TunedExtractor

OWNED = (
    ("entity_mentions", "text_unit_id"),
    ("relation_mentions", "text_unit_id"),
    ("claim_mentions", "text_unit_id"),
)
_NLP_BATCH = 256
_TUNED_BATCH = 16  # of text units of several windows each: fills the rows of the model more than once
_TYPE_SAMPLE = 8  # text units shown to the model when it is to find the entity types
# The beginnings of so many text units, evenly spread.
_SAMPLE = """
SELECT substr(u.text, 1, 3000) AS text
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS at, count(*) OVER () AS n FROM text_units) p
JOIN text_units u ON u.id = p.id
WHERE p.at % greatest(1, p.n // $1) = 0 AND p.at // greatest(1, p.n // $1) < $1 ORDER BY p.at
"""


async def run(context: StageContext) -> None:
    """Extract from the text units that have no answer yet; failures are kept in the ledger."""
    if context.settings.extraction.method == "nlp":
        await _run_batches(context, _NLP_BATCH, _nlp_extractor)
    elif context.settings.extraction.method == "tuned":
        await _run_batches(context, _TUNED_BATCH, _tuned_extractor)
    else:
        await _run_llm(context)


def wire_format(settings: Settings) -> Literal["json", "lines"]:
    """Return the format of the LLM's answer; ``auto`` means what measured best for the provider."""
    if settings.extraction.format != "auto":
        return settings.extraction.format
    return "json" if settings.llm.provider == "openai" else "lines"


async def _run_batches(
    context: StageContext, size: int, make: Callable[[ExtractionSettings], NlpExtractor | TunedExtractor]
) -> None:
    """Read ``size`` text units at once, and commit them together; the extractor is made if any is left."""
    row_fingerprint = STAGE.row_fingerprint(context)
    units = pending(context, STAGE.name, row_fingerprint, "text_units", OWNED)
    context.progress.total(len(units), "text units")
    if not len(units):
        return
    extractor = make(context.settings.extraction)
    for rows in units.batches(size):
        if context.stopping.is_set():
            return
        found = extractor.extract([row["text"] for row in rows])
        extractions = await found if isawaitable(found) else found
        outcomes = [_outcome(row, extraction) for row, extraction in zip(rows, extractions, strict=True)]
        commit(context, STAGE.name, row_fingerprint, outcomes)
        context.progress.advance(len(rows))


async def _run_llm(context: StageContext) -> None:
    settings = context.settings
    types = await _entity_types(context)
    row_fingerprint = _llm_fingerprint(context, types)
    units = pending(context, STAGE.name, row_fingerprint, "text_units", OWNED)
    context.progress.total(len(units), "text units")
    if not len(units):
        return
    root = context.layout.root
    prompts = {name: prompt_hash(name, root) for name in _prompts_read(settings)}
    job = Job(f"{__name__}:row_extractor", {"entity_types": list(types)}, prompts)
    outcomes = make_executor(settings.execution).outcomes(context, job, units)
    await run_rows(context, STAGE.name, row_fingerprint, outcomes)


def row_extractor(model: ChatModel, settings: Settings, root: Path, entity_types: Sequence[str]) -> Do:
    """Return the function that extracts from one text unit with ``model``."""
    extractor = graph.LlmExtractor(
        model, settings.extraction, wire_format(settings), tuple(entity_types), root
    )

    async def extract(row: dict[str, Any]) -> RowOutcome:
        try:
            return _outcome(row, await extractor.extract(row["text"]))
        except LLMError as error:
            if not error.retryable:
                raise  # a wrong key or address fails every row alike: stop, and say so
            return RowOutcome(row["id"], "failed", reason=f"{type(error).__name__}: {error}")

    return extract


def _outcome(row: dict[str, Any], found: Extraction) -> RowOutcome:
    if found.is_empty:
        return RowOutcome(row["id"], "empty")
    return RowOutcome(row["id"], "done", rows=mention_rows(row, found))


async def _entity_types(context: StageContext) -> tuple[str, ...]:
    """Return the given entity types, or those found in the corpus once and kept from then on."""
    known = _known_types(context)
    if known is not None:
        return known
    texts = context.store.sql(_SAMPLE, [_TYPE_SAMPLE])["text"].to_pylist()
    types = await graph.discover_entity_types(context.models.chat(), texts, context.layout.root)
    if not types:
        raise ConfigError(
            "The model found no entity types in the corpus.",
            hint="Name them in settings.yaml under extraction.entity_types.",
        )
    _types_file(context).write_text(json.dumps(types), encoding="utf-8")
    return types


def _known_types(context: StageContext) -> tuple[str, ...] | None:
    if context.settings.extraction.entity_types:
        return context.settings.extraction.entity_types
    path = _types_file(context)
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _types_file(context: StageContext) -> Path:
    return context.layout.work / "entity_types.json"


def _llm_fingerprint(context: StageContext, types: tuple[str, ...]) -> str:
    return fingerprint(stage=STAGE.row_fingerprint(context), types=types)


def _settings_read(settings: Settings) -> tuple[str, ...]:
    read = ("extraction.method", "extraction.entity_types", "extraction.claims")
    if settings.extraction.method == "tuned":
        return (*read, "extraction.readings", "extraction.predicates")
    if settings.extraction.method == "nlp":
        return read
    return (*read, "extraction.max_gleanings", "extraction.max_tokens")


def _prompts_read(settings: Settings) -> tuple[str, ...]:
    first = "extract_graph" if wire_format(settings) == "json" else "extract_graph_lines"
    return (first, "extract_more") if settings.extraction.max_gleanings else (first,)


def _extractor(context: StageContext) -> dict[str, Any]:
    """Return what the row fingerprint must know of the extractor beyond the settings."""
    if context.settings.extraction.method == "llm":
        return {"wire format": wire_format(context.settings)}
    made = _nlp_extractor if context.settings.extraction.method == "nlp" else _tuned_extractor
    return {"extractor": made(context.settings.extraction).extractor_id}


@lru_cache(maxsize=1)
def _nlp_extractor(settings: ExtractionSettings) -> NlpExtractor:
    """Make the extractor once: fingerprint and run both ask for it, and a trained pipeline loads slowly."""
    from graphrag.extract.nlp import NlpExtractor

    return NlpExtractor(settings)


@lru_cache(maxsize=1)
def _tuned_extractor(settings: ExtractionSettings) -> TunedExtractor:
    from graphrag.extract.tuned import TunedExtractor

    return TunedExtractor(settings)


STAGE = Stage(
    name="extract_graph",
    version="1",
    inputs=("text_units",),
    outputs=("entity_mentions", "relation_mentions", "claim_mentions"),
    settings=_settings_read,
    prompts=_prompts_read,
    uses_chat=lambda settings: settings.extraction.method == "llm",
    run=run,
    always=True,
    extra=_extractor,
)
