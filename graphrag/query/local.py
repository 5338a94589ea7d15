"""Local questions: linked entities, what surrounds them, and an answer from that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from graphrag.query.answer import context_limit
from graphrag.query.citations import CitationResolver
from graphrag.query.context import build_context
from graphrag.query.extractive import candidates_of_units, least_similarity
from graphrag.query.linking import link_entities
from graphrag.query.neighbourhood import linked_rows, neighbourhood, shares
from graphrag.query.question import Question, one_block
from graphrag.query.result import NO_ANSWER


async def answer_local(question: Question) -> AsyncIterator[str]:
    """Answer from the neighbourhood of the linked entities. One LLM call, or none when extractive."""
    settings = question.settings.query
    relevance, passages = await asyncio.gather(
        question.relevance(), question.passages(settings.top_k_text_units)
    )
    view = question.view
    links, more = await asyncio.to_thread(link_entities, view, relevance, settings.top_k_entities)
    wanted = settings.max_context_tokens
    limit = (
        wanted if question.mode == "extractive" else context_limit(question.settings, wanted, question.text)
    )
    around = await asyncio.to_thread(
        neighbourhood,
        view,
        relevance,
        links,
        passages,
        top_k_relationships=settings.top_k_relationships,
        max_tokens=limit,
    )
    by_name = {section.name: section for section in around.sections}
    question.trace += [*linked_rows(links, by_name["Entities"]), *around.trace]
    if more:
        why = f"linked less surely than the best {settings.top_k_entities}"
        question.trace.append({"event": "left_out", "section": "Entities", "count": more, "why": why})
    parts = shares(settings.text_unit_share, settings.report_share)
    context = await asyncio.to_thread(build_context, around.sections, limit, parts)
    question.use(context)
    if question.mode == "extractive":
        units = [row.number for row in context.rows.get("Sources", ())]
        named = {link.place for link in links if link.how != "description"}
        names = [row.cells[0] for row in context.rows.get("Entities", ()) if row.number in named]
        candidates = candidates_of_units(CitationResolver(view), units)
        least = least_similarity(relevance)
        chosen = await question.quote(candidates, relevance, least=least, names=names)
        pieces = question.tell(one_block(chosen))
    elif not context.rows:
        question.trace.append({"event": "no_answer", "why": "nothing in the index is linked to the question"})
        question.answer = NO_ANSWER
        yield NO_ANSWER
        return
    else:
        pieces = question.write(
            "answer", question.writer.request("local_answer", question.text, context.text)
        )
    async for piece in pieces:
        yield piece
