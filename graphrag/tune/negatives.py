"""Hard negatives: passages that a retriever ranks high for a question they do not answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np

from graphrag.embed.base import Embedder, Vectors, question_vectors
from graphrag.evaluate.questions import GoldQuestion
from graphrag.store.lexical import build_lexical_index
from graphrag.tune.passages import TrainingSet

Source = Literal["bm25", "model", "none"]
SOURCES: tuple[Source, ...] = get_args(Source)
Rankings = list[list[str]]

_BATCH = 256


def bm25_rankings(questions: Sequence[GoldQuestion], data: TrainingSet, depth: int) -> Rankings:
    """Return the ids of the ``depth`` best passages for each question by words."""
    ids = sorted(data.passages)
    index = build_lexical_index(ids, [data.passages[one] for one in ids])
    return [[row for row, _ in index.search(one.text, depth)] for one in questions]


def dense_rankings(questions: Sequence[GoldQuestion], vectors: PassageVectors, depth: int) -> Rankings:
    """Return the ids of the ``depth`` best passages for each question by cosine, ties by id."""
    if not questions:
        return []
    queries = question_vectors(vectors.embedder, [one.text for one in questions])
    found = []
    for start in range(0, len(queries), _BATCH):
        for scores in queries[start : start + _BATCH] @ vectors.rows.T:
            best = np.lexsort((np.arange(len(scores)), -np.round(scores, 6)))[:depth]
            found.append([vectors.ids[int(place)] for place in best])
    return found


class PassageVectors:
    """Passages embedded once; ``ids`` are sorted, ``rows`` has shape (passages, dimension)."""

    def __init__(
        self, embedder: Embedder, passages: dict[str, str], advance: Callable[[int], None] = lambda _: None
    ) -> None:
        self.embedder = embedder
        self.ids = sorted(passages)
        # Texts of like length share a batch, so that little of it is padding.
        order = sorted(range(len(self.ids)), key=lambda place: (len(passages[self.ids[place]]), place))
        rows: Vectors | None = None
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            found = embedder.embed([passages[self.ids[place]] for place in places])
            if rows is None:
                rows = np.zeros((len(order), found.shape[1]), dtype=np.float32)
            rows[places] = found
            advance(len(places))
        self.rows = rows if rows is not None else np.zeros((0, embedder.dimension), dtype=np.float32)


def hard_negatives(
    questions: Sequence[GoldQuestion], rankings: Rankings, data: TrainingSet, count: int
) -> Rankings:
    """Return the ``count`` best ranked passages that do not answer each question.

    What holds an accepted answer of more than three letters is passed over as well: it may answer
    the question without being marked as gold. A question with too few gets what there is.
    """
    chosen = []
    for question, ranking in zip(questions, rankings, strict=True):
        gold = set(question.gold)
        answers = [one.casefold() for one in question.answers if len(one) > 3]
        kept = [
            one
            for one in ranking
            if one not in gold and not any(answer in data.passages[one].casefold() for answer in answers)
        ]
        chosen.append(kept[:count])
    return chosen
