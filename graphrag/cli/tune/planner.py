"""``graphrag tune planner``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrag.cli.console import Root, stderr, stdout
from graphrag.errors import ConfigError

if TYPE_CHECKING:
    from graphrag.evaluate.path_questions import PathSplit
    from graphrag.graph.paths import PathGraph
    from graphrag.query.planning.examples import PlanExample

KINDS = ("scorer", "encoder", "adapter")


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(planner)


def planner(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the planner.")],
    graph: Annotated[
        Path | None,
        typer.Option("--graph", "-g", help="Triples; the project's own index when not given."),
    ] = None,
    questions: Annotated[
        list[Path] | None,
        typer.Option("--questions", "-q", help="Question files (repeatable); without: paths put in words."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="scorer (step scorer, half a minute), encoder (whole paths, minutes) or adapter (LoRA on a "
            "language model)."
        ),
    ] = "scorer",
    labels: Annotated[
        str,
        typer.Option(help="Targets: gold, shortest paths to answers, or agree (those that give them)."),
    ] = "gold",
    model: Annotated[str, typer.Option("--model", "-m", help="adapter: the base model.")] = "embedded",
    split: Annotated[
        str | None,
        typer.Option(
            help="Leave out the fifth of each file that `evaluate paths --split` asks: random, start or path."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Train on N questions of each file, drawn by the seed.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Paths put in words if there are no questions.")] = 2000,
    max_steps: Annotated[int | None, typer.Option(min=1, help="adapter: optimiser steps.")] = None,
    epochs: Annotated[float, typer.Option(help="adapter: passes over the data.")] = 1.0,
    max_hops: Annotated[int, typer.Option(min=1, max=6, help="Longest path.")] = 3,
    licence: Annotated[str, typer.Option(help="Licence of the data, kept with the planner.")] = "not stated",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    root: Root = Path(),
) -> None:
    """Train a planner of relation paths: on questions, or on paths of a graph put in words."""
    if kind not in KINDS:
        raise ConfigError(f"There is no kind of planner {kind!r}.", hint=f"There are: {', '.join(KINDS)}.")
    if labels not in ("gold", "shortest", "agree"):
        raise ConfigError(f"There are no labels {labels!r}.", hint="There are: gold, shortest, agree.")
    from graphrag.cli.evaluate.paths import split_named

    by = split_named(split)
    there = _graph(graph, root)
    if questions:
        examples = _asked(there, questions, labels, by, limit, max_hops, seed)
    else:
        from graphrag.query.planning.examples import verbalised

        examples = verbalised(there, samples, max_hops=max_hops, seed=seed)
    about = f"{', '.join(file.name for file in questions or ()) or 'verbalised paths'} ({licence})"
    if kind == "adapter":
        _tune_adapter(model, examples, out, about, licence, max_steps, epochs, seed)
        return
    if kind == "encoder":
        _tune_encoder(examples, root, out, about, seed)
        return
    from graphrag.cli.evaluate.paths import token_embedder, train_planner

    scorer = train_planner(examples, token_embedder(root), max_hops, seed, trained_on=about)
    scorer.save(out)
    stderr().print(
        f"  {len(examples):,} examples, {len(scorer.steps)} steps, {len(scorer.plans)} known paths"
    )
    stdout().print(f"  wrote {out}", highlight=False)


def _graph(file: Path | None, root: Path) -> PathGraph:
    if file is not None:
        from graphrag.graph.triples import read_triples

        return read_triples(file).graph()
    from graphrag.query.path_graph import graph_of_index
    from graphrag.retrieve.graph_view import GraphView
    from graphrag.store.index import Index

    return graph_of_index(GraphView(Index.open(root))).graph


def _asked(
    graph: PathGraph,
    files: list[Path],
    labels: str,
    split: PathSplit | None,
    limit: int | None,
    max_hops: int,
    seed: int,
) -> list[PlanExample]:
    from graphrag.cli.evaluate.paths import training_part
    from graphrag.evaluate.path_questions import sampled
    from graphrag.evaluate.paths import answers_may_be_topics, examples_of

    parts = [training_part(file, split, seed) for file in files]
    questions = [one for part in parts for one in sampled(part, limit, seed=seed)]
    returning = answers_may_be_topics(questions)
    return examples_of(graph, questions, max_hops=max_hops, labels=labels, may_return=returning)


def _tune_encoder(examples: list[Any], root: Path, out: Path, about: str, seed: int) -> None:
    from graphrag.cli.console import RichProgress
    from graphrag.cli.evaluate.paths import seeded
    from graphrag.cli.evaluate.plans import encoder_source
    from graphrag.query.planning.examples import thinned
    from graphrag.tune.path_encoder import PATHS_TRAINING, train_path_encoder

    training = seeded(PATHS_TRAINING, seed)
    few = thinned(examples, 2)
    with RichProgress() as progress:
        made = train_path_encoder(
            few, encoder_source(root), out, training, trained_on=about, progress=progress
        )
    stdout().print(f"  wrote {out}: {len(made.plans)} paths of {len(few)} questions", highlight=False)


def _tune_adapter(
    model: str,
    examples: list[Any],
    out: Path,
    about: str,
    licence: str,
    max_steps: int | None,
    epochs: float,
    seed: int,
) -> None:
    from graphrag.cli.console import RichProgress
    from graphrag.cli.tune.options import hold_out, show_result
    from graphrag.hashing import content_hash
    from graphrag.query.planning.adapter import plan_prompt, plan_text
    from graphrag.query.planning.examples import thinned
    from graphrag.tune.card import DataSource
    from graphrag.tune.examples import Pair
    from graphrag.tune.trainer import TuneOptions, tune

    pairs: list[Pair] = [
        (plan_prompt(one.question), plan_text(gold)) for one in thinned(examples, 2) for gold in one.gold
    ]
    if not pairs:
        raise ConfigError("There is nothing to train on: no question has a path in the graph.")
    train, held = hold_out(pairs, 0.05)
    # Short rows, one a step: an example has some 50 tokens, and a pass over a thousand is to be many steps.
    options = TuneOptions(
        learning_rate=2e-3,
        epochs=epochs,
        max_steps=max_steps,
        row_tokens=512,
        rows_per_step=1,
        max_tokens=256,
        seed=seed,
        store="float16",
    )
    source = DataSource(about, licence, len(pairs), content_hash(pairs))
    with RichProgress() as progress:
        result = tune(model, train or held, out, dev=held, options=options, progress=progress, data=[source])
    show_result(result)
