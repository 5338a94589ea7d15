"""``graphrag evaluate make-questions``, also spelled ``graphrag evaluate --make-questions``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrag.cli.console import RichProgress, Root, stderr, stdout

if TYPE_CHECKING:
    from graphrag.evaluate.question_sets import QuestionSet
    from graphrag.llm.usage import UsageLog
    from graphrag.settings import Prices


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command(name="make-questions")(make_questions)


def make_questions(
    root: Root = Path(),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Question file; ROOT/questions.jsonl by default.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="Questions wanted.", min=1)] = 100,
    by: Annotated[
        str,
        typer.Option(
            help="llm: the language model writes them. graph: by rule from relations, no model. auto: llm "
            "unless llm.provider is `embedded`."
        ),
    ] = "auto",
    two_hop: Annotated[
        float, typer.Option(help="Share of questions that need two passages.", min=0, max=1)
    ] = 0.3,
    budget: Annotated[
        str | None, typer.Option(help="llm: spend no more: tokens (200k) or money by llm.prices (2.50usd).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other passages.")] = 42,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Make questions from your own index, with the passages they came from as gold; prints what it cost."""
    from graphrag.api import GraphRAG
    from graphrag.errors import ConfigError

    target = out or root / "questions.jsonl"
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already.", hint="Name another with --out, or give --force.")
    rag = GraphRAG.open(root)
    with RichProgress() as progress:
        made, usage = rag.make_questions(
            target, count=count, by=by, two_hop=two_hop, budget=budget, seed=seed, progress=progress
        )
    _show(made, usage, rag.settings.llm.prices, count, target, root)


def _show(made: QuestionSet, usage: UsageLog, prices: Prices, wanted: int, target: Path, root: Path) -> None:
    from graphrag.evaluate.questions import half_of, read_questions

    out = stdout()
    failures: dict[str, int] = getattr(made, "failures", {})
    for what, counts in (("refused", made.refused), ("failed", failures)):
        for reason, number in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            stderr().print(f"  [dim]{what}: {number} × {reason}[/dim]", highlight=False)
    _show_cost(usage, prices)
    questions = read_questions(target)
    test = sum(half_of(one) == "test" for one in questions)
    pairs = sum(len(one.gold) > 1 for one in questions)
    first = questions[0]
    out.print(
        f"{len(questions)} questions, {pairs} of them over two passages; {len(questions) - test} in the half "
        f"`dev`, {test} in `test`.\n  for example: {first.text} → {first.answers[0]}",
        highlight=False,
        markup=False,
    )
    if len(questions) < wanted:
        out.print(
            f"Fewer than the {wanted} that were asked for: the index holds no more that can be kept.",
            style="yellow",
        )
    out.print(f"Wrote {target}. Read some before you trust them. Then:", soft_wrap=True, highlight=False)
    out.print(
        f"  graphrag evaluate retrieval --root {root} --questions {target}\n"
        f"  graphrag optimize --root {root} --questions {target}",
        soft_wrap=True,
        highlight=False,
    )


def _show_cost(usage: UsageLog, prices: Prices) -> None:
    total: Any = usage.total()
    if not total.calls and not total.cached_calls:
        return
    money = (total.prompt_tokens * prices.prompt + total.completion_tokens * prices.completion) / 1e6
    price = f", {money:.4f} by llm.prices" if prices.prompt or prices.completion else ""
    stderr().print(
        f"  {total.calls} calls ({total.cached_calls} more answered from the cache), "
        f"{total.prompt_tokens:,} + {total.completion_tokens:,} tokens{price}",
        highlight=False,
    )
