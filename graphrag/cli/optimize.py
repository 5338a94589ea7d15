"""``graphrag optimize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrag.cli.console import Root, stderr, stdout
from graphrag.optimize.space import Configuration

if TYPE_CHECKING:
    from graphrag.optimize.report import Optimized
    from graphrag.optimize.search import Trial
    from graphrag.optimize.space import Node
    from graphrag.settings import Settings

_RETRIEVER = "retrieval.retriever"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(optimize)


def optimize(
    questions: Annotated[
        Path,
        typer.Option("--questions", "-q", help="JSON Lines with `question`, `gold_passage_ids`, `answers`."),
    ],
    root: Root = Path(),
    space: Annotated[
        Path | None, typer.Option(help="Search space; pipelines/optimize.toml by default.")
    ] = None,
    nodes: Annotated[
        str | None, typer.Option(help="Only these nodes of the space, separated by commas.")
    ] = None,
    measure: Annotated[
        str, typer.Option(help="What retrieval is judged by: recall@2/5/10, all_gold@5, ndcg@10, mrr.")
    ] = "recall@5",
    answers: Annotated[
        bool, typer.Option("--answers", help="Decide the nodes about answers too: asks every question.")
    ] = False,
    reindex: Annotated[
        bool, typer.Option("--reindex", help="Decide the nodes that index anew too, each in a copy.")
    ] = False,
    budget: Annotated[
        int, typer.Option(help="Configurations of the global search after the greedy one; 0: none.", min=0)
    ] = 30,
    slowest: Annotated[
        float | None, typer.Option(help="Leave out what takes more milliseconds per question.", min=0)
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Search on the first N questions only.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the global search.")] = 42,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; the project's by default.")
    ] = None,
) -> None:
    """Find the settings that answer your questions best; reported on the half that the search never saw."""
    from graphrag.evaluate.questions import read_questions
    from graphrag.optimize.report import report, write_report, write_settings
    from graphrag.optimize.search import Search
    from graphrag.optimize.space import read_space, start
    from graphrag.optimize.trials import Trials
    from graphrag.settings import load_settings

    settings = load_settings(root)[0]
    chosen_nodes = _decided(read_space(root, space), settings, nodes, answers=answers, reindex=reindex)
    with _Line() as line:
        seen = Trials(root, read_questions(questions, split="dev", limit=limit), measure=measure)
        unseen = seen.asked(read_questions(questions, split="test"))
        beginning = start(chosen_nodes, settings)
        search = Search(chosen_nodes, beginning, seen, slowest=slowest, tell=line.tell)
        greedy = search.greedy()
        best = search.global_(greedy, budget, seed=seed) if budget else greedy
        line.say("asking the questions that the search has not seen")
        named = {"greedy": greedy, **_by_hand(chosen_nodes, beginning)}
        found = report(search.made, best, beginning, search.whole, seen, unseen, named=named)
    seen.close()
    folder = out or root
    folder.mkdir(parents=True, exist_ok=True)
    changed = write_settings(root, best, beginning, folder / "optimized.yaml")
    write_report(found, folder / "optimize.json")
    _show(found, changed, measure, folder)


def _decided(
    space: tuple[Node, ...], settings: Settings, only: str | None, *, answers: bool, reindex: bool
) -> list[Node]:
    """Return the nodes to decide, and say which are left out and why."""
    from graphrag.errors import ConfigError

    names = [name.strip() for name in only.split(",")] if only else [node.name for node in space]
    unknown = sorted(set(names) - {node.name for node in space})
    if unknown:
        there = ", ".join(node.name for node in space)
        raise ConfigError(f"The search space has no node {unknown[0]!r}.", hint=f"It has: {there}.")
    writes = settings.resolved(settings.query.method) == "llm"
    chosen = []
    for node in space:
        if node.name not in names:
            continue
        reason = ""
        if node.needs == "llm" and not writes:
            reason = "answers are quoted, no language model writes them"
        elif node.measure == "answers" and not answers:
            reason = "give --answers to decide it"
        elif node.needs_index and not reindex:
            reason = "every value is another index; give --reindex to decide it"
        if reason:
            stderr().print(f"  [dim]left out: {node.name} ({reason})[/dim]", highlight=False)
        else:
            chosen.append(node)
    if not chosen:
        raise ConfigError("Nothing is left to decide.", hint="Give --answers, --reindex, or other --nodes.")
    return chosen


def _by_hand(nodes: list[Node], beginning: Configuration) -> dict[str, Configuration]:
    """Return the project's settings with each retriever in turn: what one would try without a search."""
    return {
        f"by hand: {name}": beginning.with_values({_RETRIEVER: name})
        for node in nodes
        for name in node.values.get(_RETRIEVER, ())
    }


def _show(found: Optimized, changed: dict[str, Any], measure: str, folder: Path) -> None:
    from rich.table import Table

    what = measure if found.chosen.measured == "retrieval" else "answers found"
    table = Table(
        title=f"{what}: {found.evaluated} measurements on {found.n_seen} questions, "
        f"checked on {found.n_unseen} unseen ones",
        title_justify="left",
    )
    for name in ("", "seen", "95 % interval", "unseen", "ms", "set otherwise"):
        table.add_column(name, justify="left" if name in ("", "set otherwise") else "right")
    shown = [*found.leaderboard[:6], *(one for one in found.leaderboard[6:] if one.unseen is not None)]
    for place in shown:
        unseen = "" if place.unseen is None else f"{place.unseen:.3f}"
        interval = f"{place.low:.3f}–{place.high:.3f}"
        changes = _changes(place.configuration, found.beginning.configuration)
        table.add_row(place.name, f"{place.seen:.3f}", interval, unseen, f"{place.milliseconds:.0f}", changes)
    stdout().print(table)
    change = found.difference
    stdout().print(
        f"Unseen questions: {found.beginning.unseen:.3f} by settings.yaml, {found.chosen.unseen:.3f} "
        f"by the choice; difference {change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f}), "
        f"p {change.p:.2g}",
        highlight=False,
    )
    if not changed:
        stdout().print("The settings of the project are the best that was found; nothing to change.")
        return
    stdout().print("Changed:")
    for path, value in changed.items():
        stdout().print(f"  {path}: {value}", highlight=False)
    stdout().print(f"Wrote {folder / 'optimized.yaml'} and {folder / 'optimize.json'}.", soft_wrap=True)
    asked = f" Ask with --method {changed['method']}." if "method" in changed else ""
    stdout().print(f"To use it, put optimized.yaml in the place of settings.yaml.{asked}")


def _changes(configuration: Configuration, beginning: Configuration) -> str:
    """Return what a configuration sets otherwise than settings.yaml, short enough for a table."""
    before = dict(beginning.items)
    changed = Configuration(tuple(one for one in configuration.items if before.get(one[0]) != one[1]))
    short = {path.rpartition(".")[2]: value for path, value in changed.values().items()}
    return str(Configuration.of(short)) if short else "as in settings.yaml"


class _Line:
    """One line about the trial being measured, on a terminal only."""

    def __enter__(self) -> _Line:
        from rich.status import Status

        self._status = Status("measuring", console=stderr())
        if stderr().is_terminal:
            self._status.start()
        self._count = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def tell(self, trial: Trial) -> None:
        self._count += 1
        self.say(f"{self._count} measured; {trial.where}: {trial.outcome.mean:.3f} by {trial.configuration}")

    def say(self, text: str) -> None:
        self._status.update(text)
