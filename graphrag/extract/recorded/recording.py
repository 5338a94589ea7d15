"""What a recording becomes, and how its parts are collected.

A reader adds documents, text units and facts as it finds them and tallies what it cannot use.
``Collector.finish`` then holds every fact against its text unit and says what was lost or guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from graphrag.characters import replace_surrogates
from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.grounding import clean_name, ground
from graphrag.extract.recorded.tally import Tally
from graphrag.extract.recorded.values import locate
from graphrag.hashing import canonical_json, content_hash
from graphrag.schema import CLAIM_STATUSES
from graphrag.tokens import approximate_tokens

_DATE = re.compile(r"(\d{4}(?:-\d{2}(?:-\d{2})?)?)(?:[T ].*)?")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded extraction in the terms of this engine.

    ``documents`` and ``text_units`` are rows of those tables, ``extractions`` is keyed by the id of the
    text unit and already held against its text. ``problems`` says in sentences what could not be used
    or had to be guessed; it is empty for a recording without fault.
    """

    format: str
    documents: list[dict[str, Any]]
    text_units: list[dict[str, Any]]
    extractions: dict[str, Extraction]
    problems: list[str]


@dataclass(slots=True)
class _Facts:
    entities: list[EntityFact] = field(default_factory=list)
    relations: list[RelationFact] = field(default_factory=list)
    claims: list[ClaimFact] = field(default_factory=list)


