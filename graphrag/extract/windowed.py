"""Extraction by a small tuned model in the compact format, window by window."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from graphrag.extract.compact import (
    WINDOW_WORDS,
    ExtractionSchema,
    compact_grammar,
    one_line,
    parse_compact,
    windows,
)
from graphrag.extract.facts import EntityFact, Extraction
from graphrag.extract.grounding import ground
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Message
from graphrag.text.sentences import sentence_spans

_TOKENS_PER_CHARACTER = 1.6  # of the text, allowed to an answer about it; a full one has about a quarter
_LEAST_TOKENS = 192

Choice = Callable[[str, str], Sequence[tuple[str, str]]]
"""Chooses demonstrations by the system turn and the text."""


@dataclass(frozen=True, slots=True)
class CompactExtractor:
    """Asks ``model`` for the facts of each window of a text under one schema.

    ``demonstrations`` are (text, answer) turns shown before, for a model that was not tuned. The turns before
    a window are the same for all windows, so a local model reads them once; not so when a function chooses
    them for each window.

    A long text is read ``readings`` times, each time in windows that begin elsewhere: what stands on both
    sides of one reading's border stands together in another's, and what one overlooks another may see.
    """

    model: ChatModel
    schema: ExtractionSchema
    demonstrations: Sequence[tuple[str, str]] | Choice = ()
    max_tokens: int = 2000
    readings: int = 1

    async def extract(self, text: str) -> Extraction:
        """Return what ``text`` states: one call for every window (about 130 words) of every reading.

        Descriptions are the sentences that name an entity first or that hold both ends of a relation. An
        answer that is cut keeps its complete lines.

        Raises:
            LLMError: the model did not answer.
        """
        return self.read(text, await self.ask(text))

    async def ask(self, text: str) -> list[ChatResponse]:
        """Return the model's answers about the windows of ``text``, in order."""
        parts = [one_line(text[start:end]) for start, end in reading_windows(text, self.readings)]
        return list(await asyncio.gather(*(self.model.complete(self._request(part)) for part in parts)))

    def read(self, text: str, answers: Sequence[ChatResponse]) -> Extraction:
        """Put the answers about ``text`` together, find their places and quote what they rest on."""
        found = [parse_compact(answer.text) for answer in answers]
        together = Extraction(
            _of_one_type([entity for one in found for entity in one.entities]),
            tuple(relation for one in found for relation in one.relations),
        )
        return _quoted(text, ground(text, together))

    def _request(self, part: str) -> ChatRequest:
        messages = [Message("system", self.schema.prompt)]
        given = self.demonstrations
        for shown, answer in given(self.schema.prompt, part) if callable(given) else given:
            messages += [Message("user", shown), Message("assistant", answer)]
        return ChatRequest(
            messages=(*messages, Message("user", part)),
            task="extract_graph",
            grammar=partial(compact_grammar, part, self.schema),
            max_tokens=min(self.max_tokens, answer_tokens(part)),
        )


def reading_windows(text: str, readings: int) -> list[tuple[int, int]]:
    """Return the spans of ``text`` that are read, without those that lie within another.

    The windows come in order, then those of each further reading, which begin a part of a window later.
    """
    spans = windows(text)
    for number in range(1, readings if len(spans) > 1 else 1):
        start = windows(text, WINDOW_WORDS * number // readings)[0][1]
        spans += [(first + start, last + start) for first, last in windows(text[start:])]
    spans = list(dict.fromkeys(spans))
    return [one for one in spans if not any(a <= one[0] and one[1] <= b for a, b in spans if (a, b) != one)]


def answer_tokens(part: str) -> int:
    """Return the most tokens that an answer about ``part`` may have."""
    return max(_LEAST_TOKENS, int(len(part) * _TOKENS_PER_CHARACTER))


def _of_one_type(entities: Sequence[EntityFact]) -> tuple[EntityFact, ...]:
    """Give a name that windows type differently the type that most of them give, or else the first."""
    votes: dict[str, Counter[str]] = {}
    for one in entities:
        votes.setdefault(one.name, Counter())[one.type] += 1
    return tuple(replace(one, type=votes[one.name].most_common(1)[0][0]) for one in entities)


def _quoted(text: str, found: Extraction) -> Extraction:
    """Give every fact the sentence of ``text`` that it stands in as its description."""
    spans = sentence_spans(text)

    def sentence(start: int | None) -> str:
        return next((text[a:b] for a, b in spans if start is not None and a <= start < b), "")

    return replace(
        found,
        entities=tuple(replace(one, description=sentence(one.start)) for one in found.entities),
        relations=tuple(
            replace(one, description="" if one.start is None else text[one.start : one.end])
            for one in found.relations
        ),
    )
