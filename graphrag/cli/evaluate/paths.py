"""``graphrag evaluate paths``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrag.cli.console import Root, stderr, stdout

if TYPE_CHECKING:
    from graphrag.embed.base import Embedder
    from graphrag.evaluate.path_questions import PathQuestion, PathSplit
    from graphrag.graph.paths import PathGraph
    from graphrag.query.planning import Planner

Out = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file (- : print).")]
Limit = Annotated[int | None, typer.Option(min=1, help="Ask only N questions, drawn by the seed.")]
_COMPOSED = 2500
_OF_KIND = ("answered_by_path", "answer_in_ends", "recall@5_dense", "recall@5_path")


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(paths)


def paths(
    questions: Annotated[
        Path,
        typer.Option("--questions", "-q", help="JSON Lines with question, topic, answers; or PathQuestion."),
    ],
    graph: Annotated[
        Path | None,
        typer.Option(
            "--graph", "-g", help="Triples: tab or | separated, RDF, or .gz. Without: the project's index."
        ),
    ] = None,
    planner: Annotated[
        str | None,
        typer.Option(
            help="embed (untuned), tuned, llm; on an index also walks. Not given: tuned, on an index auto."
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="path, or explore: step by step with few partial paths (planner tuned); on an index also by "
            "a language model (planner llm)."
        ),
    ] = "path",
    planner_folder: Annotated[
        Path | None, typer.Option(help="Folder of a tuned planner; the shipped one when not given.")
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(help="Train the tuned planner on this question file first (repeatable)."),
    ] = None,
    train_limit: Annotated[
        int | None, typer.Option(min=1, help="Train on N questions of each file, drawn by the seed.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Test on a fifth of the file and train on the rest: random, start (no start entity in "
            "both parts) or path (no relation path in both). With --train, only the test part is used."
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(help="Trained on: gold, shortest, or agree (shortest paths that give the answers)."),
    ] = "gold",
    counterfactual: Annotated[
        bool, typer.Option("--counterfactual", help="Also ask with the gold edges deleted: who abstains?")
    ] = False,
    always_answer: Annotated[
        bool, typer.Option("--always-answer", help="Answer also where the planner does not trust its plan.")
    ] = False,
    max_hops: Annotated[int, typer.Option(min=1, max=6, help="Longest path.")] = 3,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Seed of splits, draws and training.")] = 0,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Answer questions by relation paths and score them, beside an untuned embedder and the gold paths."""
    from graphrag.evaluate import path_questions as files
    from graphrag.evaluate import paths as evaluation
    from graphrag.graph.triples import read_triples

    by = split_named(split)
    if graph is None and method == "explore":
        _explore_index(root, questions, planner or "tuned", planner_folder, limit, seed, out)
        return
    width = _width(method, planner)
    if graph is None:
        _on_index(root, questions, planner or "auto", planner_folder, max_hops, limit, out)
        return
    planner = planner or "tuned"
    triples = read_triples(graph)
    there = triples.graph()
    asked = files.read_path_questions(questions)
    parts = [training_part(file, by, seed) for file in train or ()]
    returning = evaluation.answers_may_be_topics([*asked, *(one for part in parts for one in part)])
    if by is not None:
        rest, asked = files.split_questions(asked, by, seed=seed)
        parts = parts or [rest]
    training = [one for part in parts for one in files.sampled(part, train_limit, seed=seed)]
    asked = files.sampled(asked, limit, seed=seed)
    embedder, chosen, usage = _planner(
        root, planner, planner_folder, there, training, labels, max_hops, seed, returning
    )

    def ask(who: Planner, label: str, **how: Any) -> list[evaluation.PathOutcome]:
        with bar(label, len(asked)) as advance:
            return asyncio.run(
                evaluation.ask_paths(
                    there, asked, who, max_hops=max_hops, may_return=returning, advance=advance, **how
                )
            )

    ours = ask(chosen, planner, always_answer=always_answer, width=width)
    figures = {"method": method, "planner": planner, **evaluation.summary(ours), **usage()}
    figures |= {"graph": {"triples": len(triples), "malformed": triples.malformed, "nodes": there.n_nodes}}
    figures |= {"trained_on": len(training), "split": split, "seed": seed, "max_hops": max_hops}
    figures["walks_may_return"] = returning
    ceiling = evaluation.follow_gold(there, asked, may_return=returning)
    if ceiling is not None:
        figures["oracle"] = evaluation.summary(ceiling)
    if planner != "embed":
        from graphrag.query.planning.embed import EmbedPlanner

        base = ask(EmbedPlanner(embedder, least=-1.0), "embedder, untuned", always_answer=True)
        figures["embed_untuned"] = evaluation.summary(base)
        figures["against_embed_untuned"] = evaluation.against(ours, base)
    consistent = [place for place, one in enumerate(asked) if one.consistent]
    if consistent:
        figures["kb_consistent"] = evaluation.summary([ours[place] for place in consistent])
    if counterfactual:
        asked = [one for one in asked if one.consistent is not False]
        without = ask(chosen, "gold edges deleted", counterfactual=True, width=width)
        figures["abstained_without_gold_edges"] = 1 - evaluation.summary(without)["answered"]
        figures["abstained"] = 1 - figures["answered"]
    write_figures(figures, out)
    if str(out) != "-":
        _show_paths(figures)


