"""``graphrag evaluate answers``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from graphrag.cli.console import Bars, Root, stderr, stdout

_SHOWN = {
    "exact_match": "exact match",
    "f1": "F1",
    "answer_in_answer": "answer says it",
    "answer_in_context": "context says it",
    "answered": "answered",
    "cited": "sentences cited",
    "support": "cited words found",
    "cites_gold": "citations to gold",
    "gold_cited": "gold cited",
}


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(answers)


def answers(
    questions: Annotated[
        Path, typer.Option("--questions", "-q", help="JSON Lines with `question`, `answers`, gold passages.")
    ],
    root: Root = Path(),
    methods: Annotated[
        str,
        typer.Option(help="Names, separated by commas; basic over bm25 and dense is asked in any case."),
    ] = "basic,local",
    split: Annotated[
        str, typer.Option(help="test (the half that tuning leaves alone), dev, or all questions.")
    ] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first N of these.")] = None,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write one object per method to this file (- : print).")
    ] = None,
) -> None:
    """Compare ways of asking: exact match, F1, answer in context, faithfulness of citations, cost."""
    from graphrag.api import GraphRAG
    from graphrag.cli.evaluate.retrieval import chosen_split

    names = [name.strip() for name in methods.split(",") if name.strip()]
    half = chosen_split(split)
    with Bars() as bars:
        rows = GraphRAG.open(root).evaluate_answers(
            questions, methods=names, split=half, limit=limit, started=bars.start, advance=bars.advance
        )
    if out is not None and str(out) == "-":
        typer.echo(json.dumps(rows, indent=1))
        return
    if out is not None:
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    _show(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from graphrag.cli.evaluate.retrieval import HALVES

    half = HALVES[rows[0]["split"]]
    table = Table(title=f"{rows[0]['n']} questions with answers ({half})", title_justify="left")
    table.add_column("")
    for row in rows:
        table.add_column(row["name"], justify="right")
    for measure, name in _SHOWN.items():
        table.add_row(name, *("" if row[measure] is None else f"{row[measure]:.3f}" for row in rows))
    table.add_section()
    for measure, name in (("f1", "F1 against dense"), ("answer_in_answer", "says it, against dense")):
        changes = [row["vs_dense"][measure] if "vs_dense" in row else None for row in rows]
        table.add_row(name, *(f"{one['difference']:+.3f}" if one else "" for one in changes))
        table.add_row("  p", *(f"{one['p']:.2g}" if one else "" for one in changes))
    table.add_section()
    table.add_row("LLM calls", *(str(row["calls"]) for row in rows))
    stdout().print(table)
    for row in rows:
        if row["failed"]:
            stderr().print(f"  [yellow]{row['name']}: {row['failed']} questions were not answered[/yellow]")
    total = sum(row["cost"] for row in rows)
    tokens = sum(row["tokens"] for row in rows)
    stderr().print(
        f"  {tokens:,} tokens, answers from the cache included" + (f"; {total:.4f} paid" if total else ""),
        highlight=False,
    )
