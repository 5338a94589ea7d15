"""Question sets made from an index: what a question is, which are refused, how they are written down.

The passages that a question was made from are its gold. Their ids hold for one chunking only, so the
characters that it rests on are written beside them, and :func:`fitted` finds the text units of another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from graphrag.evaluate.answer_measures import says
from graphrag.evaluate.questions import GoldQuestion
from graphrag.hashing import content_hash
from graphrag.store.index import Index
from graphrag.store.passages import telling_title, titled

By = Literal["llm", "graph"]
_WORD = re.compile(r"\w+")
_LONGEST_RUN = 8  # words in a row that a question may share with its passage: a long title has as many
_SHORT_RUN, _SHARE = 5, 0.6  # or fewer, where they are most of the question
_SPEAKS_OF_THE_TEXT = re.compile(
    r"\b(?:the|this|that|above|given|following)\s+(?:passage|text|excerpt|paragraph|context|document)s?\b"
    r"|according to the (?:passage|text|author|article)"
    r"|(?:이|위|다음|본)\s?(?:글|지문|문서|본문|단락)(?:에|의|은|이|을|\s)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of a document: ``document.text[start:end]``."""

    document_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A text unit that questions are made from; ``text`` has the title of its document above it."""

    id: str
    text: str
    body: str
    span: Span


@dataclass(frozen=True, slots=True)
class MadeQuestion:
    """A question, its answer, the text units that it was made from, and the characters it rests on."""

    text: str
    answer: str
    gold: tuple[str, ...]
    spans: tuple[Span, ...]
    made_by: By

    def row(self) -> dict[str, Any]:
        """Return the line of a question file."""
        return {
            "id": content_hash("question", self.text, *self.gold),
            "question": self.text,
            "answers": [self.answer],
            "gold_passage_ids": list(self.gold),
            "gold_spans": [[one.document_id, one.start, one.end] for one in self.spans],
            "hops": len(self.gold),
            "made_by": self.made_by,
        }


@dataclass(slots=True)
class QuestionSet:
    """Questions that were kept, and how many were refused, by reason."""

    questions: list[MadeQuestion] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Count a question that is not kept."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def keep(self, question: MadeQuestion) -> bool:
        """Take a question in, unless it is there already; say whether it was."""
        if any(one.text.casefold() == question.text.casefold() for one in self.questions):
            self.refuse("asked before")
            return False
        self.questions.append(question)
        return True


def passages_of(index: Index) -> list[Passage]:
    """Return every text unit of ``index`` in the order of its table."""
    documents = index.table("documents").select(["id", "title", "record_id"]).to_pylist()
    titles = {row["id"]: telling_title(row["title"], row["record_id"]) for row in documents}
    columns = ["id", "text", "document_id", "start_char", "end_char"]
    return [
        Passage(
            row["id"],
            titled(titles[row["document_id"]], row["text"]),
            row["text"],
            Span(row["document_id"], row["start_char"], row["end_char"]),
        )
        for row in index.table("text_units").select(columns).to_pylist()
    ]


def fault_of(question: str, answer: str, passages: Sequence[str]) -> str | None:
    """Return why a question is of no use as a test of retrieval from ``passages``, or None.

    It must be a question that stands alone, in other words than its passages, with an answer that
    stands in one of them and not in itself. No model is asked.
    """
    if not _WORD.search(question) or not _WORD.search(answer):
        return "empty"
    if _SPEAKS_OF_THE_TEXT.search(question):
        return "speaks of the passage"
    if says(question, answer):
        return "gives its answer away"
    if not any(says(passage, answer) for passage in passages):
        return "its answer is not in the passage"
    if any(copies(question, passage) for passage in passages):
        return "copies the passage"
    return None


def copies(question: str, passage: str) -> bool:
    """Say whether a question repeats a run of words of ``passage``: it would be found by any search."""
    ours, theirs = (_WORD.findall(text.casefold()) for text in (question, passage))
    run = SequenceMatcher(None, ours, theirs, autojunk=False).find_longest_match().size
    return run > _LONGEST_RUN or (run >= _SHORT_RUN and run > _SHARE * len(ours))


def write_questions(questions: Iterable[MadeQuestion], target: Path) -> None:
    """Write a question file: JSON Lines."""
    lines = [json.dumps(one.row(), ensure_ascii=False) for one in questions]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def fitted(questions: Sequence[GoldQuestion], index: Index) -> list[GoldQuestion]:
    """Return ``questions`` with the gold passages of ``index`` where it was chunked otherwise.

    Only questions whose gold ids are not text units of ``index`` change, and of those the ones whose
    file has ``gold_spans``: gold is then the text unit that holds most of each span.
    """
    known = set(index.table("text_units")["id"].to_pylist())
    if all(one.row.get("gold_spans") is None or known.issuperset(one.gold) for one in questions):
        return list(questions)
    units: dict[str, list[Passage]] = {}
    for passage in passages_of(index):
        units.setdefault(passage.span.document_id, []).append(passage)
    return [
        one
        if one.row.get("gold_spans") is None or known.issuperset(one.gold)
        else replace(one, gold=_gold_of(one, units) or one.gold)
        for one in questions
    ]


def _gold_of(question: GoldQuestion, units: dict[str, list[Passage]]) -> tuple[str, ...]:
    found = []
    for document_id, start, end in question.row["gold_spans"]:
        there = units.get(document_id)
        if not there:
            return ()
        best = max(there, key=lambda one: min(end, one.span.end) - max(start, one.span.start))
        found.append(best.id)
    return tuple(dict.fromkeys(found))
