"""``graphrag demo``: the whole way on the sample documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import stdout

QUESTIONS = (
    ("global", "Which role did Norwegians and Norwegian shipbuilding play in polar exploration?"),
    ("local", "Who built the Fram, and for whom?"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(demo)


def demo(
    root: Annotated[Path, typer.Option("--root", "-r", help="Folder to make.", resolve_path=True)] = Path(
        "demo"
    ),
) -> None:
    """Index the sample documents, ask a global and a local question, and draw the graph."""
    from graphrag.api import GraphRAG
    from graphrag.cli.index import run_with_progress, show_report
    from graphrag.cli.query import show_citations
    from graphrag.project import copy_samples

    rag = GraphRAG.init(root)
    number = copy_samples(root)
    stdout().print(f"Indexing {number} documents in {root / 'input'}", highlight=False)
    show_report(run_with_progress(rag))
    for method, question in QUESTIONS:
        stdout().print(f'\n[bold]graphrag query "{question}" --method {method}[/bold]\n', highlight=False)
        result = rag.query(question, method=method)
        stdout().print(result.answer, markup=False, highlight=False)
        show_citations(result)
    page = rag.export("html", root / "graph.html")
    stdout().print(f"\nThe graph: open [bold]{page}[/bold] in a browser.", highlight=False)