@dataclass(slots=True)
class Collector:
    """Collects one recording; ``name`` is that of its file or folder and begins every uri."""

    format: str
    name: str
    tally: Tally = field(default_factory=Tally)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    units: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, _Facts] = field(default_factory=dict)

    def document(
        self,
        uri: str,
        text: str,
        *,
        record_id: str | None,
        title: str | None,
        creation_date: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Add a document and return its id; the same uri and text is the same document."""
        document_id = content_hash("document", uri, text)
        self.documents.setdefault(
            document_id,
            {
                "id": document_id,
                "uri": uri,
                "record_id": record_id,
                "title": title or uri,
                "media_type": "text/plain",
                "creation_date": creation_date,
                "metadata": replace_surrogates(canonical_json(metadata or {})),
                "text": text,
            },
        )
        return document_id

    def text_unit(self, document_id: str, ordinal: int, start: int, end: int) -> str:
        """Add the part of a document from ``start`` to ``end`` and return its id."""
        unit_id = content_hash("text_unit", document_id, start, end)
        text = self.documents[document_id]["text"][start:end]
        self.units.setdefault(
            unit_id,
            {
                "id": unit_id,
                "document_id": document_id,
                "ordinal": ordinal,
                "start_char": start,
                "end_char": end,
                "n_tokens": approximate_tokens(text),
                "text": text,
            },
        )
        self.facts.setdefault(unit_id, _Facts())
        return unit_id

    def passage(self, uri: str, text: str, *, record_id: str | None, title: str | None) -> str:
        """Add a document that is one text unit; return the id of that text unit."""
        document_id = self.document(uri, text, record_id=record_id, title=title)
        return self.text_unit(document_id, 0, 0, len(text))

    def chunks(self, document_id: str, recorded: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Add the recorded chunks (id, text) of a document, in order; return our ids by theirs.

        A chunk whose text the document does not have literally becomes a document of its own. A
        document that has none of its chunks is taken out again.
        """
        document = self.documents[document_id]
        ids: dict[str, str] = {}
        after = 0
        found = False
        for ordinal, (chunk_id, text) in enumerate(recorded):
            self.tally.seen("chunks")
            span = locate(document["text"], text, after)
            if span is not None:
                after, found = span[0], True
                ids[chunk_id] = self.text_unit(document_id, ordinal, *span)
            elif text.strip():
                self.tally.fault(
                    "chunks", "are not in their document word for word; each is its own document", chunk_id
                )
                ids[chunk_id] = self.passage(
                    f"{document['uri']}#{chunk_id}", text, record_id=chunk_id, title=document["title"]
                )
            else:
                self.tally.fault("chunks", "are blank", chunk_id)
        if not found:
            self.tally.fault("documents", "have none of the chunks", document["uri"])
            if not any(unit["document_id"] == document_id for unit in self.units.values()):
                del self.documents[document_id]
        return ids

    def entity(self, unit_id: str, name: str, type_: str = "", description: str = "") -> None:
        """Add an entity to a text unit."""
        self.facts[unit_id].entities.append(EntityFact(name, type_, description))

    def relation(self, unit_id: str, relation: RelationFact) -> None:
        """Add a relation to a text unit."""
        self.facts[unit_id].relations.append(relation)

    def claim(self, unit_id: str, claim: ClaimFact) -> None:
        """Add a claim to a text unit. What is no status counts as SUSPECTED, what is no date as unknown."""
        status = claim.status.strip().upper()
        if status not in CLAIM_STATUSES:
            example = claim.description or claim.subject
            self.tally.fault("claims", "have no status and count as SUSPECTED", example)
            status = "SUSPECTED"
        dates = [self._date(value) for value in (claim.start_date, claim.end_date)]
        self.facts[unit_id].claims.append(
            replace(claim, status=status, start_date=dates[0], end_date=dates[1])
        )

    def _date(self, value: str | None) -> str | None:
        if value is None:
            return None
        match = _DATE.fullmatch(value.strip())
        if match:
            return match.group(1)
        self.tally.fault("claims", "have a date that is not ISO 8601; it is left out", value)
        return None

    def finish(self) -> Recording:
        """Hold every fact against its text and return the recording.

        The end of a relation that its text unit does not list is looked up among all entities of the
        recording, so that it keeps its type.
        """
        types: dict[str, str] = {}
        for facts in self.facts.values():
            for entity in facts.entities:
                types.setdefault(clean_name(entity.name).casefold(), entity.type)
        unlisted: dict[str, str] = {}
        extractions = {}
        for unit_id, facts in self.facts.items():
            listed = {clean_name(entity.name).casefold() for entity in facts.entities}
            ends = [end for relation in facts.relations for end in (relation.head, relation.tail)]
            ends += [end for claim in facts.claims for end in (claim.subject, claim.object) if end]
            brought = []
            for end in ends:
                folded = clean_name(end).casefold()
                if not folded or folded in listed:
                    continue
                listed.add(folded)
                if folded in types:
                    brought.append(EntityFact(end, types[folded], ""))
                else:
                    unlisted.setdefault(folded, end)
            found = Extraction((*facts.entities, *brought), tuple(facts.relations), tuple(facts.claims))
            extractions[unit_id] = ground(self.units[unit_id]["text"], found)
            self._tally_lost(found, extractions[unit_id])
        if unlisted:
            self.tally.fault(
                "names",
                "in relationships or claims are no listed entity; each becomes an untyped one",
                next(iter(unlisted.values())),
                count=len(unlisted),
            )
        return Recording(
            format=self.format,
            documents=list(self.documents.values()),
            text_units=list(self.units.values()),
            extractions=extractions,
            problems=self.tally.sentences(),
        )

    def _tally_lost(self, given: Extraction, kept: Extraction) -> None:
        """Tally what grounding leaves out: nameless ends, relations of a thing with itself, repeats."""
        named = [entity for entity in given.entities if clean_name(entity.name)]
        self._unnamed("mentions of entities", len(given.entities) - len(named))
        kinds = {(clean_name(entity.name), entity.type.strip().lower()) for entity in named}
        self._repeated("mentions of entities", len(named) - len(kinds))
        relations = 0
        for relation in given.relations:
            head, tail = clean_name(relation.head).casefold(), clean_name(relation.tail).casefold()
            if not head or not tail:
                self._unnamed("mentions of relationships", 1)
            elif head == tail:
                self.tally.fault(
                    "mentions of relationships", "relate a thing with itself and are left out",
                    [relation.head, relation.predicate, relation.tail],
                )  # fmt: skip
            else:
                relations += 1
        self._repeated("mentions of relationships", relations - len(kept.relations))
        claims = sum(bool(clean_name(claim.subject)) for claim in given.claims)
        self._unnamed("claims", len(given.claims) - claims)
        self._repeated("claims", claims - len(kept.claims))

    def _unnamed(self, things: str, count: int) -> None:
        if count:
            self.tally.fault(things, "lack a usable name and are left out", count=count)

    def _repeated(self, things: str, count: int) -> None:
        if count > 0:
            self.tally.fault(things, "repeat another of their text unit and are kept once", count=count)
