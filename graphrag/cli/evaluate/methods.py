"""``graphrag evaluate methods``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphrag.cli.console import stdout
from graphrag.errors import ConfigError

_COLUMNS = {  # in the cells, in the table, and by what a figure is divided
    "trainable": ("trained", 1, ",.0f"),
    "share": ("%", 1, ".3g"),
    "peak_memory": ("peak MB", 1e6, ",.0f"),
    "cpu_seconds_per_1000_tokens": ("CPU s/1,000 tokens", 1, ".1f"),
    "bytes": ("MB on disk", 1e6, ".2f"),
    "loss": ("held-out loss", 1, ".3f"),
    "entity_f1": ("entity F1", 0.01, ".1f"),
    "relation_f1": ("relation F1", 0.01, ".1f"),
    "name_f1": ("name F1", 0.01, ".1f"),
    "valid_rate": ("valid %", 0.01, ".1f"),
    "accuracy": ("accuracy %", 0.01, ".1f"),
    "perplexity": ("perplexity of the text", 1, ".2f"),
}


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(methods)


def methods(
    train: Annotated[Path, typer.Option(help="What is tuned on, plain or gzip'ed.")],
    test: Annotated[Path, typer.Option(help="What is measured on, in the same format.")],
    out: Annotated[Path, typer.Option("--json", help="Every cell's figures; a second call goes on there.")],
    format: Annotated[
        str,
        typer.Option(help="redocred, pfn or text2kgbench (extraction), or choice (questions with options)."),
    ] = "pfn",
    text: Annotated[
        Path | None, typer.Option(help="Plain text whose perplexity tells what was forgotten.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method to measure (repeatable); by default all, and the untuned model."),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed (repeatable).")] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Base model: a folder, a hub name, `embedded`.")
    ] = "embedded",
    tokens: Annotated[
        int, typer.Option(help="Training tokens of each method, prompts included.", min=1)
    ] = 5000,
    row_tokens: Annotated[int, typer.Option(help="Tokens of one optimiser step.", min=16)] = 256,
    limit: Annotated[int, typer.Option(help="Texts or questions that are measured.", min=1)] = 32,
    max_words: Annotated[
        int | None, typer.Option(help="Leave out texts, or questions, of more words.", min=1)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no cell after so many minutes; call again to go on.", min=0)
    ] = None,
    cells: Annotated[
        int | None, typer.Option(help="Stop after so many new cells; call again to go on.", min=0)
    ] = None,
) -> None:
    """Tune by every method under one budget and print one table: cost, size, and held-out figures."""
    from graphrag.cli.console import RichProgress
    from graphrag.evaluate.methods import Comparison, compare_methods, every_method, summary

    comparison = Comparison(
        format=format,
        train=train,
        test=test,
        base=model,
        tokens=tokens,
        row_tokens=row_tokens,
        limit=limit,
        max_words=max_words,
        text=text,
    )
    with RichProgress() as progress:
        found = compare_methods(
            comparison,
            method or every_method(format),
            out,
            seeds=tuple(seed or (42,)),
            most=cells,
            minutes=minutes,
            progress=progress,
        )
    for line in _markdown(summary(found)):
        stdout().print(line, highlight=False, soft_wrap=True, markup=False)


def _markdown(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        raise ConfigError("No cell was measured yet.", hint="Raise --cells.")
    for row in rows:
        if "trainable" in row:
            row["share"] = 100 * row["trainable"] / row["total"]
    used = [name for name in _COLUMNS if any(name in row for row in rows)]
    lines = [
        "| " + " | ".join(["method", *(_COLUMNS[name][0] for name in used)]) + " |",
        "| --- " * (len(used) + 1) + "|",
    ]
    for row in rows:
        shown = [row["method"], *(_figure(row, name) for name in used)]
        lines.append("| " + " | ".join(shown) + " |")
    return lines


def _figure(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return "–"
    _, scale, form = _COLUMNS[name]
    shown = format(row[name] / scale, form)
    spread = row.get(f"{name}_sd")
    # What every seed has in common needs no deviation.
    return shown if not spread else f"{shown} ± {format(spread / scale, form)}"
