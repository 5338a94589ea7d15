"""``graphrag tune retriever``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import Root
from graphrag.cli.tune.passages import (
    BaseModel,
    Corpora,
    Disjoint,
    Epochs,
    LearningRate,
    LoraRank,
    Out,
    Questions,
    Seed,
    SplitOption,
)


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(retriever)


def retriever(
    questions: Questions = None,
    root: Root = Path(),
    corpus: Corpora = None,
    method: Annotated[
        str,
        typer.Option(help="questions (DPR), crops (Contriever; needs no questions), distill (Re2G)."),
    ] = "questions",
    model: BaseModel = None,
    negatives: Annotated[
        str, typer.Option(help="Where hard negatives come from: bm25, model (the one being tuned), none.")
    ] = "bm25",
    n_negatives: Annotated[int, typer.Option(help="Hard negatives per question.", min=1)] = 1,
    reranker: Annotated[
        str | None, typer.Option(help="distill: the cross-encoder to imitate (graphrag tune reranker).")
    ] = None,
    disjoint_from: Disjoint = None,
    split: SplitOption = "dev",
    held_out: Annotated[
        float,
        typer.Option(help="Share of the questions kept to compare with the untuned model.", min=0, max=0.5),
    ] = 0.1,
    epochs: Epochs = 1,
    batch_size: Annotated[int, typer.Option(help="Questions per batch.", min=2)] = 32,
    learning_rate: LearningRate = 5e-5,
    max_length: Annotated[int, typer.Option(help="Tokens read of a passage in training.", min=16)] = 128,
    momentum: Annotated[float, typer.Option(help="crops: momentum of the key encoder.", min=0, max=1)] = 0.99,
    temperature: Annotated[float, typer.Option(help="distill: temperature of both distributions.")] = 2.0,
    lora_rank: LoraRank = 0,
    seed: Seed = 42,
    out: Out = None,
) -> None:
    """Tune the embedder on questions, or on text alone; a killed run goes on when started again."""
    from graphrag.cli.console import RichProgress
    from graphrag.cli.tune.passages import base_model, show_tuned, training_set
    from graphrag.errors import ConfigError
    from graphrag.tune.encoder import EncoderTraining
    from graphrag.tune.negatives import SOURCES
    from graphrag.tune.retriever import METHODS, RetrieverTuning, tune_retriever

    chosen = next((one for one in METHODS if one == method), None)
    source = next((one for one in SOURCES if one == negatives), None)
    if chosen is None or source is None:
        raise ConfigError(
            f"There is no --method {method!r} or no --negatives {negatives!r}.",
            hint=f"Methods: {', '.join(METHODS)}; negatives: {', '.join(SOURCES)}.",
        )
    tuning = RetrieverTuning(
        method=chosen,
        negatives=source,
        n_negatives=n_negatives,
        held_out=held_out,
        momentum=momentum,
        temperature=temperature,
        training=EncoderTraining(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            max_length=max_length,
            lora_rank=lora_rank,
            seed=seed,
        ),
    )
    data = training_set(root, questions, corpus, disjoint_from, split)
    with RichProgress() as progress:
        tuned, compared = tune_retriever(
            base_model(root, model),
            data,
            tuning,
            out or root / "models",
            reranker=reranker,
            progress=progress,
        )
    shown = None
    if compared is not None:
        what = f"recall@5 among {compared.n_passages:,} passages"
        shown = (what, compared.before, compared.after, compared.difference)
    lines = ["    embedding:", "      provider: local", f"      model: {tuned.folder.resolve()}"]
    again = "  then run `graphrag index`: passages are embedded anew, nothing else is done twice."
    show_tuned(tuned, shown, [*lines, again])
