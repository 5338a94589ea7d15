"""Local questions: linked entities, what surrounds them, and an answer from that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np

from graphrag.query.answer import context_limit
from graphrag.query.chains import ChainChoice, choose_in_chains
from graphrag.query.citations import CitationResolver
from graphrag.query.context import Context, Section, build_context
from graphrag.query.extractive import Chosen, candidates_of_units, least_similarity
from graphrag.query.linking import link_entities
from graphrag.query.neighbourhood import linked_rows, neighbourhood, shares
from graphrag.query.question import Question, one_block
from graphrag.query.relevance import Relevance
from graphrag.query.result import NO_ANSWER
from graphrag.query.sections import sources_section

_RELATIONSHIPS_READ = 20  # whose text units are read for sentences, beside those of the context
_UNITS_STATING = 20


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
    context = await asyncio.to_thread(
        build_context, around.sections, limit, parts, order=question.context_order
    )
    question.use(context)
    if question.mode == "extractive":
        named = frozenset(link.place for link in links if link.how != "description")
        pieces = question.tell(one_block(await _chosen(question, relevance, named, context)))
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


async def _chosen(
    question: Question,
    relevance: Relevance,
    named: frozenset[int],
    context: Context,
) -> list[Chosen]:
    """Choose the sentences of an extractive answer; text units they are found in join the context."""
    view = question.view
    resolver = CitationResolver(view)
    names = [row.cells[0] for row in context.rows.get("Entities", ()) if row.number in named]
    units = [row.number for row in context.rows.get("Sources", ())]
    stated = [row.number for row in context.rows.get("Relationships", ())][:_RELATIONSHIPS_READ]

    least = least_similarity(relevance)

    def choose() -> tuple[ChainChoice, int]:
        stating, _ = view.units_of_relationships.of_many(np.array(stated, dtype=np.int64))
        more = list(dict.fromkeys(stating.tolist()))[:_UNITS_STATING]
        candidates = candidates_of_units(resolver, list(dict.fromkeys([*units, *more])))
        found = choose_in_chains(view, resolver, candidates, relevance, names, least=least)
        return found, len(candidates)

    found, considered = await asyncio.to_thread(choose)
    if found.bridges:
        question.trace.append({"event": "bridges", "entities": list(found.bridges)})
    question.note_sentences(found.chosen, relevance, found.embedded, considered, least)
    known = set(units)
    best = {one.candidate.unit: one.similarity for one in reversed(found.chosen)}
    extra = np.array([unit for unit in best if unit not in known], dtype=np.int64)
    if len(extra):
        scores = np.array([best[int(unit)] for unit in extra])
        question.use(_with_sources(context, sources_section(view.index, extra, scores)))
    return list(found.chosen)


def _with_sources(context: Context, more: Section) -> Context:
    """Return ``context`` with text units added; what was cut from it has been noted already."""
    rows = {**context.rows, more.name: (*context.rows.get(more.name, ()), *more.rows)}
    return replace(context, rows=rows, columns={**context.columns, more.name: more.columns}, cut=())
