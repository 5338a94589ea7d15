"""``graphrag evaluate …``: one file per command."""

from __future__ import annotations

from types import ModuleType

import typer

from graphrag.cli.evaluate import extraction, paths, retrieval

group = typer.Typer(
    name="evaluate",
    help="Measure retrieval, answers, extraction and paths against gold data.",
    no_args_is_help=True,
)
COMMANDS: tuple[ModuleType, ...] = (extraction, paths, retrieval)


def register(app: typer.Typer) -> None:
    """Add the group and its commands to ``app``."""
    for module in COMMANDS:
        module.register(group)
    if COMMANDS:
        app.add_typer(group)
