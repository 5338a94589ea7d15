"""What a run would do and cost, before anything is spent: the run is rehearsed on a copy of the store.

The stages are the real ones, with their prompts, ledgers and fingerprints. Only the models are
replaced (:mod:`graphrag.indexing.rehearsal`). What a stage recomputes is therefore not predicted but
seen, and the prompts whose tokens are counted are those that would be sent.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from graphrag.embed import Embedder
from graphrag.indexing.embedding_cache import stored_dimension
from graphrag.indexing.executors import make_executor
from graphrag.indexing.models import ProjectModels
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.indexing.rehearsal import RehearsalEmbedder, RehearsalModel
from graphrag.indexing.runner import has_nothing_to_do, usage_rows
from graphrag.indexing.stage import Estimate, Stage, StageContext
from graphrag.indexing.stages import stage_named
from graphrag.llm import ChatModel
from graphrag.llm.cache import StoredAnswers
from graphrag.llm.usage import MeteredModel, UsageLog
from graphrag.settings import ExecutionSettings, Settings
from graphrag.store.layout import Layout
from graphrag.store.store import Store, copy_store

_DIMENSION = 64
# Tables whose rows stand for a stage's work where that is not its first output.
_SHOWN = {
    "chunk_documents": "ledger",
    "extract_graph": "ledger",
    "resolve_entities": "entities",
    "build_graph": "relationships",
}
_UNSEEN = ("publish",)  # it writes files and asks nobody
_LONGEST_VALUE = 40


def estimate(
    layout: Layout,
    settings: Settings,
    stage_names: Sequence[str],
    models: ProjectModels,
    *,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> dict[str, Estimate]:
    """Rehearse the run; the project is read and nothing in it is written, no model is asked.

    ``models`` names the real models; they are not loaded. Takes about as much CPU as the run without its
    models, so a few seconds for a book.

    Raises:
        StoreLockedError: a run is writing the store just now.
        ConfigError: as the run would.
    """
    make_executor(settings.execution)  # a package that is missing is missed here already
    # Workers would make the real models, and ask them.
    settings = settings.model_copy(update={"execution": ExecutionSettings()})
    with tempfile.TemporaryDirectory(prefix="graphrag-") as folder:
        scratch = _Scratch(layout.root, Path(folder))
        copy_store(layout.store, scratch.store)
        for path in layout.work.glob("*.json"):
            shutil.copy(path, scratch.work)
        stored = StoredAnswers(layout.llm_cache)
        usage = UsageLog()
        try:
            with Store(scratch.store) as store:
                stand_ins = _StandIns(models, settings, stored, usage, store)
                context = StageContext(
                    scratch, settings, store, stand_ins, usage, progress or NoProgress(), retry_failed
                )
                return asyncio.run(_rehearse(context, stage_names))
        finally:
            stored.close()


@dataclass(frozen=True, slots=True)
class _Scratch(Layout):
    """The project, with its working files elsewhere."""

    folder: Path

    @property
    def work(self) -> Path:
        return self.folder


class _StandIns:
    """The stand-ins of a project's models, under their names."""

    def __init__(
        self, real: ProjectModels, settings: Settings, stored: StoredAnswers, usage: UsageLog, store: Store
    ) -> None:
        self._real = real
        self._settings = settings
        self._stored = stored
        self._usage = usage
        self._store = store

    @property
    def chat_id(self) -> str:
        return self._real.chat_id

    @property
    def embedder_id(self) -> str:
        return self._real.embedder_id

    @cached_property
    def _chat(self) -> ChatModel:
        llm = self._settings.llm
        model = RehearsalModel(
            self.chat_id,
            self._settings.extraction,
            self._stored,
            schema_in_prompt=llm.provider == "openai" and not llm.structured_output,
        )
        return MeteredModel(model, self._usage)

    @cached_property
    def _embedder(self) -> Embedder:
        dimension = stored_dimension(self._store, self.embedder_id) or _DIMENSION
        return RehearsalEmbedder(
            self.embedder_id, dimension, paid=self._settings.embedding.provider == "openai"
        )

    def chat(self) -> ChatModel:
        return self._chat

    def embedder(self) -> Embedder:
        return self._embedder


