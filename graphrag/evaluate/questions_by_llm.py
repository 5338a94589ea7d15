"""Questions that a language model writes from text units, checked by asking them back.

A question is kept if it stands alone, does not copy its passage, and the model, given the passage and
the question only, comes to the same answer: round-trip consistency, Alberti et al., "Synthetic QA
Corpora Generation with Roundtrip Consistency", ACL 2019. One over two passages must not be answered
alike from either of them alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import BaseModel

from graphrag.errors import LLMError
from graphrag.evaluate.answer_measures import says, token_f1
from graphrag.evaluate.question_sets import MadeQuestion, Passage, QuestionSet, Span, fault_of, passages_of
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.llm.base import ChatModel, ChatRequest
from graphrag.llm.prompts import render
from graphrag.store.index import Index
from graphrag.tokens import approximate_tokens

WRITE, ANSWER = "make_question", "answer_from_passages"
_SAME = 0.5  # F1 of two answers from which they are the same
_ATTEMPTS = 4  # passages tried per question wanted, at most
_FEWEST_TOKENS = 30  # shorter text units hold no fact that one would ask for
_FEWEST_UNITS, _MOST_UNITS = 2, 10  # text units that name what joins two passages: rarer ones tell more


class WrittenQuestion(BaseModel):
    """A question, its answer, and the sentences it rests on, one per passage."""

    question: str
    answer: str
    evidence: list[str] = []


class ShortAnswer(BaseModel):
    """The answer to a question, empty if the passages do not hold it."""

    answer: str


@dataclass(slots=True)
class Written(QuestionSet):
    """What the model wrote; ``failures`` are calls without a usable answer, by reason."""

    failures: dict[str, int] = field(default_factory=dict)
    first_failure: str = ""


async def questions_by_llm(
    index: Index,
    model: ChatModel,
    *,
    count: int,
    two_hop: float = 0.3,
    seed: int = 42,
    root: Path | None = None,
    progress: Progress | None = None,
) -> Written:
    """Have ``model`` write up to ``count`` questions from text units of ``index``, drawn by hash.

    A share ``two_hop`` is asked over two text units of different documents that name the same entity.
    Two calls for a question over one passage, four for one over two; what is refused costs one or
    more, and at most four passages are tried for each question wanted. The same index, model and
    seed ask the same, so an interrupted run goes on from the cache of answers.

    Raises:
        LLMError: the model cannot be asked at all, or no call was answered.
    """
    progress = progress or NoProgress()
    passages = passages_of(index)
    fit = [one for one in passages if approximate_tokens(one.body) >= _FEWEST_TOKENS]
    singles = [(one,) for one in sorted(fit, key=lambda one: content_hash(seed, one.id))]
    pairs = _pairs(index, {one.id: one for one in fit}, seed)
    made = Written()
    progress.stage("write questions")
    progress.total(count, "questions")
    began = time.monotonic()
    writer = _Writer(model, root, made)
    await writer.fill(pairs, round(count * two_hop), progress)
    await writer.fill(singles, count - len(made.questions), progress)
    progress.done("write questions", time.monotonic() - began, f"{len(made.questions)} kept")
    if not made.questions and made.failures:
        raise LLMError(f"No question was written. The first failure: {made.first_failure}")
    return made


@dataclass(frozen=True, slots=True)
class _Writer:
    model: ChatModel
    root: Path | None
    made: Written

    async def fill(self, candidates: Sequence[tuple[Passage, ...]], wanted: int, progress: Progress) -> None:
        """Try ``candidates`` in order, as many at once as are still missing, until ``wanted`` are kept."""
        begun = len(self.made.questions)
        left = list(candidates)[: _ATTEMPTS * wanted]
        while left and len(self.made.questions) - begun < wanted:
            missing = wanted - (len(self.made.questions) - begun)
            batch, left = left[:missing], left[missing:]
            answers = await asyncio.gather(*(self._make(one) for one in batch), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, LLMError) and answer.retryable:
                    reason = type(answer).__name__
                    self.made.failures[reason] = self.made.failures.get(reason, 0) + 1
                    self.made.first_failure = self.made.first_failure or str(answer)
                elif isinstance(answer, BaseException):
                    raise answer  # only now: what was in flight is answered, and in the cache
                elif isinstance(answer, str):
                    self.made.refuse(answer)
                elif self.made.keep(answer):
                    progress.advance()

    async def _make(self, passages: tuple[Passage, ...]) -> MadeQuestion | str:
        """Return a question from ``passages``, or why there is none."""
        texts = [one.text for one in passages]
        written = cast(WrittenQuestion, await self._ask(WRITE, WrittenQuestion, 400, passages=texts))
        question, answer = written.question.strip(), written.answer.strip()
        fault = fault_of(question, answer, texts)
        if fault is not None:
            return fault
        alone = [[text] for text in texts] if len(texts) > 1 else []
        for some in (texts, *alone):
            found = cast(
                ShortAnswer, await self._ask(ANSWER, ShortAnswer, 200, passages=some, question=question)
            )
            same = _agree(found.answer, answer)
            if some is texts and not same:
                return "not answerable from the passage"
            if some is not texts and same:
                return "one of its two passages is enough"
        quotes = [*written.evidence, *[""] * len(passages)]
        spans = tuple(_span(one, quote) for one, quote in zip(passages, quotes, strict=False))
        return MadeQuestion(question, answer, tuple(one.id for one in passages), spans, "llm")

    async def _ask(
        self, prompt: str, output: type[BaseModel], max_tokens: int, **values: object
    ) -> BaseModel:
        system, user = render(prompt, self.root, **values)
        request = ChatRequest.of(system, user, task=prompt, output=output, max_tokens=max_tokens)
        parsed = (await self.model.complete(request)).parsed
        assert parsed is not None
        return parsed


def _agree(ours: str, theirs: str) -> bool:
    return bool(ours.strip()) and (
        token_f1(ours, [theirs]) >= _SAME or says(ours, theirs) or says(theirs, ours)
    )


def _span(passage: Passage, quote: str) -> Span:
    """Return where ``quote`` stands in the document, or the whole passage where it does not stand there."""
    at = passage.body.find(quote.strip()) if quote.strip() else -1
    if at < 0:
        return passage.span
    start = passage.span.start + at
    return Span(passage.span.document_id, start, start + len(quote.strip()))


def _pairs(index: Index, passages: dict[str, Passage], seed: int) -> list[tuple[Passage, ...]]:
    """Return two text units of different documents for each entity that a few name, in order by hash."""
    table = index.table("entities")
    found: list[tuple[Passage, ...]] = []
    used: set[str] = set()
    units_of = dict(zip(table["id"].to_pylist(), table["text_unit_ids"].to_pylist(), strict=True))
    for entity in sorted(units_of, key=lambda one: content_hash(seed, one)):
        units = units_of[entity]
        if not _FEWEST_UNITS <= len(units) <= _MOST_UNITS:
            continue
        there = sorted((passages[one] for one in units if one in passages), key=lambda one: one.id)
        there = [one for one in there if one.id not in used]
        pair = next(
            (
                (first, second)
                for place, first in enumerate(there)
                for second in there[place + 1 :]
                if first.span.document_id != second.span.document_id
            ),
            None,
        )
        if pair is not None:
            found.append(pair)
            used |= {one.id for one in pair}
    return found
