"""Records from gold corpora, under schemas that vary so that the model learns to read the schema.

A document is cut into runs of one to four sentences, another way in every copy. The schema of a
record lists all types or a part of them, in any order and under one of several names; it lists a few
relations (those that are there among others that are not), or names a vocabulary, or says "any".
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from graphrag.extract.compact import WINDOW_WORDS, ExtractionSchema, windows
from graphrag.extract.gold import GoldCorpus, GoldText
from graphrag.extract.gold.passages import Passage, gold_passage
from graphrag.text.sentences import sentence_spans
from graphrag.tune.data.record import TuningRecord, make_record
from graphrag.tune.data.swapped import names_by_type, with_other_names

_OTHER_NAMES = {
    "location": ("location", "place"), "time": ("time", "date"), "number": ("number", "quantity"),
    "other": ("other", "concept"), "organization": ("organization", "organisation"),
}  # fmt: skip
_MOST_LISTED = 10
_MOST_SENTENCES = 4


def gold_records(
    corpus: GoldCorpus,
    *,
    seed: int,
    copies: int = 1,
    vary: bool = True,
    words: int = WINDOW_WORDS,
    swap: float = 0.0,
) -> list[TuningRecord]:
    """Return ``copies`` records of every passage of ``corpus``; the same seed gives the same records.

    With ``vary`` off every record has the corpus's own schema, and a text is cut as extraction cuts it, into
    windows of about ``words`` words. A share ``swap`` of the names gives way to others of their type, in
    every copy to others (see :mod:`graphrag.tune.data.swapped`).
    """
    records = []
    names = names_by_type(corpus) if swap else {}
    for original in corpus.texts:
        for copy in range(copies):
            chance = random.Random(f"{seed}/{copy}/{original.id}")  # noqa: S311 - a split, not a secret
            text = with_other_names(original, names, swap, chance) if swap else original
            spans = _random_spans(text, chance) if vary else windows(text.text, words)
            for passage in (gold_passage(text, *span) for span in spans):
                # A corpus without types lists only what its triples name: no triple, nothing to learn.
                if not (passage.entities if corpus.schema.entity_types is not None else passage.relations):
                    continue
                asked = _varied(passage, corpus.schema, chance) if vary else (passage, corpus.schema)
                records.append(make_record(*asked, source=corpus.source, licence=corpus.licence))
    return records


def _random_spans(text: GoldText, chance: random.Random) -> Iterator[tuple[int, int]]:
    spans = sentence_spans(text.text)
    at = 0
    while at < len(spans):
        take = chance.randint(1, _MOST_SENTENCES)
        part = spans[at : at + take]
        at += take
        yield part[0][0], part[-1][1]


def _varied(
    passage: Passage, schema: ExtractionSchema, chance: random.Random
) -> tuple[Passage, ExtractionSchema]:
    types = schema.entity_types
    if types:
        renamed = {type_: chance.choice(_OTHER_NAMES.get(type_, (type_,))) for type_ in types}
        passage = replace(
            passage,
            entities=tuple((name, renamed.get(type_ or "", type_)) for name, type_ in passage.entities),
        )
        draw = chance.random()
        listed = [renamed[type_] for type_ in types]
        if draw < 0.3:
            listed = chance.sample(listed, chance.randint(min(2, len(listed)), len(listed)))
        elif draw > 0.9:
            listed = []
        types = tuple(chance.sample(listed, len(listed)))
    draw = chance.random()
    if len(schema.predicates) <= _MOST_LISTED:
        return passage, ExtractionSchema(
            types, tuple(chance.sample(schema.predicates, len(schema.predicates)))
        )
    if draw < 0.5 and schema.vocabulary:
        return passage, ExtractionSchema(types, schema.predicates, schema.vocabulary)
    if draw < 0.6:
        return passage, ExtractionSchema(types)
    there = sorted({predicate for _, predicate, _ in passage.relations})
    there = chance.sample(there, min(len(there), _MOST_LISTED - 2))
    absent = sorted(set(schema.predicates) - {predicate for _, predicate, _ in passage.relations})
    wanted = there + chance.sample(absent, min(len(absent), chance.randint(2, _MOST_LISTED - len(there))))
    return passage, ExtractionSchema(types, tuple(chance.sample(wanted, len(wanted))))
