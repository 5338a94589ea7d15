"""Community reports without a language model: names, and sentences copied from the text.

Nothing in such a report is generated, so it states nothing that the sources do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphrag.extract.centrality import central_sentences
from graphrag.extract.report_context import (
    CommunityRows,
    ContextClaim,
    ContextEntity,
    ContextRelationship,
    ranked_relationships,
)
from graphrag.extract.reports import Finding, Report
from graphrag.hashing import content_hash
from graphrag.settings import ReportSettings
from graphrag.text.sentences import is_heading

_VERSION = 1  # raised when the same inputs give another report
_TITLE_MEMBERS = 3
_SUMMARY_SENTENCES = 3
_SHORTEST, _LONGEST = 20, 400  # characters: below are exclamations and captions, above are lists and rambles
_HALF_RANK = {"size": 10, "degree": 40, "frequency": 40}  # where each part reaches half of its points


@dataclass(frozen=True, slots=True)
class ContextSentence:
    """A sentence of the community's text units; ``entity_ids`` are the members it mentions."""

    text: str
    text_unit_id: str
    start_char: int
    end_char: int
    entity_ids: tuple[str, ...] = ()


def extractive_report_key(
    rows: CommunityRows, sentences: Sequence[ContextSentence], settings: ReportSettings, embedder_id: str
) -> str:
    """Return the id of the report that :func:`extract_report` makes, before its sentences are embedded."""
    return content_hash(
        "community_report",
        "extractive",
        _VERSION,
        embedder_id,
        settings.max_findings,
        sorted((row.id, row.title, row.description, row.degree, row.frequency) for row in rows.entities),
        sorted((row.id, row.weight) for row in rows.relationships),
        sorted((row.id, row.subject, row.object or "", row.source_text) for row in rows.claims),
        [(row.text_unit_id, row.text, sorted(row.entity_ids)) for row in _ordered(sentences)],
    )


def candidate_sentences(sentences: Sequence[ContextSentence], limit: int = 200) -> list[ContextSentence]:
    """Return the sentences worth embedding for one community, at most ``limit``, in source order.

    Equal texts are kept once. Headings, very short and very long ones are left out unless there is
    nothing else. Of too many, those that mention most members are kept, then the longer ones.
    """
    once = {_one_line(row.text).casefold(): row for row in reversed(_ordered(sentences))}
    telling = [
        row for row in once.values() if _SHORTEST <= len(row.text) <= _LONGEST and not is_heading(row.text)
    ]
    ranked = sorted(
        telling or once.values(),
        key=lambda row: (-len(set(row.entity_ids)), -min(len(row.text), 200), _place(row)),
    )
    return _ordered(ranked[:limit])


def extract_report(
    rows: CommunityRows,
    sentences: Sequence[ContextSentence],
    vectors: npt.NDArray[np.floating],
    settings: ReportSettings,
) -> Report:
    """Put the report on a community together; leaf or parent, all of its rows are used.

    ``vectors`` has one row for each of ``sentences`` (see :func:`candidate_sentences`). The title
    names the members with the highest degree; the summary is the most central sentences, in source
    order. Findings come in turn from the relationships (heaviest first, with the most central
    sentence that mentions both ends), the claims (with their quote) and further central sentences,
    until there are ``settings.max_findings``. No sentence is used twice. Without sentences the
    summary falls back to the members' descriptions.

    Raises:
        ValueError: ``vectors`` and ``sentences`` differ in number.
    """
    if len(vectors) != len(sentences):
        raise ValueError(f"There are {len(vectors)} vectors for {len(sentences)} sentences.")
    members = sorted(rows.entities, key=lambda row: (-row.degree, -row.frequency, row.id))
    weight = {row.id: math.log2(2.0 + row.degree) for row in members}
    prior = [1.0 + sum(weight.get(one, 0.0) for one in sorted(set(row.entity_ids))) for row in sentences]
    ranked = central_sentences(vectors, len(sentences), prior=prior) if sentences else []
    by_rank = [sentences[number] for number in ranked]
    summary = " ".join(_one_line(row.text) for row in _ordered(by_rank[:_SUMMARY_SENTENCES]))
    if not summary:
        described = [row.description for row in members if row.description][:_SUMMARY_SENTENCES]
        summary = " ".join(described) or ", ".join(row.title for row in members)
    rank, why = _computed_rank(members)
    return Report(
        title=", ".join(row.title for row in members[:_TITLE_MEMBERS]),
        summary=summary,
        findings=tuple(_findings(rows, by_rank, settings.max_findings)),
        rank=rank,
        rating_explanation=why,
        removed_citations=0,
        method="extractive",
    )


