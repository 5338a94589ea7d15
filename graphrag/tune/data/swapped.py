"""Texts with other names in them: the sentence stays, who it is about changes.

Mention replacement (Dai and Adel, 2020, An Analysis of Simple Data Augmentation for Named Entity
Recognition, arXiv 2010.11683): a small corpus is soon known by heart, its names first. A relation that a
sentence states holds of any names of the same types; one that the annotators knew (a city lies in its
country) does not, so this is for corpora of what sentences say.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphrag.extract.gold import GoldCorpus, GoldText
from graphrag.extract.gold.passages import mention_spans


def names_by_type(corpus: GoldCorpus) -> dict[str | None, tuple[str, ...]]:
    """Return every name that entities of a type have in ``corpus``, as often as texts have it, sorted."""
    names: dict[str | None, list[str]] = {}
    for text in corpus.texts:
        for entity in text.entities:
            if len(entity.names) == 1:
                names.setdefault(entity.type, []).extend(entity.names)
    return {type_: tuple(sorted(found)) for type_, found in names.items()}


def with_other_names(
    text: GoldText, names: Mapping[str | None, Sequence[str]], share: float, chance: random.Random
) -> GoldText:
    """Return ``text`` with a ``share`` of its names replaced by others of the same type out of ``names``.

    A name stays that is one of several of its entity, that entities of two types have, or that stands inside
    another name; two names of a text never become one.
    """
    types: dict[str, set[str | None]] = {}
    for entity in text.entities:
        for name in entity.names:
            types.setdefault(name, set()).add(entity.type)
    alone = {entity.names[0] for entity in text.entities if len(entity.names) == 1}
    several = {name for entity in text.entities if len(entity.names) > 1 for name in entity.names}
    taken = {name.lower() for name in types}
    new: dict[str, str] = {}
    for name in sorted(alone - several):
        if len(types[name]) > 1 or chance.random() >= share or any(name in o and name != o for o in types):
            continue
        pool = names.get(next(iter(types[name])))
        other = chance.choice(pool) if pool else name
        if other.lower() not in text.text.lower() and other.lower() not in taken:
            taken.add(other.lower())
            new[name] = other
    old = list(new)
    mentions = {
        (start, end): old[which] for start, end, which in mention_spans(text.text, [[name] for name in old])
    }
    body, at = "", 0
    for (start, end), name in sorted(mentions.items()):
        body += text.text[at:start] + new[name]
        at = end
    there = set(mentions.values())
    entities = tuple(
        replace(entity, names=tuple(new[name] if name in there else name for name in entity.names))
        for entity in text.entities
    )
    return replace(text, text=body + text.text[at:], entities=entities)
