"""``graphrag evaluate plans``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from graphrag.cli.console import RichProgress, Root, stdout
from graphrag.cli.evaluate.paths import Limit, Out, bar, seeded, token_embedder, write_figures

_SHOWN = ("ours", "step_scorer", "encoder", "recorded", "nearest_questions", "most_frequent")


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(plans)


def plans(
    questions: Annotated[
        Path, typer.Option("--questions", "-q", help="JSON Lines with question, gold_paths, rog_paths.")
    ],
    train: Annotated[
        Path | None, typer.Option(help="Training file; the _train_ file beside a _val_ one when not given.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="scorer (half a minute), encoder (minutes), or both, added up.")
    ] = "both",
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Train planners on recorded questions and compare their plans with the recorded ones: hit@1, hit@3."""
    import numpy as np

    from graphrag.errors import ConfigError
    from graphrag.evaluate import plans as evaluation
    from graphrag.evaluate.significance import paired_bootstrap

    if kind not in ("scorer", "encoder", "both"):
        raise ConfigError(f"There is no kind of planner {kind!r}.", hint="There are: scorer, encoder, both.")
    file = train or evaluation.training_file(questions)
    if file is None:
        raise ConfigError(
            f"There is no training file beside {questions.name}.", hint="Name one with --train FILE."
        )
    training = evaluation.read_plans(file)
    asked = [one for one in evaluation.read_plans(questions, limit=limit) if one.gold]
    if not asked:
        raise ConfigError(f"No question of {questions} has a gold path.")
    embedder = token_embedder(root)
    examples = evaluation.plan_examples(training)
    known = sorted({path for one in training for path in one.gold})
    scores = {}
    if kind != "encoder":
        scores["step_scorer"] = _by_steps(examples, embedder, seed).rank(evaluation.asked_for(asked), known)
    if kind != "scorer":
        scores["encoder"] = _by_encoder(examples, root, seed).rank(evaluation.asked_for(asked), known)
    near = evaluation.nearest_questions(training, asked, known, embedder)
    ranked = {
        "ours": evaluation.best_plans(evaluation.together(*scores.values()), known),
        **{name: evaluation.best_plans(one, known) for name, one in scores.items() if len(scores) > 1},
        "recorded": [list(one.recorded) for one in asked],
        "nearest_questions": evaluation.best_plans(near, known),
        "most_frequent": [evaluation.most_frequent(training)] * len(asked),
    }
    found = {name: evaluation.hits(plan, asked) for name, plan in ranked.items()}
    figures: dict[str, Any] = {"kind": kind, "n": len(asked), "trained_on": len(examples), "seed": seed}
    figures["known_paths"] = len(known)
    for name, values in found.items():
        means = {key: round(float(np.mean(value)), 6) for key, value in values.items()}
        figures |= means if name == "ours" else {name: means}
    figures["ceiling"] = round(float(np.mean([bool(set(one.gold) & set(known)) for one in asked])), 6)
    for cut in ("hit@1", "hit@3"):
        gap = paired_bootstrap(found["ours"][cut], found["recorded"][cut])
        difference = {"difference": gap.mean, "low": gap.low, "high": gap.high, "p": gap.p}
        figures[f"against_recorded_{cut}"] = difference
    write_figures(figures, out)
    if str(out) != "-":
        for name in _SHOWN:
            row = figures if name == "ours" else figures.get(name)
            if row is not None:
                cells = f"hit@1 {row['hit@1']:.3f}   hit@3 {row['hit@3']:.3f}"
                stdout().print(f"  {name:<18} {cells}", highlight=False)


def _by_steps(examples: list[Any], embedder: Any, seed: int) -> Any:
    from graphrag.query.planning.scorer import StepPlanner
    from graphrag.tune.planner import PLANS_TRAINING, train_step_scorer

    with bar("training the step scorer", PLANS_TRAINING.epochs * len(examples)) as advance:
        scorer = train_step_scorer(
            examples, embedder, seeded(PLANS_TRAINING, seed), advance=lambda rows, _: advance(rows)
        )
    return StepPlanner(scorer, embedder)


def _by_encoder(examples: list[Any], root: Path, seed: int) -> Any:
    from graphrag.query.planning.encoder import EncoderPlanner
    from graphrag.tune.path_encoder import PATHS_TRAINING, train_path_encoder

    with TemporaryDirectory() as folder, RichProgress() as progress:
        encoder = train_path_encoder(
            examples, encoder_source(root), Path(folder), seeded(PATHS_TRAINING, seed), progress=progress
        )
        encoder.embedder.embed(["loaded before its folder goes"])
    return EncoderPlanner(encoder)


def encoder_source(root: Path) -> str:
    """Return the folder or name of the project's encoder, the embedded one unless it has another."""
    from graphrag.embed.sentence_transformer import embedded_folder
    from graphrag.settings import load_settings

    embedding = load_settings(root)[0].embedding
    return embedding.model if embedding.provider == "local" else str(embedded_folder())
