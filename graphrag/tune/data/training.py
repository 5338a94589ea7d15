"""What a run is tuned on and what is held out: files of records, corpora, recordings, the user's index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphrag.errors import ConfigError, InputError
from graphrag.hashing import content_hash
from graphrag.tune.card import DataSource as CardSource
from graphrag.tune.data.build import KINDS, DataSource, build_records
from graphrag.tune.data.record import TuningRecord
from graphrag.tune.demonstrations import turns_of
from graphrag.tune.examples import Pair, read_pairs


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Pairs to train on, pairs that are held out, and what the card says about both."""

    train: list[Pair]
    held: list[Pair]
    sources: list[CardSource]


@dataclass(frozen=True, slots=True)
class Drawing:
    """How records are drawn from sources (see :func:`graphrag.tune.data.build.build_records`)."""

    part: str = "train"
    vary: bool = True
    copies: int = 1
    max_words: int | None = None
    shippable: bool = False
    seed: int = 42


def training_data(
    data: Sequence[str],
    *,
    index: Path | None = None,
    dev: Path | None = None,
    share: float = 0.05,
    licence: str = "not stated",
    drawing: Drawing | None = None,
) -> TrainingData:
    """Read ``data``: paths of record files or ``KIND=PATH[@NUMBER[@LICENCE]]``; and the project at ``index``.

    Without ``dev``, a ``share`` is held out by the hash of a record's text: all records of one text, under
    whatever schema, are on one side.

    Raises:
        ConfigError: nothing was given, or nothing is left.
        InputError: a file cannot be read.
        NotIndexedError: the project at ``index`` has no index.
    """
    drawing = drawing or Drawing()
    files = [Path(text) for text in data if text.partition("=")[0] not in KINDS]
    sources = [DataSource.parse(text) for text in data if text.partition("=")[0] in KINDS]
    if index is not None:
        sources.append(DataSource("index", index))
    if not files and not sources:
        raise ConfigError(
            "Tuning needs data.", hint="Give --data, or --from-index to learn from your own index."
        )
    for file in files:
        if not file.is_file():
            raise InputError(
                f"There is no data set at {file}.",
                hint=f"Give a file of records, or KIND=PATH[@NUMBER[@LICENCE]] with {', '.join(KINDS)}.",
            )
    told: list[CardSource] = []
    keyed: list[tuple[str, Pair]] = []  # by which text it is, and the pair
    for file in files:
        pairs = read_pairs(file)
        told.append(_of_file(file, licence, len(pairs)))
        keyed += [(turns_of(pair[0])[-1][1], pair) for pair in pairs]
    if sources:
        records = build_records(
            sources,
            seed=drawing.seed,
            part=drawing.part,
            copies=drawing.copies,
            max_words=drawing.max_words,
            vary=drawing.vary,
            shippable=drawing.shippable,
        )
        told += _of_records(records)
        keyed += [(record.meta["text"], (record.prompt, record.completion)) for record in records]
    if dev is not None:
        held = read_pairs(dev)
        told.append(_of_file(dev, licence, len(held)))
        return TrainingData([pair for _, pair in keyed], held, told)
    sides = [(_chosen(key, share), pair) for key, pair in keyed]
    train = [pair for out, pair in sides if not out]
    if not train:
        raise ConfigError(
            f"All {len(sides)} records would be held out.", hint="Lower --hold-out, or give more data."
        )
    return TrainingData(train, [pair for out, pair in sides if out], told)


def _chosen(key: str, share: float) -> bool:
    return int(content_hash(key)[-8:], 16) / 16**8 < share


def _of_file(path: Path, licence: str, records: int) -> CardSource:
    return CardSource(path.name, licence, records, content_hash(path.read_bytes().hex()))


def _of_records(records: Sequence[TuningRecord]) -> list[CardSource]:
    """Describe records by where they come from, for the card."""
    ids: dict[tuple[str, str], list[str]] = {}
    for record in records:
        ids.setdefault((record.meta["source"], record.meta["licence"]), []).append(record.id)
    return [
        CardSource(source, licence, len(found), content_hash(sorted(found)))
        for (source, licence), found in sorted(ids.items())
    ]