async def _rehearse(context: StageContext, stage_names: Sequence[str]) -> dict[str, Estimate]:
    found = {}
    for name in stage_names:
        if name in _UNSEEN:
            continue
        stage = stage_named(name)
        before = _rows(context.store, stage)
        inputs = stage.input_versions(context)
        if has_nothing_to_do(context, stage, inputs):
            context.progress.stage(name, skipped=True)
            found[name] = Estimate(unchanged=before.num_rows)
            continue
        context.progress.stage(name)
        changes = _changes(context, stage, inputs)
        used = context.usage.by_task()
        await stage.run(context)
        context.progress.done(name, 0.0)
        found[name] = _seen(context, stage, before, changes, used)
    return found


def _seen(
    context: StageContext, stage: Stage, before: pa.Table, changes: tuple[str, ...], used: dict[Any, Any]
) -> Estimate:
    counted = context.store.sql(
        """SELECT count(*) FILTER (b.key IS NOT NULL AND b.value = a.value) AS unchanged,
                  count(*) FILTER (a.key IS NOT NULL AND b.value IS DISTINCT FROM a.value) AS todo,
                  count(*) FILTER (a.key IS NULL) AS dropped
           FROM rows_before b FULL JOIN rows_after a ON a.key = b.key""",
        rows_before=before,
        rows_after=_rows(context.store, stage),
    ).to_pylist()[0]
    rows = usage_rows(context, stage.name, used)
    chat = [row for row in rows if row.task != "embedding"]
    embedded = [row for row in rows if row.task == "embedding"]
    return Estimate(
        **counted,
        why=changes if counted["todo"] or counted["dropped"] else (),
        calls=sum(row.calls for row in chat),
        cached_calls=sum(row.cached_calls for row in chat),
        prompt_tokens=sum(row.prompt_tokens for row in chat),
        completion_tokens=sum(row.completion_tokens for row in chat),
        embedded_texts=sum(row.calls for row in embedded),
        embedded_tokens=sum(row.prompt_tokens for row in embedded),
        cost=sum(row.cost for row in rows),
    )


def _rows(store: Store, stage: Stage) -> pa.Table:
    """Return key and digest of every row that stands for the stage's work."""
    table = _SHOWN.get(stage.name, stage.outputs[0])
    if table == "ledger":
        return store.sql(
            "SELECT row_id AS key, fingerprint || status || attempts AS value FROM ledger WHERE stage = $1",
            [stage.name],
        )
    key = "owner_id" if table == "descriptions" else "community_id" if table == "community_reports" else "id"
    value = {"descriptions": "fingerprint", "community_reports": "id"}.get(table, "CAST(hash(t) AS VARCHAR)")
    return store.sql(f'SELECT {key} AS key, {value} AS value FROM "{table}" t')


def _changes(context: StageContext, stage: Stage, inputs: dict[str, str]) -> tuple[str, ...]:
    """Say in words what differs from the stage's last completed run."""
    last = context.store.sql("SELECT reads FROM stage_runs WHERE stage = $1", [stage.name])
    known = next(iter(last["reads"].to_pylist()), None)
    if not known:
        return ("not yet run to the end",)
    earlier = json.loads(known)
    reads = json.loads(json.dumps(stage.reads(context)))
    found = []
    for name in sorted(reads.keys() | earlier["reads"].keys()):
        was, now = earlier["reads"].get(name), reads.get(name)
        if was != now:
            told = not name.startswith(("prompt", "decisions"))  # these are known by hashes
            found.append(f"{name}: {_short(was)} → {_short(now)}" if told else f"{name} changed")
    inputs_changed = [
        name.replace("_", " ") for name, version in inputs.items() if earlier["inputs"].get(name) != version
    ]
    if inputs_changed:
        found.append(f"other {', '.join(inputs_changed)}")
    if context.retry_failed:
        found.append("failed rows are tried again")
    return tuple(found)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
