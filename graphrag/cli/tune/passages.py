"""Options and output that the commands of retriever and reranker tuning share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrag.cli.console import stderr, stdout

if TYPE_CHECKING:
    from graphrag.evaluate.significance import Difference
    from graphrag.tune.encoder import TunedModel
    from graphrag.tune.passages import TrainingSet

Questions = Annotated[
    list[Path] | None,
    typer.Option("--questions", "-q", help="JSON Lines with `question` and `gold_passage_ids`; repeatable."),
]
Corpora = Annotated[
    list[Path] | None,
    typer.Option(
        "--corpus", help="Records that hold the passages; repeatable. Without it: the project's index."
    ),
]
Disjoint = Annotated[
    list[Path] | None,
    typer.Option(
        "--disjoint-from", help="Corpus that will be measured on: nothing it holds is trained on; repeatable."
    ),
]
SplitOption = Annotated[
    str, typer.Option(help="Half of the questions to train on: dev (evaluate asks the other), or all.")
]
BaseModel = Annotated[
    str | None, typer.Option("--model", "-m", help="Model to begin with; the project's embedder by default.")
]
Epochs = Annotated[int, typer.Option(help="Passes over the data.", min=1)]
LearningRate = Annotated[float, typer.Option(help="Highest learning rate.")]
LoraRank = Annotated[int, typer.Option(help="Train LoRA adapters of this rank; 0: all weights.", min=0)]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for tuned models; ROOT/models by default.")
]


def training_set(
    root: Path,
    questions: list[Path] | None,
    corpora: list[Path] | None,
    disjoint: list[Path] | None,
    split: str,
) -> TrainingSet:
    """Read what is trained on, and say how much it is."""
    from graphrag.api import GraphRAG
    from graphrag.errors import ConfigError
    from graphrag.evaluate.questions import SPLITS
    from graphrag.tune.passages import corpus_texts, from_files, from_index, without_overlap

    chosen = next((one for one in SPLITS if one == split), None)
    if chosen is None or chosen == "test":
        raise ConfigError(f"There is no split {split!r} to train on.", hint="There are: dev, all.")
    if corpora:
        data = from_files(questions or [], corpora, split=chosen)
    else:
        data = from_index(questions or [], GraphRAG.open(root).open_index(), split=chosen)
    if disjoint:
        data, gone = without_overlap(data, [text for file in disjoint for text in corpus_texts(file)])
        stderr().print(f"  {gone} questions have a passage of --disjoint-from and are left out")
    stderr().print(f"  {len(data.questions):,} questions, {len(data.passages):,} passages", highlight=False)
    return data


def base_model(root: Path, model: str | None) -> str:
    """Return the folder or name of the model to begin with."""
    from graphrag.embed.sentence_transformer import embedded_folder
    from graphrag.errors import ConfigError
    from graphrag.settings import SETTINGS_FILE, load_settings

    if model not in (None, "embedded"):
        return str(model)
    if model is None and (root / SETTINGS_FILE).is_file():
        embedding = load_settings(root)[0].embedding
        if embedding.provider == "openai":
            raise ConfigError(
                "An endpoint's embedder cannot be tuned.",
                hint="Name a sentence-transformers model with --model (`embedded` is all-MiniLM-L6-v2).",
            )
        if embedding.provider == "local":
            return embedding.model
    return str(embedded_folder())


def show_tuned(
    tuned: TunedModel, compared: tuple[str, float, float, Difference] | None, setting: list[str]
) -> None:
    """Print what came out, where it lies, and which setting uses it."""
    if compared is None:
        stderr().print("  no questions were held out, so nothing was compared")
    else:
        what, before, after, difference = compared
        stdout().print(
            f"  {what}: {before:.3f} untuned, {after:.3f} tuned; difference {difference.mean:+.3f} "
            f"({difference.low:+.3f} to {difference.high:+.3f}), p {difference.p:.2g}, n {difference.n}",
            highlight=False,
        )
        if difference.low <= 0:
            stdout().print("  [yellow]That may be chance: the interval holds zero.[/yellow]")
    stdout().print(f"  wrote {tuned.folder}", highlight=False, soft_wrap=True)
    stdout().print(
        "\n".join(["  To use it, put into settings.yaml:", *setting]), highlight=False, soft_wrap=True
    )
