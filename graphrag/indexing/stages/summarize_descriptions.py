"""Give every entity and relationship one description, made from those of its mentions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from graphrag.errors import ModelError
from graphrag.extract.descriptions import Method, joined_descriptions, summarise, summary_key
from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.rows import Failures, RowOutcome, forget_missing, settle, still_failed, work
from graphrag.indexing.stage import Stage, StageContext
from graphrag.llm.prompts import prompt_hash
from graphrag.schema import DESCRIPTIONS
from graphrag.settings import Settings

_COMMIT_ROWS = 64

# In the order the documents say it, so that the joined text reads forwards.
_OWNERS = """
WITH said AS (
    SELECT x.entity_id AS owner_id, e.title, m.description, d.uri, u.ordinal, m.start_char, m.id
    FROM mention_entities x JOIN entities e ON e.id = x.entity_id
    JOIN entity_mentions m ON m.id = x.mention_id
    JOIN text_units u ON u.id = m.text_unit_id JOIN documents d ON d.id = u.document_id
    UNION ALL
    SELECT x.relationship_id, s.title || ' ' || p.label || ' ' || t.title, m.description, d.uri, u.ordinal,
           m.start_char, m.id
    FROM relation_relationships x JOIN relationships r ON r.id = x.relationship_id
    JOIN entities s ON s.id = r.source_id JOIN entities t ON t.id = r.target_id
    JOIN predicates p ON p.id = r.predicate_id
    JOIN relation_mentions m ON m.id = x.mention_id
    JOIN text_units u ON u.id = m.text_unit_id JOIN documents d ON d.id = u.document_id
)
SELECT owner_id, any_value(title) AS title,
       list(description ORDER BY uri, ordinal, start_char NULLS LAST, id) AS descriptions
FROM said GROUP BY owner_id ORDER BY owner_id
"""


async def run(context: StageContext) -> None:
    """Describe what has no description yet, or another one than its mentions give now."""
    store, settings = context.store, context.settings.descriptions
    method = cast(Method, context.settings.resolved(settings.method))
    owners = store.sql(_OWNERS).to_pylist()
    stored = store.sql("SELECT owner_id, fingerprint FROM descriptions")
    known = dict(zip(stored["owner_id"].to_pylist(), stored["fingerprint"].to_pylist(), strict=True))
    asked = {
        "prompt_hash": prompt_hash("summarize_descriptions", context.layout.root)
        if method == "llm"
        else None,
        "model_id": context.models.chat_id if method == "llm" else context.models.embedder_id,
    }
    for owner in owners:
        owner["fingerprint"] = summary_key(
            owner["descriptions"], settings, method, **asked, title=owner["title"]
        )
    keys = {owner["owner_id"]: owner["fingerprint"] for owner in owners}
    store.delete_keys("descriptions", "owner_id", known.keys() - keys.keys())
    forget_missing(context, STAGE.name, keys)
    left = still_failed(context, STAGE.name, keys)
    todo = [
        owner
        for owner in owners
        if known.get(owner["owner_id"]) != owner["fingerprint"] and owner["owner_id"] not in left
    ]
    context.progress.total(len(todo), "descriptions")
    joined = [(owner, joined_descriptions(owner["descriptions"], settings.max_tokens)) for owner in todo]
    short = [(owner, text) for owner, text in joined if text is not None]
    _write(context, short)
    context.progress.advance(len(short))
    await _summarise(context, method, [owner for owner, text in joined if text is None])


async def _summarise(context: StageContext, method: Method, owners: list[dict[str, Any]]) -> None:
    embedder = StoredEmbedder(context) if method == "extractive" else None
    model = context.models.chat() if method == "llm" and owners else None
    by_id = {owner["owner_id"]: owner for owner in owners}

    async def describe(owner: dict[str, Any]) -> RowOutcome:
        try:
            text = await summarise(
                owner["title"],
                owner["descriptions"],
                context.settings.descriptions,
                method,
                embedder=embedder,
                model=model,
                project=context.layout.root,
            )
        except ModelError as error:
            if not error.retryable:
                raise
            return RowOutcome(owner["owner_id"], "failed", reason=f"{type(error).__name__}: {error}")
        return RowOutcome(owner["owner_id"], "done", rows={"descriptions": [{"text": text}]})

    batch: list[tuple[dict[str, Any], str]] = []
    failures: dict[str, tuple[str, str]] = {}
    try:
        async for outcome in work(context, owners, describe, concurrency=context.settings.llm.concurrency):
            owner = by_id[outcome.row_id]
            if outcome.status == "failed":
                failures[outcome.row_id] = (owner["fingerprint"], outcome.reason or "unknown")
            else:
                batch.append((owner, outcome.rows["descriptions"][0]["text"]))
            if len(batch) + len(failures) >= _COMMIT_ROWS:
                _write(context, batch, failures)
                batch, failures = [], {}
    finally:
        _write(context, batch, failures)


def _write(
    context: StageContext, described: Sequence[tuple[dict[str, Any], str]], failures: Failures | None = None
) -> None:
    rows = [
        {"owner_id": owner["owner_id"], "fingerprint": owner["fingerprint"], "text": text}
        for owner, text in described
    ]
    settle(context, STAGE.name, "descriptions", "owner_id", DESCRIPTIONS.of(rows), failures or {})


def _method_is_llm(settings: Settings) -> bool:
    return settings.resolved(settings.descriptions.method) == "llm"


STAGE = Stage(
    name="summarize_descriptions",
    version="1",
    inputs=(
        "entities",
        "relationships",
        "mention_entities",
        "relation_relationships",
        "entity_mentions",
        "relation_mentions",
    ),
    outputs=("descriptions",),
    settings=("descriptions.method", "descriptions.max_tokens", "descriptions.max_input_tokens"),
    prompts=("summarize_descriptions",),
    uses_chat=_method_is_llm,
    uses_embedder=lambda settings: not _method_is_llm(settings),
    run=run,
)
