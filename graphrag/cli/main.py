"""The command ``graphrag``: one file per command, heavy imports inside them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli import demo, evaluate, export, import_, index, init, merges, optimize, query, status, tune
from graphrag.errors import GraphRAGError

app = typer.Typer(
    name="graphrag",
    help="Turn a folder of documents into a knowledge graph with reports on its communities, and ask it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (init, index, import_, query, status, merges, export, evaluate, tune, optimize, demo):
    module.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from graphrag import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and leave.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Hold the options that come before a command."""


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence, not in a traceback."""
    _warn_about_namesake()
    try:
        app()
    except GraphRAGError as error:
        from graphrag.cli.console import stderr

        stderr().print(f"[bold red]Error[/bold red] {error.args[0]}", highlight=False)
        if error.hint:
            stderr().print(f"[bold]→[/bold] {error.hint}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. What was done is kept; run the same command to go on.\n")
        sys.exit(130)


def _warn_about_namesake() -> None:
    """Say when Microsoft's package of the same import name is installed: one overwrites the other."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution("graphrag")
    except PackageNotFoundError:
        return
    if Path(str(found.locate_file(""))).exists():
        warnings.warn(
            "The distribution 'graphrag' (Microsoft) is installed in the same environment; both own the "
            "import name 'graphrag'. Use a separate environment for each.",
            stacklevel=2,
        )


if __name__ == "__main__":
    main()
