"""``graphrag tune …``: one file per command."""

from __future__ import annotations

from types import ModuleType

import typer

from graphrag.cli.tune import average, data, extractor, merge, ner, planner, reranker, retriever

group = typer.Typer(
    name="tune",
    help="Tune the small models: extractor, names, planner, retriever, reranker; make data for it.",
    no_args_is_help=True,
)
COMMANDS: tuple[ModuleType, ...] = (average, data, extractor, merge, ner, planner, reranker, retriever)


def register(app: typer.Typer) -> None:
    """Add the group and its commands to ``app``."""
    for module in COMMANDS:
        module.register(group)
    if COMMANDS:
        app.add_typer(group)
