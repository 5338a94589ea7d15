"""Check the citations of an answer and follow each one to the sentence that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphrag.extract.citations import (
    Reference,
    format_citations,
    parse_citations,
    remove_citations,
    strip_unknown,
)
from graphrag.query.relevance import content_terms
from graphrag.query.result import Citation
from graphrag.retrieve.graph_view import GraphView
from graphrag.text.sentences import is_heading, sentence_spans

TABLE_OF = {
    "Sources": "text_units",
    "Entities": "entities",
    "Relationships": "relationships",
    "Claims": "covariates",
    "Reports": "community_reports",
}
_SECTION_OF = {table: section for section, table in TABLE_OF.items()}
_MENTIONS_READ = 40  # of one entity or relationship; the best of these is shown
_EVIDENCE_OF_REPORT = 3
_DEEPEST_REPORT = 8  # levels of reports that rest on reports
_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of a document: ``start`` and ``end`` count characters of its text."""

    document_id: str
    start: int
    end: int
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer with nothing but citations that lead to text."""

    text: str
    citations: tuple[Citation, ...]
    removed: int
    trace: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class _Unit:
    document_id: str
    start: int
    text: str

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Return the sentences, as places in the text."""
        return tuple(sentence_spans(self.text))

    @cached_property
    def terms(self) -> tuple[frozenset[str], ...]:
        """Return the terms of each sentence; none for a heading."""
        sentences = (self.text[start:end] for start, end in self.spans)
        return tuple(frozenset() if is_heading(one) else content_terms(one) for one in sentences)


