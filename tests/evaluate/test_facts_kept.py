from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from graphrag.embed.base import Vectors
from graphrag.errors import InputError
from graphrag.evaluate.facts_kept import (
    Essay,
    evaluate_facts_kept,
    nearest,
    pieces,
    read_essays,
    similarity_threshold,
)
from graphrag.extract.facts import EntityFact, Extraction, RelationFact


class Bags:
    """Vectors of which words a text holds: two texts of the same words have similarity 1."""

    model_id = "bags"
    dimension = 512

    def embed(self, texts: list[str], **_: object) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(".", "").split():
                row[sum(ord(letter) * (at + 1) for at, letter in enumerate(word)) % self.dimension] = 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


ESSAYS = [
    ("Bees make honey. Bears like rivers.", ["Bees make honey.", "Bears like rivers."]),
    ("Mary Lund founded the Lund School. Peter Horn visited Rome.", ["Mary Lund founded the Lund School."]),
    ("Wolves hunt deer. Deer eat grass.", ["Wolves hunt deer."]),
    ("Anna Berg wrote books about Oslo. It rained.", ["Purple trains sing loudly."]),
]


def folder(tmp_path: Path) -> Path:
    essays = [{"content": text} for text, _ in ESSAYS]
    answers = [[{"answer": fact} for fact in facts] for _, facts in ESSAYS]
    for name, rows in (("essays", essays), ("answers", answers)):
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    return tmp_path / "essays.json.gz"


def test_a_graph_in_words() -> None:
    graph = Extraction(
        (EntityFact("Ada", "person", "A writer."), EntityFact("Rome", "place", "")),
        (RelationFact("Ada", "left", "Rome", "Ada left."), RelationFact("Ada", "saw", "Oslo", "")),
    )
    assert pieces(graph) == ["Ada left Rome", "Ada saw Oslo", "Ada left Rome, saw Oslo"]
    assert pieces(graph, described=True)[3:] == ["A writer.", "Ada left."]
    assert pieces(Extraction(graph.entities)) == ["Ada", "Rome"]
    assert nearest(np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32)).tolist() == [0, 0]


def test_the_threshold_separates_a_facts_sentence_from_the_next() -> None:
    threshold = similarity_threshold([Essay(text, tuple(facts)) for text, facts in ESSAYS[::2]], Bags())
    assert threshold == pytest.approx(1.0)  # the own sentences are the facts word for word, others are not


def test_half_of_the_essays_is_measured(tmp_path: Path) -> None:
    path = folder(tmp_path)
    assert [len(essay.facts) for essay in read_essays(path)] == [2, 1, 1, 1]
    figures = evaluate_facts_kept(path, "rules", Bags())
    assert (figures["n"], figures["facts"]) == (2, 2)
    assert figures["ceiling"] == 0.5  # the second essay does not state its fact
    assert figures["chance"] == 0
    assert figures["facts_kept_described"] == 0.5
    assert 0 <= figures["facts_kept"] <= figures["ceiling"]
    assert figures["output_tokens"] == 0
    (tmp_path / "answers.json.gz").unlink()
    with pytest.raises(InputError, match=r"answers\.json\.gz in one folder"):
        read_essays(path)
