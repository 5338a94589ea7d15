"""``graphrag status``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrag.cli.console import Root, stdout, words

if TYPE_CHECKING:
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(status)


def status(
    root: Root = Path(),
    merges: Annotated[bool, typer.Option("--merges", help="List the merges of entities.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="List every row that failed.")] = False,
    limit: Annotated[int, typer.Option(help="Rows to list at most; 0 for all.", min=0)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what the index holds, what the last run did, and what was merged or failed."""
    from graphrag.api import GraphRAG

    rag = GraphRAG.open(root)
    if merges:
        rows = rag.open_index().table("entity_merges").to_pylist()
        _show_merges(rows, limit, as_json)
        return
    report = rag.status()
    if failed:
        _show_failed(report.get("failed", []), limit, as_json)
        return
    if as_json:
        typer.echo(json.dumps(report, indent=1, ensure_ascii=False))
        return
    if not report:
        stdout().print(f"Nothing was indexed yet: graphrag index --root {root}", highlight=False)
        return
    _show_status(report)


def _show_status(report: dict[str, Any]) -> None:
    from rich.table import Table

    counts = Table(title="Index", show_header=False, title_justify="left")
    counts.add_column()
    counts.add_column(justify="right")
    for label, number in report["counts"].items():
        counts.add_row(label, f"{number:,}")
    stages = Table("stage", "", title="Last run", title_justify="left")
    stages.add_column("seconds", justify="right")
    for stage in report["stages"]:
        stages.add_row(
            words(stage["name"]), "ran" if stage["ran"] else "unchanged", f"{stage['seconds']:.1f}"
        )
    stdout().print(counts)
    if report["stages"]:
        stdout().print(stages)
    stdout().print(ledger_table(report["ledger"]))
    if report["usage"]:
        usage = Table("stage and task", "model", title="Model use of the last run", title_justify="left")
        for column in ("calls", "from cache", "tokens in", "tokens out", "cost"):
            usage.add_column(column, justify="right")
        for row in report["usage"]:
            numbers = (row["calls"], row["cached_calls"], row["prompt_tokens"], row["completion_tokens"])
            done = ": ".join(filter(None, (words(row["stage"]), row["task"])))
            usage.add_row(done, row["model"], *(f"{n:,}" for n in numbers), f"{row['cost']:.4f}")
        stdout().print(usage)
    if report["failed"]:
        stdout().print(f"[yellow]{len(report['failed'])} rows failed[/yellow]: graphrag status --failed")
    if report.get("indexing"):
        stdout().print(f"{report['indexing']} The figures are those of the last run.", highlight=False)
    if report.get("stop_reason"):
        stdout().print(f"Stopped: {report['stop_reason']}", highlight=False)
    for row in report["skipped_inputs"]:
        stdout().print(f"not read: {row['uri']}: {row['reason']}", highlight=False, markup=False)


def ledger_table(rows: list[dict[str, Any]]) -> Table:
    """Return the ledger as a table: what every row-by-row stage has done, and what it has not."""
    from rich.table import Table

    table = Table("stage", "rows", title="Ledger", title_justify="left")
    for status in ("pending", "done", "empty", "failed"):
        table.add_column(status, justify="right")
    for row in rows:
        numbers = (f"{row[status]:,}" for status in ("pending", "done", "empty"))
        failed = f"[yellow]{row['failed']:,}[/yellow]" if row["failed"] else "0"
        table.add_row(words(row["stage"]), row["rows"], *numbers, failed)
    return table


def _show_merges(rows: list[dict[str, Any]], limit: int, as_json: bool) -> None:
    shown = rows[:limit] if limit else rows
    if as_json:
        typer.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("merged", "into", "type", "method", title=f"Merges ({len(rows):,})", title_justify="left")
    table.add_column("score", justify="right")
    table.add_column("id of the merged")
    for row in shown:
        table.add_row(
            row["from_title"], row["to_title"], row["type"], row["method"], f"{row['score']:.3f}", row["id"]
        )
    stdout().print(table)
    if len(shown) < len(rows):
        stdout().print(f"… and {len(rows) - len(shown):,} more: --limit 0")
    stdout().print("[dim]Undo one: graphrag merges undo ID; then: graphrag index[/dim]")


def _show_failed(rows: list[dict[str, Any]], limit: int, as_json: bool) -> None:
    shown = rows[:limit] if limit else rows
    if as_json:
        typer.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("stage", "row", "attempts", "reason", title=f"Failed ({len(rows):,})", title_justify="left")
    for row in shown:
        table.add_row(words(row["stage"]), row["label"], str(row["attempts"]), row["reason"])
    stdout().print(table)
    if rows:
        stdout().print("[dim]Ask again: graphrag index --retry-failed[/dim]")
