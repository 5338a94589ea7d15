"""``graphrag tune ner``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import stderr, stdout


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(ner)


def ner(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Gold texts: .conllu (parts of speech), .iob2 or Re-DocRED's or PFN's .json(.gz) (names)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the spaCy pipeline.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 5,
    width: Annotated[int, typer.Option(min=16, help="Numbers that stand for a word.")] = 96,
    name: Annotated[str, typer.Option(help="Name of the pipeline, part of the extractor's id.")] = "names_sm",
    version: Annotated[str, typer.Option(help="Its version, likewise.")] = "1",
    licence: Annotated[str, typer.Option(help="Licences of the data, kept in meta.json.")] = "not stated",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Train the spaCy pipeline of extraction without an LLM: names, parts of speech; minutes of one core."""
    from graphrag.cli.console import RichProgress
    from graphrag.tune.data.tagged import read_tagged
    from graphrag.tune.ner import NerOptions, tune_ner

    options = NerOptions(name=name, version=version, width=width, epochs=epochs, seed=seed, licence=licence)
    corpora = [read_tagged(path) for path in data]
    with RichProgress() as progress:
        result = tune_ner(corpora, out, options=options, progress=progress)
    scores = "  ".join(f"{score} {value:.4g}" for score, value in sorted(result.scores.items()))
    stderr().print(
        f"  {result.words:,} words, {result.cpu_seconds:,.0f} CPU seconds; held out: {scores or 'nothing'}",
        highlight=False,
    )
    stdout().print(f"  wrote {result.folder}", highlight=False)