def _width(method: str, planner: str | None) -> int | None:
    """Return how many partial paths the method keeps after a step; None leaves it to the planner."""
    from graphrag.errors import ConfigError
    from graphrag.query.planning.base import EXPLORED_WIDTH

    if method == "path":
        return None
    if method != "explore" or planner not in (None, "tuned"):
        raise ConfigError(
            f"Paths cannot be measured by method {method!r} with these options.",
            hint="--method path goes with everything; --method explore with planner tuned, and on an index "
            "(without --graph) also with llm.",
        )
    return EXPLORED_WIDTH


def _on_index(
    root: Path,
    questions: Path,
    planner: str,
    folder: Path | None,
    max_hops: int,
    limit: int | None,
    out: Path | None,
) -> None:
    from graphrag.api import GraphRAG
    from graphrag.evaluate.questions import read_questions

    total = len(read_questions(questions, limit=limit))
    chosen: dict[str, Any] = {"planner": planner, "max_hops": max_hops}
    if folder is not None:
        chosen["planner_folder"] = str(folder.resolve())
    with bar(f"paths by {planner}", total) as advance:
        figures = GraphRAG.open(root).evaluate_paths(questions, limit=limit, advance=advance, **chosen)
    write_figures({"planner": planner, "max_hops": max_hops, **figures}, out)
    if str(out) != "-":
        for name, value in figures.items():
            if name != "by_kind":
                shown = f"{value:.3f}" if isinstance(value, float) else str(value)
                stdout().print(f"  {name:<30} {shown}", highlight=False)
        for kind, row in figures.get("by_kind", {}).items():
            kept = {name: value for name, value in row.items() if name in _OF_KIND}
            shown = "   ".join(f"{name} {value:.3f}" for name, value in kept.items())
            stdout().print(f"  {kind} ({row['n']}): {shown}", highlight=False)


def _explore_index(
    root: Path,
    questions: Path,
    planner: str,
    folder: Path | None,
    limit: int | None,
    seed: int,
    out: Path | None,
) -> None:
    from graphrag.api import GraphRAG
    from graphrag.errors import ConfigError
    from graphrag.evaluate.path_questions import read_path_questions, sampled

    if planner not in ("tuned", "llm"):
        raise ConfigError(f"The planner {planner!r} does not explore.", hint="Take tuned or llm.")
    total = len(sampled(read_path_questions(questions), limit, seed=seed))
    how: dict[str, Any] = {"mode": "llm"} if planner == "llm" else {"mode": "extractive", "planner": planner}
    if folder is not None:
        how["planner_folder"] = str(folder.resolve())
    with bar(f"exploring by {planner}", total) as advance:
        rag = GraphRAG.open(root)
        figures = rag.evaluate_paths(
            questions, method="explore", limit=limit, seed=seed, advance=advance, **how
        )
    write_figures({"planner": planner, "seed": seed, **figures}, out)
    if str(out) != "-":
        for name, value in figures.items():
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            stdout().print(f"  {name:<30} {shown}", highlight=False)


def split_named(name: str | None) -> PathSplit | None:
    """Return the split of that name, or raise ConfigError."""
    from graphrag.errors import ConfigError
    from graphrag.evaluate.path_questions import PATH_SPLITS

    if name is None:
        return None
    for split in PATH_SPLITS:
        if split == name:
            return split
    raise ConfigError(f"There is no split {name!r}.", hint=f"There are: {', '.join(PATH_SPLITS)}.")


def training_part(file: Path, split: PathSplit | None, seed: int) -> list[PathQuestion]:
    """Return the questions of ``file`` that are trained on: all, or what ``split`` does not test."""
    from graphrag.evaluate.path_questions import read_path_questions, split_questions

    questions = read_path_questions(file)
    return questions if split is None else split_questions(questions, split, seed=seed)[0]


