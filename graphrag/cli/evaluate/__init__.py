"""``graphrag evaluate …``: one file per command."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import typer
from typer.core import TyperGroup

from graphrag.cli.evaluate import answers, extraction, make_questions, methods, paths, plans, pool, retrieval


class _Group(TyperGroup):
    """Takes ``--make-questions`` for the command ``make-questions``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--make-questions" in args:
            rest = [one for one in args if one != "--make-questions"]
            args = ["make-questions", *rest]
        return super().parse_args(ctx, args)


group = typer.Typer(
    cls=_Group,
    name="evaluate",
    help="Measure retrieval, answers, extraction and paths against gold data.",
    no_args_is_help=True,
)
COMMANDS: tuple[ModuleType, ...] = (
    answers,
    extraction,
    make_questions,
    methods,
    paths,
    plans,
    pool,
    retrieval,
)


def register(app: typer.Typer) -> None:
    """Add the group and its commands to ``app``."""
    for module in COMMANDS:
        module.register(group)
    if COMMANDS:
        app.add_typer(group)