def _findings(rows: CommunityRows, by_rank: Sequence[ContextSentence], limit: int) -> list[Finding]:
    titles = {row.id: row.title for row in rows.entities}
    said = {_one_line(row.text) for row in by_rank[:_SUMMARY_SENTENCES]}
    unsaid_first = [*by_rank[_SUMMARY_SENTENCES:], *by_rank[:_SUMMARY_SENTENCES]]
    kinds = (
        _from_relationships(ranked_relationships(rows), unsaid_first, titles),
        _from_claims([claim for claim in rows.claims if claim.subject_id in titles]),
        _from_sentences(by_rank, titles),
    )
    found: dict[str, Finding] = {}  # by sentence
    for repeats in (False, True):  # what the summary already says comes only when nothing else is left
        queues = [[one for one in kind if (one.explanation in said) == repeats] for kind in kinds]
        place = 0
        while len(found) < limit and any(place < len(queue) for queue in queues):
            for queue in queues:
                if place < len(queue) and len(found) < limit:
                    found.setdefault(queue[place].explanation, queue[place])
            place += 1
    return list(found.values())


def _from_relationships(
    edges: Sequence[ContextRelationship], sentences: Sequence[ContextSentence], titles: Mapping[str, str]
) -> list[Finding]:
    first: dict[tuple[str, str], ContextSentence] = {}
    for sentence in sentences:
        inside = sorted(set(sentence.entity_ids) & titles.keys())
        for position, one in enumerate(inside):
            for other in inside[position + 1 :]:
                first.setdefault((one, other), sentence)
    findings = []
    for edge in edges:
        ends = (min(edge.source_id, edge.target_id), max(edge.source_id, edge.target_id))
        if ends in first:
            names = f"{titles[edge.source_id]} – {titles[edge.target_id]}"
            said = first[ends]
            findings.append(Finding(names, _one_line(said.text), (edge.id, said.text_unit_id)))
    return findings


def _from_claims(claims: Sequence[ContextClaim]) -> list[Finding]:
    findings = []
    for claim in sorted(claims, key=lambda claim: claim.id):
        quote = _one_line(claim.source_text)
        if quote:
            names = f"{claim.subject} – {claim.object}" if claim.object else claim.subject
            findings.append(Finding(names, quote, (claim.id,)))
    return findings


def _from_sentences(by_rank: Sequence[ContextSentence], titles: Mapping[str, str]) -> list[Finding]:
    findings = []
    for row in by_rank:
        inside = [entity_id for entity_id in dict.fromkeys(row.entity_ids) if entity_id in titles]
        if inside:
            names = ", ".join(titles[entity_id] for entity_id in inside[:_TITLE_MEMBERS])
            findings.append(Finding(names, _one_line(row.text), (*inside, row.text_unit_id)))
    return findings


def _computed_rank(members: Sequence[ContextEntity]) -> tuple[float, str]:
    """Scale size, degree and frequency to 0–10 without looking at the rest of the graph.

    Each part saturates, so that a report need not be made anew because the graph has grown elsewhere.
    """
    amounts = {
        "size": len(members),
        "degree": sum(row.degree for row in members),
        "frequency": sum(row.frequency for row in members),
    }
    parts = [amounts[name] / (amounts[name] + half) for name, half in _HALF_RANK.items()]
    rank = round(10.0 * sum(parts) / len(parts), 2)
    why = (
        f"Computed from size, degree and frequency, not judged: {amounts['size']} entities with "
        f"{amounts['degree']} relationships at them, mentioned in {amounts['frequency']} text units."
    )
    return rank, why


def _ordered(sentences: Sequence[ContextSentence]) -> list[ContextSentence]:
    return sorted(sentences, key=_place)


def _place(row: ContextSentence) -> tuple[str, int, int]:
    return row.text_unit_id, row.start_char, row.end_char


def _one_line(text: str) -> str:
    return " ".join(text.split())
