"""Put tuning data together from several sources: gold corpora, recordings, the user's own index."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphrag.errors import ConfigError
from graphrag.extract.gold import FORMATS, read_gold
from graphrag.extract.gold.corpus import part_of
from graphrag.extract.recorded.read import read_recording
from graphrag.tune.data.gold import gold_records
from graphrag.tune.data.record import TuningRecord
from graphrag.tune.data.recorded import index_records, recorded_records

RECORDED = "recorded"
INDEX = "index"
KINDS = (*sorted(FORMATS), RECORDED, INDEX)
SHIPPABLE = ("MIT", "Apache-2.0", "CC BY", "CC BY-SA", "CDLA")
"""Licences under which an adapter trained on the data may be given away; a version may follow."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where records come from: a gold format, ``recorded`` or ``index``, and at most how many to draw.

    ``licence`` is that of the data where its files state none.
    """

    kind: str
    path: Path
    most: int | None = None
    licence: str | None = None

    @classmethod
    def parse(cls, text: str) -> DataSource:
        """Read ``KIND=PATH``, ``KIND=PATH@NUMBER`` or ``KIND=PATH@NUMBER@LICENCE``.

        Raises:
            ConfigError: it is not of that form.
        """
        kind, _, rest = text.partition("=")
        path, *more = rest.split("@")
        if kind not in KINDS or not path or (more and not (more[0].isdigit() or more[0] == "all")):
            raise ConfigError(
                f"{text!r} is no source of tuning data.",
                hint="Give KIND=PATH, KIND=PATH@NUMBER or KIND=PATH@all@LICENCE; "
                f"KIND is one of {', '.join(KINDS)}.",
            )
        most = int(more[0]) if more and more[0] != "all" else None
        return cls(kind, Path(path), most, more[1] if len(more) > 1 else None)


def build_records(
    sources: Sequence[DataSource],
    *,
    seed: int,
    part: str = "train",
    copies: int = 1,
    max_words: int | None = None,
    window: int | None = None,
    vary: bool = True,
    swap: float = 0.0,
    shippable: bool = False,
) -> list[TuningRecord]:
    """Return the records of ``sources``, each once, in an order drawn with ``seed``.

    ``part`` is the part of each gold corpus (``train``, ``held-out`` or ``all``); ``window``: how many words
    are read at once where a text is cut as extraction cuts it; ``swap``: the share of the names of gold
    corpora that give way to others. Passages of more than
    ``max_words`` words are left out before the draw; with ``shippable`` so are records of any licence
    but those that let a trained adapter be given away.

    Raises:
        ConfigError: nothing is left.
        InputError: a source cannot be read.
    """
    chosen: dict[str, TuningRecord] = {}
    for source in sources:
        records = [
            record
            for record in _records(source, seed, part, copies, window, vary=vary, swap=swap)
            if (max_words is None or len(record.prompt[-1][1].split()) <= max_words)
            and (not shippable or may_ship(record.meta["licence"]))
        ]
        if source.most is not None and source.most < len(records):
            records = random.Random(f"{seed}/{source.kind}").sample(records, source.most)  # noqa: S311
        chosen.update({record.id: record for record in records})
    if not chosen:
        raise ConfigError(
            "The sources hold no record of that kind.", hint="Raise --max-words, or see their licences."
        )
    return random.Random(seed).sample(list(chosen.values()), len(chosen))  # noqa: S311


def may_ship(licence: str) -> bool:
    """Tell whether every licence of a list such as ``MIT, CC BY 4.0`` is one of :data:`SHIPPABLE`."""
    names = [name.strip() for name in licence.split(",")]
    return all(re.sub(r" \d[\d.]*$", "", name) in SHIPPABLE for name in names)


def _records(
    source: DataSource, seed: int, part: str, copies: int, window: int | None, *, vary: bool, swap: float
) -> list[TuningRecord]:
    sized = {} if window is None else {"words": window}
    if source.kind == RECORDED:
        recording = read_recording(source.path)
        licence = source.licence or "none stated"
        return recorded_records(recording, source=source.path.name, licence=licence, **sized)
    if source.kind == INDEX:
        return index_records(source.path, seed=seed if vary else None)
    folder = source.path
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else [folder]
    records: list[TuningRecord] = []
    for file in files:
        corpus = part_of(read_gold(file, source.kind), part)
        corpus = replace(corpus, licence=source.licence or corpus.licence)
        records += gold_records(corpus, seed=seed, copies=copies, vary=vary, swap=swap, **sized)
    return records
