"""MINE without a judge: which facts of an essay its graph still states, decided by embeddings.

The measure of Mo et al., "KGGen" (2025), asks a language model whether a fact follows from the sub-graph
near it. Here a fact is kept when a piece of the graph is similar enough to its sentence. A piece is a
relation in words, or all relations of one entity. How similar is enough is fixed once, on every other
essay and without looking at any graph: the threshold that best tells the sentence of the essay that
is nearest to a fact from the next nearest one, which speaks of the same thing and states another.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphrag.embed.base import Embedder, Vectors
from graphrag.errors import InputError
from graphrag.evaluate.extractors import costs, measured_extractor
from graphrag.extract.compact import ExtractionSchema
from graphrag.extract.facts import Extraction
from graphrag.extract.gold import GoldText
from graphrag.text.sentences import sentence_spans

_OPEN = ExtractionSchema(entity_types=None)
_LONGEST_PIECE = 12  # relations of one entity put together


@dataclass(frozen=True, slots=True)
class Essay:
    """An essay and the sentences that state its facts."""

    text: str
    facts: tuple[str, ...]


def read_essays(path: Path) -> list[Essay]:
    """Read ``essays.json.gz`` of MINE, with ``answers.json.gz`` beside it.

    Raises:
        InputError: one of them is missing or of another form.
    """
    try:
        rows = [_read(path), _read(path.with_name(path.name.replace("essays", "answers")))]
        return [
            Essay(essay["content"].strip("` \n"), tuple(fact["answer"] for fact in facts))
            for essay, facts in zip(*rows, strict=True)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} and the answers beside it are not MINE's essays and facts: {error}.",
            hint="The files are essays.json.gz and answers.json.gz in one folder.",
        ) from None


def evaluate_facts_kept(
    path: Path,
    name: str,
    embedder: Embedder,
    *,
    limit: int | None = None,
    root: Path = Path(),
    readings: int = 1,
    started: Callable[[int], None] = lambda _total: None,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure the share of facts that the graphs of extractor ``name`` keep; plain data.

    Essays at even places fix the threshold; those at odd places are measured. Beside ``facts_kept`` stand
    the same share for the essays' own sentences (``ceiling``), for the graph of another essay (``chance``)
    and with the quoted descriptions counted as part of the graph (``facts_kept_described``). Seconds are
    those of the extraction, with loading a model and without the scoring.

    Raises:
        ConfigError: there is no such extractor.
        InputError: the essays cannot be read.
    """
    essays = read_essays(path)
    threshold = similarity_threshold(essays[::2], embedder)
    measured = essays[1::2][:limit]
    texts = [GoldText(str(number), essay.text, (), ()) for number, essay in enumerate(measured)]
    extractor = measured_extractor(name, root=root, readings=readings)
    started(len(texts))
    wall, cpu = time.perf_counter(), time.process_time()
    answers = extractor.answers(texts, _OPEN, advance)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    graphs = [embedder.embed(pieces(answer.found)) for answer in answers]
    described = [embedder.embed(pieces(answer.found, described=True)) for answer in answers]
    facts = [embedder.embed(list(essay.facts)) for essay in measured]
    sentences = [embedder.embed(_sentences(essay.text)) for essay in measured]
    others = [*graphs[1:], *graphs[:1]]

    def kept(found: Sequence[Vectors]) -> float:
        near = [nearest(one, pieces_) for one, pieces_ in zip(facts, found, strict=True)]
        return round(float((np.concatenate(near) >= threshold).mean()), 4)

    return {
        "extractor": name,
        "format": "mine",
        "n": len(measured),
        "facts": sum(len(essay.facts) for essay in measured),
        "facts_kept": kept(graphs),
        "facts_kept_described": kept(described),
        "ceiling": kept(sentences),
        "chance": kept(others) if len(measured) > 1 else None,
        "threshold": round(threshold, 4),
        "relations": sum(len(answer.found.relations) for answer in answers),
        **costs(answers),
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
    }


def similarity_threshold(essays: Sequence[Essay], embedder: Embedder) -> float:
    """Return the similarity that best separates a fact's own sentence from the next nearest of its essay."""
    own: list[float] = []
    next_: list[float] = []
    for essay in essays:
        similar = embedder.embed(list(essay.facts)) @ embedder.embed(_sentences(essay.text)).T
        ranked = np.sort(similar, axis=1)
        own += ranked[:, -1].tolist()
        next_ += ranked[:, -2].tolist() if ranked.shape[1] > 1 else []
    candidates = sorted({*own, *next_})
    right, wrong = np.array(own), np.array(next_)
    balance = [float((right >= at).mean() - (wrong >= at).mean()) for at in candidates]
    return float(candidates[int(np.argmax(balance))])


def pieces(found: Extraction, *, described: bool = False) -> list[str]:
    """Return the pieces of a graph in words: each relation, and for each entity all that it is head of.

    With ``described`` also the descriptions. A graph without a relation gives its names.
    """
    relations = [f"{one.head} {one.predicate} {one.tail}" for one in found.relations]
    of: dict[str, list[str]] = {}
    for one in found.relations:
        of.setdefault(one.head, []).append(f"{one.predicate} {one.tail}")
    together = [f"{head} {', '.join(parts[:_LONGEST_PIECE])}" for head, parts in of.items() if len(parts) > 1]
    texts = [*relations, *together] or [entity.name for entity in found.entities]
    if described:
        texts += [entity.description for entity in found.entities if entity.description]
        texts += [relation.description for relation in found.relations if relation.description]
    return list(dict.fromkeys(texts))


def nearest(facts: Vectors, found: Vectors) -> Vectors:
    """Return for each fact its highest similarity to a row of ``found``; 0 where there is none."""
    if not len(found):
        return np.zeros(len(facts), dtype=np.float32)
    highest: Vectors = (facts @ found.T).max(axis=1)
    return highest


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def _read(path: Path) -> Any:
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
