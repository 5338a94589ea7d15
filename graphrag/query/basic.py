"""Basic questions: the best passages, and an answer from them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from graphrag.query.answer import context_limit
from graphrag.query.citations import CitationResolver
from graphrag.query.context import Section, build_context, join_contexts
from graphrag.query.extractive import candidates_of_units, least_similarity
from graphrag.query.mixture import passage_log_weights, readings_request
from graphrag.query.question import Question, one_block
from graphrag.query.result import NO_ANSWER
from graphrag.query.sections import sources_section


async def answer_basic(question: Question) -> AsyncIterator[str]:
    """Answer from the ``top_k_text_units`` passages that words and vectors find. One LLM call, or none."""
    settings = question.settings.query
    found = await question.passages(settings.top_k_text_units)
    index = question.view.index
    scored = [
        (place, score) for row_id, score in found if (place := index.place("text_units", row_id)) is not None
    ]
    for place, score in scored:
        question.trace.append(
            {"event": "passage", "number": place, "score": round(score, 4), "why": "retrieved"}
        )
    places = np.array([place for place, _ in scored], dtype=np.int64)
    section = sources_section(index, places, np.array([score for _, score in scored]))
    wanted = settings.max_context_tokens
    limit = (
        wanted if question.mode == "extractive" else context_limit(question.settings, wanted, question.text)
    )
    combine = settings.combine if question.mode == "llm" else "concat"
    if combine != settings.combine:
        question.trace.append({"event": "not_combined", "why": f"{settings.combine} needs a writing model"})
    if combine == "concat" or not section.rows:
        contexts = [build_context([section], limit, order=question.context_order)]
    else:
        contexts = [
            build_context([Section(section.name, section.columns, (row,))], limit) for row in section.rows
        ]
    context = join_contexts(contexts)
    question.use(context)
    if question.mode == "extractive":
        relevance = await question.relevance()
        units = [row.number for row in context.rows.get("Sources", ())]
        candidates = candidates_of_units(CitationResolver(question.view), units)
        chosen = await question.quote(candidates, relevance, least=least_similarity(relevance))
        pieces = question.tell(one_block(chosen))
    elif not context.rows:
        question.trace.append({"event": "no_answer", "why": "no passage shares a word with the question"})
        question.answer = NO_ANSWER
        yield NO_ANSWER
        return
    elif combine != "concat":
        weights = await passage_log_weights(question, places, [score for _, score in scored])
        pieces = question.write(
            "answer",
            readings_request(
                [question.writer.request("basic_answer", question.text, one.text) for one in contexts],
                weights,
                combine,
            ),
        )
    else:
        pieces = question.write(
            "answer", question.writer.request("basic_answer", question.text, context.text)
        )
    async for piece in pieces:
        yield piece
