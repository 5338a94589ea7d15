"""Ask a language model about the pairs of names that similarity leaves in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pydantic import BaseModel

from graphrag.errors import LLMError
from graphrag.extract.resolution import Candidate
from graphrag.llm.base import ChatModel, ChatRequest
from graphrag.llm.prompts import render

PROMPT = "same_entity"
_PAIRS_PER_CALL = 25


class SamePairs(BaseModel):
    """Numbers (from 1) of the pairs that are the same entity."""

    same: list[int]


async def judge_pairs(
    model: ChatModel, pairs: Sequence[tuple[Candidate, Candidate]], project: Path | None = None
) -> tuple[list[bool], dict[str, str]]:
    """Return for each pair whether its names mean one entity, and the calls that failed with their reasons.

    One call per 25 pairs. A call whose answer cannot be used counts its pairs as different: a
    missed merge can be made later, a wrong one mixes two things up.
    """
    batches = [pairs[start : start + _PAIRS_PER_CALL] for start in range(0, len(pairs), _PAIRS_PER_CALL)]

    failures: dict[str, str] = {}

    async def ask(batch: Sequence[tuple[Candidate, Candidate]]) -> list[bool]:
        system, user = render(PROMPT, project, pairs=batch)
        request = ChatRequest.of(system, user, task=PROMPT, output=SamePairs, max_tokens=200)
        try:
            response = await model.complete(request)
        except LLMError as error:
            if not error.retryable:
                raise
            failures[f"{batch[0][0].name} / {batch[0][1].name} and {len(batch) - 1} more pairs"] = str(error)
            return [False] * len(batch)
        same = set(cast(SamePairs, response.parsed).same)
        return [number in same for number in range(1, len(batch) + 1)]

    answers = await asyncio.gather(*(ask(batch) for batch in batches), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):  # only now: what was in flight is answered, and stored
            raise answer
    return [one for answer in answers if isinstance(answer, list) for one in answer], failures
