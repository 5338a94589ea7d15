"""``graphrag tune average``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import stdout


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(average)


def average(
    adapters: Annotated[list[Path], typer.Argument(help="Folders that `graphrag tune extractor` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for their mean.")],
) -> None:
    """Average the weights of adapters that were trained from one another or from one start."""
    from graphrag.tune.averaging import average_adapters

    average_adapters(adapters, out)
    stdout().print(f"  wrote {out}", highlight=False)
