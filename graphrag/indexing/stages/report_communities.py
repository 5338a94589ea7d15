"""Write a report on every community, from the leaves up.

A report's id is the hash of what it is made from. A community whose context has not changed keeps
its report, whatever else changed in the corpus.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from graphrag.errors import ModelError
from graphrag.extract.extractive_reports import (
    ContextSentence,
    candidate_sentences,
    extract_report,
    extractive_report_key,
)
from graphrag.extract.report_context import (
    ChildReport,
    CommunityRows,
    build_report_context,
    forget_rows,
)
from graphrag.extract.reports import PROMPT, report_key, report_row, write_report
from graphrag.hashing import content_hash
from graphrag.indexing.community_rows import CommunityReader, community_digests
from graphrag.indexing.embedding_cache import StoredEmbedder
from graphrag.indexing.rows import Failures, RowOutcome, forget_missing, settle, still_failed, work
from graphrag.indexing.stage import Stage, StageContext
from graphrag.llm.prompts import prompt_hash
from graphrag.schema import COMMUNITY_REPORTS, REPORT_INPUTS
from graphrag.settings import Settings

_BATCH = 256  # communities whose sentences are embedded together
_COMMIT_ROWS = 64


async def run(context: StageContext) -> None:
    """Report on the communities whose rows or children's reports have changed; forget those that are gone."""
    store = context.store
    communities = store.table("communities").to_pylist()
    for table in ("community_reports", "report_inputs"):
        store.delete_where_missing(table, "community_id", "communities")
    ids = store.sql("SELECT community_id, id FROM community_reports").to_pylist()
    reports: dict[str, dict[str, Any]] = {row["community_id"]: row for row in ids}
    context.progress.total(len(communities), "communities")
    forget_missing(context, STAGE.name, {community["id"] for community in communities})
    inputs = _Inputs(context, communities, reports)
    changed = inputs.changed()
    reader = CommunityReader(store, {member for row in changed for member in row["entity_ids"]})
    children = sorted({child["id"] for row in changed for child in inputs.children(row)})
    below = pa.table({"id": pa.array(children, pa.string())})
    # The texts of those alone: after a small change most reports are neither written nor read.
    read = "SELECT r.* FROM community_reports r JOIN below b ON b.id = r.community_id"
    reports.update((row["community_id"], row) for row in store.sql(read, below=below).to_pylist())
    by_level: dict[int, list[dict[str, Any]]] = {}
    for community in communities:
        by_level.setdefault(community["level"], []).append(community)
    for level in sorted(by_level, reverse=True):
        if context.stopping.is_set():
            return
        here = [row for row in by_level[level] if not inputs.is_current(row)]
        context.progress.advance(len(by_level[level]) - len(here))
        written: list[dict[str, Any]] = []
        extractive: list[dict[str, Any]] = []
        for community in here:
            by_llm = (
                _uses_llm(context.settings) and community["size"] >= context.settings.reports.min_llm_size
            )
            (written if by_llm else extractive).append(community)
        shown = {row["id"]: _child_reports(inputs.children(row), reports) for row in written}
        brief = await _write(context, reader, written, shown, reports)
        await asyncio.to_thread(_extract, context, reader, [*extractive, *brief], reports)
        inputs.keep(here)
    forget_rows()


