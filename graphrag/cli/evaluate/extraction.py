"""``graphrag evaluate extraction``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from graphrag.cli.console import Root, stdout


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(extraction)


def extraction(
    data: Annotated[Path, typer.Option("--data", "-d", help="Gold data, plain JSON or gzip'ed.")],
    format: Annotated[
        str, typer.Option(help="Its format: redocred, pfn, text2kgbench, or mine (essays with facts).")
    ],
    extractor: Annotated[
        str,
        typer.Option(
            help="rules, spacy, zero-shot, in-context, tuned (the shipped adapter), llm (the project's), "
            "or the folder of an adapter."
        ),
    ] = "rules",
    part: Annotated[
        str | None,
        typer.Option(help="held-out, train or all; by default held-out for redocred, else all."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read only the first N texts.")] = None,
    root: Root = Path(),
    readings: Annotated[
        int | None,
        typer.Option(
            min=1, max=4, help="How often a small model (not llm) reads a long text; by default as indexing."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file (- : print).")
    ] = None,
) -> None:
    """Compare what an extractor finds with gold data: strict F1, valid answers, seconds, tokens."""
    from graphrag.cli.console import RichProgress
    from graphrag.errors import ConfigError
    from graphrag.evaluate.extractors import evaluate_extraction
    from graphrag.extract.gold import FORMATS
    from graphrag.settings import ExtractionSettings

    if format not in (*FORMATS, "mine"):
        raise ConfigError(
            f"There is no gold format {format!r}.", hint=f"There are: {', '.join(sorted(FORMATS))}, mine."
        )
    if part not in (None, "held-out", "train", "all"):
        raise ConfigError(f"There is no part {part!r}.", hint="There are: held-out, train, all.")
    with RichProgress() as progress:
        progress.stage("extracting")
        shown: dict[str, Any] = {
            "limit": limit,
            "root": root,
            "readings": readings or ExtractionSettings().readings,
            "started": lambda total: progress.total(total, "texts"),
            "advance": progress.advance,
        }
        if format == "mine":
            from graphrag.embed import make_embedder
            from graphrag.evaluate.facts_kept import evaluate_facts_kept
            from graphrag.settings import EmbeddingSettings

            embedder = make_embedder(EmbeddingSettings())
            result = evaluate_facts_kept(data, extractor, embedder, **shown)
        else:
            result = evaluate_extraction(data, format, extractor, part=part, **shown)
    if out is not None and str(out) != "-":
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if out is not None and str(out) == "-":
        typer.echo(json.dumps(result, indent=1))
        return
    for name, value in result.items():
        stdout().print(f"  {name:<22} {value}", highlight=False)
