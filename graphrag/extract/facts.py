"""What an extractor finds in one text unit, whatever found it: LLM, rules, or a recording.

Offsets count characters inside the text unit; ``None`` means that the text does not hold the
thing literally.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EntityFact:
    """A named thing. ``type`` is lower case."""

    name: str
    type: str
    description: str
    start: int | None = None
    end: int | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class RelationFact:
    """A directed, labelled relation between two names; ``strength`` is 1 to 10.

    ``start`` and ``end`` are those of the sentence that says so.
    """

    head: str
    predicate: str
    tail: str
    description: str
    strength: float = 1.0
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimFact:
    """A statement about ``subject`` that is TRUE, FALSE or SUSPECTED according to the text.

    ``source_text`` is the quote it rests on; dates are ISO (``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``).
    """

    subject: str
    object: str | None
    type: str
    status: str
    description: str
    source_text: str
    start_date: str | None = None
    end_date: str | None = None


@dataclass(frozen=True, slots=True)
class Extraction:
    """Everything found in one text unit, in order of appearance."""

    entities: tuple[EntityFact, ...] = ()
    relations: tuple[RelationFact, ...] = ()
    claims: tuple[ClaimFact, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was found."""
        return not (self.entities or self.relations or self.claims)
