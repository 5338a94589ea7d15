"""``graphrag index``."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrag.cli.console import RichProgress, Root, stderr, stdout, words
from graphrag.cli.status import ledger_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from graphrag.api import GraphRAG
    from graphrag.indexing.report import RunReport
    from graphrag.indexing.stage import Estimate


EXIT_BUDGET = 3  # stopped by the budget: the same command goes on


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(index)


def index(
    root: Root = Path(),
    method: Annotated[
        str | None,
        typer.Option("--method", "-m", help="Pipeline: standard, fast, embedded, or one of your own."),
    ] = None,
    extraction: Annotated[
        Path | None,
        typer.Option(
            help="Recorded extraction (file or folder) to use instead of the input folder.", exists=True
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, why, and its cost; do nothing.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for rows that failed, in every stage.")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="Stop before the run costs more: tokens (200000, 200k) or money (2.50usd)."),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(help="Where the LLM extracts: asyncio (this process) or daft (workers)."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Workers of daft.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's report as JSON.")] = False,
) -> None:
    """Index the input folder; only what depends on a change is done again."""
    from graphrag.api import GraphRAG

    rag = GraphRAG.open(root)
    if dry_run:
        _show_estimate(
            rag,
            method,
            extraction,
            retry_failed=retry_failed,
            executor=executor,
            workers=workers,
            as_json=as_json,
        )
        return
    report = run_with_progress(
        rag,
        method=method,
        extraction=extraction,
        retry_failed=retry_failed,
        budget=budget,
        executor=executor,
        workers=workers,
    )
    if as_json:
        import json

        typer.echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    else:
        show_report(report)
    if report.stop_reason:
        _show_rest(rag, report, method, extraction)
        raise typer.Exit(EXIT_BUDGET)
    if report.stopped:
        stderr().print("Stopped. What was done is kept; run the same command to go on.")
        raise typer.Exit(130)


def run_with_progress(
    rag: GraphRAG,
    *,
    method: str | None = None,
    extraction: Path | None = None,
    retry_failed: bool = False,
    budget: str | None = None,
    executor: str | None = None,
    workers: int | None = None,
) -> RunReport:
    """Index with bars; the first Ctrl-C finishes what is in flight, the second one leaves at once."""

    async def run(progress: RichProgress) -> RunReport:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            stderr().print("Stopping after the calls in flight … (Ctrl-C again to leave at once)")
            stopping.set()

        loop.add_signal_handler(signal.SIGINT, stop)
        try:
            return await rag.aindex(
                method=method,
                extraction=extraction,
                retry_failed=retry_failed,
                budget=budget,
                executor=executor,
                workers=workers,
                progress=progress,
                stopping=stopping,
            )
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    with RichProgress() as progress:
        return asyncio.run(run(progress))


def show_report(report: RunReport) -> None:
    """Print the final table: what the index holds, what failed, what it cost."""
    from rich.table import Table

    counts = report.counts
    table = Table(title=f"Index ({report.pipeline})", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for label in ("documents", "text units", "entities", "relationships", "claims", "communities", "reports"):
        note = ""
        if label == "text units":
            note = f" ({counts['text units failed']} failed, {counts['text units empty']} without facts)"
        if label == "entities":
            note = f" ({counts['merges']} merges)"
        table.add_row(label + note, f"{counts[label]:,}")
    chat = [row for row in report.usage if row.task != "embedding"]
    prompt = sum(row.prompt_tokens for row in chat)
    completion = sum(row.completion_tokens for row in chat)
    calls = sum(row.calls for row in chat)
    cached = sum(row.cached_calls for row in chat)
    embedded = sum(row.calls for row in report.usage if row.task == "embedding")
    table.add_row(f"LLM calls ({cached:,} more from the cache)", f"{calls:,}")
    table.add_row("tokens in / out", f"{prompt:,} / {completion:,}")
    table.add_row("texts embedded", f"{embedded:,}")
    cost = sum(row.cost for row in report.usage)
    if cost:
        table.add_row("cost", f"{cost:.4f}")
    table.add_row("seconds", f"{report.seconds:.1f}")
    stdout().print(table)
    _show_problems(report)


def _show_problems(report: RunReport) -> None:
    for title, rows, place in (
        ("Not read", report.skipped_inputs, lambda row: row["uri"]),
        ("Failed", report.failed, lambda row: f"{words(row['stage'])}: {row['label']}"),
    ):
        if rows:
            stdout().print(f"[bold yellow]{title}: {len(rows)}[/bold yellow]")
            for row in rows[:10]:
                stdout().print(f"  {place(row)}: {row['reason']}", highlight=False, markup=False)
            if len(rows) > 10:
                stdout().print(f"  … and {len(rows) - 10} more: graphrag status", highlight=False)


def _show_rest(rag: GraphRAG, report: RunReport, method: str | None, extraction: Path | None) -> None:
    """Say why the run stopped, how far it got, and what the rest is expected to cost."""
    stderr().print(f"Stopped: {report.stop_reason}", highlight=False)
    stderr().print(ledger_table(list(report.ledger)))
    stderr().print("What was done is kept. What the next run would do:")
    _show_estimate(rag, method, extraction)


def _show_estimate(
    rag: GraphRAG,
    method: str | None,
    extraction: Path | None,
    *,
    retry_failed: bool = False,
    executor: str | None = None,
    workers: int | None = None,
    as_json: bool = False,
) -> None:
    from dataclasses import asdict

    with RichProgress(quiet=True) as progress:
        estimates = rag.estimate(
            method=method,
            extraction=extraction,
            retry_failed=retry_failed,
            executor=executor,
            workers=workers,
            progress=progress,
        )
    if as_json:
        import json

        found = {name: asdict(one) for name, one in estimates.items()}
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    stdout().print(_estimate_table(estimates))
    for why, names in _by_reason(estimates).items():
        stdout().print(f"{', '.join(map(words, names))}: {why}", highlight=False, markup=False)
    cached = sum(one.cached_calls for one in estimates.values())
    if cached:
        stdout().print(f"{cached:,} more calls are answered from the cache, for nothing.", highlight=False)
    if any(one.calls for one in estimates.values()):
        stdout().print("[dim]* Prompt tokens are counted, completion tokens are guessed.[/dim]")
        prices = rag.settings.llm.prices
        if not (prices.prompt or prices.completion):
            stdout().print("[dim]For money, set llm.prices in settings.yaml (per million tokens).[/dim]")


def _estimate_table(estimates: dict[str, Estimate]) -> Table:
    """Return the estimate as a table; what no stage uses has no column."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns: dict[str, Callable[[Estimate], float]] = {
        "same": lambda one: one.unchanged,
        "to do": lambda one: one.todo,
        "drop": lambda one: one.dropped,
        "LLM\ncalls": lambda one: one.calls,
        "tokens\nin": lambda one: one.prompt_tokens,
        "tokens\nout*": lambda one: one.completion_tokens,
        "embedded": lambda one: one.embedded_texts,
        "cost": lambda one: one.cost,
    }
    rows, spent = list(columns)[:3], list(columns)[3:]
    spent = [name for name in spent if any(columns[name](one) for one in estimates.values())]
    title = "What a run would do (rehearsed; nothing was spent)"
    table = Table("stage", title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in (*rows, *spent):
        table.add_column(name, justify="right", no_wrap=True)
    for stage, one in estimates.items():
        table.add_row(words(stage), *(_number(name, columns[name](one)) for name in (*rows, *spent)))
    if spent:
        sums = [_number(name, sum(map(columns[name], estimates.values()))) for name in spent]
        table.add_section()
        table.add_row("together", "", "", "", *sums)
    return table


def _number(column: str, value: float) -> str:
    if not value:
        return "–"
    return f"{value:.4f}" if column == "cost" else f"{value:,.0f}"


def _by_reason(estimates: dict[str, Estimate]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, one in estimates.items():
        if one.why:
            found.setdefault("; ".join(one.why), []).append(name)
    return found
