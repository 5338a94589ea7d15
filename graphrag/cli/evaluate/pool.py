"""``graphrag evaluate pool``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.evaluate.retrieval import write_or_show


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(pool)


def pool(
    files: Annotated[
        list[Path], typer.Argument(help="Two or more files of `evaluate retrieval --json`.", metavar="FILE…")
    ],
    out: Annotated[
        Path | None, typer.Option("--json", help="Write one object per retriever to this file (- : print).")
    ] = None,
) -> None:
    """Compare retrievers on the questions of several evaluations together, each against dense."""
    from graphrag.evaluate.pooling import pooled

    rows = pooled(files)
    write_or_show(rows, out, f"{rows[0]['n']} questions of {len(files)} evaluations")
