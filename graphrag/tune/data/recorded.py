"""Records from what a strong model extracted: a recording, or the user's own index (distillation)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from graphrag.extract.compact import NOTHING, ExtractionSchema, windows
from graphrag.extract.facts import EntityFact, Extraction, RelationFact
from graphrag.extract.gold.passages import Passage, located
from graphrag.extract.grounding import UNTYPED
from graphrag.extract.recorded.recording import Recording
from graphrag.tune.data.record import TuningRecord, make_record

_LONGEST_NAME = 60
_LONGEST_PREDICATE = 40
_ANY = 0.3  # share of records that ask for any type, and of those that ask for any relation
_PART = 0.3  # share of records that ask for some of what is there only
_MOST_LISTED = 10
_MOST_OTHERS = 4


def recorded_records(
    recording: Recording, *, source: str, licence: str, words: int = 70
) -> list[TuningRecord]:
    """Return the records of a recording: one for each window of its text units that holds an entity."""
    facts = (
        (unit["id"], unit["text"], recording.extractions.get(unit["id"], Extraction()))
        for unit in recording.text_units
    )
    return extraction_records(facts, source=source, licence=licence, words=words)


def extraction_records(
    facts: Iterable[tuple[str, str, Extraction]],
    *,
    source: str,
    licence: str,
    words: int = 70,
    seed: int | None = None,
) -> list[TuningRecord]:
    """Return the records of ``(id, text, extraction)``.

    With a ``seed``, each record asks under a schema of its own: lists of types and relations (those that are
    there among others, or a part of them), or "any", so that the model learns to read what is asked for.

    An entity belongs to every window that names it; a relation to the window of the sentence that
    holds both its ends, one that no sentence holds to none: what the model cannot read there it must
    not learn to write. Types are asked for where the recording has them; an entity of unknown type is
    left out there, and so is a window that names none but such.
    """
    given = list(facts)
    types = sorted(
        {entity.type for _, _, found in given for entity in found.entities if entity.type != UNTYPED}
    )
    schema = ExtractionSchema(tuple(types) if types and len(types) <= 16 else () if types else None)
    predicates = sorted({one.predicate for _, _, found in given for one in found.relations})
    records = []
    for identity, text, found in given:
        for start, end in windows(text, words):
            passage = _passage(identity, text, start, end, found)
            asked = (
                schema if seed is None else _schema(passage, types, predicates, f"{seed}/{identity}/{start}")
            )
            record = make_record(passage, asked, source=source, licence=licence)
            if record.completion != NOTHING:
                records.append(record)
    return records


def _schema(passage: Passage, types: list[str], predicates: list[str], seed: str) -> ExtractionSchema:
    """Draw what a record asks for: of types and of relations a list or anything, each by itself."""
    chance = random.Random(seed)  # noqa: S311 - a choice of examples, not a secret
    listed = [
        _listed([type_ for _, type_ in passage.entities if type_], types, chance),
        _listed([predicate for _, predicate, _ in passage.relations], predicates, chance),
    ]
    return ExtractionSchema(listed[0] if types else None, listed[1])


def _listed(there: list[str], every: list[str], chance: random.Random) -> tuple[str, ...]:
    """Return those of ``every`` that are there, or but some of them, among others; or none: "any"."""
    known, draw = sorted(set(there) & set(every)), chance.random()
    if draw < _ANY or not known:
        return ()
    if draw > 1 - _PART:
        known = chance.sample(known, chance.randint(1, len(known)))
    others = sorted(set(every) - set(there))
    wanted = known[:_MOST_LISTED] + chance.sample(others, min(len(others), chance.randint(1, _MOST_OTHERS)))
    return tuple(chance.sample(wanted, len(wanted)))


def index_records(root: Path, *, seed: int | None = None) -> list[TuningRecord]:
    """Return the records of the index that the project at ``root`` published last.

    With a ``seed`` they ask under many schemas (see :func:`extraction_records`).

    What a strong model extracted there becomes what a small one learns. Names are those of the mentions,
    as the texts have them.

    Raises:
        NotIndexedError: nothing was published yet.
    """
    from graphrag.store.index import Index

    index = Index.open(root)
    titles = {row["title"]: row["id"] for row in index.table("entities").to_pylist()}
    ends = {
        row["id"]: (titles.get(row["source"]), titles.get(row["target"]))
        for row in index.table("relationships").to_pylist()
    }
    entities: dict[str, list[EntityFact]] = {}
    names: dict[tuple[str, str | None], str] = {}
    for row in index.table("entity_mentions").to_pylist():
        unit = row["text_unit_id"]
        entities.setdefault(unit, []).append(EntityFact(row["name"], row["type"], ""))
        names.setdefault((unit, row["entity_id"]), row["name"])
    units = index.table("text_units").to_pylist()
    starts = {row["id"]: row["start_char"] for row in units}
    relations: dict[str, list[RelationFact]] = {}
    for row in index.table("relation_mentions").to_pylist():
        unit = row["text_unit_id"]
        head, tail = (names.get((unit, end)) for end in ends.get(row["relationship_id"], (None, None)))
        if head is None or tail is None or row["start_char"] is None:
            continue
        start, end = row["start_char"] - starts[unit], row["end_char"] - starts[unit]
        relation = RelationFact(head, row["predicate"], tail, "", start=start, end=end)
        relations.setdefault(unit, []).append(relation)
    facts = (
        (
            row["id"],
            row["text"],
            Extraction(tuple(entities.get(row["id"], ())), tuple(relations.get(row["id"], ()))),
        )
        for row in units
    )
    return extraction_records(
        facts, source=f"index {root.resolve().name}", licence="that of the documents", seed=seed
    )


def _passage(identity: str, text: str, start: int, end: int, found: Extraction) -> Passage:
    body = text[start:end]
    known = [entity for entity in found.entities if len(entity.name) <= _LONGEST_NAME]
    places = located(body, [(entity.name,) for entity in known])
    named = sorted((place, number) for number, (place, _) in places.items())
    names = {known[number].name: places[number][1] for _, number in reversed(named)}
    relations = [
        (names[relation.head], relation.predicate, names[relation.tail])
        for relation in found.relations
        if relation.start is not None
        and relation.end is not None
        and start <= relation.start
        and relation.end <= end
        and len(relation.predicate) <= _LONGEST_PREDICATE
        and names.get(relation.head, "") != names.get(relation.tail, "")
        and {relation.head, relation.tail} <= names.keys()
    ]
    entities = dict.fromkeys((places[number][1], known[number].type) for _, number in named)
    return Passage(identity, body, tuple(entities), tuple(dict.fromkeys(relations)))
