"""``graphrag export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import Root, stdout


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(export)


def export(
    root: Root = Path(),
    format: Annotated[
        str, typer.Option("--format", "-f", help="html, graphml, gexf, neo4j, jsonld or parquet.")
    ] = "html",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File or folder to write; by default below ROOT/export."),
    ] = None,
    level: Annotated[
        int | None, typer.Option(help="Communities of this level only; html opens at it.")
    ] = None,
    max_nodes: Annotated[int, typer.Option(help="html: entities drawn at most.", min=1)] = 5000,
) -> None:
    """Write the graph for another program, or as one page to look at."""
    from graphrag.api import GraphRAG
    from graphrag.export import FORMATS

    if out is None:
        known = FORMATS.get(format)
        out = root / "export" / ((known.file_name if known else None) or format)
    out.parent.mkdir(parents=True, exist_ok=True)
    written = GraphRAG.open(root).export(format, out, level=level, max_nodes=max_nodes)
    for path in written if isinstance(written, list) else [written]:
        stdout().print(f"  wrote {path}", highlight=False)
