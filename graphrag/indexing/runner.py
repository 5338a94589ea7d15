"""Run a pipeline: stages in order, those without work skipped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from graphrag.errors import RunStoppedError
from graphrag.indexing.report import (
    RunReport,
    StageRun,
    UsageRow,
    count_rows,
    failed_rows,
    ledger_counts,
    write_report,
)
from graphrag.indexing.stage import Stage, StageContext
from graphrag.indexing.stages import stage_named
from graphrag.llm.base import Usage
from graphrag.schema import STAGE_RUNS
from graphrag.store.layout import Layout
from graphrag.store.store import Store


async def run_pipeline(context: StageContext, stage_names: Sequence[str]) -> RunReport:
    """Run the stages called ``stage_names`` and return what was done.

    A stage whose fingerprint is that of its last completed run is skipped. When the run is asked
    to stop, rows in flight are finished and kept, and the next run goes on from there.
    """
    stages = [stage_named(name) for name in stage_names]
    runs: list[StageRun] = []
    usage: list[UsageRow] = []
    stopped = False
    for stage in stages:
        if context.stopping.is_set():
            stopped = True
            break
        used = context.usage.by_task()
        try:
            runs.append(await _run_stage(context, stage))
        except RunStoppedError as error:  # of a stage that does all its rows at once
            context.stop(str(error))
        usage += usage_rows(context, stage.name, used)
    stopped = stopped or context.stopping.is_set()
    if not stopped:
        context.store.checkpoint()
    report = RunReport(
        pipeline=context.settings.pipeline,
        stages=tuple(runs),
        counts=count_rows(context.store),
        failed=failed_rows(context.store),
        skipped_inputs=tuple(context.store.table("skipped_inputs").to_pylist()),
        usage=tuple(usage),
        ledger=ledger_counts(context.store),
        stopped=stopped,
        stop_reason=context.stop_reason,
        generation=_generation(context.layout),
    )
    write_report(context.layout, report)
    return report


async def _run_stage(context: StageContext, stage: Stage) -> StageRun:
    store = context.store
    begun = time.perf_counter()
    inputs = stage.input_versions(context)
    if has_nothing_to_do(context, stage, inputs):
        context.progress.stage(stage.name, skipped=True)
        return StageRun(stage.name, ran=False, seconds=time.perf_counter() - begun)
    context.progress.stage(stage.name)
    generation = _generation(context.layout)
    versions = {name: store.version(name) for name in stage.outputs}
    reads = stage.reads(context)
    await stage.run(context)
    seconds = time.perf_counter() - begun
    if not context.stopping.is_set():
        row = {
            "stage": stage.name,
            "fingerprint": stage.fingerprint(reads, inputs),
            "seconds": seconds,
            "reads": json.dumps({"reads": reads, "inputs": inputs}, ensure_ascii=False),
        }
        store.upsert("stage_runs", STAGE_RUNS.of([row]))
    changed = (
        not stage.always
        or generation != _generation(context.layout)
        or any(store.version(name) != version for name, version in versions.items())
    )
    context.progress.done(stage.name, seconds)
    return StageRun(stage.name, ran=changed, seconds=seconds, peak_rss_mb=_peak_rss_mb())


def has_nothing_to_do(context: StageContext, stage: Stage, inputs: dict[str, str]) -> bool:
    """Tell whether the last completed run of ``stage`` read the same, and left nothing to retry."""
    if stage.always or (context.retry_failed and _has_failures(context.store, stage)):
        return False
    last = context.store.sql("SELECT fingerprint FROM stage_runs WHERE stage = $1", [stage.name])
    return bool(last["fingerprint"].to_pylist() == [stage.fingerprint(stage.reads(context), inputs)])


def _generation(layout: Layout) -> str | None:
    return layout.output.resolve().name if layout.output.is_symlink() else None


def _has_failures(store: Store, stage: Stage) -> bool:
    """Tell whether rows of ``stage`` failed: they are left alone until the run is asked to retry them."""
    return bool(
        store.sql(
            "SELECT 1 FROM ledger WHERE stage = $1 AND status = 'failed' LIMIT 1", [stage.name]
        ).num_rows
    )


def _peak_rss_mb() -> float:
    if sys.platform == "win32":
        return 0.0  # not measured there
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def usage_rows(context: StageContext, stage: str, before: dict[tuple[str, str], Usage]) -> list[UsageRow]:
    """Return what was used since ``before``, with its price."""
    rows = []
    for (task, model), after in context.usage.by_task().items():
        used = after - before.get((task, model), Usage())
        if used == Usage():
            continue
        prices = (context.settings.embedding if task == "embedding" else context.settings.llm).prices
        cost = (used.prompt_tokens * prices.prompt + used.completion_tokens * prices.completion) / 1e6
        rows.append(
            UsageRow(
                stage,
                task,
                model,
                used.calls,
                used.cached_calls,
                used.prompt_tokens,
                used.completion_tokens,
                round(cost, 6),
            )
        )
    return rows
