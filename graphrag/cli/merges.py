"""``graphrag merges``: undo a merge of entities, or force one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import Root, stdout
from graphrag.errors import QueryError


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Undo merges of entities, or force one; the next index run applies it.")
    group.command()(undo)
    group.command()(force)
    app.add_typer(group, name="merges")


def undo(
    merged: Annotated[
        str, typer.Argument(help="Id or title of the merged entity (graphrag status --merges).")
    ],
    root: Root = Path(),
) -> None:
    """Keep an entity apart from the one it was merged into."""
    from graphrag.api import GraphRAG
    from graphrag.indexing.overrides import add_override

    rag = GraphRAG.open(root)
    rows = rag.open_index().table("entity_merges").to_pylist()
    found = [row for row in rows if merged in (row["id"], row["from_title"])]
    if not found:
        raise QueryError(
            f"No merge has the id or title {merged!r}.", hint="List them: graphrag status --merges"
        )
    for row in found:
        note = f"{row['from_title']} is not {row['to_title']}"
        add_override(rag.layout, "keep_apart", row["id"], row["to_id"], note)
        stdout().print(f"  {note}", highlight=False, markup=False)
    stdout().print(f"Apply it: graphrag index --root {root}", highlight=False)


def force(
    first: Annotated[str, typer.Argument(help="Id of an entity (column id of entities.parquet).")],
    second: Annotated[str, typer.Argument(help="Id of the entity it is the same as.")],
    root: Root = Path(),
) -> None:
    """Make two entities one."""
    from graphrag.api import GraphRAG
    from graphrag.indexing.overrides import add_override

    rag = GraphRAG.open(root)
    index = rag.open_index()
    titles = []
    for entity_id in (first, second):
        row = index.row("entities", entity_id)
        if row is None:
            raise QueryError(f"There is no entity {entity_id!r}.", hint="Ids are in output/entities.parquet.")
        titles.append(row["title"])
    add_override(rag.layout, "merge", first, second, f"{titles[0]} is {titles[1]}")
    stdout().print(f"  {titles[0]} is {titles[1]}", highlight=False, markup=False)
    stdout().print(f"Apply it: graphrag index --root {root}", highlight=False)
