"""Questions made from the relations of a graph, by rule: no model, the same ones every time.

    Marta Velden --built--> Ostrel           Who built Ostrel?   ·   Marta Velden built which place?
    Jonas Brack --taught--> Ines Moor        The person that Jonas Brack taught commanded which ship?
    Ines Moor --commanded--> Halcyon

The language of the questions is that of a quiz, and their words are English around the graph's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphrag.errors import InputError
from graphrag.evaluate.answer_measures import says
from graphrag.evaluate.question_sets import MadeQuestion, Passage, QuestionSet, Span, fault_of, passages_of
from graphrag.evaluate.question_wording import Wording, is_year, wording
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.store.index import Index

_LONGEST_NAME = 8  # words; longer titles are sentences
_HUB = 60  # an end of more relations than this joins nothing in particular


@dataclass(frozen=True, slots=True)
class _Fact:
    """A relation between two named ends that one passage states."""

    head: str
    wording: Wording
    tail: str
    passage: Passage
    span: Span

    def asks(self, head: bool) -> str:
        """Return the question for the head, or for the tail."""
        return self.wording.asks_head(self.tail) if head else self.wording.asks_tail(self.head)

    def describes(self, head: bool) -> str:
        """Return a description of the head, or of the tail, that does not name it."""
        return self.wording.describes_head(self.tail) if head else self.wording.describes_tail(self.head)

    def end(self, head: bool) -> str:
        """Return the head, or the tail."""
        return self.head if head else self.tail

    def kind(self, head: bool) -> str:
        """Return what kind of thing the head is, or the tail."""
        return self.wording.head if head else self.wording.tail


def questions_from_graph(
    index: Index, *, count: int, two_hop: float = 0.5, seed: int = 42, progress: Progress | None = None
) -> QuestionSet:
    """Make up to ``count`` questions from the relations of ``index``, a share of them over two passages.

    A relation is used where one text unit alone states it, names both ends, and nothing else stands
    in that relation to the end that is told: so the answer is the only one, and its passage the
    only gold. Two of them with an end in common, in different documents, make a question whose
    second passage is found by way of the first; the shared end is not named. No LLM call.

    Raises:
        InputError: the index has no relation that can be asked for.
    """
    progress = progress or NoProgress()
    progress.stage("read the graph")
    began = time.monotonic()
    facts = _facts(index)
    if not facts:
        raise InputError(
            f"None of the {index.table('relationships').num_rows:,} relationships of this index can be asked "
            "for: a question needs a telling predicate between two names that one passage states.",
            hint="Have a language model write the questions: --by llm.",
        )
    facts.sort(
        key=lambda one: (not one.wording.sure, content_hash(seed, one.head, one.wording.clause, one.tail))
    )
    made = QuestionSet()
    progress.done("read the graph", time.monotonic() - began, f"{len(facts):,} relations can be asked for")
    wanted = round(count * two_hop)
    used: set[int] = set()
    for some in ([one for one in facts if one.wording.sure], facts):
        for question in _two_hop(some, used):
            if len(made.questions) == wanted:
                break
            _consider(made, *question)
    asked = {gold for one in made.questions for gold in one.gold}
    for place, fact in enumerate(facts):
        if len(made.questions) >= count:
            break
        if fact.passage.id in asked:  # as many passages as there are: one question of each
            continue
        for head in (place % 2 == 0, place % 2 == 1):
            if _consider(made, fact.asks(head), fact.end(head), (fact,)):
                asked.add(fact.passage.id)
                break
    return made


def _consider(made: QuestionSet, text: str, answer: str, facts: tuple[_Fact, ...]) -> bool:
    fault = fault_of(text, answer, [fact.passage.text for fact in facts])
    if fault is not None:
        made.refuse(fault)
        return False
    gold, spans = tuple(one.passage.id for one in facts), tuple(one.span for one in facts)
    return made.keep(MadeQuestion(text[0].upper() + text[1:], answer, gold, spans, "graph"))


def _two_hop(facts: list[_Fact], used: set[int]) -> Iterator[tuple[str, str, tuple[_Fact, _Fact]]]:
    """Yield question, answer and facts of pairs that share an end: one for each end, each fact in one.

    ``used`` are the facts, by identity, that are in one already.
    """
    at: dict[str, list[tuple[_Fact, bool]]] = {}
    for fact in facts:
        at.setdefault(fact.head, []).append((fact, True))
        at.setdefault(fact.tail, []).append((fact, False))
    for bridge in sorted(at, key=lambda name: content_hash("bridge", name)):
        pairs = at[bridge]
        if not 2 <= len(pairs) <= _HUB or is_year(bridge):
            continue
        joined = next(
            (
                (first, is_head, second, other)
                for first, is_head in pairs
                for second, other in pairs
                if not {id(first), id(second)} & used and _joins(first, is_head, second, other)
            ),
            None,
        )
        if joined is None:
            continue
        first, is_head, second, other = joined
        used |= {id(first), id(second)}
        described = first.describes(is_head)
        text = second.wording.asks_tail(described) if other else second.wording.asks_head(described)
        yield text, second.end(not other), (first, second)


def _joins(first: _Fact, is_head: bool, second: _Fact, other: bool) -> bool:
    """Say whether two facts at one end make a question that neither passage answers alone."""
    if first.passage.span.document_id == second.passage.span.document_id:
        return False
    if first.kind(is_head) != second.kind(other):
        return False
    told, asked = first.end(not is_head), second.end(not other)
    return (
        told != asked
        and not says(first.passage.text, asked)
        and not says(second.passage.text, told)
        and not says(told, asked)
    )


def _facts(index: Index) -> list[_Fact]:
    """Return what can be asked for, in the order of the mentions."""
    relationships = {row["id"]: row for row in index.table("relationships").to_pylist()}
    types = dict(
        zip(
            index.table("entities")["id"].to_pylist(),
            index.table("entities")["type"].to_pylist(),
            strict=True,
        )
    )
    passages = {one.id: one for one in passages_of(index)}
    tails: dict[tuple[str, str], set[str]] = {}
    heads: dict[tuple[str, str], set[str]] = {}
    for row in relationships.values():
        tails.setdefault((row["source_id"], row["predicate_id"]), set()).add(row["target_id"])
        heads.setdefault((row["target_id"], row["predicate_id"]), set()).add(row["source_id"])
    found = []
    for mention in index.table("relation_mentions").to_pylist():
        row = relationships.get(mention["relationship_id"])
        passage = passages.get(mention["text_unit_id"])
        if row is None or passage is None or len(row["text_unit_ids"]) != 1:
            continue
        if (
            len(tails[row["source_id"], row["predicate_id"]]) > 1
            or len(heads[row["target_id"], row["predicate_id"]]) > 1
        ):
            continue
        fact = _fact(row, mention, passage, types)
        if fact is not None:
            found.append(fact)
    return found


def _fact(
    row: dict[str, Any], mention: dict[str, Any], passage: Passage, types: dict[str, str]
) -> _Fact | None:
    head, tail = row["source"], row["target"]
    if max(len(head.split()), len(tail.split())) > _LONGEST_NAME:
        return None
    worded = wording(
        row["predicate"] or "",
        (head, types.get(row["source_id"], "")),
        (tail, types.get(row["target_id"], "")),
    )
    if worded is None or says(head, tail) or says(tail, head):
        return None
    if not says(passage.text, head) or not says(passage.text, tail):
        return None
    span = passage.span
    if mention["start_char"] is not None:
        span = Span(span.document_id, mention["start_char"], mention["end_char"])
    return _Fact(head, worded, tail, passage, span)
