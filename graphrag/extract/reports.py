"""Community reports, and how a language model writes them.

A model's citations are checked against the context; what it cites in vain is removed and counted.
How a report is made without a model: :mod:`graphrag.extract.extractive_reports`.

Citations are kept as row ids beside each finding, and the marks are taken out of its text: their
numbers mean something in one context only, and would cite other rows in the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from graphrag.errors import StructuredOutputError
from graphrag.extract.citations import (
    Reference,
    format_citations,
    parse_citations,
    remove_citations,
    strip_unknown,
)
from graphrag.extract.report_context import ReportContext, context_hash
from graphrag.hashing import content_hash
from graphrag.llm.base import ChatModel, ChatRequest, forget
from graphrag.llm.prompts import render
from graphrag.settings import ReportSettings

PROMPT = "community_report"
Method = Literal["extractive", "llm"]

_WORDS_PER_TOKEN = 0.5  # the report's JSON and citations need the rest


class FindingAnswer(BaseModel):
    """A finding on the wire."""

    summary: str
    explanation: str


class ReportAnswer(BaseModel):
    """A report on the wire."""

    title: str
    summary: str
    rating: float = Field(description="from 0 to 10")
    rating_explanation: str
    findings: list[FindingAnswer]


@dataclass(frozen=True, slots=True)
class Finding:
    """One point of a report; ``citations`` are ids of rows: entities, claims, text units and so on."""

    summary: str
    explanation: str
    citations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A community report. ``removed_citations`` counts references to rows that were not in the context."""

    title: str
    summary: str
    findings: tuple[Finding, ...]
    rank: float
    rating_explanation: str
    removed_citations: int
    method: Method

    @property
    def uncited_findings(self) -> int:
        """Return how many findings cite nothing."""
        return sum(not finding.citations for finding in self.findings)


def report_key(context: ReportContext, settings: ReportSettings, prompt_hash: str, model_id: str) -> str:
    """Return the id of the report that ``model_id`` writes on ``context``, before it is written.

    Equal ids mean equal questions to the model, so a report with this id need not be asked for again.
    """
    limits = [settings.max_findings, settings.max_tokens]
    return content_hash("community_report", "llm", context_hash(context), prompt_hash, model_id, limits)


async def write_report(
    context: ReportContext, settings: ReportSettings, model: ChatModel, *, project: Path | None = None
) -> Report:
    """Let ``model`` write the report on ``context``: one call with structured output.

    Raises:
        LLMError: the model did not answer.
        StructuredOutputError: its answer is no report.
    """
    system, user = render(
        PROMPT,
        project,
        context=context.text,
        max_findings=settings.max_findings,
        max_words=int(settings.max_tokens * _WORDS_PER_TOKEN),
    )
    request = ChatRequest.of(system, user, task=PROMPT, output=ReportAnswer, max_tokens=settings.max_tokens)
    response = await model.complete(request)
    if not isinstance(response.parsed, ReportAnswer):
        raise StructuredOutputError("The model answered without a report.", text=response.text)
    try:
        return checked_report(response.parsed, context, settings.max_findings)
    except StructuredOutputError:
        await forget(model, request)
        raise


def checked_report(answer: ReportAnswer, context: ReportContext, max_findings: int) -> Report:
    """Turn a model's answer into a report whose every citation is a row of ``context``.

    A finding whose citations were all in vain, or that had none, is kept without citations
    (``Report.uncited_findings`` counts them). Of the findings the first ``max_findings`` are kept.
    The rating is brought into 0 to 10.

    Raises:
        StructuredOutputError: the title and the summary are blank.
    """
    removed = 0

    def clean(text: str) -> tuple[str, list[str]]:
        nonlocal removed
        known, in_vain = strip_unknown(text, context.rows)
        removed += in_vain
        cited = [context.rows[one] for mark in parse_citations(known) for one in mark.references]
        return remove_citations(known).strip(), cited

    title, summary, why = (
        clean(text)[0] for text in (answer.title, answer.summary, answer.rating_explanation)
    )
    if not title and not summary:
        raise StructuredOutputError("The report has neither title nor summary.", text=str(answer))
    findings = []
    for found in answer.findings[:max_findings]:
        (head, cited_above), (explanation, cited) = clean(found.summary), clean(found.explanation)
        if head or explanation:
            findings.append(Finding(head, explanation, tuple(dict.fromkeys(cited + cited_above))))
    return Report(
        title=title or summary,
        summary=summary,
        findings=tuple(findings),
        rank=min(10.0, max(0.0, answer.rating)) if math.isfinite(answer.rating) else 0.0,
        rating_explanation=why,
        removed_citations=removed,
        method="llm",
    )


def report_row(report: Report, report_id: str, community_id: str) -> dict[str, Any]:
    """Return the report as a row of ``schema.COMMUNITY_REPORTS``."""
    return {
        "id": report_id,
        "community_id": community_id,
        "title": report.title,
        "summary": report.summary,
        "findings": [
            {"summary": one.summary, "explanation": one.explanation, "citations": list(one.citations)}
            for one in report.findings
        ],
        "rank": report.rank,
        "rating_explanation": report.rating_explanation,
        "removed_citations": report.removed_citations,
        "method": report.method,
    }


def full_content(
    title: str,
    summary: str,
    findings: Sequence[Finding],
    numbers: Mapping[str, Reference] | None = None,
) -> str:
    """Render a report as Markdown.

    ``numbers`` (row id to section and number, for instance the published ``human_readable_id``)
    adds a mark such as ``[Data: Entities (5)]`` to each explanation; rows not in it are not named.
    """
    parts = [f"# {title}", summary]
    for one in findings:
        known = [numbers[row_id] for row_id in one.citations if row_id in numbers] if numbers else []
        explanation = f"{one.explanation} {format_citations(known)}".rstrip()
        parts.append("\n\n".join(part for part in (f"## {one.summary}", explanation) if part))
    return "\n\n".join(part for part in parts if part)
