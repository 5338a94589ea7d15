"""Global questions: the reports of a level, or those that fit, and an answer from all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np

from graphrag.errors import QueryError
from graphrag.extract.citations import remove_citations
from graphrag.query.answer import context_limit
from graphrag.query.citations import CitationResolver, Evidence
from graphrag.query.context import Context, build_context
from graphrag.query.extractive import (
    Candidate,
    Chosen,
    least_similarity,
    likeness_of_words,
    says_something,
)
from graphrag.query.map_reduce import batches, map_points, points_text, rate_reports
from graphrag.query.question import Question
from graphrag.query.relevance import Relevance
from graphrag.query.result import NO_ANSWER
from graphrag.query.sections import reports_section, sources_section
from graphrag.query.selection import Selection, is_about_everything, reports_of_level, select_dynamically
from graphrag.query.themes import NO_REPORT, choose_for_theme
from graphrag.store.index import Index
from graphrag.text.sentences import sentence_spans

_REPORTS_QUOTED = 5
_REPORTS_READ = 40
_SENTENCES_OF_REPORT = 2
_FINDINGS_READ = 5
_EVIDENCE_READ = 8
_TITLES = 3


async def answer_global(question: Question) -> AsyncIterator[str]:
    """Answer from community reports.

    LLM calls: at most ``max_rating_calls`` to choose reports, at most ``max_map_calls``, and one; none
    when extractive.
    """
    if not question.view.index.table("community_reports").num_rows:
        raise QueryError(
            "This index holds no community reports, so it cannot answer global questions.",
            hint="Index with a pipeline that writes reports, or ask with method 'local' or 'basic'.",
        )
    level = question.settings.query.community_level
    if level is not None:
        question.reports.at_level(level)  # an unknown level is refused before anything is embedded
    relevance = await question.relevance()
    selection = await _select(question, relevance, level)
    question.trace += selection.trace
    pieces = (
        _quote_reports(question, relevance, selection)
        if question.mode == "extractive"
        else _map_reduce(question, selection)
    )
    async for piece in pieces:
        yield piece


async def _select(question: Question, relevance: Relevance, level: int | None) -> Selection:
    tree, index = question.reports, question.view.index
    if level is not None:
        return reports_of_level(tree, relevance, level)
    max_ratings = question.settings.query.max_rating_calls
    if question.mode == "extractive" or not max_ratings:
        return await select_dynamically(tree, relevance)
    writer = question.writer

    async def rate(places: list[int]) -> dict[int, float]:
        return await rate_reports(writer, index, question.text, places)

    return await select_dynamically(tree, relevance, rate, max_ratings)


async def _map_reduce(question: Question, selection: Selection) -> AsyncIterator[str]:
    settings = question.settings.query
    contexts = batches(
        question.view.index,
        selection,
        map_tokens=context_limit(question.settings, settings.map_tokens, question.text),
        max_map_calls=settings.max_map_calls,
        trace=question.trace,
    )
    question.context = _merged(contexts)
    mapped = await map_points(question.writer, question.text, contexts) if contexts else None
    if mapped is None or not mapped.points:
        question.trace.append({"event": "no_answer", "why": "no report gave a point with a score above zero"})
        question.answer = NO_ANSWER
        yield NO_ANSWER
        return
    allowed: dict[str, set[int]] = {}
    for section, number in mapped.references:
        allowed.setdefault(section, set()).add(number)
    question.allowed = allowed
    limit = context_limit(question.settings, settings.reduce_tokens, question.text)
    text = points_text(mapped.points, limit, question.trace)
    async for piece in question.write(
        "reduce", question.writer.request("global_reduce", question.text, text)
    ):
        yield piece


async def _quote_reports(
    question: Question, relevance: Relevance, selection: Selection
) -> AsyncIterator[str]:
    index = question.view.index
    scores = dict(zip(selection.places, selection.scores, strict=True))
    if not is_about_everything(question.text):
        # Sentences are compared one by one below, so near reports may be read beside the selected ones.
        for row_id, score in relevance.nearest("community_reports", _REPORTS_READ):
            near = index.place("community_reports", row_id)
            if near is not None:
                scores.setdefault(near, score)
    scores = {place: scores[place] for place in list(scores)[:_REPORTS_READ]}
    places = np.array(list(scores), dtype=np.int64)
    rows = index.rows_at("community_reports", places.tolist())
    resolver = CitationResolver(question.view)
    candidates = [
        one
        for place, row in zip(places.tolist(), rows, strict=True)
        for one in _candidates(resolver, row, place)
    ]
    if is_about_everything(question.text):
        # Nothing is near such a question: the first findings of the largest communities stand for them.
        chosen = _first_of_each(candidates)
        question.trace.append(
            {"event": "sentences", "count": len(chosen), "why": "first findings of each report"}
        )
    else:
        least = least_similarity(relevance)
        theme = await asyncio.to_thread(
            choose_for_theme, question.view, resolver, relevance, scores, candidates, least=least
        )
        chosen = list(theme.chosen)
        question.note_sentences(chosen, relevance, theme.embedded, theme.considered, least)
    groups = list(dict.fromkeys(one.candidate.group for one in chosen))
    groups.sort(key=lambda group: group == NO_REPORT)  # what no report leads to comes last, unheaded
    titles = {place: _heading(index, row) for place, row in zip(places.tolist(), rows, strict=True)}
    titles[NO_REPORT] = ""
    question.use(_quoted_context(index, scores, groups, chosen))
    blocks = [(titles[group], [one for one in chosen if one.candidate.group == group]) for group in groups]
    async for piece in question.tell(blocks):
        yield piece


def _candidates(resolver: CitationResolver, report: dict[str, Any], place: int) -> list[Candidate]:
    """Return source sentences behind the findings of a report: where a finding quotes, what it quotes."""
    found: dict[tuple[str, int, int], Candidate] = {}
    for finding in (report["findings"] or ())[:_FINDINGS_READ]:
        explanation = remove_citations(finding["explanation"] or "")
        for start, end in sentence_spans(explanation):
            said = explanation[start:end]
            best = _evidence(resolver, finding["citations"] or (), (said, explanation))
            if best is None:
                continue
            unit, text = resolver.unit_holding(best), resolver.text_of(best)
            if unit is not None and says_something(text) and not _is_fragment(resolver, unit, best, text):
                key = (best.document_id, best.start, best.end)
                found.setdefault(key, Candidate(unit, best, text, group=place))
    return list(found.values())


def _is_fragment(resolver: CitationResolver, unit: int, evidence: Evidence, text: str) -> bool:
    """Say whether a span begins inside a sentence, as the first one of a text unit may."""
    return text[:1].islower() and all(
        start != evidence.start for start, _, _ in resolver.unit_sentences(unit)
    )


def _evidence(resolver: CitationResolver, row_ids: Sequence[str], texts: tuple[str, ...]) -> Evidence | None:
    """Return the span most like ``texts[0]`` that the rows lead to; text units, which quote, come first."""
    place = resolver.view.index.place
    best: tuple[float, Evidence] | None = None
    read = sorted(row_ids, key=lambda row_id: place("text_units", row_id) is None)[:_EVIDENCE_READ]
    for row_id in read:  # an extractive report is made of such: nothing needs to be compared
        if (quoted := resolver.quote_in_unit(row_id, texts[0])) is not None:
            return quoted
    for row_id in read:
        for span in resolver.evidence_of_rows([row_id], texts, 1):
            likeness = likeness_of_words(texts[0], resolver.text_of(span))
            if best is None or likeness > best[0]:
                best = (likeness, span)
        if best is not None and best[0] == 1.0:
            break
    return best[1] if best else None


def _first_of_each(candidates: Sequence[Candidate]) -> list[Chosen]:
    used: dict[int, int] = {}
    seen: set[tuple[str, int]] = set()
    chosen = []
    for one in candidates:
        place = (one.evidence.document_id, one.evidence.start)
        if place in seen or used.get(one.group, 0) >= _SENTENCES_OF_REPORT:
            continue
        if one.group not in used and len(used) >= _REPORTS_QUOTED:
            continue
        seen.add(place)
        used[one.group] = used.get(one.group, 0) + 1
        chosen.append(Chosen(one, 0.0))
    return chosen


def _heading(index: Index, report: dict[str, Any]) -> str:
    """Return the title of an extractive report; for one that a model wrote, the names of its entities."""
    if report["method"] == "extractive":
        return " ".join(str(report["title"]).split())
    community = index.row("communities", report["community_id"])
    ids = (community or {}).get("entity_ids") or []
    places = sorted(place for row_id in ids if (place := index.place("entities", row_id)) is not None)
    titles = index.table("entities")["title"]
    return ", ".join(str(titles[place]) for place in places[:_TITLES]) or "Report"


def _quoted_context(
    index: Index, scores: dict[int, float], groups: Sequence[int], chosen: Sequence[Chosen]
) -> Context:
    groups = [group for group in groups if group != NO_REPORT]
    reports = np.array(groups, dtype=np.int64)
    best: dict[int, float] = {}
    for one in chosen:
        best[one.candidate.unit] = max(one.similarity, best.get(one.candidate.unit, 0.0))
    units = np.array(list(best), dtype=np.int64)
    sections = [
        reports_section(index, reports, np.array([scores[place] for place in groups]), full=False),
        sources_section(index, units, np.array(list(best.values()))),
    ]
    everything = 1 << 40  # sentences are already chosen: nothing is cut
    return build_context(sections, everything)


def _merged(contexts: Sequence[Context]) -> dict[str, tuple[dict[str, Any], ...]]:
    merged: dict[str, tuple[dict[str, Any], ...]] = {}
    for context in contexts:
        for name, rows in context.as_dicts().items():
            merged[name] = (*merged.get(name, ()), *rows)
    return merged
