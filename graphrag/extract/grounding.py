"""Hold an extraction against its text: clean names, find where each thing is said.

A model's answer is a proposal. Here every name gets the place where the text has it, every
relation the sentence that holds both ends, every claim the place of its quote. What cannot be
found literally keeps no offsets, so a reader can tell the two apart.
"""

from __future__ import annotations

import re

from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.schema import CLAIM_STATUSES
from graphrag.text.sentences import sentence_spans

_MAX_NAME = 200
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
UNTYPED = "other"


def ground(text: str, found: Extraction) -> Extraction:
    """Return ``found`` cleaned, without duplicates, and with its places in ``text``.

    A relation or claim whose entity was not listed brings it along (type ``other``), so nothing
    that was found is lost; one with an empty end or of an entity with itself is dropped.
    """
    entities: dict[tuple[str, str], EntityFact] = {}
    by_name: dict[str, EntityFact] = {}

    def add(name: str, type_: str, description: str, confidence: float = 1.0) -> EntityFact:
        key = (name, type_)
        if key not in entities:
            span = find(text, name)
            start, end = span if span else (None, None)
            entities[key] = EntityFact(name, type_, description, start, end, confidence)
            by_name.setdefault(name.casefold(), entities[key])
        return entities[key]

    for entity in found.entities:
        name = clean_name(entity.name)
        if name:
            add(name, _clean_type(entity.type), _clean_text(entity.description), entity.confidence)

    def known(name: str) -> str | None:
        name = clean_name(name)
        if not name:
            return None
        entity = by_name.get(name.casefold()) or add(name, UNTYPED, "")
        return entity.name

    spans = sentence_spans(text)
    relations: dict[tuple[str, str, str], RelationFact] = {}
    for relation in found.relations:
        head, tail = known(relation.head), known(relation.tail)
        predicate = _SPACE.sub(" ", relation.predicate.replace("_", " ")).strip().strip(".").lower()
        if head is None or tail is None or head == tail:
            continue
        sentence = _sentence_of(text, spans, head, tail, relation.description)
        start, end = sentence if sentence else (None, None)
        relations.setdefault(
            (head, predicate, tail),
            RelationFact(
                head,
                predicate or "related to",
                tail,
                _clean_text(relation.description),
                min(10.0, max(1.0, relation.strength)),
                start,
                end,
            ),
        )
    claims: dict[tuple[str, str | None, str, str], ClaimFact] = {}
    for claim in found.claims:
        subject = known(claim.subject)
        other = known(claim.object) if claim.object else None
        if subject is None:
            continue
        status = claim.status.strip().upper()
        cleaned = ClaimFact(
            subject,
            other,
            _clean_type(claim.type),
            status if status in CLAIM_STATUSES else "SUSPECTED",
            _clean_text(claim.description),
            _clean_text(claim.source_text),
            claim.start_date,
            claim.end_date,
        )
        claims.setdefault((subject, other, cleaned.type, cleaned.description), cleaned)
    return Extraction(tuple(entities.values()), tuple(relations.values()), tuple(claims.values()))


def find(text: str, phrase: str) -> tuple[int, int] | None:
    """Find ``phrase`` in ``text`` as whole words: literally, else without case, else over line breaks."""
    if not phrase.strip():
        return None
    pattern = r"(?<!\w)" + r"\s+".join(re.escape(word) for word in phrase.split()) + r"(?!\w)"
    match = re.search(pattern, text) or re.search(pattern, text, re.IGNORECASE)
    if match:
        return match.start(), match.end()
    at = text.find(phrase)  # scripts that write particles without a space (Korean)
    return (at, at + len(phrase)) if at >= 0 else None


def clean_name(name: str) -> str:
    """Strip quotes, brackets and surplus white space off a name; an absurdly long one becomes empty."""
    name = _SPACE.sub(" ", "".join(c for c in name if c.isprintable() or c.isspace())).strip()
    name = name.strip("\"'“”‘’`*_<>[]{} ").strip()
    return name if len(name) <= _MAX_NAME and _WORD.search(name) else ""


def _clean_type(type_: str) -> str:
    return _SPACE.sub(" ", type_).strip().strip("\"'<>[]").lower()[:60] or UNTYPED


def _clean_text(text: str) -> str:
    return _SPACE.sub(" ", "".join(c for c in text if c.isprintable() or c.isspace())).strip()


def _sentence_of(
    text: str, spans: list[tuple[int, int]], head: str, tail: str, description: str
) -> tuple[int, int] | None:
    """Return the sentence that holds both names; of several, the one most like the description."""
    head_folded, tail_folded = head.casefold(), tail.casefold()
    wanted = set(_WORD.findall(description.casefold()))
    best: tuple[int, int] | None = None
    best_overlap = -1
    for start, end in spans:
        sentence = text[start:end].casefold()
        if head_folded in sentence and tail_folded in sentence:
            overlap = len(wanted.intersection(_WORD.findall(sentence)))
            if overlap > best_overlap:
                best, best_overlap = (start, end), overlap
    return best
