"""``graphrag query``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrag.cli.console import Root, stderr, stdout

if TYPE_CHECKING:
    from graphrag.api import GraphRAG
    from graphrag.query.result import QueryResult


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(query)


def query(
    question: Annotated[str, typer.Argument(help="The question.")],
    root: Root = Path(),
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="auto, global (themes), local (entities), basic (passages), path (relations), explore.",
        ),
    ] = "local",
    community_level: Annotated[
        int | None,
        typer.Option(help="global: level of the reports; chosen from the root down when not given."),
    ] = None,
    response_type: Annotated[
        str | None, typer.Option(help='Form of the answer, such as "multiple paragraphs" or "one sentence".')
    ] = None,
    combine: Annotated[
        str | None,
        typer.Option(help="basic, local models: rag-sequence or rag-token ; writes, quotes nothing."),
    ] = None,
    sources: Annotated[bool, typer.Option(help="Show the sentences that the citations lead to.")] = True,
    trace: Annotated[bool, typer.Option("--trace", help="Show how the answer came about.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
) -> None:
    """Ask the index a question; the answer streams, its citations follow."""
    from graphrag.api import GraphRAG

    changes: dict[str, object] = {"community_level": community_level, "response_type": response_type}
    chosen = {name: value for name, value in changes.items() if value is not None}
    if combine is not None:
        chosen |= {"combine": combine, "method": "llm"}
    rag = GraphRAG.open(root, settings={"query": chosen} if chosen else None)
    if as_json:
        result = rag.query(question, method=method)
        typer.echo(json.dumps(result.to_dict(), indent=1, ensure_ascii=False))
        return
    result = asyncio.run(_stream(rag, question, method))
    for event in result.trace:
        if event["event"] == "route":
            stderr().print(f"[dim]method {event['method']}: {event['why']}[/dim]", highlight=False)
    if sources:
        show_citations(result)
    if trace:
        for event in result.trace:
            stderr().print_json(json.dumps(event, ensure_ascii=False))


async def _stream(rag: GraphRAG, question: str, method: str) -> QueryResult:
    from graphrag.query.result import QueryResult

    result: QueryResult | None = None
    try:
        async for piece in rag.astream(question, method=method):
            if isinstance(piece, QueryResult):
                result = piece
            else:
                stdout().print(piece, end="", markup=False, highlight=False, soft_wrap=True)
    finally:
        await rag.aclose()
    stdout().print()
    assert result is not None
    return result


def show_citations(result: QueryResult) -> None:
    """Print where each citation leads: document, characters, and the sentence itself."""
    if not result.citations:
        return
    stdout().print("\n[bold]Sources[/bold]")
    for citation in result.citations:
        place = (
            f"{citation.uri or citation.document_title}, characters {citation.start_char}–{citation.end_char}"
        )
        quote = f"      “{' '.join(citation.text.split())}”"
        stdout().print(f"  [{citation.label}] {place}", markup=False, highlight=False, soft_wrap=True)
        stdout().print(quote, markup=False, highlight=False, style="dim", soft_wrap=True)
    if result.removed_citations:
        stdout().print(f"[yellow]{result.removed_citations} citations led nowhere and were removed.[/yellow]")
