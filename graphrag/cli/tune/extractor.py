"""``graphrag tune extractor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.errors import ConfigError


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(extractor)


def extractor(
    data: Annotated[
        Path | None,
        typer.Option(help="Training records: JSON lines with `prompt` and `completion`, plain or .gz."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New folder for the adapter.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="Held-out records; without it a share of the data is held out.")
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="Share of the data that is held out when there is no --dev.", min=0, max=0.5)
    ] = 0.05,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Base model: a folder, a name on the hub, or `embedded`.")
    ] = "embedded",
    method: Annotated[str, typer.Option(help="Tuning method; --list-methods shows them.")] = "lora",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the method, NAME=VALUE; repeatable.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Bits of the base weights: 4, 16 or 32; by default the method's.")
    ] = None,
    epochs: Annotated[float, typer.Option(help="Passes over the data.", min=0)] = 3.0,
    max_steps: Annotated[int | None, typer.Option(help="Optimiser steps instead of epochs.", min=1)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest learning rate; by default the method's.")
    ] = None,
    row_tokens: Annotated[int, typer.Option(help="Tokens computed at once.", min=16)] = 1024,
    rows_per_step: Annotated[int, typer.Option(help="Rows per optimiser step.", min=1)] = 4,
    max_tokens: Annotated[int, typer.Option(help="Longest example; longer ones are left out.")] = 1024,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between evaluations; by default ten in a run.", min=1)
    ] = None,
    save_every: Annotated[int, typer.Option(help="Steps between states to resume from.", min=1)] = 100,
    patience: Annotated[
        int, typer.Option(help="Evaluations without a better one until training stops; 0: never.", min=0)
    ] = 0,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory for a third more computing.")
    ] = False,
    store: Annotated[str, typer.Option(help="Numbers of the saved adapter: float32 or float16.")] = "float32",
    licence: Annotated[str, typer.Option(help="Licence of the data, for the adapter's card.")] = "not stated",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 42,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard the run that --out holds instead of going on with it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print parameters and memory, train nothing.")
    ] = False,
    list_methods: Annotated[bool, typer.Option("--list-methods", help="Print the tuning methods.")] = False,
) -> None:
    """Tune a language model to extract entities and relations; a killed run goes on when started again."""
    from graphrag.cli.tune.options import parse_settings, show_estimate, show_methods

    if list_methods:
        show_methods()
        return
    from graphrag.tune.trainer import TuneOptions

    options = TuneOptions(
        method=method,
        settings=parse_settings(set_ or []),
        learning_rate=learning_rate,
        bits=bits,
        epochs=epochs,
        max_steps=max_steps,
        row_tokens=row_tokens,
        rows_per_step=rows_per_step,
        max_tokens=max_tokens,
        gradient_checkpointing=gradient_checkpointing,
        evaluate_every=evaluate_every,
        save_every=save_every,
        patience=patience,
        seed=seed,
        store=store,
    )
    if dry_run:
        show_estimate(model, options)
        return
    if data is None or out is None:
        raise ConfigError("Tuning needs --data and --out.", hint="graphrag tune extractor --help")
    _train(model, data, dev, hold_out, out, options, licence, restart=restart)


def _train(
    model: str,
    data: Path,
    dev: Path | None,
    share: float,
    out: Path,
    options: object,
    licence: str,
    *,
    restart: bool,
) -> None:
    from graphrag.cli.console import RichProgress
    from graphrag.cli.tune.options import data_source, show_result
    from graphrag.cli.tune.options import hold_out as split
    from graphrag.tune.examples import read_pairs
    from graphrag.tune.trainer import TuneOptions, tune

    assert isinstance(options, TuneOptions)
    train = read_pairs(data)
    sources = [data_source(data, licence, len(train))]
    if dev is not None:
        held = read_pairs(dev)
        sources.append(data_source(dev, licence, len(held)))
    else:
        train, held = split(train, share)
    with RichProgress() as progress:
        result = tune(
            model,
            train,
            out,
            dev=held,
            options=options,
            progress=progress,
            data=sources,
            restart=restart,
        )
    show_result(result)
