"""``graphrag import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import Root, stderr, stdout


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("import")(import_)


def import_(
    triples: Annotated[
        Path, typer.Option("--triples", "-t", help="Triples: tab or | separated, N-Triples, Turtle; or .gz.")
    ],
    root: Root = Path(),
    embed: Annotated[
        bool,
        typer.Option("--embed", help="Also make vectors of the names, to find entities not spelled out."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the graph in the place of the index that is there.")
    ] = False,
) -> None:
    """Make an index from a ready-made graph; the project is made where there is none."""
    from graphrag.api import GraphRAG

    with stderr().status("importing"):
        made = GraphRAG.init(root).import_triples(triples, embed=embed, replace=replace)
    stdout().print(
        f"  {made.entities:,} entities, {made.predicates:,} predicates, {made.relationships:,} relationships",
        highlight=False,
    )
    if made.malformed or made.repeated:
        left = f"{made.malformed:,} malformed lines left out, {made.repeated:,} repeated triples counted once"
        stderr().print(f"  [yellow]{left}[/yellow]", highlight=False)
    stdout().print(f'  ask: graphrag query --root {root} --method path "…"', highlight=False, markup=False)
