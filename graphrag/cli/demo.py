"""``graphrag demo``: the whole way on the sample documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import stdout

QUESTIONS = (
    ("global", "Which role did Norwegians and Norwegian shipbuilding play in polar exploration?"),
    ("local", "Who built the Fram?"),
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
    _say(f"Indexing {number} documents in {_near(root / 'input')}")
    show_report(run_with_progress(rag))
    for method, question in QUESTIONS:
        _say(f'\n[bold]graphrag query "{question}" --method {method}[/bold]\n')
        result = rag.query(question, method=method)
        stdout().print(result.answer, markup=False, highlight=False, soft_wrap=True)
        show_citations(result)
    rag.export("html", root / "graph.html")
    _say(f"\nThe graph: open [bold]{_near(root / 'graph.html')}[/bold] in a browser.")


def _near(path: Path) -> Path:
    """Return ``path`` as one would write it from the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(text: str) -> None:
    stdout().print(text, highlight=False, soft_wrap=True)
