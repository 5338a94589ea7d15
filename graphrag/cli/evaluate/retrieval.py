"""``graphrag evaluate retrieval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from graphrag.cli.console import Root, stderr, stdout


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
    """Compare retrievers on gold questions: recall, nDCG, MRR, milliseconds, p-values against dense."""
    from graphrag.api import GraphRAG
    from graphrag.errors import ConfigError
    from graphrag.evaluate.questions import SPLITS

    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}.", hint=f"There are: {', '.join(SPLITS)}.")
    names = [name.strip() for name in retrievers.split(",") if name.strip()]
    with _Bars() as bars:
        rows = GraphRAG.open(root).evaluate_retrieval(
            questions, retrievers=names, split=split, limit=limit, started=bars.start, advance=bars.advance
        )
    if out is not None and str(out) == "-":
        typer.echo(json.dumps(rows, indent=1))
        return
    if out is not None:
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    _show(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    columns = ("recall@2", "recall@5", "recall@10", "all_gold@5", "ndcg@10", "mrr")
    half = {"test": "the test half", "dev": "the dev half", "all": "all"}[rows[0]["split"]]
    table = Table(title=f"{rows[0]['n']} questions ({half} of the file)", title_justify="left")
    table.add_column("retriever")
    for name in (*columns, "ms p50", "R@5 against dense"):
        table.add_column(name, justify="right")
    for row in rows:
        versus = row.get("vs_dense", {}).get("recall@5")
        shown = f"{versus['difference']:+.3f}  p {versus['p']:.2g}" if versus else ""
        figures = [f"{row[name]:.3f}" for name in columns]
        table.add_row(row["retriever"], *figures, f"{row['p50_ms']:.1f}", shown)
    stdout().print(table)


class _Bars:
    """One bar per retriever, drawn on a terminal only."""

    def __enter__(self) -> _Bars:
        from rich.progress import Progress

        self._progress = Progress(console=stderr(), transient=True, disable=not stderr().is_terminal)
        self._progress.start()
        self._task: Any = None
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, name: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self) -> None:
        self._progress.advance(self._task)
