from __future__ import annotations

import asyncio
import json

import pytest

from graphrag.errors import StructuredOutputError
from graphrag.extract.report_context import (
    CommunityRows,
    ContextEntity,
    ContextRelationship,
    build_report_context,
)
from graphrag.extract.reports import (
    Finding,
    FindingAnswer,
    Report,
    ReportAnswer,
    checked_report,
    full_content,
    report_key,
    report_row,
    write_report,
)
from graphrag.llm.fake import FakeChatModel
from graphrag.llm.prompts import prompt_hash, render
from graphrag.schema import COMMUNITY_REPORTS
from graphrag.settings import ReportSettings
from graphrag.tokens import approximate_tokens

ROWS = CommunityRows(
    [
        ContextEntity("e:a", "Ada", "person", "Mathematician"),
        ContextEntity("e:b", "Babbage", "person", "Engineer"),
    ],
    [ContextRelationship("r:ab", "e:a", "e:b", "wrote to", "Ada wrote to Babbage")],
)
CONTEXT = build_report_context(ROWS, 500)
SETTINGS = ReportSettings(max_findings=2)


def answer(**changes: object) -> ReportAnswer:
    fields: dict[str, object] = {
        "title": "Ada and Babbage",
        "summary": "They wrote letters.",
        "rating": 6.5,
        "rating_explanation": "Central.",
        "findings": [
            {
                "summary": "Letters",
                "explanation": "Ada wrote [Data: Entities (0, 9)]. "
                "To Babbage [Data: Relationships (0); Entities (0, 1)].",
            }
        ],
    }
    return ReportAnswer.model_validate({**fields, **changes})


def test_a_model_writes_a_report_in_one_call() -> None:
    model = FakeChatModel([answer().model_dump_json()])
    report = asyncio.run(write_report(CONTEXT, SETTINGS, model))
    assert report.method == "llm"
    assert (report.title, report.summary, report.rank) == ("Ada and Babbage", "They wrote letters.", 6.5)
    (finding,) = report.findings
    assert finding.explanation == "Ada wrote. To Babbage."
    assert finding.citations == ("e:a", "r:ab", "e:b")
    assert report.removed_citations == 1
    assert report.uncited_findings == 0
    (request,) = model.history
    assert request.output is ReportAnswer
    assert request.task == "community_report"
    assert request.messages[-1].content.endswith(f"<context>\n{CONTEXT.text}\n</context>")


def test_the_instructions_are_short() -> None:
    system, user = render("community_report", None, context="", max_findings=5, max_words=700)
    assert system
    assert approximate_tokens(system) + approximate_tokens(user) <= 350


def test_an_answer_that_is_no_report_is_an_error() -> None:
    with pytest.raises(StructuredOutputError):
        asyncio.run(write_report(CONTEXT, SETTINGS, FakeChatModel(['{"title": "x"}'])))
    with pytest.raises(StructuredOutputError, match="neither"):
        checked_report(answer(title=" ", summary="[Data: Entities (0)]"), CONTEXT, 3)


def test_citations_in_vain_are_counted_wherever_they_stand() -> None:
    report = checked_report(
        answer(
            title="T [Data: Reports (0)]",
            summary="S [Data: Entities (0)]",
            rating_explanation="W [Data: Claims (1-3)]",
            findings=[{"summary": "F [Data: Entities (1)]", "explanation": "E [Data: Entities (7, 8)]"}],
        ),
        CONTEXT,
        3,
    )
    assert (report.title, report.summary, report.rating_explanation) == ("T", "S", "W")
    assert report.removed_citations == 4
    assert report.findings == (Finding("F", "E", ("e:b",)),)


def test_a_finding_without_valid_citation_is_kept_and_counted() -> None:
    report = checked_report(
        answer(
            findings=[
                {"summary": "one", "explanation": "It is so."},
                {"summary": "two", "explanation": "And so [Data: Entities (4)]."},
                {"summary": " ", "explanation": "[Data: Entities (5)]"},
            ]
        ),
        CONTEXT,
        3,
    )
    assert [finding.citations for finding in report.findings] == [(), ()]
    assert (report.uncited_findings, report.removed_citations) == (2, 2)


@pytest.mark.parametrize(("rating", "rank"), [(12.0, 10.0), (-3.0, 0.0), (float("nan"), 0.0), (7.25, 7.25)])
def test_the_rating_is_brought_into_its_range(rating: float, rank: float) -> None:
    changed = answer().model_copy(update={"rating": rating})
    assert checked_report(changed, CONTEXT, 3).rank == rank


def test_no_more_findings_than_asked_for() -> None:
    many = [FindingAnswer(summary=str(n), explanation="x") for n in range(9)]
    report = checked_report(answer().model_copy(update={"findings": many}), CONTEXT, 2)
    assert [finding.summary for finding in report.findings] == ["0", "1"]


def test_the_key_is_the_question() -> None:
    base = report_key(CONTEXT, SETTINGS, "prompt", "model")
    same = report_key(build_report_context(ROWS, 5000), SETTINGS, "prompt", "model")
    assert base == same  # another budget, the same context
    assert (
        len(
            {
                base,
                report_key(
                    build_report_context(CommunityRows(ROWS.entities), 500), SETTINGS, "prompt", "model"
                ),
                report_key(CONTEXT, ReportSettings(max_findings=3), "prompt", "model"),
                report_key(CONTEXT, SETTINGS, "other", "model"),
                report_key(CONTEXT, SETTINGS, "prompt", "other"),
            }
        )
        == 5
    )
    assert report_key(CONTEXT, SETTINGS, prompt_hash("community_report"), "model") != base


def test_a_report_becomes_a_row_and_markdown() -> None:
    report = Report(
        "T", "S", (Finding("F", "E.", ("e:a", "r:ab", "gone")), Finding("G", "")), 5.0, "why", 1, "llm"
    )
    table = COMMUNITY_REPORTS.of([report_row(report, "b2:1", "b2:2")])
    (row,) = table.to_pylist()
    assert row["findings"][0] == {"summary": "F", "explanation": "E.", "citations": ["e:a", "r:ab", "gone"]}
    assert (row["id"], row["community_id"], row["rank"], row["removed_citations"]) == ("b2:1", "b2:2", 5.0, 1)
    assert full_content(report.title, report.summary, report.findings) == "# T\n\nS\n\n## F\n\nE.\n\n## G"
    numbers = {"e:a": ("Entities", 7), "r:ab": ("Relationships", 2)}
    assert "E. [Data: Entities (7); Relationships (2)]" in full_content("T", "S", report.findings, numbers)


def test_the_schema_has_no_bounds_that_endpoints_refuse() -> None:
    schema = json.dumps(ReportAnswer.model_json_schema())
    assert not any(word in schema for word in ("minimum", "maxLength", "minItems", "pattern"))
