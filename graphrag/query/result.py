"""What a question gives back: the answer, where it comes from, what it cost, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphrag.llm.base import Usage

NO_ANSWER = "The indexed documents do not seem to answer this question."


@dataclass(frozen=True, slots=True)
class Citation:
    """One place that the answer rests on: ``text == document.text[start_char:end_char]``.

    ``label`` is how the answer cites it, such as ``Sources (3)``; ``kind``, ``row_id`` and
    ``human_readable_id`` name the cited row. ``via`` lists the rows passed on the way from a report
    to the text, as labels, and is empty for all other kinds. ``record_id`` is the id that a
    record of a jsonl, csv or parquet file brought along.
    """

    label: str
    kind: str
    row_id: str
    human_readable_id: int
    document_id: str
    document_title: str
    uri: str
    record_id: str | None
    start_char: int
    end_char: int
    text: str
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepUsage:
    """Tokens and money of one step, such as ``map`` or ``reduce``.

    ``estimated`` says that the backend gave no figures (streams, embeddings) and the tokens are
    counted by the engine. A cached call costs nothing.
    """

    step: str
    model: str
    usage: Usage
    cost: float
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class QueryResult:
    """An answer that explains itself; ``str(result)`` is the answer.

    ``mode`` is ``llm`` or ``extractive``. ``context`` maps a section (``Sources``, ``Entities``,
    ``Relationships``, ``Claims``, ``Reports``) to the rows that were used, each with its number
    ``id`` (the human_readable_id that citations name). ``trace`` lists what was linked, chosen,
    cut and left out, in order, each event with its ``event``, ``why`` and scores.
    ``removed_citations`` counts citations that led nowhere and were taken out of the answer.
    ``generation`` names the state of the index that was asked.
    """

    question: str
    method: str
    mode: str
    answer: str
    citations: tuple[Citation, ...]
    context: Mapping[str, tuple[Mapping[str, Any], ...]]
    usage: tuple[StepUsage, ...]
    trace: tuple[Mapping[str, Any], ...]
    removed_citations: int
    generation: str

    @property
    def cost(self) -> float:
        """Return the money spent, in the currency of the configured prices."""
        return sum(step.cost for step in self.usage)

    @property
    def total_usage(self) -> Usage:
        """Return the tokens of all steps together."""
        return sum((step.usage for step in self.usage), Usage())

    @property
    def answered(self) -> bool:
        """Return whether the documents held an answer, as far as the engine can tell."""
        return self.answer != NO_ANSWER

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return {
            "question": self.question,
            "method": self.method,
            "mode": self.mode,
            "answer": self.answer,
            "citations": [dataclasses.asdict(citation) for citation in self.citations],
            "context": {name: [dict(row) for row in rows] for name, rows in self.context.items()},
            "usage": [dataclasses.asdict(step) for step in self.usage],
            "cost": self.cost,
            "trace": [dict(event) for event in self.trace],
            "removed_citations": self.removed_citations,
            "generation": self.generation,
        }

    def __str__(self) -> str:
        return self.answer