@dataclass(slots=True)
class CitationResolver:
    """Follows citations of one answer; keeps the text units and documents that it read.

    ``preferred_units`` are the places of text units in the context: of several mentions, one that
    the model could read is shown.
    """

    view: GraphView
    preferred_units: frozenset[int] = frozenset()
    _units: dict[int, _Unit] = field(default_factory=dict)
    _documents: dict[str, dict[str, Any]] = field(default_factory=dict)

    def check(self, answer: str, allowed: Mapping[str, Iterable[int]]) -> CheckedAnswer:
        """Remove what is not ``allowed`` (numbers by section) or leads nowhere; resolve the rest.

        Citations come in the order of the answer, each (label, place) once.
        """
        known = {(section, number) for section, numbers in allowed.items() for number in numbers}
        found: dict[tuple[str, str, int, int], Citation] = {}
        good: set[Reference] = set()
        bad: dict[Reference, str] = {}
        for sentence, segment, references in cited_sentences(answer):
            for reference in references:
                if reference not in known:
                    bad[reference] = "it was not in the context"
                    continue
                evidence = self.evidence_of(reference, (sentence, segment))
                if not evidence:
                    bad[reference] = "it leads to no sentence of a document"
                    continue
                good.add(reference)
                for span in evidence:
                    citation = self._citation(reference, span)
                    key = (citation.label, citation.document_id, citation.start_char, citation.end_char)
                    found.setdefault(key, citation)
        text, removed = strip_unknown(answer, good)
        trace = tuple(
            {"event": "citation_removed", "label": _label(reference), "why": why}
            for reference, why in bad.items()
            if reference not in good
        )
        return CheckedAnswer(text, tuple(found.values()), removed, trace)

    def evidence_of(
        self, reference: Reference, texts: tuple[str, ...], *, seen: frozenset[Reference] = frozenset()
    ) -> list[Evidence]:
        """Return the spans that a row rests on, those nearest to ``texts`` by words.

        One span for everything but a report, which gives the first few of the finding that fits.
        """
        section, number = reference
        table = self.view.index.table(TABLE_OF[section])
        if reference in seen or not 0 <= number < table.num_rows:
            return []
        if section == "Sources":
            return [self.sentence_in_unit(number, texts)]
        if section == "Entities":
            return self._from_mentions("entity_mentions", self._mentions(reference), texts)
        if section == "Relationships":
            return self._from_mentions("relation_mentions", self._mentions(reference), texts)
        row = table.slice(number, 1).to_pylist()[0]
        if section == "Claims":
            return self._from_claim(row, texts)
        if len(seen) >= _DEEPEST_REPORT:
            return []
        return self._from_report(row, texts, seen | {reference})

    def sentence_in_unit(self, place: int, texts: tuple[str, ...]) -> Evidence:
        """Return the sentence of a text unit that shares most words with ``texts``; the first counts most.

        A unit that shares no word with any of them (another language) is returned whole.
        """
        unit = self._unit(place)
        wanted = [content_terms(text) for text in texts]
        best: tuple[tuple[float, ...], tuple[int, int]] | None = None
        for span, terms in zip(unit.spans, unit.terms, strict=True):
            score = tuple(_dice(one, terms) for one in wanted)
            if any(score) and (best is None or score > best[0]):
                best = (score, span)
        start, end = best[1] if best else _trimmed(unit.text)
        return Evidence(unit.document_id, unit.start + start, unit.start + end)

    def quote_in_unit(self, row_id: str, text: str) -> Evidence | None:
        """Return where the text unit ``row_id`` holds ``text`` word for word; None where it does not."""
        place = self.view.index.place("text_units", row_id)
        if place is None or not text:
            return None
        unit = self._unit(place)
        at = unit.text.find(text)
        if at < 0:
            return None
        start = unit.start + at
        return Evidence(unit.document_id, start, start + len(text), (_label(("Sources", place)),))

    def evidence_of_rows(self, row_ids: Iterable[str], texts: tuple[str, ...], limit: int) -> list[Evidence]:
        """Return the spans that rows of any kind rest on, at most ``limit``, in the order of ``row_ids``."""
        return self._follow(row_ids, texts, limit, frozenset())

    def text_of(self, evidence: Evidence) -> str:
        """Return the text of a span, as the document has it."""
        return str(self._document(evidence.document_id)["text"])[evidence.start : evidence.end]

    def _citation(self, reference: Reference, evidence: Evidence) -> Citation:
        section, number = reference
        document = self._document(evidence.document_id)
        row_id = self.view.index.table(TABLE_OF[section])["id"][number].as_py()
        return Citation(
            label=_label(reference),
            kind=section,
            row_id=row_id,
            human_readable_id=number,
            document_id=evidence.document_id,
            document_title=str(document["title"] or ""),
            uri=str(document["uri"] or ""),
            record_id=document["record_id"],
            start_char=evidence.start,
            end_char=evidence.end,
            text=self.text_of(evidence),
            via=evidence.via,
        )

    def _mentions(self, reference: Reference) -> list[dict[str, Any]]:
        """Return mentions of an entity or relationship: those in the context first, then by place."""
        section, number = reference
        name = "entity_mentions" if section == "Entities" else "relation_mentions"
        neighbours = self.view.mentions_of if section == "Entities" else self.view.statements_of
        rows = self.view.index.rows_at(name, neighbours.of(number)[: 8 * _MENTIONS_READ].tolist())
        for row in rows:
            row["unit"] = self.view.index.place("text_units", row["text_unit_id"])
        rows = [row for row in rows if row["unit"] is not None]
        rows.sort(key=lambda row: row["unit"] not in self.preferred_units)
        return rows[:_MENTIONS_READ]

    def _from_mentions(self, kind: str, rows: list[dict[str, Any]], texts: tuple[str, ...]) -> list[Evidence]:
        best: tuple[float, Evidence] | None = None
        for row in rows:
            span = self._valid_span(row["document_id"], row["start_char"], row["end_char"])
            if span is None:
                about = (*texts, row["description"] or "")
                span = self.sentence_in_unit(row["unit"], about)
            elif kind == "entity_mentions":
                span = self._sentence_around(row["unit"], span)
            score = max(_dice(content_terms(text), content_terms(self.text_of(span))) for text in texts)
            if best is None or score > best[0]:
                best = (score, span)
        return [best[1]] if best else []

    def _from_claim(self, row: dict[str, Any], texts: tuple[str, ...]) -> list[Evidence]:
        place = self.view.index.place("text_units", row["text_unit_id"])
        if place is None:
            return []
        unit = self._unit(place)
        span = self._valid_span(unit.document_id, row["start_char"], row["end_char"])
        about = (row["source_text"] or row["description"] or "", *texts)
        return [span or self.sentence_in_unit(place, about)]

    def _from_report(
        self, row: dict[str, Any], texts: tuple[str, ...], seen: frozenset[Reference]
    ) -> list[Evidence]:
        def nearness(finding: dict[str, Any]) -> float:
            terms = content_terms(f"{finding['summary']} {finding['explanation']}")
            return max(_dice(content_terms(text), terms) for text in texts)

        findings = sorted(row["findings"] or [], key=nearness, reverse=True)
        for finding in findings:
            about = (*texts, remove_citations(finding["explanation"] or ""))
            found = self._follow(finding["citations"] or [], about, _EVIDENCE_OF_REPORT, seen)
            if found:
                return found
        return []

    def _follow(
        self, row_ids: Iterable[str], texts: tuple[str, ...], limit: int, seen: frozenset[Reference]
    ) -> list[Evidence]:
        found: dict[tuple[str, int, int], Evidence] = {}
        for row_id in row_ids:
            for table, section in _SECTION_OF.items():
                number = self.view.index.place(table, row_id)
                if number is None:
                    continue
                step = _label((section, number))
                for span in self.evidence_of((section, number), texts, seen=seen):
                    key = (span.document_id, span.start, span.end)
                    found.setdefault(key, Evidence(*key, via=(step, *span.via)))
                break
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def _valid_span(self, document_id: str, start: int | None, end: int | None) -> Evidence | None:
        if start is None or end is None:
            return None
        if not 0 <= start < end <= len(self._document(document_id)["text"]):
            return None
        return Evidence(document_id, start, end)

    def _sentence_around(self, place: int, span: Evidence) -> Evidence:
        unit = self._unit(place)
        for start, end in unit.spans:
            if unit.start + start <= span.start < unit.start + end:
                return Evidence(unit.document_id, unit.start + start, max(unit.start + end, span.end))
        return span

    def unit_sentences(self, place: int) -> list[tuple[int, int, str]]:
        """Return the whole sentences of a text unit: start and end in the document, and text.

        A unit that begins inside a sentence (which its neighbour holds whole) gives it up.
        """
        unit = self._unit(place)
        spans = unit.spans[1:] if unit.start > 0 and unit.text[:1].islower() else unit.spans
        return [(unit.start + a, unit.start + b, unit.text[a:b]) for a, b in spans]

    def unit_holding(self, evidence: Evidence) -> int | None:
        """Return the place of a text unit that holds a span, one of the context if there is one."""
        document = self._document(evidence.document_id)
        places = [self.view.index.place("text_units", row_id) for row_id in document["text_unit_ids"] or ()]
        known = [place for place in places if place is not None]
        for place in sorted(known, key=lambda place: (place not in self.preferred_units, place)):
            unit = self._unit(place)
            if unit.start <= evidence.start and evidence.end <= unit.start + len(unit.text):
                return place
        return None

    def document_of_unit(self, place: int) -> str:
        """Return the id of the document that a text unit is cut from."""
        return self._unit(place).document_id

    def _unit(self, place: int) -> _Unit:
        if place not in self._units:
            columns = ("document_id", "start_char", "text")
            row = self.view.index.rows_at("text_units", [place], columns)[0]
            self._units[place] = _Unit(*(row[name] for name in columns))
        return self._units[place]

    def _document(self, document_id: str) -> dict[str, Any]:
        if document_id not in self._documents:
            row = self.view.index.row("documents", document_id)
            self._documents[document_id] = row or {"title": "", "uri": "", "record_id": None, "text": ""}
        return self._documents[document_id]


def cited_sentences(answer: str) -> list[tuple[str, str, tuple[Reference, ...]]]:
    """Return for each mark the sentence before it, the text since the mark before, and what it cites."""
    found = []
    marks = parse_citations(answer)
    last, sentence, segment = 0, "", ""
    for number, mark in enumerate(marks):
        before = answer[last : mark.start]
        if len(content_terms(before)) and any(letter.isalnum() for letter in before):
            segment = before.strip()
            spans = sentence_spans(segment)
            sentence = segment[slice(*spans[-1])] if spans else segment
            if len(sentence.split()) < _FEWEST_WORDS:
                stop = marks[number + 1].start if number + 1 < len(marks) else len(answer)
                sentence = f"{segment} {answer[mark.end : stop].strip()}"
        found.append((sentence, segment, mark.references))
        last = mark.end
    return found


def _label(reference: Reference) -> str:
    return format_citations([reference]).removeprefix("[Data: ").removesuffix("]")


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0


def _trimmed(text: str) -> tuple[int, int]:
    start = len(text) - len(text.lstrip())
    return start, start + len(text.strip())
