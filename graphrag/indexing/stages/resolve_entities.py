"""Decide which mentions are the same entity. Mentions stay as they are; every merge is a row."""

from __future__ import annotations

import asyncio
from typing import Any

from graphrag.errors import ConfigError
from graphrag.extract.judge import PROMPT, judge_pairs
from graphrag.extract.resolution import Candidate, resolve_entities
from graphrag.hashing import text_hash
from graphrag.indexing.embedding_cache import StoredEmbedder, Tolerant
from graphrag.indexing.overrides import read_overrides
from graphrag.indexing.rows import fail
from graphrag.indexing.stage import Stage, StageContext
from graphrag.settings import Settings

_MENTIONS = """
SELECT m.id, m.name, m.type, m.text_unit_id, u.document_id
FROM entity_mentions m JOIN text_units u ON u.id = m.text_unit_id ORDER BY m.id
"""


async def run(context: StageContext) -> None:
    """Resolve all mentions anew; equal input gives equal entities."""
    overrides = read_overrides(context.layout)
    settings = context.settings.resolution
    mentions = context.store.sql(_MENTIONS)
    if not mentions.num_rows:
        _explain_emptiness(context)
    loop = asyncio.get_running_loop()
    failures: dict[str, str] = {}

    def judge(pairs: list[tuple[Candidate, Candidate]]) -> list[bool]:
        model = context.models.chat()
        asked = judge_pairs(model, pairs, context.layout.root)
        answers, failed = asyncio.run_coroutine_threadsafe(asked, loop).result()
        failures.update(failed)
        return answers

    embedder = Tolerant(StoredEmbedder(context)) if settings.enabled else None
    # In a thread of its own, so that the judge can wait for answers that this loop brings.
    result = await asyncio.to_thread(
        resolve_entities,
        mentions,
        embedder=embedder,
        settings=settings,
        keep_apart=overrides.keep_apart,
        merge=overrides.merge,
        judge=judge if asks_llm(context.settings) else None,
    )
    if embedder is not None:
        failures |= embedder.failures
    with context.store.transaction():
        context.store.replace("mention_entities", result.mention_entities)
        context.store.replace("entity_merges", result.merges)
        context.store.replace("entities", result.entities)
        fail(context, STAGE.name, failures, STAGE.row_fingerprint(context))


def _explain_emptiness(context: StageContext) -> None:
    """Raise when there is no entity because extraction failed; texts without names are no error."""
    failed = context.store.sql(
        "SELECT reason FROM ledger WHERE stage = 'extract_graph' AND status = 'failed' "
        "ORDER BY row_id LIMIT 1"
    )["reason"].to_pylist()
    if failed:
        raise ConfigError(
            f"No entity was found: extraction failed in every text unit; the first reason was: {failed[0]}.",
            hint="See `graphrag status --failed`; try another model, or `graphrag index --method fast`.",
        )


def asks_llm(settings: Settings) -> bool:
    """Tell whether doubtful pairs are put to the LLM; left open, a model that extracts is also asked."""
    if not settings.resolution.enabled:
        return False
    if settings.resolution.use_llm is not None:
        return settings.resolution.use_llm
    return settings.extraction.method == "llm" and settings.llm.provider != "embedded"


def _settings_read(settings: Settings) -> tuple[str, ...]:
    if not settings.resolution.enabled:
        return ("resolution.enabled",)
    names = ("enabled", "fuzzy_threshold", "embedding_threshold", "llm_band")
    return tuple(f"resolution.{name}" for name in names)


def _reads_besides(context: StageContext) -> dict[str, Any]:
    path = context.layout.merge_overrides
    overrides = text_hash(path.read_text(encoding="utf-8")) if path.is_file() else None
    return {"decisions about merges": overrides}


STAGE = Stage(
    name="resolve_entities",
    version="1",
    inputs=("entity_mentions", "text_units"),
    outputs=("mention_entities", "entity_merges", "entities"),
    settings=_settings_read,
    prompts=(PROMPT,),
    uses_chat=asks_llm,
    uses_embedder=lambda settings: settings.resolution.enabled,
    run=run,
    extra=_reads_besides,
)
