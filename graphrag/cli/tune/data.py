"""``graphrag tune data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrag.cli.console import stdout
from graphrag.errors import ConfigError


def register(group: typer.Typer) -> None:
    """Add the command to ``group``."""
    group.command()(data)


def data(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="KIND=PATH, KIND=PATH@NUMBER or KIND=PATH@NUMBER@LICENCE (NUMBER may be `all`); "
            "KIND is pfn, redocred, text2kgbench, recorded or index."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: JSON lines.")],
    part: Annotated[
        str, typer.Option(help="Part of gold corpora: train (four texts in five, by hash), held-out or all.")
    ] = "train",
    vary: Annotated[
        bool,
        typer.Option(
            "--vary/--own-schema",
            help="Ask under many schemas, or under the corpus's own and in the windows of extraction.",
        ),
    ] = True,
    copies: Annotated[int, typer.Option(help="Records of each text, each cut another way.", min=1)] = 1,
    times: Annotated[int, typer.Option(help="How often every record is written.", min=1)] = 1,
    max_words: Annotated[int | None, typer.Option(help="Longest passage.", min=1)] = None,
    window: Annotated[
        int | None,
        typer.Option(help="Words of a passage where whole texts are cut; by default as extraction.", min=20),
    ] = None,
    swap_names: Annotated[
        float,
        typer.Option(
            help="Share of a corpus's names that give way to others of their type, in every copy to others.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    shippable: Annotated[
        bool,
        typer.Option("--shippable", help="Only data whose licence lets a trained adapter be given away."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn and how it is cut.")] = 42,
) -> None:
    """Write training records for `graphrag tune extractor`: gold corpora, recordings, your own index."""
    from graphrag.tune.data import write_records
    from graphrag.tune.data.build import DataSource, build_records

    if part not in ("train", "held-out", "all"):
        raise ConfigError(f"There is no part {part!r}.", hint="There are: train, held-out, all.")
    records = build_records(
        [DataSource.parse(source) for source in sources],
        seed=seed,
        part=part,
        copies=copies,
        max_words=max_words,
        window=window,
        vary=vary,
        swap=swap_names,
        shippable=shippable,
    )
    written = write_records(out, records * times)
    stdout().print(f"  wrote {written:,} records ({len(records):,} different) to {out}", highlight=False)
