"""``graphrag tune extractor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrag.cli.console import Root
from graphrag.errors import ConfigError

if TYPE_CHECKING:
    from graphrag.tune.data.training import TrainingData
    from graphrag.tune.trainer import TuneOptions


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(extractor)


def extractor(
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Training data (repeatable): JSON lines with `prompt` and `completion`, plain or .gz; or "
            "KIND=PATH, KIND=PATH@NUMBER, KIND=PATH@all@LICENCE with KIND pfn, redocred, text2kgbench, "
            "recorded or index."
        ),
    ] = None,
    from_index: Annotated[
        bool,
        typer.Option("--from-index", help="Learn what the project's index holds: a strong model's work."),
    ] = False,
    root: Root = Path(),
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New folder for the adapter.")] = None,
    dev: Annotated[
        Path | None, typer.Option(help="Held-out records; without it a share of the data is held out.")
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="Share of the data that is held out when there is no --dev.", min=0, max=0.5)
    ] = 0.05,
    part: Annotated[
        str, typer.Option(help="Part of gold corpora: train (four texts in five, by hash), held-out or all.")
    ] = "train",
    vary: Annotated[
        bool,
        typer.Option("--vary/--own-schema", help="Ask corpora under many schemas, or under their own alone."),
    ] = True,
    copies: Annotated[
        int, typer.Option(help="Records of each text of a corpus, each cut another way.", min=1)
    ] = 1,
    max_words: Annotated[int | None, typer.Option(help="Longest passage of a corpus.", min=1)] = None,
    shippable: Annotated[
        bool, typer.Option("--shippable", help="Only data whose licence lets the adapter be given away.")
    ] = False,
    score: Annotated[
        int, typer.Option(help="Held-out texts that are answered at every evaluation for F1; 0: none.", min=0)
    ] = 24,
    metric: Annotated[
        str,
        typer.Option(
            help="Which state is kept: that of the best loss, relation_f1 or entity_f1, or the last."
        ),
    ] = "loss",
    model: Annotated[
        str, typer.Option("--model", "-m", help="Base model: a folder, a name on the hub, or `embedded`.")
    ] = "embedded",
    method: Annotated[str, typer.Option(help="Tuning method; --list-methods shows them.")] = "lora",
    start_from: Annotated[
        Path | None, typer.Option(help="Go on from this adapter: a folder of the same method and settings.")
    ] = None,
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
        metric=metric,
        seed=seed,
        store=store,
        start_from=str(start_from) if start_from else None,
    )
    if dry_run:
        show_estimate(model, options)
        return
    metrics = ("loss", "relation_f1", "entity_f1", "last")
    if metric not in metrics:
        raise ConfigError(f"There is no metric {metric!r}.", hint=f"There are: {', '.join(metrics)}.")
    if part not in ("train", "held-out", "all"):
        raise ConfigError(f"There is no part {part!r}.", hint="There are: train, held-out, all.")
    if out is None or not (data or from_index):
        raise ConfigError(
            "Tuning needs --data (or --from-index) and --out.",
            hint="graphrag tune extractor --from-index --out adapter",
        )
    from graphrag.tune.data.training import Drawing, training_data

    drawing = Drawing(
        part=part, vary=vary, copies=copies, max_words=max_words, shippable=shippable, seed=seed
    )
    given = training_data(
        data or [],
        index=root if from_index else None,
        dev=dev,
        share=hold_out,
        licence=licence,
        drawing=drawing,
    )
    _train(model, given, out, options, score, restart=restart)


def _train(
    model: str, given: TrainingData, out: Path, options: TuneOptions, score: int, *, restart: bool
) -> None:
    from graphrag.cli.console import RichProgress
    from graphrag.cli.tune.options import show_result
    from graphrag.evaluate.held_out import compact_pairs, extraction_scorer
    from graphrag.tune.methods import get_method
    from graphrag.tune.trainer import tune

    scored = score > 0 and bool(compact_pairs(given.held)) and get_method(options.method).trains_model
    if options.metric not in ("loss", "last") and not scored:
        raise ConfigError(
            f"--metric {options.metric} needs held-out texts that ask for extraction.",
            hint="Raise --hold-out and --score, or take --metric loss.",
        )
    with RichProgress() as progress:
        result = tune(
            model,
            given.train,
            out,
            dev=given.held,
            options=options,
            evaluate=extraction_scorer(given.held, score) if scored else None,
            progress=progress,
            data=given.sources,
            restart=restart,
        )
    show_result(result)
