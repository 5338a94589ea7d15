"""Citations lead to sentences, or they go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrag.query.citations import CitationResolver
from graphrag.query.result import Citation
from graphrag.retrieve.graph_view import GraphView
from graphrag.store.index import Index

SIZES = {"Sources": 12, "Entities": 9, "Relationships": 7, "Claims": 1, "Reports": 4}
ALL = {section: range(size) for section, size in SIZES.items()}
MARK = st.tuples(st.sampled_from(sorted(SIZES)), st.integers(0, 15)).map(
    lambda ref: f"[Data: {ref[0]} ({ref[1]})]"
)
SENTENCE = st.sampled_from(
    [
        "Jonas Brack kept the lamp.",
        "The Halcyon carried salt!",
        "Is it so?",
        "",
        "누가 말했나.",
        "Bread [of rye] keeps",
    ]
)


def number(index: Index, table: str, column: str, value: str) -> int:
    return int(index.table(table)[column].to_pylist().index(value))


def cited(index: Index, answer: str) -> tuple[Citation, ...]:
    return CitationResolver(GraphView(index)).check(answer, ALL).citations


def assert_true_to_documents(index: Index, citations: tuple[Citation, ...]) -> None:
    for citation in citations:
        document = index.row("documents", citation.document_id)
        assert document is not None
        assert citation.text == document["text"][citation.start_char : citation.end_char]
        assert citation.text
        assert citation.uri == document["uri"]
        assert citation.document_title == document["title"]
        assert citation.record_id == document["record_id"]


def test_a_source_leads_to_the_sentence_with_most_words_in_common(index: Index) -> None:
    unit = next(
        place
        for place, text in enumerate(index.table("text_units")["text"].to_pylist())
        if "Captain Ines" in text
    )
    answer = (
        f"The captain, Ines Moor, commanded it until 1899 [Data: Sources ({unit})]. "
        f"She learned about the coast from Brack. [Data: Sources ({unit})]"
    )
    first, second = cited(index, answer)
    assert first.text == "Captain Ines Moor commanded the Halcyon until 1899."
    assert second.text == "She had learned the coast from Jonas Brack."
    assert first.label == f"Sources ({unit})"
    assert first.kind == "Sources"
    assert first.row_id == index.table("text_units")["id"][unit].as_py()
    assert first.uri == "ships.md"
    assert_true_to_documents(index, (first, second))


def test_a_quote_is_found_word_for_word_or_not_at_all(index: Index) -> None:
    resolver = CitationResolver(GraphView(index))
    row_id, text = (index.table("text_units")[name][0].as_py() for name in ("id", "text"))
    quote = text[5:25]
    found = resolver.quote_in_unit(row_id, quote)
    assert found is not None
    assert resolver.text_of(found) == quote
    assert found.via == ("Sources (0)",)
    assert resolver.quote_in_unit(row_id, "No text says this.") is None
    assert resolver.quote_in_unit("of no text unit", quote) is None
    assert resolver.quote_in_unit(row_id, "") is None


def test_an_entity_leads_to_a_sentence_that_names_it(index: Index) -> None:
    brack = number(index, "entities", "title", "Jonas Brack")
    (citation,) = cited(index, f"Brack was accused and the court cleared him. [Data: Entities ({brack})]")
    assert citation.text == "Jonas Brack was accused of sleeping, but the court cleared him."


def test_a_relationship_leads_to_the_sentence_that_states_it(index: Index) -> None:
    taught = number(index, "relationships", "predicate", "taught")
    (citation,) = cited(index, f"Something else entirely. [Data: Relationships ({taught})]")
    assert citation.text == "She had learned the coast from Jonas Brack."


def test_a_claim_leads_to_its_quote(index: Index) -> None:
    (citation,) = cited(index, "He did not sleep. [Data: Claims (0)]")
    assert citation.text == "Jonas Brack was accused of sleeping, but the court cleared him."


def test_a_report_leads_through_its_findings_to_text(index: Index) -> None:
    place = number(index, "community_reports", "title", "Pieter Lund and Sourdough")
    first = cited(index, f"A starter is fed with water every day. [Data: Reports ({place})]")
    assert [one.text for one in first] == ["Sourdough must be fed with flour and water every day."]
    second = cited(index, f"The bakery of Lund opened in 1902. [Data: Reports ({place})]")
    assert [one.text for one in second] == [
        "The bakery of Pieter Lund opened in 1902 beside the market square."
    ]
    assert second[0].record_id == "r7"
    assert second[0].label == f"Reports ({place})"
    assert second[0].via[0].startswith("Sources (")


def test_what_was_not_in_the_context_is_removed_and_counted(view: GraphView) -> None:
    answer = "It is so. [Data: Sources (1, 99); Entities (3)] And so. [Data: Claims (0)]"
    checked = CitationResolver(view).check(answer, {"Sources": [1]})
    assert checked.text == "It is so. [Data: Sources (1)] And so."
    assert checked.removed == 3
    assert {event["label"] for event in checked.trace} == {"Sources (99)", "Entities (3)", "Claims (0)"}
    assert all(event["why"] == "it was not in the context" for event in checked.trace)
    assert len(checked.citations) == 1


def test_a_number_that_is_allowed_but_not_in_the_index_is_removed(view: GraphView) -> None:
    checked = CitationResolver(view).check("So. [Data: Sources (400)]", {"Sources": [400]})
    assert (checked.text, checked.removed, checked.citations) == ("So.", 1, ())


def test_an_answer_in_another_language_leads_to_the_whole_unit(index: Index) -> None:
    (citation,) = cited(index, "선장은 배를 이끌었다. [Data: Sources (10)]")
    assert citation.text == index.table("text_units")["text"][10].as_py()


@pytest.mark.parametrize(
    "answer", ["", "No citation at all.", "[Data: ]", "[Data: Sources ()]", "[Data: Sources (1"]
)
def test_answers_without_usable_citations(index: Index, answer: str) -> None:
    assert cited(index, answer) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SENTENCE, MARK), max_size=6))
def test_every_citation_is_true_to_its_document(index: Index, parts: list[tuple[str, str]]) -> None:
    answer = " ".join(f"{sentence} {mark}" for sentence, mark in parts)
    resolver = CitationResolver(GraphView(index))
    checked = resolver.check(answer, ALL)
    assert_true_to_documents(index, checked.citations)
    assert CitationResolver(GraphView(index)).check(checked.text, ALL).removed == 0
    assert {one.label for one in checked.citations} == {
        f"{name} ({n})"
        for name, size in SIZES.items()
        for n in range(size)
        if f"[Data: {name} ({n})]" in answer
    }
