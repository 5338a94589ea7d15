"""Options and output that the commands of language-model tuning share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrag.cli.console import stderr, stdout
from graphrag.errors import ConfigError

if TYPE_CHECKING:
    from graphrag.tune.examples import Pair
    from graphrag.tune.trainer import TuneOptions, TuneResult


def parse_settings(given: list[str]) -> dict[str, str]:
    """Return ``NAME=VALUE`` options as a mapping.

    Raises:
        ConfigError: one is not of that form.
    """
    settings = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r} is not of the form NAME=VALUE.", hint="Example: --set rank=32")
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings


def show_methods() -> None:
    """Print the registry as a table."""
    from rich.markup import escape
    from rich.table import Table

    from graphrag.tune.methods import METHODS

    table = Table(box=None, header_style="bold")
    for column in ("method", "what it trains", "merges", "4 bit"):
        table.add_column(column)
    for method in METHODS.values():
        settings = " ".join(f"{name}={value}" for name, value in method.options.items())
        details = [method.paper, f"--learning-rate {method.learning_rate:g}" if method.learning_rate else ""]
        details += [f"--set {settings}"] if settings else []
        table.add_row(
            method.name,
            f"{method.summary}\n[dim]{escape('; '.join(filter(None, details)))}[/dim]",
            "yes" if method.merges else "no",
            "yes" if method.quantizes else "no",
        )
    stdout().print(table)


def show_estimate(model: str, options: TuneOptions) -> None:
    """Print parameters and memory of a run that is not started."""
    from graphrag.tune.base import base_folder, choose_path
    from graphrag.tune.memory import estimate
    from graphrag.tune.methods import get_method

    method = get_method(options.method)
    path = choose_path(method, bits=options.bits)
    needed = estimate(
        base_folder(model),
        method,
        path,
        dict(options.settings),
        row_tokens=options.row_tokens,
        gradient_checkpointing=options.gradient_checkpointing,
    )
    out = stdout()
    out.print(f"  {path.why}", highlight=False)
    out.print(
        f"  parameters   {needed.counts.total:>15,}   trained {needed.counts.trainable:,}"
        f" ({100 * needed.counts.share:.3g} %)",
        highlight=False,
    )
    for name, size in (
        ("weights", needed.weights),
        ("gradients", needed.gradients),
        ("optimiser", needed.optimizer),
        ("activations", needed.activations),
        ("together", needed.total),
    ):
        note = f"   estimated, rows of {options.row_tokens:,} tokens" if name == "activations" else ""
        out.print(f"  {name:<12} {size / 2**20:>11,.0f} MiB{note}", highlight=False)


def hold_out(pairs: list[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """Split off a ``share`` of the pairs by the hash of their prompts: no prompt is on both sides."""
    from graphrag.hashing import content_hash

    def chosen(pair: Pair) -> bool:
        return int(content_hash(pair[0])[-8:], 16) / 16**8 < share

    return [pair for pair in pairs if not chosen(pair)], [pair for pair in pairs if chosen(pair)]


def show_result(result: TuneResult) -> None:
    """Print what a run made, and how to use it."""
    out = stderr()
    scores = "  ".join(f"{name} {value:.4g}" for name, value in sorted(result.scores.items()))
    out.print(
        f"  {result.trainable_parameters:,} of {result.total_parameters:,} parameters, {result.examples:,}"
        f" examples ({result.too_long:,} too long), best at step {result.best_step} of {result.steps}",
        highlight=False,
    )
    if scores:
        out.print(f"  held out: {scores}", highlight=False)
    stdout().print(f"  wrote {result.folder}", highlight=False)
