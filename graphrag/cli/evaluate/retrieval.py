"""``graphrag evaluate retrieval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrag.cli.console import Bars, Root, stdout

if TYPE_CHECKING:
    from graphrag.evaluate.questions import Split

HALVES = {
    "test": "the test half of the file",
    "dev": "the dev half of the file",
    "all": "all of the file",
}


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(retrieval)


def retrieval(
    questions: Annotated[
        Path, typer.Option("--questions", "-q", help="JSON Lines with `question` and `gold_passage_ids`.")
    ],
    root: Root = Path(),
    retrievers: Annotated[
        str, typer.Option(help="Names, separated by commas; bm25 and dense are measured in any case.")
    ] = "bm25,dense,hybrid,rerank,graph",
    split: Annotated[
        str, typer.Option(help="test (the half that tuning leaves alone), dev, or all questions.")
    ] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first N of these.")] = None,
    out: Annotated[
        Path | None, typer.Option("--json", help="Write one object per retriever to this file (- : print).")
    ] = None,
) -> None:
    """Compare retrievers on gold questions: recall, nDCG, MRR, milliseconds, p-values against dense.

    The files that --json writes can be pooled: `graphrag evaluate pool`.
    """
    from graphrag.api import GraphRAG

    half = chosen_split(split)
    names = [name.strip() for name in retrievers.split(",") if name.strip()]
    with Bars() as bars:
        rows = GraphRAG.open(root).evaluate_retrieval(
            questions, retrievers=names, split=half, limit=limit, started=bars.start, advance=bars.advance
        )
    write_or_show(rows, out, f"{rows[0]['n']} questions ({HALVES[half]})")


def write_or_show(rows: list[dict[str, Any]], out: Path | None, title: str) -> None:
    """Print a table of ``rows`` and write them to ``out``, one a line; print nothing else for ``-``."""
    lines = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
    if out is not None and str(out) == "-":
        typer.echo(lines)
        return
    if out is not None:
        out.write_text(lines + "\n", encoding="utf-8")
    _show(rows, title)


def chosen_split(name: str) -> Split:
    """Return the split that ``name`` says.

    Raises:
        ConfigError: there is none of that name.
    """
    from graphrag.errors import ConfigError
    from graphrag.evaluate.questions import SPLITS

    found = next((one for one in SPLITS if one == name), None)
    if found is None:
        raise ConfigError(f"There is no split {name!r}.", hint=f"There are: {', '.join(SPLITS)}.")
    return found


def _show(rows: list[dict[str, Any]], title: str) -> None:
    from rich.table import Table

    columns = {  # short names: all of it fits into 80 characters
        "recall@2": "R@2",
        "recall@5": "R@5",
        "recall@10": "R@10",
        "all_gold@5": "all@5",
        "ndcg@10": "nDCG",
        "mrr": "MRR",
    }
    table = Table(title=title, title_justify="left", padding=0)
    table.add_column("retriever")
    for name in (*columns.values(), "ms", "R@5 - dense", "p"):
        table.add_column(name, justify="right")
    for row in rows:
        versus = row.get("vs_dense", {}).get("recall@5")
        shown = (f"{versus['difference']:+.3f}", f"{versus['p']:.2g}") if versus else ("", "")
        figures = [f"{row[name]:.3f}" for name in columns]
        table.add_row(row["retriever"], *figures, f"{row['p50_ms']:.1f}", *shown)
    stdout().print(table)