def _planner(
    root: Path,
    name: str,
    folder: Path | None,
    graph: PathGraph,
    training: list[PathQuestion],
    labels: str,
    max_hops: int,
    seed: int,
    may_return: bool,
) -> tuple[Embedder, Planner, Callable[[], dict[str, Any]]]:
    """Return the embedder, the planner (trained first where there are questions), and its usage."""
    from graphrag.llm.usage import UsageLog
    from graphrag.query.planning.registry import make_planner

    log = UsageLog()
    chat_model, embedder = _models(root, log, chat=name == "llm")
    if name == "tuned" and training and folder is None:
        from graphrag.evaluate.paths import examples_of
        from graphrag.query.planning.scorer import StepPlanner

        examples = examples_of(graph, training, max_hops=max_hops, labels=labels, may_return=may_return)
        planner: Planner = StepPlanner(
            train_planner(examples, token_embedder(root), max_hops, seed), embedder
        )
    else:
        planner = make_planner(name, embedder, folder=folder, chat_model=chat_model, root=root)

    def usage() -> dict[str, Any]:
        total = log.total()
        tokens = total.prompt_tokens + total.completion_tokens
        return {"llm_calls": total.calls, "llm_tokens": tokens}

    return embedder, planner, usage


def train_planner(examples: list[Any], embedder: Any, max_hops: int, seed: int, **about: Any) -> Any:
    """Thin and compose ``examples``, train the step scorer on them with a bar, and return it."""
    from graphrag.query.planning.examples import composed, thinned
    from graphrag.tune.planner import PlannerTraining, train_step_scorer

    few = thinned(examples, 10)
    every = [*few, *composed(few, min(_COMPOSED, len(few)), max_hops=max_hops, seed=seed)]
    training = seeded(PlannerTraining(), seed)
    with bar("training", training.epochs * len(every)) as advance:
        return train_step_scorer(every, embedder, training, advance=lambda rows, _: advance(rows), **about)


def seeded(training: Any, seed: int) -> Any:
    """Return ``training`` with another seed."""
    from dataclasses import replace

    return replace(training, seed=seed)


def _models(root: Path, log: Any, *, chat: bool) -> tuple[Any, Embedder]:
    from graphrag.indexing.models import ProjectModels
    from graphrag.settings import load_settings
    from graphrag.store.layout import Layout

    settings, _ = load_settings(root)
    models = ProjectModels(settings, Layout(root), log)
    return models.chat() if chat else None, models.embedder()


def token_embedder(root: Path) -> Any:
    """Return the embedder of the project at ``root``, which has to tell tokens apart."""
    from graphrag.embed.base import TokenEmbedder
    from graphrag.errors import ConfigError
    from graphrag.llm.usage import UsageLog

    embedder = _models(root, UsageLog(), chat=False)[1]
    if not isinstance(embedder, TokenEmbedder):
        raise ConfigError(
            f"A planner cannot be trained with {embedder.model_id}: an endpoint gives no vectors of tokens.",
            hint="Set embedding.provider to 'embedded' or 'local'.",
        )
    return embedder


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[..., None]]:
    """Show a progress bar of ``total`` rows; what is yielded advances it."""
    from rich.progress import Progress

    with Progress(console=stderr(), transient=True, disable=not stderr().is_terminal) as progress:
        task = progress.add_task(label, total=total)
        yield lambda rows=1: progress.advance(task, rows)


def write_figures(figures: dict[str, Any], out: Path | None) -> None:
    """Write figures as JSON where they are wanted; ``-`` prints them."""
    if out is None:
        return
    text = json.dumps(figures, indent=1)
    if str(out) == "-":
        typer.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")


def _show_paths(figures: dict[str, Any]) -> None:
    from rich.table import Table

    columns = ("hits@1", "hits@1_lenient", "hit", "exact_set", "f1", "path_exact", "answered", "p50_ms")
    table = Table(title=f"{figures['n']} questions", title_justify="left")
    table.add_column("paths by")
    for name in columns:
        table.add_column(name, justify="right")
    rows = {
        f"planner {figures['planner']}": figures,
        "embedder, untuned": figures.get("embed_untuned"),
        "gold paths": figures.get("oracle"),
    }
    for label, row in rows.items():
        if row is not None:
            shown = [
                f"{row[name]:.1f}" if name.endswith("_ms") else f"{row[name]:.3f}"
                for name in columns
                if name in row
            ]
            shown += [""] * (len(columns) - len(shown))
            table.add_row(label, *shown)
    stdout().print(table)
    if "abstained_without_gold_edges" in figures:
        stdout().print(
            f"  abstained: {figures['abstained']:.1%}, with the gold edges deleted "
            f"{figures['abstained_without_gold_edges']:.1%}",
            highlight=False,
        )
