"""The shortest wire format of extraction, for small models that were tuned to it.

The system turn names what is wanted, the user turn is the text, the answer has one line for each
entity in the order of the text, and below it the relations that start from it::

    entities: person, organization
    relations: any
    ---
    In 1931 Mary Lund founded the Lund School.
    ---
     Mary Lund| person
    > founded| Lund School
     Lund School| organization

No head is written twice and nothing explains the form: the tuning does. Every name, type and
predicate begins with a space, so its tokens are those that it has inside the text. Descriptions are
not asked for; they are quoted from the text. What a small model reads at once is a window of a few
sentences, so a long text is asked about in parts, all with the same system turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphrag.extract.facts import EntityFact, Extraction, RelationFact
from graphrag.text.sentences import sentence_spans

NOTHING = "NONE"
WINDOW_WORDS = 130
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\S+")
_LISTED_PREDICATES = 16
_MOST_RELATIONS = 10  # below one entity; of 40,000 entities of the shipped adapter's data 99.7 % have no more
_LEAST_ENTITIES = 4
_WORDS_PER_ENTITY = 3  # the fewest that an entity takes up, names in a row apart


@dataclass(frozen=True, slots=True)
class ExtractionSchema:
    """What is wanted of a text.

    ``entity_types``: the types to choose from; empty means any; None means names without types.
    ``predicates``: the relations to choose from; empty means any. Lists that are longer than
    sixteen are not written into the prompt but named by ``vocabulary``; an answer's grammar holds
    to them all the same.
    """

    entity_types: tuple[str, ...] | None = ()
    predicates: tuple[str, ...] = ()
    vocabulary: str | None = None

    @property
    def prompt(self) -> str:
        """Return the system turn."""
        types = "untyped" if self.entity_types is None else ", ".join(self.entity_types) or "any"
        predicates = "any"
        if self.predicates and len(self.predicates) <= _LISTED_PREDICATES:
            predicates = ", ".join(self.predicates)
        elif self.vocabulary:
            predicates = f"any of {self.vocabulary}"
        return f"entities: {types}\nrelations: {predicates}"


def compact_answer(
    entities: Iterable[tuple[str, str | None]], relations: Iterable[tuple[str, str, str]]
) -> str:
    """Write facts in the compact format: ``(name, type)`` in order, then ``(head, predicate, tail)``.

    A relation stands below the first entity of its head's name; one without such an entity is left out.
    """
    below: dict[str, list[str]] = {}
    for head, predicate, tail in relations:
        below.setdefault(head, []).append(f"> {predicate}| {tail}")
    lines = []
    for name, type_ in entities:
        lines.append(f" {name}" if type_ is None else f" {name}| {type_}")
        lines += below.pop(name, [])
    return "\n".join(lines) or NOTHING


def parse_compact(text: str) -> Extraction:
    """Turn a compact answer into facts; what is cut, repeated or of no known form is left out."""
    entities: list[EntityFact] = []
    relations: list[RelationFact] = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.lstrip("> ").split("|")]
        if line.startswith(">"):
            if len(fields) == 2 and all(fields) and entities:
                relations.append(RelationFact(entities[-1].name, fields[0], fields[1], ""))
        elif fields[0] and line.strip() != NOTHING and len(fields) <= 2:
            entities.append(EntityFact(fields[0], fields[1] if len(fields) > 1 else "", ""))
    return Extraction(tuple(dict.fromkeys(entities)), tuple(dict.fromkeys(relations)))


def compact_grammar(text: str, schema: ExtractionSchema, written: str = "") -> str | None:
    """Return the Lark grammar (llguidance's dialect) of answers about ``text`` that begin with ``written``.

    ``written`` are complete lines, the last one without its end; None says that the answer ends with them.
    Names are runs of whole words of the text, so no answer is without form and no name is invented.
    Entities, and the relations of each, are bounded by number.

    A small model repeats its lines where it has nothing left to say, and invents others when it must not.
    So a relation that stands twice is the last one of its entity, and an entity that does is the last line.
    """
    lines = written.split("\n") if written else []
    heads = [line for line in lines if not line.startswith(">")]
    below = lines[len(lines) - lines[::-1].index(heads[-1]) :] if heads else []
    entities = max(_LEAST_ENTITIES, len(text.split()) // _WORDS_PER_ENTITY) - len(heads)
    relations = 0 if _ends_twice(below) else _MOST_RELATIONS - len(below)
    if _ends_twice(heads) or not entities + relations:
        return None
    begun = f"{_literals([written])}{_up_to(relations, 'relation')}{_up_to(entities, 'next')}"
    words = json.dumps(text, ensure_ascii=False)
    typed = "" if schema.entity_types is None else ' "| " TYPE'
    rules = [
        f"start: {begun}" if lines else f'start: "{NOTHING}" | entity{_up_to(entities - 1, "next")}',
        f'entity: " " NAME{typed}{_up_to(_MOST_RELATIONS, "relation")}',
        'next: "\\n" entity',
        'relation: "\\n> " PREDICATE "| " NAME',
        f'NAME: %regex {{ "substring_words": {words} }} & /[^|\\s]([^|\\n]{{0,98}}[^|\\s])?/',
        f"PREDICATE: {_choice(schema.predicates)}",
    ]
    if typed:
        rules.append(f"TYPE: {_choice(schema.entity_types or ())}")
    return "\n".join(rules) + "\n"


def one_line(text: str) -> str:
    """Return ``text`` with single spaces, the form in which it is put into a prompt."""
    return _SPACE.sub(" ", text).strip()


def windows(text: str, words: int = WINDOW_WORDS) -> list[tuple[int, int]]:
    """Return the spans of ``text`` that are read at once: whole sentences of about ``words`` words together.

    A sentence of more than twice that is cut between words. Spans are in order and do not overlap.
    """
    spans: list[tuple[int, int]] = []
    open_: tuple[int, int, int] | None = None  # start, end, words
    for start, end in sentence_spans(text):
        for first, last, count in _cut(text, start, end, 2 * words):
            if open_ is not None and open_[2] + count > words:
                spans.append(open_[:2])
                open_ = None
            open_ = (first, last, count) if open_ is None else (open_[0], last, open_[2] + count)
    if open_ is not None:
        spans.append(open_[:2])
    return spans


def _cut(text: str, start: int, end: int, most: int) -> list[tuple[int, int, int]]:
    found = [match.span() for match in _WORD.finditer(text, start, end)]
    return [
        (part[0][0], part[-1][1], len(part))
        for part in (found[at : at + most] for at in range(0, len(found), most))
    ]


def _choice(values: Sequence[str]) -> str:
    return _literals(values) if values else r"/[^|\n> ][^|\n>]{0,50}/"


def _ends_twice(lines: Sequence[str]) -> bool:
    return lines[-1] in lines[:-1] if lines else False


def _up_to(most: int, rule: str) -> str:
    return f" {rule}{{0,{most}}}" if most else ""  # {0,0} is an error


def _literals(values: Sequence[str]) -> str:
    return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