class _Inputs:
    """What every report is made from, as digests: its rows, and the reports on the community's children."""

    def __init__(
        self, context: StageContext, communities: list[dict[str, Any]], reports: dict[str, dict[str, Any]]
    ) -> None:
        self._store = context.store
        self._by_number = {community["community"]: community for community in communities}
        self._reports = reports
        made_by = STAGE.row_fingerprint(context)
        rows = community_digests(context.store)
        self._rows = {row["id"]: f"{made_by}/{rows.get(row['id'])}" for row in communities}
        stored = context.store.table("report_inputs")
        self._stored = dict(
            zip(stored["community_id"].to_pylist(), stored["digest"].to_pylist(), strict=True)
        )

    def children(self, community: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the communities that ``community`` falls into."""
        return [self._by_number[number] for number in community["children"]]

    def is_current(self, community: dict[str, Any]) -> bool:
        """Tell whether the report there is was made from what there is now."""
        id_ = community["id"]
        return id_ in self._reports and self._stored.get(id_) == self._digest(community)

    def changed(self) -> list[dict[str, Any]]:
        """Return all communities that may need another report, before any is written."""
        changed = {number for number, row in self._by_number.items() if not self.is_current(row)}
        for number in sorted(changed):  # a report changes with those on the children
            above = self._by_number[number]["parent"]
            while above >= 0 and above not in changed:
                changed.add(above)
                above = self._by_number[above]["parent"]
        return [self._by_number[number] for number in sorted(changed)]

    def keep(self, communities: Sequence[dict[str, Any]]) -> None:
        """Remember what the reports on ``communities`` were made from."""
        rows = [
            {"community_id": community["id"], "digest": self._digest(community)}
            for community in communities
            if community["id"] in self._reports
        ]
        self._store.upsert("report_inputs", REPORT_INPUTS.of(rows))

    def _digest(self, community: dict[str, Any]) -> str:
        children = [self._reports.get(child["id"], {}).get("id") for child in self.children(community)]
        return content_hash(self._rows[community["id"]], children)


async def _write(
    context: StageContext,
    reader: CommunityReader,
    communities: Sequence[dict[str, Any]],
    children: dict[str, list[ChildReport]],
    reports: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """Let the model report on ``communities`` (of one level) that have no report on their context.

    Return those whose context is too brief to be worth a call.
    """
    settings = context.settings.reports
    brief = []
    contexts = {}
    for community in communities:
        rows = reader.rows(community["entity_ids"], children[community["id"]])
        built = build_report_context(rows, settings.max_input_tokens)
        if built.n_tokens < settings.min_llm_tokens:
            brief.append(community)
            continue
        key = report_key(built, settings, prompt_hash(PROMPT, context.layout.root), context.models.chat_id)
        if reports.get(community["id"], {}).get("id") != key:
            contexts[community["id"]] = (key, built)
    left = still_failed(context, STAGE.name, {id_: key for id_, (key, _) in contexts.items()})
    todo = [community for community in communities if community["id"] in contexts.keys() - left]
    context.progress.advance(len(communities) - len(todo) - len(brief))
    if not todo:
        return brief
    model = context.models.chat()

    async def write(community: dict[str, Any]) -> RowOutcome:
        key, built = contexts[community["id"]]
        try:
            report = await write_report(built, settings, model, project=context.layout.root)
        except ModelError as error:
            if not error.retryable:
                raise
            return RowOutcome(community["id"], "failed", reason=f"{type(error).__name__}: {error}")
        return RowOutcome(
            community["id"], "done", rows={"community_reports": [report_row(report, key, community["id"])]}
        )

    batch: list[dict[str, Any]] = []
    failures: dict[str, tuple[str, str]] = {}
    try:
        async for outcome in work(context, todo, write, concurrency=context.settings.llm.concurrency):
            if outcome.status == "failed":
                failures[outcome.row_id] = (contexts[outcome.row_id][0], outcome.reason or "unknown")
            else:
                batch += outcome.rows["community_reports"]
            if len(batch) + len(failures) >= _COMMIT_ROWS:
                _keep(context, batch, reports, failures)
                batch, failures = [], {}
    finally:
        _keep(context, batch, reports, failures)
    return brief


def _extract(
    context: StageContext,
    reader: CommunityReader,
    communities: Sequence[dict[str, Any]],
    reports: dict[str, dict[str, Any]],
) -> None:
    """Put extractive reports together, a batch of communities at a time."""
    embedder = StoredEmbedder(context)
    settings = context.settings.reports
    for start in range(0, len(communities), _BATCH):
        if context.stopping.is_set():
            return
        todo: dict[str, tuple[str, CommunityRows, list[ContextSentence]]] = {}
        batch = communities[start : start + _BATCH]
        for community in batch:
            rows = reader.rows(community["entity_ids"])
            sentences = candidate_sentences(reader.sentences(community["entity_ids"]))
            key = extractive_report_key(rows, sentences, settings, embedder.model_id)
            if reports.get(community["id"], {}).get("id") != key:
                todo[community["id"]] = (key, rows, sentences)
        for id_ in still_failed(context, STAGE.name, {id_: key for id_, (key, _, _) in todo.items()}):
            del todo[id_]
        vectors, lacking = embedder.embed_known(
            [" ".join(one.text.split()) for _, _, sentences in todo.values() for one in sentences]
        )
        made, place = [], 0
        failures: dict[str, tuple[str, str]] = {}
        for community_id, (key, rows, sentences) in todo.items():
            here = vectors[place : place + len(sentences)]
            place += len(sentences)
            if lacking and not here.any(axis=1).all():
                failures[community_id] = (key, f"EmbeddingError: {embedder.failures[lacking[0]]}")
                continue
            made.append(report_row(extract_report(rows, sentences, here, settings), key, community_id))
        _keep(context, made, reports, failures)
        context.progress.advance(len(batch))


def _keep(
    context: StageContext,
    rows: list[dict[str, Any]],
    reports: dict[str, dict[str, Any]],
    failures: Failures | None = None,
) -> None:
    made = COMMUNITY_REPORTS.of(rows)
    settle(context, STAGE.name, "community_reports", "community_id", made, failures or {})
    reports.update((row["community_id"], row) for row in rows)
    for community_id in failures or ():
        reports.pop(community_id, None)


def _child_reports(
    children: Sequence[dict[str, Any]], reports: dict[str, dict[str, Any]]
) -> list[ChildReport]:
    found = []
    for child in children:
        report = reports.get(child["id"])
        if report is None:  # it failed: the parent is written from the child's rows instead
            continue
        headlines = [one["summary"] for one in report["findings"]]
        digest = " ".join(dict.fromkeys([report["summary"], *headlines]))
        found.append(
            ChildReport(report["id"], report["title"], report["summary"], digest, tuple(child["entity_ids"]))
        )
    return found


def _uses_llm(settings: Settings) -> bool:
    return settings.resolved(settings.reports.method) == "llm"


def _settings_read(settings: Settings) -> tuple[str, ...]:
    if not _uses_llm(settings):
        return ("reports.method", "reports.max_findings")
    names = ("method", "max_input_tokens", "max_tokens", "max_findings", "min_llm_size", "min_llm_tokens")
    return tuple(f"reports.{name}" for name in names)


STAGE = Stage(
    name="report_communities",
    version="1",
    inputs=(
        "communities",
        "entities",
        "relationships",
        "predicates",
        "descriptions",
        "claim_mentions",
        "mention_entities",
    ),
    outputs=("community_reports",),
    settings=_settings_read,
    prompts=(PROMPT,),
    uses_chat=_uses_llm,
    uses_embedder=lambda _: True,
    run=run,
)
