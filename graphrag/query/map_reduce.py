"""Reports in batches, points by map calls, and the context of the reduce call.

After Edge et al., "From Local to Global" (2024). The batches are bounded, so the tokens of a question
do not grow with the corpus; what was left out is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from graphrag.errors import LLMError
from graphrag.extract.citations import Reference, parse_citations, strip_unknown
from graphrag.query.answer import Writer, all_failed, context_limit
from graphrag.query.context import Context, Row, Section, build_context, clean_cell
from graphrag.query.sections import reports_section
from graphrag.query.selection import Selection
from graphrag.store.index import Index
from graphrag.tokens import approximate_tokens

_ROWS_READ = 400  # reports beyond this are never read: no map budget holds them
_RATING_TOKENS = 64
_BEST_RATING = 5
_RATED_TOKENS = 1500


class MapPoint(BaseModel):
    """A key point that helps to answer, with its citations in the description."""

    description: str
    score: int = Field(ge=0, le=100)


class MapAnswer(BaseModel):
    """What one map call gives back."""

    points: list[MapPoint]


class Rating(BaseModel):
    """How much a report helps to answer, 0 to 5."""

    rating: int = Field(ge=0, le=_BEST_RATING)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of batch ``batch``, its citations checked."""

    description: str
    score: int
    batch: int


@dataclass(frozen=True, slots=True)
class Mapped:
    """All points of a question, best first, and the references that they make."""

    points: tuple[Point, ...]
    references: frozenset[Reference]


def batches(
    index: Index, selection: Selection, *, map_tokens: int, max_map_calls: int, trace: list[dict[str, Any]]
) -> list[Context]:
    """Fill at most ``max_map_calls`` contexts of ``map_tokens`` with the best reports, in their order.

    A report longer than a batch is shortened. Reports that find no place are counted in ``trace``.
    """
    places = np.array(selection.places[:_ROWS_READ], dtype=np.int64)
    section = reports_section(index, places, np.array(selection.scores[:_ROWS_READ]), full=True)
    waiting: tuple[Row, ...] = section.rows
    count = cache(approximate_tokens)  # a report that waits for the next batch is not counted again
    found: list[Context] = []
    while waiting and len(found) < max_map_calls:
        context = build_context([Section(section.name, section.columns, waiting)], map_tokens, count=count)
        taken = {row.number for row in context.rows.get(section.name, ())}
        if not taken:
            break
        trace += [
            {"event": "cut", "section": cut.section, "number": cut.number, "why": cut.why}
            for cut in context.cut
            if cut.number in taken
        ]
        found.append(context)
        waiting = tuple(row for row in waiting if row.number not in taken)
    left_out = len(selection.places) - sum(len(rows) for one in found for rows in one.rows.values())
    if left_out:
        why = f"no room in {max_map_calls} map calls of {map_tokens} tokens; they fit the question least"
        trace.append({"event": "left_out", "section": "Reports", "count": left_out, "why": why})
    return found


async def map_points(writer: Writer, question: str, contexts: Sequence[Context]) -> Mapped:
    """Ask one map call per context, at once, and return the points with a score above zero.

    A call that fails is counted in the trace and never taken for "nothing found".

    Raises:
        LLMError: every call failed.
    """

    async def ask(context: Context) -> MapAnswer | LLMError:
        request = writer.request("global_map", question, context.text, output=MapAnswer)
        try:
            response = await writer.complete("map", request)
        except LLMError as error:
            return error
        assert isinstance(response.parsed, MapAnswer)
        return response.parsed

    answers = await asyncio.gather(*(ask(context) for context in contexts))
    errors = [answer for answer in answers if isinstance(answer, LLMError)]
    if errors and len(errors) == len(answers):
        raise all_failed("map", errors)
    points: list[Point] = []
    references: set[Reference] = set()
    for number, (answer, context) in enumerate(zip(answers, contexts, strict=True)):
        if isinstance(answer, LLMError):
            n_reports = sum(len(rows) for rows in context.rows.values())
            event = {"event": "map_failed", "batch": number, "reports": n_reports, "why": str(answer)}
            writer.trace.append(event)
            continue
        known = {(section, one) for section, numbers in context.numbers().items() for one in numbers}
        kept = [point for point in answer.points if point.score > 0]
        dropped = len(answer.points) - len(kept)
        removed = 0
        for point in kept:
            text, gone = strip_unknown(point.description, known)
            removed += gone
            points.append(Point(text, point.score, number))
            references |= {one for mark in parse_citations(text) for one in mark.references}
        event = {"event": "mapped", "batch": number, "points": len(kept), "score_zero": dropped}
        writer.trace.append({**event, "removed_citations": removed})
    points.sort(key=lambda point: (-point.score, point.batch))
    return Mapped(tuple(points), frozenset(references))


def points_text(points: Sequence[Point], limit: int, trace: list[dict[str, Any]]) -> str:
    """Return the best points as the context of the reduce call; those with no room are counted."""
    lines = []
    left = limit
    for point in points:
        line = f"- (score {point.score}) {clean_cell(point.description)}"
        size = approximate_tokens(line) + 1
        if size <= left:
            lines.append(line)
            left -= size
    if len(lines) < len(points):
        why = f"no room in the {limit} tokens of the reduce call; they score least"
        count = len(points) - len(lines)
        trace.append({"event": "left_out", "section": "Points", "count": count, "why": why})
    return "\n".join(lines)


async def rate_reports(writer: Writer, index: Index, question: str, places: list[int]) -> dict[int, float]:
    """Rate reports by one small LLM call each, at once; return 0 to 1 by place.

    A call that fails is counted in the trace, and its report is left out of the answer.

    Raises:
        LLMError: every call failed.
    """
    limit = context_limit(writer.settings, _RATED_TOKENS, question)
    section = reports_section(index, np.array(places, dtype=np.int64), np.zeros(len(places)), full=False)

    async def ask(row: Row) -> float | LLMError:
        context = build_context([Section(section.name, section.columns, (row,))], limit)
        request = writer.request(
            "rate_report", question, context.text, output=Rating, max_tokens=_RATING_TOKENS
        )
        try:
            response = await writer.complete("rate", request)
        except LLMError as error:
            return error
        assert isinstance(response.parsed, Rating)
        return response.parsed.rating / _BEST_RATING

    ratings = await asyncio.gather(*(ask(row) for row in section.rows))
    errors = [rating for rating in ratings if isinstance(rating, LLMError)]
    if errors and len(errors) == len(ratings):
        raise all_failed("rating", errors)
    found = {}
    for place, rating in zip(places, ratings, strict=True):
        if isinstance(rating, LLMError):
            writer.trace.append({"event": "rating_failed", "number": place, "why": str(rating)})
        else:
            found[place] = rating
    return found
