"""Extractors against gold: entities and relations found, answers that were usable, what it cost.

What counts as right, strictly:

* a name is compared without regard to case, white space and a leading article;
* an entity is right when its name is one of a gold entity's names and its type that entity's type,
  where the gold data state types. Several right names of one gold entity count once, and so do gold
  entities of one name and type in one text: what is compared are names, not places in the text;
* a relation is right when head and tail are right entities in this sense, types included, and the predicate
  is the gold one, in the gold direction.

F1 is over all texts together (micro). Two looser measures tell what an extractor finds that has not the
gold's vocabulary: ``name_f1`` is entities without their types, ``pair_f1`` asks whether two gold entities,
types aside, are joined in either direction and by any predicate.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from graphrag.extract.facts import Extraction
from graphrag.extract.gold import GoldText

_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an extractor made of one text: facts, how many answers were usable of how many, tokens written."""

    found: Extraction
    valid: int = 1
    answers: int = 1
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ExtractionScores:
    """Sums over the texts of one corpus."""

    counts: Counter[str]

    def f1(self, what: str) -> float:
        """Return F1 of ``entity``, ``relation``, ``name`` or ``pair``; 0 when nothing is right."""
        right, predicted, gold = (self.counts[f"{what}_{part}"] for part in ("right", "predicted", "gold"))
        return 2 * right / (predicted + gold) if right else 0.0

    def precision(self, what: str) -> float:
        """Return the share of predictions that are right; 0 without predictions."""
        return self.counts[f"{what}_right"] / max(1, self.counts[f"{what}_predicted"])

    def recall(self, what: str) -> float:
        """Return the share of the gold that was found; 0 without gold."""
        return self.counts[f"{what}_right"] / max(1, self.counts[f"{what}_gold"])


def score_extraction(golds: Sequence[GoldText], answers: Sequence[Answer]) -> ExtractionScores:
    """Compare answers with gold texts, in the order of both."""
    counts: Counter[str] = Counter()
    for gold, answer in zip(golds, answers, strict=True):
        _score_text(gold, answer.found, counts)
    return ExtractionScores(counts)


def comparable(name: str) -> str:
    """Return the form in which names are compared."""
    return _ARTICLE.sub("", " ".join(name.split()).casefold())


def _score_text(gold: GoldText, found: Extraction, counts: Counter[str]) -> None:
    typed = any(entity.type is not None for entity in gold.entities)
    _score_strictly(gold, found, counts, typed=typed)
    entity_of, same = _keys(gold, typed=False)
    names = {comparable(entity.name) for entity in found.entities}
    right = {entity_of[name, None] for name in names if (name, None) in entity_of}
    counts["name_right"] += len(right)
    counts["name_predicted"] += len(right) + sum((name, None) not in entity_of for name in names)
    counts["name_gold"] += len(set(same))
    pairs: set[frozenset[int | str]] = set()
    for relation in found.relations:
        ends = [comparable(name) for name in (relation.head, relation.tail)]
        pairs.add(frozenset(entity_of.get((name, None), name) for name in ends))
    wanted = {frozenset((same[head], same[tail])) for head, _, tail in gold.relations}
    wanted = {pair for pair in wanted if len(pair) == 2}
    pairs = {pair for pair in pairs if len(pair) == 2}
    counts["pair_predicted"] += len(pairs)
    counts["pair_gold"] += len(wanted)
    counts["pair_right"] += len(pairs & wanted)


def _score_strictly(gold: GoldText, found: Extraction, counts: Counter[str], *, typed: bool) -> None:
    entity_of, same = _keys(gold, typed=typed)
    predicted = {(comparable(e.name), e.type if typed else None) for e in found.entities}
    right = {entity_of[one] for one in predicted if one in entity_of}
    counts["entity_predicted"] += len(right) + sum(one not in entity_of for one in predicted)
    counts["entity_gold"] += len(set(same))
    counts["entity_right"] += len(right)
    numbers: dict[str, set[int]] = {}
    for one in sorted(predicted, key=str):
        if one in entity_of:
            numbers.setdefault(one[0], set()).add(entity_of[one])
    wanted = {(same[head], predicate, same[tail]) for head, predicate, tail in gold.relations}
    related: set[tuple[int, str, int]] = set()
    wrong: set[tuple[str, str, str]] = set()
    for relation in found.relations:
        head, tail = comparable(relation.head), comparable(relation.tail)
        options = [
            (h, relation.predicate, t)
            for h in sorted(numbers.get(head, ()))
            for t in sorted(numbers.get(tail, ()))
            if h != t
        ]
        if options:
            related.add(next((one for one in options if one in wanted), options[0]))
        else:
            wrong.add((head, relation.predicate, tail))
    counts["relation_predicted"] += len(related) + len(wrong)
    counts["relation_gold"] += len(wanted)
    counts["relation_right"] += len(related & wanted)


def _keys(gold: GoldText, *, typed: bool) -> tuple[dict[tuple[str, str | None], int], list[int]]:
    """Return the entity that each (name, type) means, and for each entity the one that it is taken for.

    An entity whose first name another one of its type had before is taken for that one, also in relations.
    """
    entity_of: dict[tuple[str, str | None], int] = {}
    for number, entity in enumerate(gold.entities):
        for name in entity.names:
            entity_of.setdefault((comparable(name), entity.type if typed else None), number)
    same = [
        entity_of[comparable(entity.names[0]), entity.type if typed else None] for entity in gold.entities
    ]
    return {key: same[number] for key, number in entity_of.items()}, same
