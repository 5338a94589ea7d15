"""``graphrag init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import Root, stdout


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(init)


def init(
    root: Root = Path(),
    force: Annotated[bool, typer.Option("--force", "-f", help="Write settings.yaml anew.")] = False,
    with_prompts: Annotated[
        bool, typer.Option("--with-prompts", help="Copy the prompts too, to change them for this project.")
    ] = False,
    samples: Annotated[bool, typer.Option("--samples", help="Put the sample documents into input/.")] = False,
) -> None:
    """Make a project: settings.yaml, .env and input/."""
    from graphrag.project import copy_samples, init_project

    for path in init_project(root, force=force, with_prompts=with_prompts):
        stdout().print(f"  wrote {path}", highlight=False)
    if samples:
        stdout().print(f"  copied {copy_samples(root)} sample documents", highlight=False)
    stdout().print(
        f"Put documents into {root / 'input'}, then: [bold]graphrag index --root {root}[/bold]",
        highlight=False,
    )
