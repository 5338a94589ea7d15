"""Hold an extraction against its text: clean names, find where each thing is said.

A model's answer is a proposal. Here every name gets the place where the text has it, every
relation the sentence that holds both ends, every claim the place of its quote. What cannot be
found literally keeps no offsets, so a reader can tell the two apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.schema import CLAIM_STATUSES
from graphrag.text.sentences import sentence_spans

_MAX_NAME = 200
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
UNTYPED = "other"
UNLABELLED = "related to"


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

    sentences = _Sentences(text)
    relations: dict[tuple[str, str, str], RelationFact] = {}
    for relation in found.relations:
        head, tail = known(relation.head), known(relation.tail)
        predicate = _SPACE.sub(" ", relation.predicate.replace("_", " ")).strip(" .").lower() or UNLABELLED
        if head is None or tail is None or head == tail or (head, predicate, tail) in relations:
            continue
        start, end = sentences.of(head, tail, relation.description) or (None, None)
        relations[head, predicate, tail] = RelationFact(
            head,
            predicate,
            tail,
            _clean_text(relation.description),
            min(10.0, max(1.0, relation.strength)),
            start,
            end,
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
    """Find ``phrase`` in ``text`` as whole words: literally, else without case, else inside a word.

    Any white space of the phrase stands for any of the text, so line breaks do not matter. The first
    place counts. Linear in the length of the text; its lower-cased form is kept for the next call.
    """
    words = phrase.split()
    if not words:
        return None
    span = _find_words(text, words)
    if span is None:
        span = _find_words(_lowered(text), _lowered(" ".join(words)).split())
    if span is None:
        at = text.find(phrase)  # scripts that write particles without a space (Korean)
        span = (at, at + len(phrase)) if at >= 0 else None
    return span


def _find_words(text: str, words: list[str]) -> tuple[int, int] | None:
    first, rest = words[0], words[1:]
    at = text.find(first)
    while at >= 0:
        end = at + len(first)
        if at == 0 or not _is_word(text[at - 1]):
            for word in rest:
                begin = end
                while text[begin : begin + 1].isspace():
                    begin += 1
                if begin == end or not text.startswith(word, begin):
                    break
                end = begin + len(word)
            else:
                if end == len(text) or not _is_word(text[end]):
                    return at, end
        at = text.find(first, at + 1)
    return None


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


@lru_cache(maxsize=8)
def _lowered(text: str) -> str:
    """Lower every character that keeps its length, so that offsets stay those of ``text``."""
    lowered = text.lower()
    if len(lowered) == len(text) and "Σ" not in text:  # its lower form depends on what follows
        return lowered
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def clean_name(name: str) -> str:
    """Strip quotes, brackets and surplus white space off a name; an absurdly long one becomes empty."""
    name = _clean_text(name).strip("\"'“”‘’`*_<>[]{} ").strip()
    return name if len(name) <= _MAX_NAME and _WORD.search(name) else ""


def _clean_type(type_: str) -> str:
    return _SPACE.sub(" ", type_).strip("\"'<>[] ").lower()[:60].rstrip("\"'<>[] ") or UNTYPED


def _clean_text(text: str) -> str:
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable() or c.isspace())
    return " ".join(text.split())


@dataclass(slots=True)
class _Sentences:
    """The sentences of a text, cut and folded when the first relation asks for them."""

    text: str
    _folded: list[tuple[int, int, str]] | None = None
    _words: dict[int, set[str]] = field(default_factory=dict)

    def of(self, head: str, tail: str, description: str) -> tuple[int, int] | None:
        """Return the sentence that holds both names; of several, the one most like the description."""
        if self._folded is None:
            spans = sentence_spans(self.text)
            self._folded = [(start, end, self.text[start:end].casefold()) for start, end in spans]
        head, tail = head.casefold(), tail.casefold()
        holding = [found for found in self._folded if head in found[2] and tail in found[2]]
        if len(holding) > 1:
            wanted = set(_WORD.findall(description.casefold()))
            best = max(holding, key=lambda found: len(wanted & self._words_of(found)))  # the first of equals
            return best[:2]
        return holding[0][:2] if holding else None

    def _words_of(self, sentence: tuple[int, int, str]) -> set[str]:
        words = self._words.get(sentence[0])
        if words is None:
            words = self._words[sentence[0]] = set(_WORD.findall(sentence[2]))
        return words
