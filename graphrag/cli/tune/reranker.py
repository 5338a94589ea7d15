"""``graphrag tune reranker``."""

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
    group.command()(reranker)


def reranker(
    questions: Questions = None,
    root: Root = Path(),
    corpus: Corpora = None,
    model: BaseModel = None,
    negatives: Annotated[str, typer.Option(help="Where wrong passages come from: bm25, model.")] = "bm25",
    n_negatives: Annotated[int, typer.Option(help="Wrong passages beside each right one.", min=1)] = 5,
    disjoint_from: Disjoint = None,
    split: SplitOption = "dev",
    held_out: Annotated[
        float, typer.Option(help="Share of the questions kept to compare with BM25.", min=0, max=0.5)
    ] = 0.1,
    epochs: Epochs = 2,
    batch_size: Annotated[int, typer.Option(help="Questions per batch.", min=1)] = 8,
    learning_rate: LearningRate = 5e-5,
    max_length: Annotated[int, typer.Option(help="Tokens read of question and passage.", min=16)] = 160,
    lora_rank: LoraRank = 0,
    seed: Seed = 42,
    out: Out = None,
) -> None:
    """Tune a cross-encoder that reorders what was found; a killed run goes on when started again."""
    from graphrag.cli.console import RichProgress
    from graphrag.cli.tune.passages import base_model, show_tuned, training_set
    from graphrag.errors import ConfigError
    from graphrag.tune.encoder import EncoderTraining
    from graphrag.tune.negatives import SOURCES
    from graphrag.tune.reranker import RerankerTuning, tune_reranker

    source = next((one for one in SOURCES if one == negatives), None)
    if source is None or source == "none":
        raise ConfigError(f"There is no --negatives {negatives!r}.", hint="There are: bm25, model.")
    tuning = RerankerTuning(
        negatives=source,
        n_negatives=n_negatives,
        held_out=held_out,
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
        tuned, compared = tune_reranker(
            base_model(root, model), data, tuning, out or root / "models", progress=progress
        )
    shown = None
    if compared is not None:
        what = "recall@5 of BM25's best 20, as they come and reordered"
        shown = (what, compared.before, compared.after, compared.difference)
    lines = ["    retrieval:", "      retriever: rerank", f"      reranker: {tuned.folder.resolve()}"]
    show_tuned(tuned, shown, [*lines, "  nothing has to be indexed again."])
